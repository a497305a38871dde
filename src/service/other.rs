//! Where there is no Windows service manager: one line says what to use instead.

use std::process::ExitCode;

use crate::app::AppError;
use crate::cli::service::Action;
use crate::config::ConfigError;

pub(super) fn main(_action: &Action) -> Result<ExitCode, AppError> {
    let problem = "is for Windows: here run udp-proxy itself, under systemd or in a container".to_owned();
    Err(ConfigError { flag: "service", problem }.into())
}
