//! Models that tests, benches and fuzz targets hold the code to. Each user takes a part of them.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses another part")]

pub mod choose;
pub mod kernel;
pub mod outlet;
pub mod pack;
pub mod plan;
pub mod queue;
pub mod world;
