//! What the service manager is told. Always true: a pending state moves its checkpoint until it ends, and nothing
//! is reported after "stopped".

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use windows_service::service::{ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType};
use windows_service::service_control_handler::ServiceStatusHandle;

/// How often the checkpoint of a pending state moves.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// After this long without one the service manager may take us for hung.
const HINT: Duration = Duration::from_secs(20);

/// The state as last reported.
#[derive(Debug)]
pub(super) struct Status {
    handle: OnceLock<ServiceStatusHandle>,
    now: Mutex<(ServiceState, u32)>,
}

impl Default for Status {
    fn default() -> Self {
        Self { handle: OnceLock::new(), now: Mutex::new((ServiceState::StartPending, 0)) }
    }
}

impl Status {
    /// Reports that the start is under way.
    pub(super) fn starting(&self, handle: ServiceStatusHandle) {
        let _ = self.handle.set(handle);
        self.tick();
    }

    /// Reports that it serves.
    pub(super) fn running(&self) {
        self.move_on(ServiceState::Running, |now| now == ServiceState::StartPending, 0);
    }

    /// Reports that it drains; true for the first time only.
    pub(super) fn stopping(&self) -> bool {
        let before = |now| matches!(now, ServiceState::StartPending | ServiceState::Running);
        self.move_on(ServiceState::StopPending, before, 0)
    }

    /// Reports the end with the process's exit code.
    pub(super) fn stopped(&self, code: u8) {
        self.move_on(ServiceState::Stopped, |now| now != ServiceState::Stopped, code);
    }

    /// Moves the checkpoint of a pending state.
    pub(super) fn tick(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(now.0, ServiceState::StartPending | ServiceState::StopPending) {
            now.1 += 1;
            self.report(now.0, now.1, 0);
        }
    }

    fn move_on(&self, to: ServiceState, may: impl FnOnce(ServiceState) -> bool, code: u8) -> bool {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if !may(now.0) {
            return false;
        }
        let checkpoint = u32::from(to == ServiceState::StopPending);
        *now = (to, checkpoint);
        self.report(to, checkpoint, code);
        true
    }

    fn report(&self, state: ServiceState, checkpoint: u32, code: u8) {
        let Some(handle) = self.handle.get() else { return };
        let status = ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: match state {
                ServiceState::Running => {
                    ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN | ServiceControlAccept::PRESHUTDOWN
                }
                _ => ServiceControlAccept::empty(),
            },
            exit_code: match code {
                0 => ServiceExitCode::NO_ERROR,
                code => ServiceExitCode::ServiceSpecific(code.into()),
            },
            checkpoint,
            wait_hint: if checkpoint == 0 { Duration::ZERO } else { HINT },
            process_id: None,
        };
        // It fails only when the service manager itself is gone.
        let _ = handle.set_service_status(status);
    }
}
