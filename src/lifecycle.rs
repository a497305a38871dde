//! Where the process is in its life, and the one way to ask for its end.
//!
//! Owns the [`Phase`], which only moves forward, and the [`Shutdown`] request that signals, the Windows
//! service manager and tests all end in. The data plane only reads the phase (one relaxed load a turn).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The phases of a process, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Binding and building; nothing is read yet.
    Starting,
    /// Serving.
    Ready,
    /// Serving as before, but no longer ready: the end was asked for and `--shutdown-delay` runs.
    Leaving,
    /// Listeners have left the kernel's choice; what is queued is read and flushed.
    Draining,
    /// Every datagram has ended.
    Stopped,
}

impl Phase {
    /// The word used in logs, `/healthz` and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Leaving => "leaving",
            Phase::Draining => "draining",
            Phase::Stopped => "stopped",
        }
    }
}

/// The phase, shared by both planes.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<AtomicU8>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(Phase::Starting as u8)))
    }
}

impl Lifecycle {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            2 => Phase::Leaving,
            3 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }

    /// Moves on to `phase`; a phase that has passed never comes back.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

/// The request to end. The first asks for a drain, the second ends at once.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<tokio::sync::watch::Sender<u32>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(tokio::sync::watch::Sender::new(0)))
    }
}

impl Shutdown {
    /// Asks for the end, once more.
    pub fn request(&self) {
        self.0.send_modify(|n| *n += 1);
    }

    /// Waits until the end was asked for `times` times.
    pub async fn requested(&self, times: u32) {
        let mut seen = self.0.subscribe();
        // The sender is held by self, so the channel cannot close while we wait.
        let _ = seen.wait_for(|n| *n >= times).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_never_comes_back() {
        let lifecycle = Lifecycle::default();
        lifecycle.advance(Phase::Draining);
        lifecycle.advance(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }
}
