//! `service install`, `configure`, `uninstall`, `start`, `stop`, `status`: what an administrator does by hand.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceExitCode,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceStatus,
    ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::{cause, refused, registry};
use crate::app::AppError;
use crate::cli::service::Settings;
use crate::service::{NAME, settings};

const DESCRIPTION: &str =
    "Receives every StatsD/DogStatsD datagram once and sends it to every target, and never loses one in silence.";
/// How long after the first, the second and every later failure it is started again.
const RECOVERY: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(60)];
/// So long without a failure, and the next one counts as the first.
const RECOVERED: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the system waits for the drain when it shuts down.
const PRESHUTDOWN: Duration = Duration::from_secs(60);
/// A start or stop is given up when it has not moved for so long.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// What a service that has never run since the system started ended with.
const ERROR_SERVICE_NEVER_STARTED: u32 = 1077;
/// What `ChangeServiceConfig2W` says of a setting that the system does not know.
const ERROR_INVALID_LEVEL: i32 = 124;

pub(super) fn install(given: &Settings, account: &str) -> Result<ExitCode, AppError> {
    settings::config(given, &[])?;
    let failed = |error| refused("install", error);
    let program = std::env::current_exe().map_err(failed)?;
    let text = program.to_string_lossy().into_owned();
    let other = (!account.eq_ignore_ascii_case("LocalSystem")).then(|| account.into());
    let info = info(program, other);
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE).map_err(failed)?;
    let service = manager
        .create_service(&info, ServiceAccess::CHANGE_CONFIG | ServiceAccess::START | ServiceAccess::DELETE)
        .map_err(|error| failed(cause(error)))?;
    let complete = || -> io::Result<()> {
        equip(&service)?;
        registry::store(given)?;
        registry::register_events(&text)
    };
    if let Err(error) = complete() {
        // All or nothing. What cannot be taken back either is left for `uninstall`.
        let _ = service.delete();
        let _ = registry::clear();
        return Err(failed(error));
    }
    println!("installed as {account}; udp-proxy service start starts it");
    Ok(ExitCode::SUCCESS)
}

/// The service that starts `program`; its path is put in quotes. Without an account: LocalSystem for a new service,
/// the one it has for an installed one.
fn info(program: PathBuf, account: Option<OsString>) -> ServiceInfo {
    ServiceInfo {
        name: NAME.into(),
        display_name: NAME.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: vec!["service".into(), "run".into()],
        dependencies: Vec::new(),
        account_name: account,
        account_password: None,
    }
}

pub(super) fn configure(account: Option<&str>) -> Result<ExitCode, AppError> {
    let failed = |error| refused("configure", error);
    let service = open(ServiceAccess::CHANGE_CONFIG | ServiceAccess::START).map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    registry::register_events(&program.to_string_lossy()).map_err(failed)?;
    // Not every installer puts a path with spaces in quotes or gives an installed service its new account (Wine's).
    service.change_config(&info(program, account.map(OsString::from))).map_err(|error| failed(cause(error)))?;
    equip(&service).map_err(failed)?;
    println!("recovery actions, delayed start, description and event source are set");
    Ok(ExitCode::SUCCESS)
}

/// Gives the installed service what a service has besides its program.
pub(super) fn settle() -> io::Result<()> {
    equip(&open(ServiceAccess::CHANGE_CONFIG | ServiceAccess::START)?)
}

fn equip(service: &Service) -> io::Result<()> {
    let again = |delay| ServiceAction { action_type: ServiceActionType::Restart, delay };
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(RECOVERED),
        reboot_msg: None,
        command: None,
        actions: Some(RECOVERY.map(again).to_vec()),
    };
    let steps = [
        service.set_description(DESCRIPTION),
        service.set_delayed_auto_start(true),
        service.update_failure_actions(actions),
        service.set_failure_actions_on_non_crash_failures(true),
        service.set_preshutdown_timeout(PRESHUTDOWN),
    ];
    for error in steps.into_iter().filter_map(Result::err).map(cause) {
        // A system that does not know a setting (Wine) does without it.
        if error.raw_os_error() != Some(ERROR_INVALID_LEVEL) {
            return Err(error);
        }
    }
    Ok(())
}

