//! The subcommands: what comes with the proxy in the same binary. Each has a `main` that returns its exit code.

pub mod demo;
pub mod healthcheck;
mod http;
pub mod term;
mod traffic;
