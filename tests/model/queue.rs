//! The queue against a plain list of copies: same answers, whatever is asked of it.

use std::collections::VecDeque;
use std::io::IoSlice;

use udp_proxy::config::limits::{Overflow, QueueLimits};
use udp_proxy::data::queue::{Queue, Weight};
use udp_proxy::sys::BATCH;

use super::choose::Choose;

/// One thing to ask of a queue.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Append a datagram of this size that stands for so many received ones.
    Push(usize, u32),
    /// Append so many of this size.
    Burst(usize, usize),
    /// Take the oldest out, so many times.
    Pop(usize),
    /// Look at the oldest.
    Front,
    /// Empty it.
    Clear,
}

/// Chooses bounds: from one datagram to many, from no bytes to more than any step brings.
pub fn limits(choose: &mut impl Choose) -> QueueLimits {
    QueueLimits {
        datagrams: match choose.below(4) {
            0 => choose.within(1, 3),
            1 => choose.within(4, 200),
            _ => choose.within(1, 50_000),
        } as usize,
        bytes: match choose.below(4) {
            0 => choose.within(0, 2_000),
            1 => 65_535,
            2 => choose.within(65_535, 300_000),
            _ => 16 << 20,
        } as usize,
        overflow: choose.one_of(&[Overflow::Newest, Overflow::Oldest]),
    }
}

/// Chooses a step. Sizes that lie at the edges come often.
pub fn step(choose: &mut impl Choose) -> Step {
    match choose.below(16) {
        0 => Step::Clear,
        1..=3 => Step::Front,
        4..=7 => Step::Pop(choose.within(1, 80) as usize),
        8 => Step::Burst(choose.within(1, 500) as usize, choose.one_of(&[0, 1, 7, 64, 700])),
        _ => {
            let size = match choose.below(8) {
                0 => 0,
                1 => 65_535,
                2 => choose.within(60_000, 65_535),
                3 => choose.within(8_000, 20_000),
                4 => choose.within(1, 3),
                _ => choose.within(1, 1_500),
            };
            Step::Push(size as usize, choose.within(1, 5) as u32)
        }
    }
}

/// The queue and the list that it must agree with.
pub struct Pair {
    limits: QueueLimits,
    queue: Queue,
    list: VecDeque<(Vec<u8>, Weight)>,
    /// What the next datagram is filled with, so that neighbours differ in every byte.
    next: u64,
}

impl Pair {
    /// Both empty.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, queue: Queue::new(limits), list: VecDeque::new(), next: 0 }
    }

    /// Asks both and compares their answers.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Push(size, datagrams) => self.push(size, Weight { datagrams, lines: datagrams * 2 }),
            Step::Burst(count, size) => (0..count).for_each(|_| self.push(size, Weight { datagrams: 1, lines: 0 })),
            Step::Pop(times) => {
                for _ in 0..times {
                    assert_eq!(self.queue.pop(), self.list.pop_front().map(|(_, weight)| weight));
                }
            }
            Step::Front => self.compare_front(),
            Step::Clear => {
                let dropped: u64 = self.list.drain(..).map(|(_, weight)| u64::from(weight.datagrams)).sum();
                assert_eq!(self.queue.clear(), dropped);
            }
        }
        self.compare();
    }

    /// Takes everything out of both.
    pub fn finish(mut self) {
        while !self.list.is_empty() {
            self.compare_front();
            self.take(Step::Pop(1));
        }
        assert_eq!(self.queue.pop(), None);
        self.compare();
    }

    fn push(&mut self, size: usize, weight: Weight) {
        let datagram = self.datagram(size);
        let mut dropped = 0;
        let mut bytes: usize = self.list.iter().map(|(bytes, _)| bytes.len()).sum();
        let fits = |count: usize, bytes: usize| count < self.limits.datagrams && bytes + size <= self.limits.bytes;
        if self.limits.overflow == Overflow::Oldest {
            while !fits(self.list.len(), bytes) {
                let Some((oldest, weight)) = self.list.pop_front() else { break };
                bytes -= oldest.len();
                dropped += u64::from(weight.datagrams);
            }
        }
        if fits(self.list.len(), bytes) {
            self.list.push_back((datagram.clone(), weight));
        } else {
            dropped += u64::from(weight.datagrams);
        }
        assert_eq!(self.queue.push(&datagram, weight), dropped, "what push says was dropped");
    }

    fn datagram(&mut self, size: usize) -> Vec<u8> {
        self.next += 1;
        let mut datagram = vec![self.next as u8; size];
        let number = self.next.to_be_bytes();
        let head = size.min(number.len());
        datagram[..head].copy_from_slice(&number[number.len() - head..]);
        datagram
    }

    fn compare_front(&self) {
        let mut space = [IoSlice::new(&[]); BATCH];
        let mut weights = [Weight::default(); BATCH];
        let front = self.queue.front(&mut space, &mut weights);
        assert_eq!(front.len(), self.list.len().min(BATCH));
        for ((found, weight), (datagram, expected)) in front.iter().zip(weights).zip(&self.list) {
            assert!(found[..] == datagram[..], "a datagram of {} bytes came out changed", datagram.len());
            assert_eq!(weight, *expected);
        }
    }

    fn compare(&self) {
        assert_eq!(self.queue.is_empty(), self.list.is_empty());
        assert_eq!(self.queue.bytes(), self.list.iter().map(|(bytes, _)| bytes.len()).sum::<usize>());
        assert_eq!(self.queue.datagrams(), self.list.iter().map(|(_, w)| u64::from(w.datagrams)).sum::<u64>());
        assert!(self.queue.bytes() <= self.limits.bytes);
    }
}
