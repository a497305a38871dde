//! The backlog of one target: datagrams that the kernel refused, in order, within bounds.
//!
//! Owns copies of the datagrams in one ring of bytes. Always true: what comes out is what went in, in order;
//! never more than the bounds are kept; what had to go is told to the caller, who counts it. The ring is
//! allocated when the first datagram must wait, grows by doubling, and is given back when it has run empty.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::config::limits::{Overflow, QueueLimits};
use crate::sys::BATCH;

/// The first allocation.
const SMALLEST: usize = 16 * 1024;
/// Room for one datagram that does not fit before the end of the ring and starts again at its beginning.
const SLACK: usize = 65_536 + 1;

/// One waiting datagram.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    length: usize,
    weight: Weight,
}

impl Entry {
    /// Bytes it takes in the ring: never none, so that two entries never stand at one place.
    fn room(&self) -> usize {
        self.length.max(1)
    }
}

/// A datagram that is to leave, and what it stands for in the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Received datagrams in it: more than one where they were packed.
    pub datagrams: u32,
    /// StatsD lines in it; counted only where packing is on.
    pub lines: u32,
}

/// A bounded queue of datagrams.
#[derive(Debug)]
pub struct Queue {
    limits: QueueLimits,
    ring: Box<[u8]>,
    entries: VecDeque<Entry>,
    tail: usize,
    datagrams: u64,
    bytes: usize,
}

impl Queue {
    /// An empty queue; allocates nothing.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, ring: Box::default(), entries: VecDeque::new(), tail: 0, datagrams: 0, bytes: 0 }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Received datagrams that wait.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a copy of `datagram`; returns how many received datagrams had to go because a bound was
    /// reached, by the queue's policy.
    #[must_use = "what was dropped must be counted"]
    pub fn push(&mut self, datagram: &[u8], weight: Weight) -> u64 {
        let mut dropped = 0;
        while !self.fits(datagram.len()) {
            if self.limits.overflow == Overflow::Newest || self.is_empty() {
                return dropped + u64::from(weight.datagrams);
            }
            dropped += self.pop().map_or(0, |weight| u64::from(weight.datagrams));
        }
        let entry = Entry { start: 0, length: datagram.len(), weight };
        let start = self.place(entry.room());
        self.ring[start..start + datagram.len()].copy_from_slice(datagram);
        self.tail = start + entry.room();
        self.entries.push_back(Entry { start, ..entry });
        self.datagrams += u64::from(weight.datagrams);
        self.bytes += datagram.len();
        dropped
    }

