//! udp-proxy receives every StatsD/DogStatsD datagram once and sends it to every target.
//!
//! # What lives where
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the command line, as clap sees it |
//! | [`config`] | the checked configuration: a value that exists is valid |
//! | [`app`] | the order of start and stop, readable as prose |
//! | [`lifecycle`] | the phase the process is in, and the request to end |
//! | [`data`] | the data plane: shards, batches, fan-out, targets, queues |
//! | [`statsd`] | StatsD as bytes: packing |
//! | [`stats`] | what is counted, why something is dropped, the table of metrics |
//! | [`control`] | the control plane: admin HTTP, names, self-metrics, signals, the traffic log |
//! | [`service`] | the proxy as a Windows service |
//! | [`sys`] | operating systems: the only unsafe code and system calls |
//! | [`tools`] | the subcommands |
//!
//! # The way of one datagram
//!
//! A [`data::shard::Shard`] is one thread with its own sockets. Each turn of its loop:
//!
//! 1. [`sys::Receiver::receive`] brings up to a batch with one system call;
//! 2. [`data::batch::Batch`] counts it and lends it out: nothing is copied;
//! 3. [`data::fanout::fan_out`] offers it to each [`data::target::Target`] in turn;
//! 4. a target whose queue is empty sends straight from the batch ([`sys::Sender::send`]); one whose queue
//!    is not appends behind it, so that order holds;
//! 5. what the kernel refuses is copied into the target's [`data::queue::Queue`] and leaves when the socket
//!    has room again;
//! 6. the turn's counts are published ([`stats::cells::Published`]), and the books balance.
//!
//! # What is always true
//!
//! * For each target, at every moment: `received = sent + queued + discarded + dropped{reason}`.
//! * A shard never waits for a target, and no target for another.
//! * A datagram leaves as it came, in the order of its source, unless an option of the target says otherwise.
//! * Nothing that comes from the network can make the process panic, grow without bound, or log per datagram.
//!
//! `docs/architecture.md` tells the same at more length, and why.

pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod data;
pub mod lifecycle;
pub mod service;
pub mod stats;
pub mod statsd;
pub mod sys;
pub mod tools;
