//! One shard on the model kernel, turn by turn, and everything that must hold after each turn.

use std::sync::Arc;

use udp_proxy::data::shard::{Setup, Shard, Turn};
use udp_proxy::data::table::Table;
use udp_proxy::lifecycle::Lifecycle;
use udp_proxy::stats::cells::{
    Books, Link, ListenerCell, Published, SIZE_BUCKETS, TargetCell, dropped_cell, size_cell,
};
use udp_proxy::stats::reason::DropReason;

use super::choose::Choose;
use super::kernel::{Inbox, Kernel, State};
use super::outlet::{Delivered, Mood, Outlet};
use super::pack::lines;
use super::plan::Plan;

/// Turns after which a run is stuck. The longest plans take about a tenth of that.
const STUCK: u64 = 200_000;
/// How much longer than its time-out a drain may take: it reads until its listeners stay empty.
const DRAIN_SLACK: u64 = 2_100;

/// What a run was good for.
#[derive(Clone, Debug)]
pub struct Ran {
    pub turns: u64,
    pub books: Books,
    /// What each target received.
    pub delivered: Vec<Vec<Delivered>>,
}

/// One run under way.
pub struct World {
    plan: Plan,
    kernel: Kernel,
    shard: Shard<Kernel>,
    published: Arc<Published>,
    followers: Vec<Follower>,
    /// Targets that must receive everything.
    lossless: Vec<bool>,
    /// Of the datagrams read, those that are not stumps; and their lines.
    whole: Vec<Vec<u8>>,
    lines: Vec<Vec<u8>>,
    seen: usize,
}

/// How far one target's deliveries were compared with what was read.
#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    delivered: usize,
    /// In whole datagrams, or in lines where they are packed.
    read: usize,
    bytes: u64,
    lines: u64,
}

/// Runs `plan` to its end.
///
/// # Panics
/// When anything does not hold.
pub fn run(plan: &Plan) -> Ran {
    let mut world = World::new(plan.clone());
    let mut turns = 0;
    loop {
        let turn = world.shard.turn().expect("the model's wait does not fail");
        turns += 1;
        world.check();
        if turn == Turn::End {
            return world.end(turns);
        }
        assert!(turns < STUCK, "no end after {turns} turns");
    }
}

/// Chooses a plan, runs it, and compares what one target received with what it receives alone.
///
/// # Panics
/// When anything does not hold.
pub fn run_chosen(choose: &mut impl Choose) -> Ran {
    let calm = choose.chance(30);
    let plan = Plan::choose(choose, calm);
    let ran = run(&plan);
    if calm {
        let kept = choose.below(plan.targets.len() as u64) as usize;
        let alone = run(&plan.alone(kept));
        let same = alone.delivered[0] == ran.delivered[kept];
        assert!(same, "target {kept} receives something else, or at another time, when it is alone");
    }
    ran
}

impl World {
    fn new(plan: Plan) -> Self {
        let table = Table::new(plan.targets.iter().map(|target| target.endpoint.clone()).collect());
        let lifecycle = Lifecycle::default();
        let inboxes = plan.listeners.iter().map(|l| Inbox::new(l.capacity, l.cannot_leave)).collect();
        let outlets = plan.targets.iter().map(|target| Outlet::new(target.seed, target.mood.clone())).collect();
        let kernel = Kernel::new(inboxes, outlets, table.clone(), lifecycle.clone());
        for (at, event) in &plan.events {
            kernel.schedule(*at, event.clone());
        }
        let published = Arc::new(Published::new(plan.listeners.len(), plan.targets.len()));
        let setup = Setup {
            buffer: plan.buffer,
            targets: plan.targets.iter().map(|target| (target.queue, target.pack)).collect(),
            table,
            lifecycle,
            published: published.clone(),
            drain_timeout: plan.drain_timeout(),
            epoch: kernel.epoch(),
        };
        Self {
            shard: Shard::new(kernel.clone(), kernel.receivers(), setup),
            lossless: (0..plan.targets.len()).map(|index| plan.lossless(index)).collect(),
            followers: vec![Follower::default(); plan.targets.len()],
            whole: Vec::new(),
            lines: Vec::new(),
            seen: 0,
            published,
            kernel,
            plan,
        }
    }

