//! A seeded simulation of a shard and its kernel: thousands of lives, each from arrival to drain.
//!
//! A seed chooses a plan (`model/plan.rs`), the plan runs on a model kernel (`model/kernel.rs`), and after
//! every turn of the shard everything that it promises is checked (`model/world.rs`). A failure names its seed:
//! `UDP_PROXY_SIM_SEED=N cargo test --test sim` runs that one alone, `UDP_PROXY_SIM_SEEDS=N` more of them.

mod model;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::choose::Seed;
use model::kernel::Event;
use model::outlet::Mood;
use model::plan::Plan;
use model::world::{run, run_chosen};
use udp_proxy::stats::cells::{TargetCell, dropped_cell};
use udp_proxy::stats::reason::DropReason;

/// As many as take a few seconds without optimisation.
const SEEDS: u64 = 3_000;

/// Says which seed it was when a run panics.
struct Naming(u64);

impl Drop for Naming {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again with: UDP_PROXY_SIM_SEED={} cargo test --test sim", self.0);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

#[test]
fn every_promise_holds_after_every_turn() {
    if let Some(seed) = number("UDP_PROXY_SIM_SEED") {
        println!("{:#?}", run_chosen(&mut Seed(seed)).books);
        return;
    }
    let seeds = number("UDP_PROXY_SIM_SEEDS").unwrap_or(SEEDS);
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return tally;
            }
            let naming = Naming(seed);
            tally.add(&run_chosen(&mut Seed(seed)));
            drop(naming);
        }
    };
    let tally = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a run failed: see above"))
            .fold(Tally::default(), Tally::plus)
    });
    println!("{seeds} seeds, {} turns, {tally:?} in {:.1?}", tally.turns, began.elapsed());
    // A simulation in which something never happens checks nothing of it.
    if seeds >= SEEDS {
        for (reason, dropped) in DropReason::ALL.iter().zip(tally.dropped) {
            assert!(dropped > 0, "no run dropped anything as {reason:?}");
        }
        assert!(tally.sent > 0 && tally.discarded > 0 && tally.queued > 0 && tally.packed > 0, "{tally:?}");
    }
}

/// Out of buffers while a writable event was awaited: the pause forgot the watch, and the next watch failed.
#[test]
fn a_pause_for_buffers_ends_the_watch() {
    let mut plan = Plan::plain(2_000);
    plan.targets[0].mood = Mood { room: Some((1, 5)), ..Mood::default() };
    plan.arrive(0, 30);
    plan.events.push((1, Event::Mood { target: 0, mood: Mood { no_buffers: 100, ..Mood::default() } }));
    plan.events.push((100, Event::Mood { target: 0, mood: Mood { room: Some((1, 5)), ..Mood::default() } }));
    assert_eq!(run(&plan).books.targets[0][TargetCell::Sent], 30);
}

/// Pauses were counted over the whole backlog, so one that was slow but moving lost a datagram every second.
#[test]
fn only_tries_in_vain_count_against_a_datagram() {
    let mut plan = Plan::plain(60_000);
    plan.targets[0].mood = Mood { no_buffers: 50, ..Mood::default() };
    plan.arrive(0, 2_000);
    assert_eq!(run(&plan).books.targets[0][TargetCell::Sent], 2_000);
}

/// The drain timeout is for queues; with a short one, what stood in a listener's receive queue was not read,
/// and appeared nowhere in the books.
#[test]
fn a_drain_timeout_of_zero_still_reads_what_arrived() {
    let mut plan = Plan::plain(10);
    plan.drain_timeout = 0;
    plan.arrive(10, 4_000);
    assert_eq!(run(&plan).books.targets[0][TargetCell::Sent], 4_000);
}

/// What the runs saw together.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    turns: u64,
    received: u64,
    sent: u64,
    discarded: u64,
    /// Runs of a target in which something had to wait.
    queued: u64,
    /// Runs of a target in which datagrams were joined.
    packed: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Tally {
    fn add(&mut self, ran: &model::world::Ran) {
        self.turns += ran.turns;
        self.received += ran.books.received();
        for target in &ran.books.targets {
            self.sent += target[TargetCell::Sent];
            self.discarded += target[TargetCell::Discarded];
            self.queued += u64::from(target[TargetCell::QueuedHigh] > 0);
            self.packed += u64::from(target[TargetCell::DatagramsOut] < target[TargetCell::Sent]);
            for (sum, reason) in self.dropped.iter_mut().zip(DropReason::ALL) {
                *sum += target[dropped_cell(reason)];
            }
        }
    }

    fn plus(self, other: Self) -> Self {
        let mut dropped = self.dropped;
        dropped.iter_mut().zip(other.dropped).for_each(|(sum, more)| *sum += more);
        Self {
            turns: self.turns + other.turns,
            received: self.received + other.received,
            sent: self.sent + other.sent,
            discarded: self.discarded + other.discarded,
            queued: self.queued + other.queued,
            packed: self.packed + other.packed,
            dropped,
        }
    }
}
