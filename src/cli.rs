//! The command line: clap definitions only. Values are checked in [`crate::config`].

mod inject;
pub mod service;

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};

use crate::config::LONG_VERSION;
pub use inject::{DEFAULT_IMAGE, Inject, Uninject};

const EXAMPLES: &str = "\
Targets:
  An address is host:port or unixgram:///path. Options of one target:
    queue=COUNT        as --channel-size      queue_bytes=SIZE  as --queue-bytes
    overflow=newest    which datagram is dropped when the queue is full; or oldest
    resolve=30s        how often its name is resolved again; at least 1s
    pack=SIZE          join StatsD datagrams with newlines up to SIZE bytes, mtu, agent or max
    linger=TIME        with pack: wait at most this long for more (0: what one batch brought)

Examples:
  udp-proxy --source :8125 --target a=10.0.0.1:8125 --target b=otel.monitoring:8125
  udp-proxy --source unixgram:///run/dsd.sock --target 'dd=127.0.0.1:8126?queue=20k&overflow=oldest'
  UDP_PROXY_TARGET='a=10.0.0.1:8125 b=10.0.0.2:8125' udp-proxy
  udp-proxy demo

Every flag is also an environment variable: --shutdown-delay is UDP_PROXY_SHUTDOWN_DELAY.
Exit codes: 0 drained and done, 1 the system refused something, 2 wrong usage, 70 internal error.";

/// Receives every StatsD/DogStatsD datagram once and sends it to every target.
#[derive(Debug, Parser)]
#[command(name = "udp-proxy", version, long_version = LONG_VERSION, after_help = EXAMPLES, args_conflicts_with_subcommands = true, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// What to run instead of the proxy.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The proxy's flags.
    #[command(flatten)]
    pub proxy: Proxy,
}

/// What came of reading the command line.
#[derive(Debug)]
pub enum Outcome {
    /// Run this.
    Run(Box<Cli>),
    /// `--help` or `--version`: print this and be done.
    Print(String),
    /// Wrong usage, in one line.
    Wrong(String),
}

/// Reads the command line (and the environment, where a flag is not given).
pub fn read(args: impl IntoIterator<Item = OsString>) -> Outcome {
    match Cli::try_parse_from(args) {
        Ok(cli) => Outcome::Run(Box::new(cli)),
        Err(error) if !error.use_stderr() => Outcome::Print(match std::io::stdout().is_terminal() {
            true => error.render().ansi().to_string(),
            false => error.render().to_string(),
        }),
        Err(error) => Outcome::Wrong(one_line(&error)),
    }
}