    fn check(&mut self) {
        self.kernel.clone().with(|state| {
            assert!(state.breaches.is_empty(), "{:?}", state.breaches);
            self.note_read(state);
            let books = self.shard.books();
            assert!(books.balanced(), "{books:?}");
            assert_eq!(books.received(), state.read.len() as u64);
            assert!(self.published.read() == *books, "what is published is not what was counted");
            for (index, outlet) in state.outlets.iter().enumerate() {
                self.followers[index] = self.follow(index, outlet);
                self.check_bounds(index);
                self.check_causes(index, outlet);
            }
        });
    }

    fn note_read(&mut self, state: &State) {
        for read in &state.read[self.seen..] {
            if read.bytes.len() <= self.plan.buffer {
                self.lines.extend(lines([&read.bytes[..]]).into_iter().map(<[u8]>::to_vec));
                self.whole.push(read.bytes.clone());
            }
        }
        self.seen = state.read.len();
    }

    /// Finds each new delivery among what was read, behind the one before: nothing changed, doubled, out of
    /// order or made up.
    fn follow(&self, index: usize, outlet: &Outlet) -> Follower {
        let mut follower = self.followers[index];
        let limit = self.plan.targets[index].pack.map(|pack| pack.bytes);
        let read = if limit.is_some() { &self.lines } else { &self.whole };
        for delivered in &outlet.delivered[follower.delivered..] {
            let bytes = &delivered.bytes[..];
            let parts = if limit.is_some() { lines([bytes]) } else { vec![bytes] };
            for part in &parts {
                let found = read[follower.read..].iter().position(|read| read == part);
                let Some(found) = found else {
                    panic!("target {index} received {:?} out of turn", String::from_utf8_lossy(part))
                };
                follower.read += found + 1;
            }
            if limit.is_some_and(|limit| bytes.len() > limit) {
                assert!(self.whole.iter().any(|whole| whole == bytes), "a pack is larger than its limit");
            }
            follower.bytes += bytes.len() as u64;
            follower.lines += parts.len() as u64;
        }
        follower.delivered = outlet.delivered.len();
        let books = &self.shard.books().targets[index];
        assert_eq!(books[TargetCell::DatagramsOut], follower.delivered as u64);
        assert_eq!(books[TargetCell::SentBytes], follower.bytes);
        match limit {
            None => assert_eq!(books[TargetCell::Sent], follower.delivered as u64),
            Some(_) => {
                assert_eq!(books[TargetCell::LinesOut], follower.lines);
                assert_eq!(books[TargetCell::LinesIn], self.lines.len() as u64);
            }
        }
        follower
    }

    fn check_bounds(&self, index: usize) {
        let plan = &self.plan.targets[index];
        let books = &self.shard.books().targets[index];
        // With linger, packs wait together: as many as one send takes.
        let held = plan.pack.filter(|pack| !pack.linger.is_zero()).map_or(0, |pack| pack.bytes.max(65_000));
        assert!(books[TargetCell::QueuedBytes] <= (plan.queue.bytes + held) as u64, "target {index}: {books:?}");
        if plan.pack.is_none() {
            assert!(books[TargetCell::Queued] <= plan.queue.datagrams as u64, "target {index}: {books:?}");
        }
    }

    /// Each drop has a cause that the kernel gave, or the plan.
    fn check_causes(&self, index: usize, outlet: &Outlet) {
        let plan = &self.plan.targets[index];
        let (books, said) = (&self.shard.books().targets[index], outlet.said);
        let dropped = |reason| books[dropped_cell(reason)];
        let stumps = self.seen - self.whole.len();
        assert_eq!(dropped(DropReason::Truncated), stumps as u64);
        if plan.pack.is_none() {
            assert_eq!(dropped(DropReason::TooLong), said.too_long);
            assert_eq!(books[TargetCell::Discarded], 0);
        }
        let unopened = said.connects_failed > 0;
        let cause =
            |reason, caused: bool| assert!(dropped(reason) == 0 || caused, "{reason:?} without a cause: {said:?}");
        cause(DropReason::TooLong, said.too_long > 0);
        cause(DropReason::IoError, said.forbidden > 0 || unopened);
        // These two take a second failure, of whatever kind the first was.
        let twice = said.refused + said.gone + said.unroutable > 1;
        cause(DropReason::NoEndpoint, plan.endpoint.is_none() || (said.gone > 0 && twice) || unopened);
        cause(DropReason::Refused, (said.refused > 0 && twice) || unopened);
        cause(DropReason::Unreachable, said.unroutable > 0 || unopened);
        cause(DropReason::NoBuffers, said.no_buffers_longest > 100 || unopened);
        cause(DropReason::QueueFull, said.would_block + said.no_buffers > 0);
        assert!(books[TargetCell::Refusals] <= said.refused + said.gone);
        if self.lossless[index] {
            let lost: u64 = DropReason::ALL.iter().map(|reason| dropped(*reason)).sum();
            let allowed = dropped(DropReason::Truncated) + dropped(DropReason::Shutdown);
            assert_eq!(lost, allowed, "target {index} lost what it could have had: {books:?}");
        }
    }

