//! The proxy as a Windows service: its settings, its events, and `udp-proxy service`.
//!
//! Always true: the service manager's Stop ends in the same [`crate::lifecycle::Shutdown`] as SIGTERM, and a
//! service that cannot serve ends as stopped with its exit code and an event, whatever the reason.

pub mod events;
mod settings;

#[cfg(not(windows))]
#[path = "service/other.rs"]
mod imp;
#[cfg(windows)]
#[path = "service/windows/mod.rs"]
mod imp;

use std::process::ExitCode;

use crate::app::AppError;
use crate::cli::service::{Action, Service};

/// The service's name, its display name, and the name of its event source.
pub const NAME: &str = "udp-proxy";

/// `udp-proxy service …`.
///
/// # Errors
/// See [`AppError`].
pub fn main(args: &Service) -> Result<ExitCode, AppError> {
    match &args.action {
        // Nothing of it is Windows': it answers everywhere.
        Action::Validate(given) => settings::config(given, &[]).map(|_| ExitCode::SUCCESS),
        action => imp::main(action),
    }
}
