//! Counting: what is counted ([`cells`]), why something is dropped ([`reason`]), sums over shards
//! ([`snapshot`]).
//! tests are made.

pub mod cells;
pub mod reason;
pub mod snapshot;
