//! Integration tests over real sockets: a file for each capability. `support` starts proxies and counts.

mod admin;
mod cli;
mod delivery;
#[cfg(unix)]
mod handover;
mod inject;
mod inject_layouts;
mod names;
mod shutdown;
mod support;
mod targets;
mod tools;
