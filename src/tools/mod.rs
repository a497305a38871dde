//! The subcommands: what comes with the proxy in the same binary. Each has a `main` that returns its exit code.

pub mod check;
pub mod demo;
pub mod healthcheck;
mod http;
pub mod inject;
pub mod load;
pub mod probe;
pub mod sink;
pub mod term;
mod traffic;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::app::{self, AppError};
use crate::config::ConfigError;
use crate::control::signals;
use crate::lifecycle::Shutdown;

/// An argument that cannot be used.
fn usage(flag: &'static str, problem: impl Into<String>) -> AppError {
    AppError::Config(ConfigError { flag, problem: problem.into() })
}

/// Turns true at Ctrl-C or SIGTERM.
fn interrupt() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let told = ended.clone();
    std::thread::spawn(move || {
        app::block_on(async {
            let asked = Shutdown::default();
            // Where signals cannot be had, the tool ends with its time.
            let _ = signals::listen(asked.clone());
            asked.requested(1).await;
            told.store(true, Ordering::Relaxed);
            Ok(())
        })
    });
    ended
}
