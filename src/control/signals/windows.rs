//! Ctrl-C, Ctrl-Break, closing the console, logging off and shutting down.

use tokio::signal::windows;

use crate::lifecycle::Shutdown;

pub(super) fn listen(shutdown: Shutdown) -> std::io::Result<()> {
    let mut c = windows::ctrl_c()?;
    let mut break_ = windows::ctrl_break()?;
    let mut close = windows::ctrl_close()?;
    let mut logoff = windows::ctrl_logoff()?;
    let mut off = windows::ctrl_shutdown()?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = c.recv() => shutdown.request(),
                Some(()) = break_.recv() => shutdown.request(),
                Some(()) = close.recv() => shutdown.request(),
                Some(()) = logoff.recv() => shutdown.request(),
                Some(()) = off.recv() => shutdown.request(),
                else => return,
            }
        }
    });
    Ok(())
}
