//! Tells the program its commit and its target, for `--version`, and gives the Windows one its resources.

// The ids of the events, of which the resources hold the texts.
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "src/service/events.rs"]
mod events;
#[path = "build/resources.rs"]
mod resources;

use std::path::Path;
use std::process::Command;

fn main() {
    for path in ["build.rs", "build/resources.rs", "src/service/events.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "windows") {
        resources::link(events::TABLE.len() as u32);
    }
    println!("cargo:rerun-if-env-changed=UDP_PROXY_COMMIT");
    // Where git keeps it: in a worktree not under .git. A path that does not exist would build anew each time.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo:rerun-if-changed={log}");
    }
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    println!("cargo:rustc-env=UDP_PROXY_TARGET_TRIPLE={target}");
    // An image build has no .git: it passes the commit in the environment.
    let commit = std::env::var("UDP_PROXY_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty())
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    println!("cargo:rustc-env=UDP_PROXY_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