/// clap's error without its paragraphs: the flag, what is wrong, what would be right.
fn one_line(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    // "--source <ADDRESS>" → "--source"
    let flag = context(ContextKind::InvalidArg).map(|arg| arg.split(' ').next().unwrap_or_default().to_owned());
    let flag = flag.or_else(|| context(ContextKind::InvalidSubcommand)).unwrap_or_else(|| "arguments".to_owned());
    let value = context(ContextKind::InvalidValue).unwrap_or_default();
    let suggested = context(ContextKind::SuggestedArg).or_else(|| context(ContextKind::SuggestedSubcommand));
    let instead = suggested.map_or_else(|| "see --help".to_owned(), |name| format!("did you mean {name}?"));
    match error.kind() {
        ErrorKind::UnknownArgument => format!("{flag}: unknown argument: {instead}"),
        ErrorKind::InvalidSubcommand => format!("{flag}: unknown command: {instead}"),
        ErrorKind::InvalidValue if value.is_empty() => format!("{flag}: a value is missing: see --help"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let known =
                context(ContextKind::ValidValue).map_or_else(|| "see --help".into(), |known| format!("give {known}"));
            format!("{flag}: '{value}' cannot be used: {known}")
        }
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => format!("{flag}: takes no value: see --help"),
        ErrorKind::ArgumentConflict => {
            let prior = context(ContextKind::PriorArg).unwrap_or_else(|| "another argument".into());
            match prior.split(' ').next().unwrap_or_default() {
                prior if prior == flag => format!("{flag}: is given twice: give it once"),
                prior => format!("{flag}: cannot be used together with {prior}"),
            }
        }
        ErrorKind::MissingRequiredArgument => format!("{flag}: is missing: see --help"),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the main job in ten seconds: generator, proxy and two sinks in this process.
    Demo(Demo),
    /// Send numbered datagrams from many sources, paced or flat out.
    Load(Load),
    /// Count and check what arrives: lost, duplicated, reordered, how late.
    Sink(Sink),
    /// Send probe lines to a running proxy and prove that they went to every target.
    Check(Check),
    /// Ask a running proxy whether it is ready (or live); for images without a shell.
    Healthcheck(Healthcheck),
    /// Install and control the Windows service.
    Service(service::Service),
    /// Read Kubernetes manifests (YAML or JSON) and write them with the sidecar in each pod template.
    Inject(Inject),
    /// Read Kubernetes manifests and write them without the sidecar that inject put there.
    Uninject(Uninject),
}

/// The flags of the proxy.
#[derive(Clone, Debug, Args)]
pub struct Proxy {
    /// Address to receive on: :PORT, IP:PORT, unixgram:///path?mode=0666, \\.\pipe\NAME (Windows); may repeat.
    #[arg(
        long,
        env = "UDP_PROXY_SOURCE",
        hide_env = true,
        value_name = "ADDRESS",
        default_value = ":2203",
        help_heading = "Datagrams"
    )]
    pub source: Vec<String>,
    /// Where each datagram is sent: [NAME=]ADDRESS[?option=value&…], see below; may repeat, up to 64.
    #[arg(long, env = "UDP_PROXY_TARGET", hide_env = true, value_name = "TARGET", help_heading = "Datagrams")]
    pub target: Vec<String>,
    /// Largest datagram in bytes; a larger one is counted as truncated and not forwarded.
    #[arg(
        long,
        env = "UDP_PROXY_BUFFER",
        hide_env = true,
        value_name = "SIZE",
        default_value = "65535",
        help_heading = "Datagrams"
    )]
    pub buffer: String,
    /// Datagrams that each target may queue while the kernel refuses them.
    #[arg(
        long,
        env = "UDP_PROXY_CHANNEL_SIZE",
        hide_env = true,
        value_name = "COUNT",
        default_value = "4096",
        help_heading = "Datagrams"
    )]
    pub channel_size: String,
    /// Bytes that each target may queue.
    #[arg(
        long,
        env = "UDP_PROXY_QUEUE_BYTES",
        hide_env = true,
        value_name = "SIZE",
        default_value = "4MiB",
        help_heading = "Datagrams"
    )]
    pub queue_bytes: String,
    /// Receive buffer to ask of the kernel for each listening socket; never below the kernel's default.
    #[arg(
        long,
        env = "UDP_PROXY_READBUFFER",
        hide_env = true,
        value_name = "SIZE",
        default_value = "4MiB",
        help_heading = "Datagrams"
    )]
    pub readbuffer: String,

    /// Data threads [default: the CPUs this container may use, at most 4].
    #[arg(long, env = "UDP_PROXY_SHARDS", hide_env = true, value_name = "COUNT", help_heading = "Process")]
    pub shards: Option<String>,
    /// How datagrams are moved: auto (batches where the platform has them) or portable (one call each).
    #[arg(
        long,
        env = "UDP_PROXY_ENGINE",
        hide_env = true,
        value_name = "ENGINE",
        default_value = "auto",
        help_heading = "Process"
    )]
    pub engine: String,
    /// Refuse to start when another process has the port (default: share it, for a handover).
    #[arg(long, env = "UDP_PROXY_EXCLUSIVE", hide_env = true, value_parser = BoolishValueParser::new(), help_heading = "Process")]
    pub exclusive: bool,
    /// Serve on for this long after SIGTERM, no longer ready, before draining.
    #[arg(
        long,
        env = "UDP_PROXY_SHUTDOWN_DELAY",
        hide_env = true,
        value_name = "TIME",
        default_value = "0s",
        help_heading = "Process"
    )]
    pub shutdown_delay: String,
    /// Flush queues for at most this long when draining.
    #[arg(
        long,
        env = "UDP_PROXY_DRAIN_TIMEOUT",
        hide_env = true,
        value_name = "TIME",
        default_value = "5s",
        help_heading = "Process"
    )]
    pub drain_timeout: String,

    /// Admin HTTP: IP:PORT, :PORT, unix:///path; may repeat, up to 4; or off.
    #[arg(long, env = "UDP_PROXY_ADMIN", hide_env = true, value_name = "ADDRESS", default_value = DEFAULT_ADMIN, help_heading = "Seeing it")]
    pub admin: Vec<String>,
    /// Ready when any target is usable, or only when all are.
    #[arg(
        long,
        env = "UDP_PROXY_READY",
        hide_env = true,
        value_name = "RULE",
        default_value = "any",
        help_heading = "Seeing it"
    )]
    pub ready: String,
    /// Send self-metrics as StatsD: host:port, unixgram:///path, or self (through the proxy to all targets).
    #[arg(long, env = "UDP_PROXY_METRICS_STATSD", hide_env = true, value_name = "ADDRESS", help_heading = "Seeing it")]
    pub metrics_statsd: Option<String>,
    /// First part of each self-metric's name.
    #[arg(
        long,
        env = "UDP_PROXY_METRICS_PREFIX",
        hide_env = true,
        value_name = "NAME",
        default_value = "udp_proxy",
        help_heading = "Seeing it"
    )]
    pub metrics_prefix: String,
    /// How often self-metrics are sent.
    #[arg(
        long,
        env = "UDP_PROXY_METRICS_INTERVAL",
        hide_env = true,
        value_name = "TIME",
        default_value = "10s",
        help_heading = "Seeing it"
    )]
    pub metrics_interval: String,
    /// No self-metrics at all.
    #[arg(long, env = "UDP_PROXY_NO_METRICS", hide_env = true, value_parser = BoolishValueParser::new(), help_heading = "Seeing it")]
    pub no_metrics: bool,
    /// The log's flags.
    #[command(flatten)]
    pub log: Log,
}

