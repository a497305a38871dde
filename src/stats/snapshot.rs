//! The books of all shards, added up. Each shard's part is whole, so the sums balance too.

use std::sync::Arc;
use std::time::Instant;

use super::cells::{Books, ListenerBooks, ListenerCell, Published, ShardCell, TargetBooks, TargetCell, dropped, ended};
use super::reason::DropReason;

/// Where one shard's books are, and which source each of its listeners belongs to.
#[derive(Clone, Debug)]
pub struct ShardBooks {
    /// The books as the shard publishes them.
    pub published: Arc<Published>,
    /// The number of the source of each listener.
    pub sources: Vec<usize>,
}

/// What was counted up to one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// Each shard's own cells.
    pub shards: Vec<[u64; ShardCell::COUNT]>,
    /// Each source, over all shards.
    pub listeners: Vec<ListenerBooks>,
    /// Each target, over all shards.
    pub targets: Vec<TargetBooks>,
}

impl Snapshot {
    /// Adds up the books of all shards.
    pub fn take(shards: &[ShardBooks], sources: usize, targets: usize) -> Self {
        let mut sum = Self {
            at: Instant::now(),
            shards: Vec::with_capacity(shards.len()),
            listeners: vec![[0; ListenerCell::COUNT]; sources],
            targets: vec![[0; TargetCell::COUNT]; targets],
        };
        for shard in shards {
            sum.add(shard.published.read(), &shard.sources);
        }
        sum
    }

    fn add(&mut self, books: Books, sources: &[usize]) {
        self.shards.push(books.shard);
        for (cells, source) in books.listeners.iter().zip(sources) {
            let high = ListenerCell::QueueHighBytes;
            let sum = &mut self.listeners[*source];
            let highest = sum[high].max(cells[high]);
            sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell);
            sum[high] = highest;
        }
        for (sum, cells) in self.targets.iter_mut().zip(&books.targets) {
            // These say what is, not how much: the worst of all shards stands for the target.
            let worst = [TargetCell::Link, TargetCell::LastErrno].map(|cell| (cell, sum[cell].max(cells[cell])));
            sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell);
            worst.into_iter().for_each(|(cell, value)| sum[cell] = value);
        }
    }

    /// Datagrams received on all listeners.
    pub fn received(&self) -> u64 {
        self.listeners.iter().map(|l| l[ListenerCell::Received]).sum()
    }

    /// One cell over all targets.
    pub fn over_targets(&self, cell: TargetCell) -> u64 {
        self.targets.iter().map(|t| t[cell]).sum()
    }

    /// Dropped for any reason, over all targets.
    pub fn dropped(&self) -> u64 {
        self.targets.iter().map(dropped).sum()
    }

    /// Lost in the kernel before we could read it, over all listeners.
    pub fn kernel_drops(&self) -> u64 {
        self.listeners.iter().map(|l| l[ListenerCell::KernelDrops]).sum()
    }

    /// `received × targets = sent + queued + discarded + dropped`, for each target and so in total.
    pub fn balanced(&self) -> bool {
        let received = self.received();
        self.targets.iter().all(|t| ended(t) + t[TargetCell::Queued] == received)
    }

    /// The books in one line, for the end of the process.
    pub fn summary(&self) -> String {
        format!(
            "received={} targets={} sent={} queued={} discarded={} dropped={} kernel_drops={} balanced={}",
            self.received(),
            self.targets.len(),
            self.over_targets(TargetCell::Sent),
            self.over_targets(TargetCell::Queued),
            self.over_targets(TargetCell::Discarded),
            self.dropped(),
            self.kernel_drops(),
            self.balanced(),
        )
    }
}

/// Dropped for one reason.
pub fn dropped_for(target: &TargetBooks, reason: DropReason) -> u64 {
    target[super::cells::dropped_cell(reason)]
}
