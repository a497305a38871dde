//! The data plane: the way of a datagram from a listener's socket to every target's.
//!
//! A [`shard::Shard`] is one thread that owns everything it touches. On the way of a datagram there is no
//! lock, no channel, no reference count and no allocation; this plane knows no tokio, hyper, clap or log.

pub mod batch;
pub mod fanout;
mod packing;
pub mod queue;
mod route;
pub mod shard;
pub mod table;
pub mod target;
