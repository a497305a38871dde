//! What a shard counts: plain `u64` cells that only it writes, published once a turn for everyone else.
//!
//! A shard adds to its own [`Books`] with ordinary arithmetic. At the end of each turn [`Published::publish`]
//! copies them under a sequence lock, so that a reader always sees a state *between* two turns, in which
//! `received × targets = sent + queued + discarded + dropped` holds exactly. Writers never wait for readers.

use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crossbeam_utils::CachePadded;

use super::reason::DropReason;

/// Buckets of the size histogram: upper bounds 16, 32, … 65536 bytes (powers of two), so 13 of them.
pub const SIZE_BUCKETS: usize = 13;

/// The upper bound in bytes of size bucket `i`.
pub fn size_bound(i: usize) -> usize {
    16 << i
}

/// The bucket that a datagram of `len` bytes belongs to.
#[inline]
pub fn size_bucket(len: usize) -> usize {
    (len.max(1) - 1).checked_ilog2().map_or(0, |log| (log as usize).saturating_sub(3)).min(SIZE_BUCKETS - 1)
}

macro_rules! cells {
    ($(#[$doc:meta])* $name:ident { $($(#[$cell_doc:meta])* $cell:ident,)* } tail $tail:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum $name { $($(#[$cell_doc])* $cell,)* }
        impl $name {
            /// How many cells one of these owns.
            pub const COUNT: usize = [$($name::$cell,)*].len() + $tail;
        }
        impl Index<$name> for [u64; $name::COUNT] {
            type Output = u64;
            #[inline]
            fn index(&self, cell: $name) -> &u64 { &self[cell as usize] }
        }
        impl IndexMut<$name> for [u64; $name::COUNT] {
            #[inline]
            fn index_mut(&mut self, cell: $name) -> &mut u64 { &mut self[cell as usize] }
        }
    };
}

cells! {
    /// One shard's counters of itself.
    ShardCell {
        /// Turns of the loop: the heartbeat.
        Turns,
        /// When the last turn ended, in milliseconds since the process began to count.
        HeartbeatMs,
        /// CPU time of the shard's thread, in nanoseconds.
        CpuNanos,
    } tail 0
}

cells! {
    /// One shard's counters of one listener. The size histogram's buckets follow the last cell.
    ListenerCell {
        /// Datagrams read, whole or truncated.
        Received,
        /// Their bytes, as they were sent to us.
        ReceivedBytes,
        /// Those larger than `--buffer`.
        Truncated,
        /// Receive calls that brought at least one datagram.
        Batches,
        /// Receive calls that failed for another reason than "nothing there".
        ReceiveErrors,
        /// Datagrams the kernel threw away before we could read them (`SO_MEMINFO`, `SK_MEMINFO_DROPS`).
        KernelDrops,
        /// Bytes in the kernel's receive queue at the last look (`SK_MEMINFO_RMEM_ALLOC`, with kernel overhead).
        QueueBytes,
        /// The most that was ever seen there.
        QueueHighBytes,
    } tail SIZE_BUCKETS
}

cells! {
    /// One shard's counters of one target. A counter for each [`DropReason`] follows the last cell.
    TargetCell {
        /// Received datagrams that the kernel took for this target.
        Sent,
        /// Payload bytes that the kernel took.
        SentBytes,
        /// Received datagrams waiting in the queue (or for their pack to fill), now.
        Queued,
        /// Bytes waiting, now.
        QueuedBytes,
        /// The most datagrams that ever waited.
        QueuedHigh,
        /// Received datagrams left out by a rule.
        Discarded,
        /// Datagrams that left: differs from `Sent` only where `pack=` joins several.
        DatagramsOut,
        /// StatsD lines seen on the way in, where `pack=` is on.
        LinesIn,
        /// StatsD lines that left, where `pack=` is on.
        LinesOut,
        /// `ECONNREFUSED` reports: the target's host refused a datagram that had left.
        Refusals,
        /// The `errno` of the last failed send or connect; 0 before the first.
        LastErrno,
        /// The state of the way to the target: see [`Link`].
        Link,
    } tail DropReason::ALL.len()
}

/// The state of a shard's way to a target, as stored in [`TargetCell::Link`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Link {
    /// The name has not been resolved yet.
    NoEndpoint,
    /// Open, and the last send was not refused.
    Up,
    /// Open, but the target's host says that nothing listens there.
    Refusing,
    /// The endpoint cannot be connected; tried again at an interval.
    Down,
}

impl Link {
    /// The state a cell's value stands for.
    pub fn from_cell(value: u64) -> Self {
        match value {
            1 => Link::Up,
            2 => Link::Refusing,
            3 => Link::Down,
            _ => Link::NoEndpoint,
        }
    }
}

