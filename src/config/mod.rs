//! The checked configuration. Parsed once, at the edge: a [`Config`] that exists is valid.
//!
//! [`Config::from_cli`] turns the raw words of the command line into values, or into one
//! [`ConfigError`] that names the flag, what was given, and what would be right.

pub mod admin;
pub mod limits;
pub mod source;
pub mod target;
pub mod units;

use std::fmt;
use std::time::Duration;

use crate::cli;
pub use admin::Admin;
use limits::{Overflow, QueueLimits};
use source::Source;
use target::{Address, Target};

/// Version, commit and target, as `--version` prints them.
pub const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("UDP_PROXY_COMMIT"),
    ", ",
    env!("UDP_PROXY_TARGET_TRIPLE"),
    ")"
);

/// The most targets.
pub const MAX_TARGETS: usize = 64;
/// The most listeners.
pub const MAX_SOURCES: usize = 16;
/// The most shards.
pub const MAX_SHARDS: usize = 64;

/// A value that cannot be used: one line that names it and says what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl ConfigError {
    fn new(flag: &'static str, problem: impl Into<String>) -> Self {
        Self { flag, problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flag, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Everything the proxy was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where datagrams are received.
    pub sources: Vec<Source>,
    /// Where each one is sent.
    pub targets: Vec<Target>,
    /// The largest datagram, in bytes.
    pub buffer: usize,
    /// The receive buffer that is asked of the kernel for each listener, in bytes.
    pub readbuffer: usize,
    /// Data threads.
    pub shards: usize,
    /// How datagrams are moved.
    pub engine: Engine,
    /// Refuse to share a port with another process.
    pub exclusive: bool,
    /// Where the admin server listens; nowhere with `off`.
    pub admin: Vec<Admin>,
    /// When the process is ready.
    pub ready: ReadyRule,
    /// How long it serves on after it was asked to end.
    pub shutdown_delay: Duration,
    /// How long queues are flushed at the end.
    pub drain_timeout: Duration,
    /// Self-metrics; `None` with `--no-metrics`.
    pub metrics: Option<Metrics>,
    /// The log.
    pub log: Log,
}

/// The log's verbosity and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// JSON lines instead of text.
    pub json: bool,
}

/// How datagrams are moved between sockets and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The best of the platform.
    #[default]
    Auto,
    /// One system call a datagram, as on platforms without batches.
    Portable,
}

/// When `/readyz` says yes: with any target usable, or only with all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadyRule {
    /// At least one target is usable.
    #[default]
    Any,
    /// Every target is usable.
    All,
}

/// How self-metrics leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The StatsD outlet, if any.
    pub statsd: Option<StatsdOutlet>,
    /// The first part of each name.
    pub prefix: String,
    /// How often the StatsD outlet sends.
    pub interval: Duration,
}

/// Where the StatsD outlet sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsdOutlet {
    /// Through the proxy itself, to all targets.
    Own,
    /// To this address.
    To(Address),
}

