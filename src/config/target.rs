//! `--target`: `[NAME=]ADDRESS[?option=value&…]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::limits::{Overflow, PackLimits, QueueLimits};
use super::units;

/// How often a name is resolved again unless `?resolve=` says otherwise.
const RESOLVE: Duration = Duration::from_secs(30);
/// Never faster than this.
const RESOLVE_LEAST: Duration = Duration::from_secs(1);

/// One configured target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is called in metrics, logs and `/status`; its address unless a name was given.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// How much may wait for it, over all shards.
    pub queue: QueueLimits,
    /// Whether and how StatsD datagrams are joined for it.
    pub pack: Option<PackLimits>,
    /// How often its name is resolved again.
    pub resolve: Duration,
}

/// Where a target is, before names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host by name or number, and a UDP port.
    Udp {
        /// A name, or an IP address without brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// A Unix datagram socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `host:port`, `udp://host:port`, `unixgram:///path`.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn parse(word: &str) -> Result<Self, String> {
        const RIGHT: &str = "give host:port, udp://host:port or unixgram:///path";
        if let Some(path) = word.strip_prefix("unixgram://") {
            return Ok(Address::Unix(unix_path(path)?));
        }
        let word = word.strip_prefix("udp://").unwrap_or(word);
        if let Some((scheme, _)) = word.split_once("://") {
            return Err(format!("scheme '{scheme}' is unknown: {RIGHT}"));
        }
        let (host, port) = word.rsplit_once(':').ok_or_else(|| format!("it has no port: {RIGHT}"))?;
        let port = match digits(port).and_then(|port| port.parse().ok()) {
            Some(0) | None => return Err(format!("'{port}' is not a port: give 1 to 65535")),
            Some(port) => port,
        };
        Ok(Address::Udp { host: host_part(host)?, port })
    }

    /// The address as a number, if it needs no look-up.
    pub fn literal(&self) -> Option<crate::sys::Endpoint> {
        match self {
            Address::Unix(path) => Some(crate::sys::Endpoint::Unix(path.clone())),
            Address::Udp { host, port } => {
                let ip: IpAddr = host.parse().ok()?;
                Some(crate::sys::Endpoint::Udp((ip, *port).into()))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Udp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Udp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unixgram://{}", path.display()),
        }
    }
}

impl Target {
    /// Reads `[NAME=]ADDRESS[?option=value&…]`; `queue` holds where the options say nothing.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn parse(word: &str, queue: QueueLimits) -> Result<Self, String> {
        let (name, rest) = match word.split_once('=') {
            // An address or an option may hold '=' too, but none of these stands in a name.
            Some((name, rest)) if !name.contains([':', '/', '?', '[']) => (Some(name), rest),
            _ => (None, word),
        };
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let address = Address::parse(address)?;
        let name = match name {
            Some(name) => checked_name(name)?,
            None => address.to_string(),
        };
        let mut target = Target { name, address, queue, pack: None, resolve: RESOLVE };
        target.set_options(query)?;
        Ok(target)
    }

    fn set_options(&mut self, query: &str) -> Result<(), String> {
        let mut linger = None;
        let mut seen: Vec<&str> = Vec::new();
        for option in options(query) {
            let (name, value) = option?;
            if seen.contains(&name) {
                return Err(format!("option '{name}' is given twice"));
            }
            seen.push(name);
            let named = |problem: String| format!("option {name}: {problem}");
            match name {
                "queue" => self.queue.datagrams = units::count(value, 1..=10_000_000).map_err(named)?,
                "queue_bytes" => self.queue.bytes = units::size(value, 65_535..=units::two_to(34)).map_err(named)?,
                "overflow" => {
                    self.queue.overflow = match value {
                        "newest" => Overflow::Newest,
                        "oldest" => Overflow::Oldest,
                        _ => return Err(named(format!("'{value}' is unknown: give newest or oldest"))),
                    }
                }
                "resolve" => {
                    self.resolve = units::duration(value, RESOLVE_LEAST..=Duration::from_secs(86_400)).map_err(named)?
                }
                "pack" => {
                    self.pack = Some(PackLimits { bytes: pack_size(value).map_err(named)?, linger: Duration::ZERO })
                }
                "linger" => {
                    linger = Some(units::duration(value, Duration::ZERO..=Duration::from_secs(10)).map_err(named)?)
                }
                _ => {
                    return Err(format!(
                        "option '{name}' is unknown: there are queue, queue_bytes, overflow, resolve, pack, linger"
                    ));
                }
            }
        }
        match (linger, &mut self.pack) {
            (Some(linger), Some(pack)) => pack.linger = linger,
            (Some(_), None) => return Err("option linger needs pack: without packing nothing waits".into()),
            (None, _) => {}
        }
        Ok(())
    }
}

