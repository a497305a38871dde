//! demo
use crate::{app::AppError, cli};
use std::process::ExitCode;
/// Main.
pub fn main(_args: &cli::Demo) -> Result<ExitCode, AppError> {
    Ok(ExitCode::FAILURE)
}
