//! Integration tests over real sockets: a file for each capability. `support` starts proxies and counts.

mod admin;
mod cli;
mod delivery;
#[cfg(unix)]
mod handover;
mod inject;
mod inject_layouts;
mod names;
#[cfg(windows)]
mod pipe;
mod service;
mod shutdown;
mod support;
mod targets;
mod tools;

#[cfg(not(unix))]
#[test]
fn what_only_unix_has() {
    println!("skip: handover (a shared port), Unix sockets as source, target and admin address, SIGTERM");
}
