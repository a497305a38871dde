//! What arrived: for each flow which numbers, and over all how long they took.
//!
//! Memory is bounded: at most [`FLOWS`] flows, and for each the last [`WINDOW`] numbers one by one. What is
//! older than that cannot be told from a duplicate and counts as reordered.

use std::collections::HashMap;

use super::payload::Numbered;

/// Flows that are kept apart; datagrams of further ones count as foreign.
pub const FLOWS: usize = 4096;
/// Numbers of a flow that are remembered one by one.
pub const WINDOW: u64 = 8192;

/// What arrived, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Numbers that arrived, each once.
    pub arrived: u64,
    /// Numbers below a flow's highest that have not arrived.
    pub lost: u64,
    /// Arrivals of a number that had arrived before.
    pub duplicated: u64,
    /// Arrivals behind a higher number of the same flow.
    pub reordered: u64,
}

/// The books of a sink.
#[derive(Debug, Default)]
pub struct Ledger {
    flows: HashMap<u32, Flow>,
    /// Lines that are not numbered, or of too many flows.
    pub foreign: u64,
    /// One-way latency in nanoseconds.
    pub latency: Histogram,
}

#[derive(Debug)]
struct Flow {
    /// One more than the highest number that arrived.
    next: u64,
    arrived: u64,
    duplicated: u64,
    reordered: u64,
    /// Bit `n % WINDOW`: number `n` arrived, for the last `WINDOW` numbers below `next`.
    seen: Box<[u64; (WINDOW / 64) as usize]>,
}

impl Ledger {
    /// Takes in one line, read at `now`.
    pub fn note(&mut self, numbered: Option<Numbered>, now: u64) {
        let Some(numbered) = numbered else {
            self.foreign += 1;
            return;
        };
        if self.flows.len() >= FLOWS && !self.flows.contains_key(&numbered.flow) {
            self.foreign += 1;
            return;
        }
        self.flows.entry(numbered.flow).or_insert_with(Flow::new).note(numbered.number);
        self.latency.note(now.saturating_sub(numbered.sent));
    }

    /// How many flows were seen.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// All flows added up.
    pub fn totals(&self) -> Totals {
        self.flows.values().fold(Totals::default(), |sum, flow| Totals {
            arrived: sum.arrived + flow.arrived,
            lost: sum.lost + (flow.next - flow.arrived.min(flow.next)),
            duplicated: sum.duplicated + flow.duplicated,
            reordered: sum.reordered + flow.reordered,
        })
    }
}

impl Flow {
    fn new() -> Self {
        Self { next: 0, arrived: 0, duplicated: 0, reordered: 0, seen: Box::new([0; (WINDOW / 64) as usize]) }
    }

    fn note(&mut self, number: u64) {
        if number >= self.next {
            // The numbers between have not been seen; a jump over the whole window forgets all of it.
            if number - self.next >= WINDOW {
                self.seen.fill(0);
            } else {
                (self.next..number).for_each(|n| self.set(n, false));
            }
            self.set(number, true);
            self.next = number.saturating_add(1);
            self.arrived += 1;
        } else if self.next - number > WINDOW {
            self.reordered += 1;
            self.arrived += 1;
        } else if self.has(number) {
            self.duplicated += 1;
        } else {
            self.set(number, true);
            self.reordered += 1;
            self.arrived += 1;
        }
    }

    fn set(&mut self, number: u64, seen: bool) {
        let (word, bit) = ((number % WINDOW / 64) as usize, 1 << (number % 64));
        if seen { self.seen[word] |= bit } else { self.seen[word] &= !bit }
    }

    fn has(&self, number: u64) -> bool {
        self.seen[(number % WINDOW / 64) as usize] & (1 << (number % 64)) != 0
    }
}

/// Durations in buckets a sixteenth of a power of two wide: a quantile is right to 6 %.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[u64; 64 * 16]>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: Box::new([0; 64 * 16]), count: 0, max: 0 }
    }
}

impl Histogram {
    /// Takes in one duration.
    pub fn note(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// The duration that the share `q` (0 to 1) does not exceed; 0 when there is none.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = (q * self.count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        for (i, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return upper(i).min(self.max);
            }
        }
        self.max
    }

    /// The longest.
    pub fn max(&self) -> u64 {
        self.max
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < 16 {
        return nanos as usize;
    }
    let power = nanos.ilog2();
    ((power - 3) as usize) * 16 + ((nanos >> (power - 4)) & 15) as usize
}

/// The largest duration that falls into bucket `i`.
fn upper(i: usize) -> u64 {
    if i < 16 {
        return i as u64;
    }
    let power = (i / 16 + 3) as u32;
    let width = 1u64 << (power - 4);
    (1u64 << power) + (i % 16) as u64 * width + (width - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(numbers: impl IntoIterator<Item = u64>) -> Totals {
        let mut ledger = Ledger::default();
        for number in numbers {
            ledger.note(Some(Numbered { flow: 0, number, sent: 0 }), 0);
        }
        ledger.totals()
    }

    #[test]
    fn losses_duplicates_and_disorder_are_told_apart() {
        let all = |arrived, lost, duplicated, reordered| Totals { arrived, lost, duplicated, reordered };
        assert_eq!(totals(0..100_000), all(100_000, 0, 0, 0));
        assert_eq!(totals([0, 1, 3, 4]), all(4, 1, 0, 0));
        assert_eq!(totals([0, 2, 1, 3]), all(4, 0, 0, 1));
        assert_eq!(totals([0, 1, 1, 2, 2, 2]), all(3, 0, 3, 0));
        assert_eq!(totals([3, 2, 1, 0]), all(4, 0, 0, 3));
        assert_eq!(totals([0, WINDOW * 3, 5]), all(3, WINDOW * 3 - 2, 0, 1), "too old to tell from a duplicate");
        assert_eq!(totals((0..WINDOW * 4).filter(|n| n % 10 != 0)).lost, WINDOW * 4 / 10 + 1);
    }

    #[test]
    fn buckets_hold_what_falls_into_them() {
        for nanos in (0..10_000).chain([1 << 20, (1 << 20) + 1, u64::MAX / 3, u64::MAX]) {
            let i = bucket(nanos);
            assert!(nanos <= upper(i), "{nanos} in {i}");
            assert!(i == 0 || nanos > upper(i - 1), "{nanos} in {i}");
        }
    }

    #[test]
    fn quantiles_are_right_to_a_sixteenth() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|nanos| histogram.note(nanos));
        for (q, exact) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0)] {
            let found = histogram.quantile(q) as f64;
            assert!((exact..=exact * 1.0625 + 1.0).contains(&found), "{q}: {found}");
        }
        assert_eq!((histogram.quantile(1.0), histogram.max()), (100_000, 100_000));
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }

    #[test]
    fn flows_are_bounded() {
        let mut ledger = Ledger::default();
        for flow in 0..FLOWS as u32 + 10 {
            ledger.note(Some(Numbered { flow, number: 0, sent: 0 }), 0);
        }
        ledger.note(None, 0);
        assert_eq!((ledger.flows(), ledger.foreign), (FLOWS, 11));
    }
}