/// `pack=`: bytes, or one of the usual sizes by name.
fn pack_size(value: &str) -> Result<usize, String> {
    match value {
        // What fits one Ethernet frame behind IPv6, UDP and a tunnel's headers; what StatsD clients use.
        "mtu" => Ok(1432),
        // The Datadog agent's default dogstatsd_buffer_size.
        "agent" => Ok(8192),
        // The largest UDP payload over IPv4.
        "max" => Ok(65_507),
        _ => units::size(value, 64..=65_507).map_err(|p| format!("{p}; mtu, agent and max are known by name")),
    }
}

/// The `option=value` pairs behind a `?`.
pub(super) fn options(query: &str) -> impl Iterator<Item = Result<(&str, &str), String>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        pair.split_once('=')
            .filter(|(_, value)| !value.is_empty())
            .ok_or_else(|| format!("option '{pair}' has no value: write {}=…", pair.trim_end_matches('=')))
    })
}

/// The word, if it is digits only: Rust's numbers may begin with a '+', a port may not.
pub(super) fn digits(word: &str) -> Option<&str> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then_some(word)
}

/// An absolute path that fits a socket address.
pub(super) fn unix_path(path: &str) -> Result<PathBuf, String> {
    /// `sun_path` holds 108 bytes with its final zero (unix(7)); a rename needs room for a suffix.
    const LONGEST: usize = 96;
    if cfg!(windows) {
        return Err("Windows has no such sockets: give an address and a port".into());
    }
    if !path.starts_with('/') {
        return Err("a Unix socket needs an absolute path: three slashes, as in unixgram:///run/statsd.sock".into());
    }
    if path.len() > LONGEST || path.ends_with('/') || path.contains('\0') {
        return Err(format!("a Unix socket's path names a file and has at most {LONGEST} bytes"));
    }
    Ok(path.into())
}

fn host_part(host: &str) -> Result<String, String> {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(ip) if ip.is_unspecified() => Err("[::] is no address to send to: give the target's own".into()),
            Ok(ip) => Ok(ip.to_string()),
            Err(_) => Err(format!("'{inner}' is not an IPv6 address")),
        };
    }
    if host.contains(':') {
        return Err("an IPv6 address needs brackets, as in [::1]:8125".into());
    }
    if host.is_empty() {
        return Err("it has no host: a target is host:port".into());
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return match ip.is_unspecified() {
            true => Err("0.0.0.0 is no address to send to: give the target's own".into()),
            false => Ok(host.into()),
        };
    }
    // RFC 1123 and the underscore that service names use. Digits and dots alone are a mistyped address.
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.len() > 253 || !host.chars().all(valid) || host.starts_with(['-', '.']) || host.contains("..") {
        return Err(format!("'{host}' is not a host name or an IP address"));
    }
    if host.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(format!("'{host}' is not an IPv4 address"));
    }
    Ok(host.into())
}

fn checked_name(name: &str) -> Result<String, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if first && name.len() <= 63 && name.chars().all(valid) {
        return Ok(name.into());
    }
    Err(format!(
        "'{name}' cannot name a target: use up to 63 letters, digits, '-', '.' and '_', a letter or digit first"
    ))
}