impl Config {
    /// Checks the raw words of the command line.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn from_cli(raw: &cli::Proxy) -> Result<Self, ConfigError> {
        let queue = QueueLimits {
            datagrams: units::count(&raw.channel_size, 1..=10_000_000)
                .map_err(|p| ConfigError::new("--channel-size", p))?,
            bytes: units::size(&raw.queue_bytes, 65_535..=units::two_to(34))
                .map_err(|p| ConfigError::new("--queue-bytes", p))?,
            overflow: Overflow::default(),
        };
        let sources = sources(&raw.source)?;
        let targets = targets(&raw.target, queue)?;
        let metrics = metrics(raw, &sources)?;
        Ok(Self {
            buffer: units::size(&raw.buffer, 1..=65_535).map_err(|p| ConfigError::new("--buffer", p))?,
            readbuffer: units::size(&raw.readbuffer, 0..=1 << 30).map_err(|p| ConfigError::new("--readbuffer", p))?,
            shards: shards(raw.shards.as_deref())?,
            engine: one_of("--engine", &raw.engine, &[("auto", Engine::Auto), ("portable", Engine::Portable)])?,
            exclusive: raw.exclusive,
            admin: admin::all(&raw.admin)?,
            ready: one_of("--ready", &raw.ready, &[("any", ReadyRule::Any), ("all", ReadyRule::All)])?,
            shutdown_delay: units::duration(&raw.shutdown_delay, Duration::ZERO..=HOUR)
                .map_err(|p| ConfigError::new("--shutdown-delay", p))?,
            drain_timeout: units::duration(&raw.drain_timeout, Duration::ZERO..=HOUR)
                .map_err(|p| ConfigError::new("--drain-timeout", p))?,
            log: log(&raw.log)?,
            sources,
            targets,
            metrics,
        })
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Lists are separated by spaces or commas, on the command line as in the environment.
fn words(raw: &[String]) -> impl Iterator<Item = &str> {
    raw.iter().flat_map(|value| value.split(separates)).filter(|word| !word.is_empty())
}

fn separates(c: char) -> bool {
    c == ',' || c.is_ascii_whitespace()
}

fn sources(raw: &[String]) -> Result<Vec<Source>, ConfigError> {
    let mut sources: Vec<Source> = Vec::new();
    for word in words(raw) {
        let source = Source::parse(word).map_err(|p| ConfigError::new("--source", format!("'{word}': {p}")))?;
        if sources.iter().any(|other| other.overlaps(&source)) {
            return Err(ConfigError::new("--source", format!("'{word}' is given twice: name each address once")));
        }
        sources.push(source);
    }
    match sources.len() {
        0 => Err(ConfigError::new("--source", "no address is given: give one, for example :8125")),
        n if n > MAX_SOURCES => Err(ConfigError::new("--source", format!("{n} are given: at most {MAX_SOURCES}"))),
        _ => Ok(sources),
    }
}

/// Several `--target` words.
///
/// # Errors
/// The first that cannot be used.
pub fn targets(raw: &[String], queue: QueueLimits) -> Result<Vec<Target>, ConfigError> {
    let mut targets: Vec<Target> = Vec::new();
    for word in words(raw) {
        let target = Target::parse(word, queue).map_err(|p| ConfigError::new("--target", format!("'{word}': {p}")))?;
        for other in &targets {
            if other.name == target.name && other.address != target.address {
                let problem =
                    format!("'{word}': another target is named '{}' already: give each its own name", target.name);
                return Err(ConfigError::new("--target", problem));
            }
            if other.address == target.address {
                let problem = format!("'{word}' is given twice: each datagram would arrive there twice");
                return Err(ConfigError::new("--target", problem));
            }
        }
        targets.push(target);
    }
    match targets.len() {
        0 => Err(ConfigError::new(
            "--target",
            "no target is given: give at least one, for example --target a=10.0.0.1:8125",
        )),
        n if n > MAX_TARGETS => Err(ConfigError::new("--target", format!("{n} are given: at most {MAX_TARGETS}"))),
        _ => Ok(targets),
    }
}

fn shards(raw: Option<&str>) -> Result<usize, ConfigError> {
    match raw {
        Some(raw) => units::count(raw, 1..=MAX_SHARDS).map_err(|p| ConfigError::new("--shards", p)),
        // Knows CPU affinity and the container's CPU quota (cgroup v1 and v2).
        None => Ok(std::thread::available_parallelism().map_or(1, |n| n.get().min(4))),
    }
}

fn metrics(raw: &cli::Proxy, sources: &[Source]) -> Result<Option<Metrics>, ConfigError> {
    let statsd = match raw.metrics_statsd.as_deref() {
        None => None,
        Some("self") if !sources.iter().any(Source::is_udp) => {
            let problem = "'self' needs a UDP --source to send through: add one, or give an address";
            return Err(ConfigError::new("--metrics-statsd", problem));
        }
        Some("self") => Some(StatsdOutlet::Own),
        Some(address) => Some(StatsdOutlet::To(
            Address::parse(address)
                .map_err(|p| ConfigError::new("--metrics-statsd", format!("'{address}': {p}, or self")))?,
        )),
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let prefix = &raw.metrics_prefix;
    if prefix.is_empty() || !prefix.chars().all(valid) || prefix.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        let problem =
            format!("'{prefix}' cannot begin a metric's name: use letters, digits, '_' and '.', a letter first");
        return Err(ConfigError::new("--metrics-prefix", problem));
    }
    let interval = units::duration(&raw.metrics_interval, Duration::from_millis(100)..=HOUR)
        .map_err(|p| ConfigError::new("--metrics-interval", p))?;
    if raw.no_metrics {
        return match statsd {
            Some(_) => Err(ConfigError::new("--no-metrics", "contradicts --metrics-statsd: give one of them")),
            None => Ok(None),
        };
    }
    Ok(Some(Metrics { statsd, prefix: prefix.clone(), interval }))
}

/// Checks the log flags, which every subcommand has.
///
/// # Errors
/// When a word is unknown.
pub fn log(raw: &cli::Log) -> Result<Log, ConfigError> {
    use tracing::level_filters::LevelFilter as Level;
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("warning", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
        ("off", Level::OFF),
    ];
    Ok(Log {
        level: one_of("--log-level", &raw.log_level.to_ascii_lowercase(), &levels)?,
        json: one_of("--log-format", &raw.log_format, &[("text", false), ("json", true)])?,
    })
}

fn one_of<T: Copy>(flag: &'static str, raw: &str, words: &[(&str, T)]) -> Result<T, ConfigError> {
    words.iter().find(|(word, _)| *word == raw).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        ConfigError::new(flag, format!("'{raw}' is unknown: give {}", known.join(", ")))
    })
}