/// One listener's cells.
pub type ListenerBooks = [u64; ListenerCell::COUNT];
/// One target's cells.
pub type TargetBooks = [u64; TargetCell::COUNT];

/// The counter of the size bucket `i` of a listener.
#[inline]
pub fn size_cell(i: usize) -> usize {
    ListenerCell::COUNT - SIZE_BUCKETS + i
}

/// The counter of one drop reason of a target.
#[inline]
pub fn dropped_cell(reason: DropReason) -> usize {
    TargetCell::COUNT - DropReason::ALL.len() + reason as usize
}

/// Everything one shard counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// The shard itself.
    pub shard: [u64; ShardCell::COUNT],
    /// Each of its listeners.
    pub listeners: Vec<ListenerBooks>,
    /// Each target.
    pub targets: Vec<TargetBooks>,
}

impl Books {
    /// Empty books.
    pub fn new(listeners: usize, targets: usize) -> Self {
        Self {
            shard: [0; ShardCell::COUNT],
            listeners: vec![[0; ListenerCell::COUNT]; listeners],
            targets: vec![[0; TargetCell::COUNT]; targets],
        }
    }

    /// Datagrams read from all listeners.
    pub fn received(&self) -> u64 {
        self.listeners.iter().map(|l| l[ListenerCell::Received]).sum()
    }

    /// True when each received datagram is found exactly once at each target.
    pub fn balanced(&self) -> bool {
        let received = self.received();
        self.targets.iter().all(|t| ended(t) + t[TargetCell::Queued] == received)
    }

    fn cells(&self) -> impl Iterator<Item = &u64> {
        self.shard.iter().chain(self.listeners.iter().flatten()).chain(self.targets.iter().flatten())
    }

    fn cells_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.shard.iter_mut().chain(self.listeners.iter_mut().flatten()).chain(self.targets.iter_mut().flatten())
    }
}

/// The datagrams that one target has done with: sent, discarded or dropped.
pub fn ended(target: &TargetBooks) -> u64 {
    target[TargetCell::Sent] + target[TargetCell::Discarded] + dropped(target)
}

/// The datagrams dropped for one target, for whatever reason.
pub fn dropped(target: &TargetBooks) -> u64 {
    DropReason::ALL.iter().map(|r| target[dropped_cell(*r)]).sum()
}

/// One shard's books as others see them: written by its shard alone, read by anyone at any time.
#[derive(Debug)]
pub struct Published {
    /// Odd while a publish is under way.
    sequence: CachePadded<AtomicU64>,
    cells: Box<[AtomicU64]>,
    listeners: usize,
    targets: usize,
}

impl Published {
    /// Empty books of this shape.
    pub fn new(listeners: usize, targets: usize) -> Self {
        let empty = Books::new(listeners, targets);
        Self {
            sequence: CachePadded::new(AtomicU64::new(0)),
            cells: empty.cells().map(|_| AtomicU64::new(0)).collect(),
            listeners,
            targets,
        }
    }

    /// Makes `books` visible. Only the owning shard may call it.
    pub fn publish(&self, books: &Books) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        // Pairs with the acquire fence in `read`: whoever sees a cell written below sees the odd sequence.
        fence(Ordering::Release);
        for (cell, value) in self.cells.iter().zip(books.cells()) {
            cell.store(*value, Ordering::Relaxed);
        }
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    /// The books as they were after some turn, whole.
    pub fn read(&self) -> Books {
        let mut books = Books::new(self.listeners, self.targets);
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            for (cell, value) in self.cells.iter().zip(books.cells_mut()) {
                *value = cell.load(Ordering::Relaxed);
            }
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return books;
            }
            // A publish takes well under a microsecond, unless its thread was descheduled in the middle.
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fall_into_their_bucket() {
        for (len, bucket) in
            [(0, 0), (1, 0), (16, 0), (17, 1), (32, 1), (33, 2), (64, 2), (65, 3), (65535, 12), (65536, 12)]
        {
            assert_eq!(size_bucket(len), bucket, "{len} bytes");
            assert!(len <= size_bound(bucket));
        }
    }

    #[test]
    fn a_reader_never_sees_half_a_turn() {
        let published = Published::new(1, 2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut books = Books::new(1, 2);
                for _ in 0..200_000 {
                    books.listeners[0][ListenerCell::Received] += 3;
                    for target in &mut books.targets {
                        target[TargetCell::Sent] += 2;
                        target[dropped_cell(DropReason::QueueFull)] += 1;
                    }
                    published.publish(&books);
                }
            });
            let mut last = 0;
            while last < 600_000 {
                let books = published.read();
                assert!(books.balanced(), "{books:?}");
                assert!(books.received() >= last);
                last = books.received();
            }
        });
    }
}