    fn end(self, turns: u64) -> Ran {
        let books = self.shard.books().clone();
        let delivered = self.kernel.with(|state| {
            self.check_listeners(&books, state);
            self.check_end(&books, state);
            for (index, outlet) in state.outlets.iter().enumerate() {
                self.check_prompt(index, outlet, state);
            }
            state.outlets.iter_mut().map(|outlet| std::mem::take(&mut outlet.delivered)).collect()
        });
        Ran { turns, books, delivered }
    }

    fn check_listeners(&self, books: &Books, state: &State) {
        for (inbox, books) in state.inboxes.iter().zip(&books.listeners) {
            assert_eq!(books[ListenerCell::KernelDrops], inbox.dropped);
            let sizes: u64 = (0..SIZE_BUCKETS).map(|bucket| books[size_cell(bucket)]).sum();
            assert_eq!(sizes, books[ListenerCell::Received]);
            if inbox.left {
                assert!(inbox.items.is_empty(), "{} were left unread", inbox.items.len());
            }
        }
        let bytes: usize = state.read.iter().map(|read| read.bytes.len()).sum();
        assert_eq!(books.listeners.iter().map(|l| l[ListenerCell::ReceivedBytes]).sum::<u64>(), bytes as u64);
    }

    fn check_end(&self, books: &Books, state: &State) {
        let deadline = self.plan.drain + self.plan.drain_timeout;
        assert!(state.now <= deadline + DRAIN_SLACK, "drained for {} ms too long", state.now - deadline);
        for (index, (books, plan)) in books.targets.iter().zip(&self.plan.targets).enumerate() {
            assert_eq!(books[TargetCell::Queued], 0, "target {index} still has something queued");
            let given_up = books[dropped_cell(DropReason::Shutdown)];
            assert!(given_up == 0 || state.now >= deadline, "target {index} was given up too early");
            let settled = self.plan.healed.is_some();
            // At the drain everyone had been well for seconds: nothing may have waited any more.
            assert!(given_up == 0 || !settled, "target {index} was well, and {given_up} were given up");
            let resolved = state.table.load()[index].is_some();
            if settled && resolved {
                assert_eq!(Link::from_cell(books[TargetCell::Link]), Link::Up, "target {index} ({plan:?}) is well");
            }
        }
    }

    /// A target that is well all the time gets everything at once, or after the linger it asked for.
    fn check_prompt(&self, index: usize, outlet: &Outlet, state: &State) {
        let well = |mood: &Mood| format!("{mood:?}") == format!("{:?}", Mood::default());
        let plan = &self.plan.targets[index];
        if !self.lossless[index] || !self.plan.moods(index).all(well) {
            return;
        }
        let read = state.read.iter().filter(|read| read.bytes.len() <= self.plan.buffer);
        let packed = plan.pack.is_some();
        let timed = |at: u64, bytes| -> Vec<(u64, Vec<u8>)> {
            let parts = if packed { lines([bytes]) } else { vec![bytes] };
            parts.into_iter().map(|part| (at, part.to_vec())).collect()
        };
        let read: Vec<_> = read.flat_map(|read| timed(read.at, &read.bytes)).collect();
        let got: Vec<_> = outlet.delivered.iter().flat_map(|got| timed(got.at, &got.bytes)).collect();
        assert_eq!(read.len(), got.len(), "target {index} is well, and did not get everything");
        let linger = plan.pack.map_or(0, |pack| pack.linger.as_millis() as u64);
        for ((read_at, read), (got_at, got)) in read.iter().zip(&got) {
            assert_eq!(read, got);
            assert!(*got_at <= read_at + linger, "target {index} is well, and waited {} ms", got_at - read_at);
        }
    }
}
