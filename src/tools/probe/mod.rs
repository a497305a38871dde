//! Numbered datagrams: what `load` writes and `sink` reads, so that between them every one is accounted for.

pub mod ledger;
pub mod payload;

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in nanoseconds since the Unix epoch: the clock that load and sink share on one host.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
