//! udp-proxy receives every StatsD/DogStatsD datagram once and sends it to every target.

pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod data;
pub mod lifecycle;
pub mod stats;
pub mod statsd;
pub mod sys;
pub mod tools;
