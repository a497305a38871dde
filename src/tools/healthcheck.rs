//! healthcheck
use crate::{app::AppError, cli};
use std::process::ExitCode;
/// Main.
pub fn main(_args: &cli::Healthcheck) -> Result<ExitCode, AppError> {
    Ok(ExitCode::FAILURE)
}