/// Where a proxy's admin server is by default.
pub const DEFAULT_ADMIN: &str = "127.0.0.1:2204";

/// The flags of the log.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// Least level that is logged: error, warn, info, debug, trace, off.
    #[arg(
        long,
        env = "UDP_PROXY_LOG_LEVEL",
        hide_env = true,
        value_name = "LEVEL",
        default_value = "info",
        help_heading = "Seeing it"
    )]
    pub log_level: String,
    /// Log lines as text or json.
    #[arg(
        long,
        env = "UDP_PROXY_LOG_FORMAT",
        hide_env = true,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Seeing it"
    )]
    pub log_format: String,
}

/// `demo`.
#[derive(Clone, Debug, Args)]
pub struct Demo {}

/// `healthcheck`.
#[derive(Clone, Debug, Args)]
pub struct Healthcheck {
    /// The proxy's admin address: IP:PORT, :PORT or unix:///path; of several the first is asked.
    #[arg(long, env = "UDP_PROXY_ADMIN", hide_env = true, value_name = "ADDRESS", default_value = DEFAULT_ADMIN)]
    pub admin: String,
    /// Ask whether it is live instead of ready.
    #[arg(long)]
    pub live: bool,
    /// Give up after this long.
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub timeout: String,
}

/// `load`.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Where to send: host:port or unixgram:///path.
    #[arg(long, value_name = "ADDRESS")]
    pub target: String,
    /// Datagrams a second: a number such as 100k, or max.
    #[arg(long, value_name = "RATE", default_value = "10k")]
    pub rate: String,
    /// How long to send.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub duration: String,
    /// Stop after this many datagrams.
    #[arg(long, value_name = "COUNT")]
    pub count: Option<String>,
    /// Bytes of a datagram: one size, or a range such as 30..150.
    #[arg(long, value_name = "SIZE", default_value = "30..150")]
    pub size: String,
    /// Sources: sockets that send in turn.
    #[arg(long, value_name = "COUNT", default_value = "16")]
    pub flows: String,
    /// statsd (numbered gauge lines) or raw (bytes that are no text).
    #[arg(long, value_name = "FORMAT", default_value = "statsd")]
    pub format: String,
    /// The same seed gives the same sizes.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Datagrams that one source sends at a time [default: by the rate, 1 to 64].
    #[arg(long, value_name = "COUNT")]
    pub burst: Option<String>,
    /// One JSON document at the end instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `sink`.
#[derive(Clone, Debug, Args)]
pub struct Sink {
    /// Where to receive, as --source of the proxy; may repeat.
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub source: Vec<String>,
    /// End after this long [default: at Ctrl-C].
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// End when nothing has come for this long, once something has.
    #[arg(long, value_name = "TIME")]
    pub idle: Option<String>,
    /// End when this many numbered datagrams have arrived; exit code 1 if they have not by the end.
    #[arg(long, value_name = "COUNT")]
    pub expect: Option<String>,
    /// Receive buffer to ask of the kernel.
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub readbuffer: String,
    /// Wait this long after each batch: a slow receiver, to see what one does.
    #[arg(long, value_name = "TIME", default_value = "0")]
    pub delay: String,
    /// One JSON document at the end instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `check`.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// The proxy's admin address: IP:PORT, host:PORT (each address of the name is a proxy), :PORT or unix:///path.
    #[arg(long, env = "UDP_PROXY_ADMIN", hide_env = true, value_name = "ADDRESS", default_value = DEFAULT_ADMIN)]
    pub admin: String,
    /// Where one proxy receives [default: the first listener that /status names, at the admin's host].
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<String>,
    /// Probe lines to send.
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub count: String,
    /// Give each proxy up after this long.
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub timeout: String,
}