    /// The oldest datagrams, at most a batch, as the front parts of `space` and `weights`.
    pub fn front<'s, 'a>(
        &'a self,
        space: &'s mut [IoSlice<'a>; BATCH],
        weights: &mut [Weight; BATCH],
    ) -> &'s [IoSlice<'a>] {
        let count = self.entries.len().min(BATCH);
        for (i, entry) in self.entries.iter().take(BATCH).enumerate() {
            space[i] = IoSlice::new(&self.ring[entry.start..][..entry.length]);
            weights[i] = entry.weight;
        }
        &space[..count]
    }

    /// Takes the oldest datagram out.
    pub fn pop(&mut self) -> Option<Weight> {
        let entry = self.entries.pop_front()?;
        self.datagrams -= u64::from(entry.weight.datagrams);
        self.bytes -= entry.length;
        if self.entries.is_empty() {
            self.tail = 0;
            if self.ring.len() > SMALLEST {
                self.ring = Box::default();
            }
            self.entries.shrink_to(BATCH);
        }
        Some(entry.weight)
    }

    /// Empties the queue; returns how many received datagrams were in it.
    #[must_use = "what was dropped must be counted"]
    pub fn clear(&mut self) -> u64 {
        std::iter::from_fn(|| self.pop()).map(|weight| u64::from(weight.datagrams)).sum()
    }

    fn fits(&self, length: usize) -> bool {
        self.entries.len() < self.limits.datagrams && self.bytes + length <= self.limits.bytes
    }

    /// Where `room` bytes can stand; grows the ring if need be.
    fn place(&mut self, room: usize) -> usize {
        loop {
            if let Some(start) = self.gap(room) {
                return start;
            }
            self.grow(room);
        }
    }

    fn gap(&self, room: usize) -> Option<usize> {
        let Some(front) = self.entries.front() else {
            return (room <= self.ring.len()).then_some(0);
        };
        if self.tail > front.start {
            // The free bytes are behind the tail and before the front.
            let behind = self.ring.len() - self.tail;
            return if room <= behind { Some(self.tail) } else { (room <= front.start).then_some(0) };
        }
        (self.tail + room <= front.start).then_some(self.tail)
    }

    /// Moves everything to the beginning of a larger ring. The bound on bytes, one byte for each empty
    /// datagram and the slack for the gap at the end are all it can ever need.
    fn grow(&mut self, room: usize) {
        let most = self.limits.bytes + self.limits.datagrams + SLACK;
        let size = (self.ring.len() * 2).max(SMALLEST).max(self.bytes + 2 * room).min(most.max(room));
        debug_assert!(size > self.ring.len(), "a queue within its bounds always finds room");
        let mut ring = vec![0; size].into_boxed_slice();
        let mut next = 0;
        for entry in &mut self.entries {
            ring[next..next + entry.length].copy_from_slice(&self.ring[entry.start..][..entry.length]);
            entry.start = next;
            next += entry.room();
        }
        self.ring = ring;
        self.tail = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Weight = Weight { datagrams: 1, lines: 0 };

    fn queue(datagrams: usize, bytes: usize) -> Queue {
        Queue::new(QueueLimits { datagrams, bytes, overflow: Overflow::Oldest })
    }

    /// What it holds on to, whatever is in it.
    fn memory(queue: &Queue) -> (usize, usize) {
        (queue.ring.len(), queue.entries.capacity())
    }

    #[test]
    fn an_empty_queue_gives_its_memory_back() {
        // Many small ones fit the smallest ring: their entries are what is large then.
        for size in [0, 1, 100, 65_535] {
            let mut queue = queue(10_000, 1 << 30);
            assert_eq!(memory(&queue), (0, 0));
            for _ in 0..10_000.min((8 << 20) / (size + 1)) {
                assert_eq!(queue.push(&vec![7; size], ONE), 0);
            }
            while queue.pop().is_some() {}
            let (ring, entries) = memory(&queue);
            assert!(ring <= SMALLEST && entries <= BATCH, "{size}: {ring} bytes, {entries} entries");
        }
    }

    #[test]
    fn the_ring_stays_within_its_bound_when_it_goes_round() {
        let (datagrams, bytes) = (50, 100_000);
        let mut queue = queue(datagrams, bytes);
        let datagram = [7; 65_535];
        for round in 0..10_000 {
            let size = [0, 65_535, 1, 40_000, 30_000, 0, 3][round % 7];
            let _ = queue.push(&datagram[..size], ONE);
            assert!(queue.ring.len() <= bytes + datagrams + SLACK, "{} bytes", queue.ring.len());
        }
    }

    #[test]
    fn what_fits_no_bound_is_dropped_and_takes_the_rest_along_only_by_policy() {
        let mut oldest = queue(10, 5);
        assert_eq!(oldest.push(b"abc", ONE), 0);
        assert_eq!(oldest.push(b"abcdef", ONE), 2, "the old one made room in vain, and the new one does not fit");
        let mut newest = Queue::new(QueueLimits { overflow: Overflow::Newest, ..oldest.limits });
        assert_eq!(newest.push(b"abc", ONE), 0);
        assert_eq!(newest.push(b"abcdef", ONE), 1);
        assert_eq!(newest.pop(), Some(ONE));
    }
}
