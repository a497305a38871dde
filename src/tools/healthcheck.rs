//! `healthcheck`: is the proxy ready (or live)? For probes in images without a shell, so it takes the proxy's own
//! `UDP_PROXY_ADMIN`, and asks the first address there.

use std::process::ExitCode;
use std::time::Duration;

use super::http;
use crate::app::{self, AppError};
use crate::cli;
use crate::config::{Admin, ConfigError, admin, units};

/// Exit code 0 and one line when the answer is yes; else 1 and one line that says why.
///
/// # Errors
/// When an argument cannot be used.
pub fn main(args: &cli::Healthcheck) -> Result<ExitCode, AppError> {
    let admin = Admin::parse(admin::first(&args.admin))?;
    let longest = Duration::from_secs(3600);
    let timeout = units::duration(&args.timeout, Duration::from_millis(1)..=longest)
        .map_err(|problem| ConfigError { flag: "--timeout", problem })?;
    let path = if args.live { "/livez" } else { "/readyz" };
    app::block_on(async {
        Ok(match http::get(&admin, path, timeout).await {
            Ok((200, body)) => {
                println!("{}", body.trim_end());
                ExitCode::SUCCESS
            }
            Ok((_, body)) => {
                println!("{}", body.trim_end());
                ExitCode::FAILURE
            }
            Err(why) => {
                println!("{why}");
                ExitCode::FAILURE
            }
        })
    })
}
