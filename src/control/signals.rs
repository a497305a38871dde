//! Signals that end the process: each one is a [`Shutdown`] request.

use crate::lifecycle::Shutdown;

#[cfg(unix)]
#[path = "signals/unix.rs"]
mod imp;
#[cfg(windows)]
#[path = "signals/windows.rs"]
mod imp;

/// Turns the platform's ending signals into requests, for as long as the runtime lives.
///
/// # Errors
/// What the system said when the handlers were installed.
pub fn listen(shutdown: Shutdown) -> std::io::Result<()> {
    imp::listen(shutdown)
}
