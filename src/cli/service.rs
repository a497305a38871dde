//! `service`: what clap knows of the Windows service.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// `service`.
#[derive(Clone, Debug, Args)]
pub struct Service {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The subcommands of `service`.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// What the service manager starts: settings from the registry, then the flags given here, which win.
    Run {
        /// The proxy's flags.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<OsString>,
    },
    /// Create the service and store its settings, as the MSI does.
    Install {
        /// What it is to run with.
        #[command(flatten)]
        settings: Settings,
        /// The account it runs as: one that needs no password (virtual, built-in or group managed).
        #[arg(long, value_name = "ACCOUNT", default_value = r"NT SERVICE\udp-proxy")]
        account: String,
    },
    /// Give the installed service what an MSI cannot: recovery, delayed start, description, event source.
    Configure {
        /// The account that it is to run as from now on; without this it keeps the one it has.
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
    /// Stop and delete the service, its settings and its event source.
    Uninstall,
    /// Start it, and wait until it serves.
    Start,
    /// Stop it, and wait until it has drained.
    Stop,
    /// Say what state it is in; exit code 0 when it is running.
    Status,
    /// Check settings without storing them; exit code 2 and one line when they cannot work.
    Validate(Settings),
}

/// The settings that are stored for the service. An empty one counts as not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Settings {
    /// As --source: addresses to receive on, separated by spaces or commas.
    #[arg(long, value_name = "ADDRESSES")]
    pub source: Option<String>,
    /// As --target: where each datagram is sent, separated by spaces or commas.
    #[arg(long, alias = "target", value_name = "TARGETS")]
    pub targets: Option<String>,
    /// As --admin: where admin HTTP listens, separated by spaces or commas.
    #[arg(long, value_name = "ADDRESSES")]
    pub admin: Option<String>,
    /// As --log-level: least level that is logged.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Any other flags of the proxy, as one Windows command line.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub extra_flags: Option<String>,
}
