//! The log: text or JSON lines on stderr.

use std::io::IsTerminal;

use tracing_subscriber::fmt;

use crate::config::Log;

/// Installs the log for the whole process. A second call changes nothing.
pub fn install(log: Log) {
    let lines = fmt().with_max_level(log.level).with_target(false).with_writer(std::io::stderr);
    // An error means that a log is installed already (a test's, or an embedding program's): keep that.
    let _ = match log.json {
        true => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
        false => tracing::subscriber::set_global_default(lines.with_ansi(std::io::stderr().is_terminal()).finish()),
    };
}
