//! The Windows service: run by the service manager, and managed from a console.

mod eventlog;
mod manage;
mod registry;
mod run;
mod status;

use std::io;
use std::process::ExitCode;

use crate::app::AppError;
use crate::cli::service::Action;

pub(super) fn main(action: &Action) -> Result<ExitCode, AppError> {
    match action {
        Action::Run { flags } => run::main(flags),
        Action::Install { settings, account } => manage::install(settings, account),
        Action::Configure { account } => manage::configure(account.as_deref()),
        Action::Uninstall => manage::uninstall(),
        Action::Start => manage::start(),
        Action::Stop => manage::stop(),
        Action::Status => manage::status(),
        Action::Validate(_) => unreachable!("it is answered on every system"),
    }
}

/// What the system refused, with what an administrator can do about it.
fn refused(what: &str, cause: io::Error) -> AppError {
    let remedy = match cause.raw_os_error() {
        Some(5) => "run it as an administrator",
        Some(1056) => "it is running already",
        Some(1057) => r"give an account that needs no password, for example NT SERVICE\udp-proxy or LocalSystem",
        Some(1058) => "it is disabled: enable it in the services console",
        Some(1060) => "it is not installed: udp-proxy service install, or the MSI, does that",
        Some(1062) => "it is not running",
        Some(1069) => "its account cannot log on: see its log-on rights",
        Some(1072) => "close the services console, so that its deletion can end, and try again",
        Some(1073) => "it is installed already: uninstall it first",
        _ => "the system refused it",
    };
    AppError::System { what: format!("service {what}"), cause, remedy }
}

/// The system's own error in one of the service crate's.
fn cause(error: windows_service::Error) -> io::Error {
    match error {
        windows_service::Error::Winapi(cause) => cause,
        other => io::Error::other(other.to_string()),
    }
}
