//! The flags of `inject` and `uninject`.

use clap::Args;

/// `inject`. Annotations of a pod template go before these flags.
#[derive(Clone, Debug, Args)]
pub struct Inject {
    /// Where the sidecar sends, as --target of the proxy, or $(HOST_IP):PORT; annotation udp-proxy/targets; may repeat.
    #[arg(long, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Port on 127.0.0.1 where the sidecar receives; annotation udp-proxy/port.
    #[arg(long, value_name = "PORT", default_value = "8125")]
    pub port: String,
    /// The sidecar's image.
    #[arg(long, value_name = "IMAGE", default_value = DEFAULT_IMAGE)]
    pub image: String,
    /// The sidecar's log level; annotation udp-proxy/log-level.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// CPU to reserve, empty for none; annotation udp-proxy/cpu-request.
    #[arg(long, value_name = "AMOUNT", default_value = "10m")]
    pub cpu_request: String,
    /// Memory to reserve, empty for none; annotation udp-proxy/memory-request.
    #[arg(long, value_name = "AMOUNT", default_value = "16Mi")]
    pub memory_request: String,
    /// Most CPU, empty for no limit; annotation udp-proxy/cpu-limit.
    #[arg(long, value_name = "AMOUNT", default_value = "")]
    pub cpu_limit: String,
    /// Most memory, empty for no limit; annotation udp-proxy/memory-limit.
    #[arg(long, value_name = "AMOUNT", default_value = "64Mi")]
    pub memory_limit: String,
}

/// The image of this version.
pub const DEFAULT_IMAGE: &str = concat!("ghcr.io/udp-proxy/udp-proxy:", env!("CARGO_PKG_VERSION"));

/// `uninject`.
#[derive(Clone, Debug, Args)]
pub struct Uninject {}
