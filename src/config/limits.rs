//! The bounds a target lives in: small values that the data plane may know.

use std::time::Duration;

/// Which datagram is dropped when a queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The one that arrives.
    #[default]
    Newest,
    /// The ones that wait longest.
    Oldest,
}

/// How much may wait for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Datagrams.
    pub datagrams: usize,
    /// Their bytes.
    pub bytes: usize,
    /// What goes when either bound is reached.
    pub overflow: Overflow,
}

impl QueueLimits {
    /// One shard's part of the bounds; at least one datagram of any size.
    pub fn share(self, shards: usize) -> Self {
        Self {
            datagrams: self.datagrams.div_ceil(shards),
            bytes: self.bytes.div_ceil(shards).max(65_535),
            overflow: self.overflow,
        }
    }
}

/// How StatsD datagrams are joined for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackLimits {
    /// The largest datagram that packing makes, in bytes.
    pub bytes: usize,
    /// How long a datagram may wait for others; zero packs only what one batch brought.
    pub linger: Duration,
}
