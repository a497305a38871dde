//! The log: text or JSON lines on stderr, or in a file where nobody sees stderr.

pub mod file;

use std::io::IsTerminal;
use std::io::Write;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry, fmt};

use super::report::TRAFFIC;
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

/// The same with `file` for stderr. The lines about traffic also go to `traffic` (is it a problem, and its text),
/// whatever the log's level: an operator who reads no file is told too.
pub fn install_in<W: Write + Send + 'static>(log: Log, file: W, traffic: impl Fn(bool, &str) + Send + Sync + 'static) {
    let lines = fmt::layer().with_target(false).with_ansi(false).with_writer(Mutex::new(file));
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.json {
        true => lines.json().flatten_event(true).with_filter(log.level).boxed(),
        false => lines.with_filter(log.level).boxed(),
    };
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines).with(Traffic(traffic)));
}

/// Passes on the lines about traffic.
struct Traffic<F>(F);

impl<S: Subscriber, F: Fn(bool, &str) + Send + Sync + 'static> Layer<S> for Traffic<F> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TRAFFIC {
            let mut line = Words::default();
            event.record(&mut line);
            let Words { subject, count, text } = line;
            (self.0)(*event.metadata().level() <= Level::WARN, &format!("{subject}: {text} (count {count})"));
        }
    }
}

/// The fields of a line about traffic.
#[derive(Default)]
struct Words {
    subject: String,
    count: String,
    text: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "subject" => self.subject = format!("{value:?}"),
            "count" => self.count = format!("{value:?}"),
            "message" => self.text = format!("{value:?}"),
            _ => {}
        }
    }
}
