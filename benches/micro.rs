//! What the program itself spends on a batch of 64 datagrams, without a kernel: receive bookkeeping, fan-out,
//! queue, packing. `cargo bench --bench micro`; the kernel's part is measured by `ci/bench`.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use udp_proxy::config::limits::{Overflow, PackLimits, QueueLimits};
use udp_proxy::data::batch::Batch;
use udp_proxy::data::fanout::fan_out;
use udp_proxy::data::queue::{Queue, Weight};
use udp_proxy::data::target::Target;
use udp_proxy::stats::cells::{ListenerBooks, TargetBooks};
use udp_proxy::statsd::pack::{Offer, Packer};
use udp_proxy::sys::{BATCH, Endpoint, Io, Ready, ReceiveMemory, Receiver, Sender, Sent, Slots};

const LINE: &[u8] = b"bench.requests.count:1|c|#shop:berlin,path:/cart,status:200";
const LIMITS: QueueLimits = QueueLimits { datagrams: 4096, bytes: 4 << 20, overflow: Overflow::Newest };

/// A kernel that costs nothing: it always has a batch, and takes everything.
struct Free;

impl Receiver for Free {
    fn receive(&mut self, slots: &mut Slots) -> io::Result<usize> {
        for i in 0..BATCH {
            slots.slot_mut(i)[..LINE.len()].copy_from_slice(LINE);
            slots.set_length(i, LINE.len());
        }
        Ok(BATCH)
    }

    fn memory(&self) -> Option<ReceiveMemory> {
        None
    }

    fn leave(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sender for Free {
    fn send(&mut self, datagrams: &[IoSlice<'_>]) -> Sent {
        Sent { accepted: black_box(datagrams).len(), error: None }
    }
}

impl Io for Free {
    type Receiver = Free;
    type Sender = Free;

    fn connect(&mut self, _endpoint: &Endpoint) -> io::Result<Free> {
        Ok(Free)
    }

    fn watch_sender(&mut self, _index: usize, _sender: &mut Free) -> io::Result<()> {
        Ok(())
    }

    fn unwatch_sender(&mut self, _sender: &mut Free) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, _timeout: Duration) -> io::Result<Ready> {
        Ok(Ready::default())
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn cpu_time(&self) -> Duration {
        Duration::ZERO
    }
}

fn targets(count: usize, pack: Option<PackLimits>) -> (Vec<Target<Free>>, Vec<TargetBooks>) {
    let mut books: Vec<TargetBooks> = vec![Default::default(); count];
    let endpoint = Endpoint::Udp(([127, 0, 0, 1], 9).into());
    let targets = books.iter_mut().enumerate().map(|(i, books)| {
        let mut target = Target::new(i, LIMITS, pack);
        target.set_endpoint(&mut Free, Some(endpoint.clone()), books);
        target
    });
    let targets = targets.collect();
    (targets, books)
}

fn batch_and_fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("a batch of 64");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut batch = Batch::new(65_535);
    let mut listener: ListenerBooks = Default::default();
    group.bench_function("receive and count", |b| {
        b.iter(|| batch.receive(&mut Free, &mut listener).expect("it always brings a batch"));
    });
    let pack = PackLimits { bytes: 1432, linger: Duration::ZERO };
    for (name, count, pack) in [("2 targets", 2, None), ("16 targets", 16, None), ("2 packing targets", 2, Some(pack))]
    {
        let (mut targets, mut books) = targets(count, pack);
        group.bench_function(format!("fan-out to {name}"), |b| {
            b.iter(|| fan_out(&mut Free, &batch, &mut targets, &mut books));
        });
    }
    group.finish();
}

fn queue(c: &mut Criterion) {
    let mut group = c.benchmark_group("queue");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut queue = Queue::new(LIMITS);
    let one = Weight { datagrams: 1, lines: 0 };
    // One stays, so that the memory is not given back in between: a queue that is in use.
    let _ = queue.push(LINE, one);
    group.bench_function("64 in and out", |b| {
        b.iter(|| {
            for _ in 0..BATCH {
                black_box(queue.push(LINE, one));
            }
            for _ in 0..BATCH {
                black_box(queue.pop());
            }
        });
    });
    group.finish();
}

fn pack(c: &mut Criterion) {
    let mut group = c.benchmark_group("pack");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut packer = Packer::new(1432);
    group.bench_function("64 lines into packs of 1432", |b| {
        b.iter(|| {
            for _ in 0..BATCH {
                if packer.offer(LINE) == Offer::Full {
                    black_box(packer.close());
                    packer.offer(LINE);
                }
            }
            black_box(packer.close());
            packer.recycle();
        });
    });
    group.finish();
}

criterion_group!(benches, batch_and_fan_out, queue, pack);
criterion_main!(benches);
