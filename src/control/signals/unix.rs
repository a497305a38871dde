//! SIGTERM (Kubernetes, systemd) and SIGINT (Ctrl-C).

use tokio::signal::unix::{SignalKind, signal};

use crate::lifecycle::Shutdown;

pub(super) fn listen(shutdown: Shutdown) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = term.recv() => shutdown.request(),
                Some(()) = int.recv() => shutdown.request(),
                else => return,
            }
        }
    });
    Ok(())
}
