//! StatsD as bytes: lines and packing. Knows nothing of sockets, targets or the rest of the program.

pub mod pack;
