//! Forwarding allocates nothing: a whole shard over real sockets, and every allocation of its thread counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use udp_proxy::config::limits::{Overflow, PackLimits, QueueLimits};
use udp_proxy::data::shard::{Setup, Shard};
use udp_proxy::data::table::Table;
use udp_proxy::lifecycle::{Lifecycle, Phase};
use udp_proxy::stats::cells::{Published, TargetCell};
use udp_proxy::sys::fallback::Portable;
use udp_proxy::sys::{Endpoint, Native, Sockets, bind};

/// Counts what the calling thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // At the end of a thread its cell may be gone already; nobody counts then.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on to the system's allocator unchanged; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// After so many datagrams everything has its size.
const WARM_UP: u64 = 2_000;
/// In so many behind that, nothing may be allocated.
const COUNTED: u64 = if cfg!(windows) { 5_000 } else { 100_000 };
/// Sent before the shard has its turns: at most 2.3 KB each with the kernel's overhead, half of the usual 208 KiB.
const BURST: u64 = 50;

/// One shard of engine `S`, its sender, and targets whose sockets nobody reads: they take what fits and the
/// kernel discards the rest, which is no matter here.
struct Bench<S: Sockets> {
    shard: Shard<S>,
    sender: UdpSocket,
    lifecycle: Lifecycle,
    _sinks: Vec<UdpSocket>,
    sent: u64,
}

impl<S: Sockets> Bench<S> {
    fn new(targets: usize, pack: Option<PackLimits>) -> Self {
        let listener = bind::udp("127.0.0.1:0".parse().unwrap(), false, false).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let sinks: Vec<_> = (0..targets).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let endpoints = sinks.iter().map(|sink| Some(Endpoint::Udp(sink.local_addr().unwrap()))).collect();
        let mut io = S::open().unwrap();
        let receiver = io.adopt(0, listener.into()).unwrap();
        let queue = QueueLimits { datagrams: 4096, bytes: 4 << 20, overflow: Overflow::Newest };
        let lifecycle = Lifecycle::default();
        let setup = Setup {
            buffer: 65_535,
            targets: vec![(queue, pack); targets],
            table: Table::new(endpoints),
            lifecycle: lifecycle.clone(),
            published: Arc::new(Published::new(1, targets)),
            drain_timeout: Duration::from_secs(5),
            epoch: Instant::now(),
        };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(address).unwrap();
        Self { shard: Shard::new(io, vec![receiver], setup), sender, lifecycle, _sinks: sinks, sent: 0 }
    }

    /// Passes `count` datagrams through; sizes go up and down, so that runs, packs and single ones occur.
    fn forward(&mut self, count: u64) {
        let datagram = [b'x'; 1400];
        let deadline = Instant::now() + Duration::from_secs(60);
        let goal = self.sent + count;
        while self.sent < goal {
            for _ in 0..BURST {
                let size = match self.sent % 500 {
                    0..300 => 64,
                    300..400 => 1 + self.sent as usize % 100,
                    400..490 => 700,
                    _ => 1400,
                };
                self.sender.send(&datagram[..size]).unwrap();
                self.sent += 1;
            }
            while self.shard.books().received() < self.sent {
                self.shard.turn().unwrap();
                assert!(Instant::now() < deadline, "{} of {} were received", self.shard.books().received(), self.sent);
            }
        }
    }
}

/// What forwarding allocates with these settings, after warm-up.
#[track_caller]
fn forwards_without_allocating<S: Sockets>(targets: usize, pack: Option<PackLimits>) {
    let mut bench = Bench::<S>::new(targets, pack);
    bench.forward(WARM_UP);
    let before = allocations();
    bench.forward(COUNTED);
    let allocated = allocations() - before;
    let books = bench.shard.books();
    assert_eq!(books.received(), WARM_UP + COUNTED);
    for target in &books.targets {
        let gone = target[TargetCell::Sent] + target[TargetCell::Queued];
        assert_eq!(gone, WARM_UP + COUNTED, "the way that was measured is not the way of a healthy target");
        assert!(target[TargetCell::QueuedHigh] == 0, "a queue was in use: that may allocate");
    }
    assert_eq!(allocated, 0, "{targets} targets, {pack:?}, {}: {COUNTED} datagrams", S::NAME);
    bench.lifecycle.advance(Phase::Draining);
}

const PACK: Option<PackLimits> = Some(PackLimits { bytes: 1432, linger: Duration::ZERO });
const LINGER: Option<PackLimits> = Some(PackLimits { bytes: 8192, linger: Duration::from_millis(1) });

#[test]
fn the_batched_engine_with_two_targets() {
    forwards_without_allocating::<Native>(2, None);
    forwards_without_allocating::<Native>(2, PACK);
    forwards_without_allocating::<Native>(2, LINGER);
}

#[test]
fn the_batched_engine_with_sixteen_targets() {
    forwards_without_allocating::<Native>(16, None);
    forwards_without_allocating::<Native>(16, PACK);
}

#[test]
fn the_portable_engine_with_two_targets() {
    forwards_without_allocating::<Portable>(2, None);
    forwards_without_allocating::<Portable>(2, PACK);
    forwards_without_allocating::<Portable>(2, LINGER);
}

#[test]
fn the_portable_engine_with_sixteen_targets() {
    forwards_without_allocating::<Portable>(16, None);
    forwards_without_allocating::<Portable>(16, PACK);
}

#[test]
fn the_count_can_fail() {
    let before = allocations();
    let boxed = std::hint::black_box(Box::new(1));
    let text = std::hint::black_box(format!("{boxed}"));
    assert!(allocations() - before >= 2, "{text}");
}
