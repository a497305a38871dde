//! `service run`: what the service manager starts.

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use windows_service::{define_windows_service, service_control_handler, service_dispatcher};

use super::eventlog::Events;
use super::status::{Status, TICK};
use super::{cause, manage, refused, registry};
use crate::app::{self, AppError};
use crate::config::{ConfigError, LONG_VERSION, Log};
use crate::control::log::{self, file::Rotating};
use crate::lifecycle::Shutdown;
use crate::service::events::{Event, Gravity};
use crate::service::{NAME, settings};

/// The log: five files of at most 10 MB.
const LOG_FILES: u32 = 5;
const LOG_BYTES: u64 = 10_000_000;
/// What `StartServiceCtrlDispatcherW` says to a process that the service manager did not start.
const ERROR_FAILED_SERVICE_CONTROLLER_CONNECT: i32 = 1063;

/// The words behind `service run`: the service's entry point is a function without context.
static FLAGS: OnceLock<Vec<OsString>> = OnceLock::new();

define_windows_service!(entry, service);

pub(super) fn main(flags: &[OsString]) -> Result<ExitCode, AppError> {
    let _ = FLAGS.set(flags.to_owned());
    match service_dispatcher::start(NAME, entry).map_err(cause) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.raw_os_error() == Some(ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) => {
            let problem =
                "only the service manager starts it: here use udp-proxy itself, or udp-proxy service start".to_owned();
            Err(ConfigError { flag: "service run", problem }.into())
        }
        Err(error) => Err(refused("run", error)),
    }
}

/// The service's life, on a thread of the service manager's.
fn service(_: Vec<OsString>) {
    let status = Arc::new(Status::default());
    let shutdown = Shutdown::default();
    let (told, asked) = (status.clone(), shutdown.clone());
    let handler = move |control| told.control(control, || asked.request());
    // Without a handler there is nobody to report to, and nothing that could stop us.
    let Ok(handle) = service_control_handler::register(NAME, handler) else { return };
    // A report fails only when the service manager itself is gone.
    status.starting(move |now| drop(handle.set_service_status(now)));

    let events = Arc::new(Events::open());
    let ended = catch_unwind(AssertUnwindSafe(|| serve(&status, shutdown, &events)));
    let code = match ended {
        Ok(Ok(books)) => {
            events.write(Event::Stopped, Gravity::Information, &format!("udp-proxy has stopped: {books}"));
            0
        }
        Ok(Err(error)) => {
            let (code, text) = (error.exit_code(), error.to_string());
            let event = if code == 2 { Event::Configuration } else { Event::Failure };
            events.write(event, Gravity::Error, &format!("udp-proxy ends with exit code {code}: {text}"));
            tracing::error!(exit_code = code, "{text}");
            code
        }
        Err(_) => {
            events.write(Event::Failure, Gravity::Error, "udp-proxy ends with exit code 70: internal error");
            70
        }
    };
    status.stopped(code);
}

/// Serves until it is stopped; the books at the end.
fn serve(status: &Arc<Status>, shutdown: Shutdown, events: &Arc<Events>) -> Result<String, AppError> {
    let own = FLAGS.get().map(Vec::as_slice).unwrap_or_default();
    let config = settings::config(&registry::settings(), own);
    // A configuration that cannot work is told in the file too.
    let level =
        config.as_ref().map_or(Log { level: tracing::level_filters::LevelFilter::INFO, json: false }, |c| c.log);
    install_log(level, events);
    let config = config?;
    if let Err(error) = manage::settle() {
        tracing::debug!(%error, "the service's recovery actions are left as they are");
    }
    app::block_on(async {
        let ticking = status.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(TICK);
            loop {
                tick.tick().await;
                ticking.tick();
            }
        });
        let ready = || {
            status.running();
            events.write(Event::Started, Gravity::Information, &format!("udp-proxy {LONG_VERSION} serves"));
        };
        app::serve(config, shutdown, ready).await.map(|books| books.summary())
    })
}

/// The log goes into `%ProgramData%\udp-proxy\log`; without it the proxy serves all the same.
fn install_log(log: Log, events: &Arc<Events>) {
    let data = std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from);
    let path = data.join("udp-proxy").join("log").join("udp-proxy.log");
    let file: Box<dyn Write + Send> = match Rotating::open(&path, LOG_BYTES, LOG_FILES) {
        Ok(file) => Box::new(file),
        Err(error) => {
            let text = format!("no log is written: {}: {error}", path.display());
            events.write(Event::Failure, Gravity::Warning, &text);
            Box::new(std::io::sink())
        }
    };
    let events = events.clone();
    log::install_in(log, file, move |problem, line| {
        let gravity = if problem { Gravity::Warning } else { Gravity::Information };
        events.write(Event::Traffic, gravity, line);
    });
}
