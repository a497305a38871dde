//! Counting: what is counted ([`cells`]), why something is dropped ([`reason`]), sums over shards
//! ([`snapshot`]), and THE table of metrics ([`table`]), from which both outlets, `docs/metrics.md` and the
//! tests are made.

pub mod cells;
pub mod reason;
pub mod snapshot;
pub mod table;