pub(super) fn uninstall() -> Result<ExitCode, AppError> {
    let failed = |error| refused("uninstall", error);
    let access = ServiceAccess::DELETE | ServiceAccess::STOP | ServiceAccess::QUERY_STATUS;
    let service = open(access).map_err(failed)?;
    if query(&service).map_err(failed)?.current_state != ServiceState::Stopped {
        // It may be ending by itself: then Stop is refused, and waiting is all there is to do.
        let _ = service.stop();
        settled(&service, ServiceState::Stopped).map_err(failed)?;
    }
    service.delete().map_err(|error| failed(cause(error)))?;
    registry::clear().map_err(failed)?;
    println!("uninstalled; the logs are left where they are");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn start() -> Result<ExitCode, AppError> {
    let failed = |error| refused("start", error);
    let service = open(ServiceAccess::START | ServiceAccess::QUERY_STATUS).map_err(failed)?;
    service.start::<&OsStr>(&[]).map_err(|error| failed(cause(error)))?;
    let status = settled(&service, ServiceState::Running).map_err(failed)?;
    if status.current_state == ServiceState::Running {
        println!("{}", told(&status));
        return Ok(ExitCode::SUCCESS);
    }
    let what = "service start".to_owned();
    let remedy = "the reason is in the event log (Application, source udp-proxy) and in the log file";
    Err(AppError::System { what, cause: io::Error::other(format!("it is {}", told(&status))), remedy })
}

pub(super) fn stop() -> Result<ExitCode, AppError> {
    let failed = |error| refused("stop", error);
    let service = open(ServiceAccess::STOP | ServiceAccess::QUERY_STATUS).map_err(failed)?;
    service.stop().map_err(|error| failed(cause(error)))?;
    println!("{}", told(&settled(&service, ServiceState::Stopped).map_err(failed)?));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn status() -> Result<ExitCode, AppError> {
    let failed = |error| refused("status", error);
    let status = query(&open(ServiceAccess::QUERY_STATUS).map_err(failed)?).map_err(failed)?;
    println!("{}", told(&status));
    Ok(if status.current_state == ServiceState::Running { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits until the service is in `state`, or has stopped.
fn settled(service: &Service, state: ServiceState) -> io::Result<ServiceStatus> {
    let mut last = None;
    let mut moved = Instant::now();
    loop {
        let status = query(service)?;
        if status.current_state == state || status.current_state == ServiceState::Stopped {
            return Ok(status);
        }
        let now = Some((status.current_state, status.checkpoint));
        if now != last {
            (last, moved) = (now, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it is still {}", told(&status))));
        }
        std::thread::sleep(POLL);
    }
}

/// A state as a line says it.
fn told(status: &ServiceStatus) -> String {
    let name = match status.current_state {
        ServiceState::Running => "running",
        ServiceState::StartPending => "starting",
        ServiceState::StopPending => "draining",
        ServiceState::Stopped => "stopped",
        _ => "paused",
    };
    match (status.process_id, &status.exit_code) {
        (_, ServiceExitCode::ServiceSpecific(code)) => format!("{name} (exit code {code})"),
        (_, ServiceExitCode::Win32(ERROR_SERVICE_NEVER_STARTED)) => format!("{name} (never started)"),
        (_, ServiceExitCode::Win32(code)) if *code != 0 => format!("{name} (system error {code})"),
        (Some(process), _) if process != 0 => format!("{name} (process {process})"),
        _ => name.to_owned(),
    }
}

fn manager(access: ServiceManagerAccess) -> io::Result<ServiceManager> {
    ServiceManager::local_computer(None::<OsString>, access).map_err(cause)
}

fn open(access: ServiceAccess) -> io::Result<Service> {
    manager(ServiceManagerAccess::CONNECT)?.open_service(NAME, access).map_err(cause)
}

fn query(service: &Service) -> io::Result<ServiceStatus> {
    service.query_status().map_err(cause)
}
