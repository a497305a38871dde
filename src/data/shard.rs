//! A shard: one data thread with its own listeners, senders, queues and books.
//!
//! Each turn of its loop waits, reads what is there (fairly among listeners), sends it to every target,
//! flushes what had to wait and publishes the books, which then balance. It ends by draining: its listeners
//! leave the kernel's choice, are read until empty, and the queues are flushed as long as they may.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::fanout::fan_out;
use super::table::{Reader, Table};
use super::target::Target;
use crate::config::limits::{PackLimits, QueueLimits};
use crate::lifecycle::{Lifecycle, Phase};
use crate::stats::cells::{Books, ListenerBooks, ListenerCell, Published, ShardCell};
use crate::sys::{Io, ReceiveMemory, Receiver};

/// The longest wait: so often at least the heartbeat moves and the kernel's counters are read.
const IDLE: Duration = Duration::from_millis(500);
/// How often the kernel's receive queue is looked at while datagrams come.
const LOOK: Duration = Duration::from_millis(20);
/// Batches read from one listener before the others have their turn.
const FAIR: usize = 8;
/// After a listener has left the kernel's choice, a datagram may still be on its way from the look-up to the
/// queue: "empty" counts only when it holds this long.
const SETTLE: Duration = Duration::from_millis(20);
/// So long a draining listener is read at least, whatever the drain timeout: that one is for queues. What a
/// listener that left still holds is read in far less; this ends the reading of one that could not leave.
const READ: Duration = Duration::from_secs(2);

/// What a shard is made of, besides its sockets.
#[derive(Debug)]
pub struct Setup {
    /// The largest datagram, in bytes.
    pub buffer: usize,
    /// Each target's bounds (this shard's share) and packing.
    pub targets: Vec<(QueueLimits, Option<PackLimits>)>,
    /// Where the targets are.
    pub table: Table,
    /// Where the process is in its life.
    pub lifecycle: Lifecycle,
    /// Where the books are published.
    pub published: Arc<Published>,
    /// How long queues may be flushed at the end.
    pub drain_timeout: Duration,
    /// The beginning of time for heartbeats.
    pub epoch: Instant,
}

/// One data thread's state.
#[derive(Debug)]
pub struct Shard<I: Io> {
    io: I,
    listeners: Vec<Listener<I::Receiver>>,
    targets: Vec<Target<I::Sender>>,
    batch: Batch,
    books: Books,
    endpoints: Reader,
    setup: Setup,
    /// Bit `i`: listener `i` may have something to read.
    readable: u64,
    looked: Option<Instant>,
    draining: Option<Drain>,
}

#[derive(Debug)]
struct Listener<R> {
    receiver: R,
    /// The kernel's drop counter at the last look; it is 32 bits wide and wraps.
    drops: u32,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    /// Listeners are believed empty from here on, unless something arrives.
    settled: Instant,
    /// Listeners are given up here.
    read: Instant,
    /// Queues are given up here.
    deadline: Instant,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is another turn.
    Continue,
    /// Drained: every datagram has ended.
    End,
}

impl<I: Io> Shard<I> {
    /// A shard that reads `receivers`.
    pub fn new(io: I, receivers: Vec<I::Receiver>, setup: Setup) -> Self {
        let targets = setup.targets.iter().enumerate().map(|(i, (queue, pack))| Target::new(i, *queue, *pack));
        Self {
            books: Books::new(receivers.len(), setup.targets.len()),
            targets: targets.collect(),
            // Something may have come before we watched.
            readable: all(receivers.len()),
            listeners: receivers.into_iter().map(|receiver| Listener { receiver, drops: 0 }).collect(),
            batch: Batch::new(setup.buffer),
            endpoints: setup.table.reader(),
            looked: None,
            draining: None,
            io,
            setup,
        }
    }

