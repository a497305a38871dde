//! What the service manager is told. Always true: a pending state moves its checkpoint until it ends, and nothing
//! is reported after "stopped".

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::ServiceControlHandlerResult;

/// How often the checkpoint of a pending state moves.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// After this long without one the service manager may take us for hung.
const HINT: Duration = Duration::from_secs(20);

/// How the service manager is told.
type Tell = Box<dyn Fn(ServiceStatus) + Send + Sync>;

/// The state as last reported.
pub(super) struct Status {
    tell: OnceLock<Tell>,
    now: Mutex<(ServiceState, u32)>,
}

impl Default for Status {
    fn default() -> Self {
        Self { tell: OnceLock::new(), now: Mutex::new((ServiceState::StartPending, 0)) }
    }
}

impl Status {
    /// Reports that the start is under way; from here on `tell` is given each report.
    pub(super) fn starting(&self, tell: impl Fn(ServiceStatus) + Send + Sync + 'static) {
        let _ = self.tell.set(Box::new(tell));
        self.tick();
    }

    /// Answers what the service manager asks for; `drain` is called once at most.
    pub(super) fn control(&self, control: ServiceControl, drain: impl FnOnce()) -> ServiceControlHandlerResult {
        match control {
            ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
            ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
                // Once: a shutdown behind a preshutdown must not cut the drain short.
                if self.stopping() {
                    drain();
                }
                ServiceControlHandlerResult::NoError
            }
            _ => ServiceControlHandlerResult::NotImplemented,
        }
    }

    /// Reports that it serves.
    pub(super) fn running(&self) {
        self.move_on(ServiceState::Running, |now| now == ServiceState::StartPending, 0);
    }

    /// Reports that it drains; true for the first time only.
    fn stopping(&self) -> bool {
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
        let Some(tell) = self.tell.get() else { return };
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
        tell(status);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A status, and what it has told: state, checkpoint, whether it may be stopped, exit code.
    #[expect(clippy::type_complexity, reason = "a list of four facts")]
    fn told() -> (Status, Arc<Mutex<Vec<(ServiceState, u32, bool, ServiceExitCode)>>>) {
        let (status, reports) = (Status::default(), Arc::new(Mutex::new(Vec::new())));
        let list = reports.clone();
        status.starting(move |now| {
            assert_eq!(now.checkpoint > 0, now.wait_hint > TICK, "a pending state says when to look again");
            let stoppable = now.controls_accepted.contains(ServiceControlAccept::STOP);
            list.lock().unwrap().push((now.current_state, now.checkpoint, stoppable, now.exit_code));
        });
        (status, reports)
    }

    #[test]
    fn a_life_is_told_with_moving_checkpoints() {
        use ServiceState::{Running, StartPending, StopPending, Stopped};
        let (status, reports) = told();
        status.tick();
        status.running();
        status.tick();
        let mut drains = 0;
        let controls = [ServiceControl::Interrogate, ServiceControl::Pause, ServiceControl::Preshutdown];
        let answers = controls.map(|control| status.control(control, || drains += 1));
        use ServiceControlHandlerResult::{NoError, NotImplemented};
        assert!(matches!(answers, [NoError, NotImplemented, NoError]), "{answers:?}");
        for control in [ServiceControl::Shutdown, ServiceControl::Stop] {
            status.control(control, || drains += 1);
        }
        assert_eq!(drains, 1, "what follows does not cut the drain short");
        status.tick();
        status.running();
        status.stopped(0);
        status.tick();
        status.stopped(1);
        let fine = ServiceExitCode::NO_ERROR;
        let expected = [
            (StartPending, 1, false, fine),
            (StartPending, 2, false, fine),
            (Running, 0, true, fine),
            (StopPending, 1, false, fine),
            (StopPending, 2, false, fine),
            (Stopped, 0, false, fine),
        ];
        assert_eq!(*reports.lock().unwrap(), expected);
    }

    #[test]
    fn a_start_that_fails_ends_stopped_with_its_own_exit_code() {
        let (status, reports) = told();
        status.stopped(2);
        let last = *reports.lock().unwrap().last().unwrap();
        assert_eq!(last, (ServiceState::Stopped, 0, false, ServiceExitCode::ServiceSpecific(2)));
    }

    #[test]
    fn each_way_to_end_drains() {
        for control in [ServiceControl::Stop, ServiceControl::Shutdown, ServiceControl::Preshutdown] {
            let (status, _) = told();
            status.running();
            let mut drained = false;
            status.control(control, || drained = true);
            assert!(drained, "{control:?}");
        }
    }
}
