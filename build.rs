//! Tells the program its commit and its target, for `--version`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=UDP_PROXY_COMMIT");
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    println!("cargo:rustc-env=UDP_PROXY_TARGET_TRIPLE={target}");
    // An image build has no .git: it passes the commit in the environment.
    let commit = std::env::var("UDP_PROXY_COMMIT").ok().filter(|commit| !commit.is_empty()).or_else(from_git);
    println!("cargo:rustc-env=UDP_PROXY_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

fn from_git() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