    /// Serves until it is drained.
    ///
    /// # Errors
    /// When waiting itself fails: nothing can be done without it.
    pub fn run(mut self) -> io::Result<()> {
        while self.turn()? == Turn::Continue {}
        Ok(())
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// When waiting itself fails.
    pub fn turn(&mut self) -> io::Result<Turn> {
        let patience = self.patience();
        let ready = self.io.wait(patience)?;
        self.readable |= ready.receivers;
        self.follow_endpoints();
        self.follow_phase();
        self.flush_writable(ready.senders);
        let now = self.io.now();
        self.look(now);
        let came = self.read();
        self.tick();
        let turn = self.settle(came);
        self.publish(now);
        Ok(turn)
    }

    /// The shard's own books, for tests that drive it turn by turn.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// How long the next wait may be.
    fn patience(&self) -> Duration {
        if self.readable != 0 {
            return Duration::ZERO;
        }
        let due = self.targets.iter().filter_map(Target::due).min();
        let now = self.io.now();
        let drain = self.draining.iter().flat_map(|drain| [drain.settled, drain.deadline]);
        let Some(due) = due.into_iter().chain(drain.filter(|at| *at > now)).min() else { return IDLE };
        due.saturating_duration_since(now).clamp(Duration::from_millis(1), IDLE)
    }

    fn follow_endpoints(&mut self) {
        if let Some(endpoints) = self.endpoints.changed() {
            for ((target, endpoint), books) in
                self.targets.iter_mut().zip(endpoints.iter()).zip(&mut self.books.targets)
            {
                target.set_endpoint(&mut self.io, endpoint.clone(), books);
            }
        }
    }

    fn follow_phase(&mut self) {
        if self.draining.is_none() && self.setup.lifecycle.phase() >= Phase::Draining {
            for (listener, books) in self.listeners.iter_mut().zip(&mut self.books.listeners) {
                // A listener that cannot leave is read until it settles and then closed, as on platforms
                // without a shared port.
                if listener.receiver.leave().is_err() {
                    books[ListenerCell::ReceiveErrors] += 1;
                }
            }
            self.readable = all(self.listeners.len());
            let now = self.io.now();
            let deadline = now + self.setup.drain_timeout;
            self.draining = Some(Drain { settled: now + SETTLE, read: deadline.max(now + READ), deadline });
        }
    }

    fn flush_writable(&mut self, senders: u64) {
        for i in bits(senders) {
            if let Some(target) = self.targets.get_mut(i) {
                target.flush(&mut self.io, &mut self.books.targets[i]);
            }
        }
    }

    /// Reads each readable listener, at most [`FAIR`] batches; true when anything came.
    fn read(&mut self) -> bool {
        let mut came = false;
        for i in bits(self.readable) {
            let Some(listener) = self.listeners.get_mut(i) else { continue };
            for _ in 0..FAIR {
                match self.batch.receive(&mut listener.receiver, &mut self.books.listeners[i]) {
                    Ok(more) => {
                        came = true;
                        fan_out(&mut self.io, &self.batch, &mut self.targets, &mut self.books.targets);
                        if !more {
                            self.readable &= !(1 << i);
                            break;
                        }
                    }
                    Err(error) => {
                        // An error that is not "nothing there" is over once it is told (a pending ICMP
                        // report, say): the next event or the idle look reads on.
                        if error.kind() != io::ErrorKind::WouldBlock {
                            self.books.listeners[i][ListenerCell::ReceiveErrors] += 1;
                        }
                        self.readable &= !(1 << i);
                        break;
                    }
                }
            }
        }
        came
    }

    /// Does what targets have due: packs that waited long enough, queues whose pause is over.
    fn tick(&mut self) {
        for (target, books) in self.targets.iter_mut().zip(&mut self.books.targets) {
            if target.due().is_some() {
                let now = self.io.now();
                target.tick(&mut self.io, now, books);
            }
        }
    }

    /// Looks at the kernel's receive queues, and at our CPU time.
    fn look(&mut self, now: Instant) {
        let busy = self.readable != 0;
        let every = if busy { LOOK } else { IDLE };
        if self.looked.is_some_and(|looked| now < looked + every) {
            return;
        }
        self.looked = Some(now);
        for (listener, books) in self.listeners.iter_mut().zip(&mut self.books.listeners) {
            listener.look(books);
        }
        self.books.shard[ShardCell::CpuNanos] = self.io.cpu_time().as_nanos() as u64;
        if !busy {
            // Once an idle interval every listener is read without being asked: an event that the poll
            // should have told and did not costs half a second instead of the listener.
            self.readable = all(self.listeners.len());
            for (target, books) in self.targets.iter_mut().zip(&mut self.books.targets) {
                target.revive(&mut self.io, books);
            }
        }
    }

    /// Whether the drain is over; if it is, what still waits is dropped.
    fn settle(&mut self, came: bool) -> Turn {
        let Some(drain) = &mut self.draining else { return Turn::Continue };
        let now = self.io.now();
        if came {
            drain.settled = now + SETTLE;
        }
        let drain = *drain;
        if now < drain.read && (self.readable != 0 || now < drain.settled) {
            // Read again even without an event: "empty" must be seen, not assumed.
            self.readable = all(self.listeners.len());
            std::thread::yield_now();
            return Turn::Continue;
        }
        for (target, books) in self.targets.iter_mut().zip(&mut self.books.targets) {
            target.close_pack(&mut self.io, books);
        }
        if now < drain.deadline && self.targets.iter().any(|target| !target.is_empty()) {
            return Turn::Continue;
        }
        for (target, books) in self.targets.iter_mut().zip(&mut self.books.targets) {
            target.abandon(books);
        }
        for (listener, books) in self.listeners.iter_mut().zip(&mut self.books.listeners) {
            listener.look(books);
        }
        self.books.shard[ShardCell::CpuNanos] = self.io.cpu_time().as_nanos() as u64;
        Turn::End
    }

    fn publish(&mut self, now: Instant) {
        debug_assert!(self.books.balanced(), "the books do not balance: {:?}", self.books);
        self.books.shard[ShardCell::Turns] += 1;
        self.books.shard[ShardCell::HeartbeatMs] = now.saturating_duration_since(self.setup.epoch).as_millis() as u64;
        self.setup.published.publish(&self.books);
    }
}

impl<R: Receiver> Listener<R> {
    fn look(&mut self, books: &mut ListenerBooks) {
        let Some(ReceiveMemory { queued, drops }) = self.receiver.memory() else { return };
        books[ListenerCell::KernelDrops] += u64::from(drops.wrapping_sub(self.drops));
        self.drops = drops;
        books[ListenerCell::QueueBytes] = u64::from(queued);
        books[ListenerCell::QueueHighBytes] = books[ListenerCell::QueueHighBytes].max(u64::from(queued));
    }
}

/// A set of the first `count` bits.
fn all(count: usize) -> u64 {
    1u64.checked_shl(count as u32).map_or(u64::MAX, |bit| bit - 1)
}

/// The positions of the bits that are set.
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (lowest < 64).then_some(lowest as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_sets() {
        assert_eq!(all(0), 0);
        assert_eq!(all(3), 0b111);
        assert_eq!(all(64), u64::MAX);
        assert_eq!(bits(0b1_0010_0001).collect::<Vec<_>>(), [0, 5, 8]);
        assert_eq!(bits(1 << 63).collect::<Vec<_>>(), [63]);
    }
}
