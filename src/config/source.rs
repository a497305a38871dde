//! `--source`: where datagrams are received.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::target::{digits, options, unix_path};

/// The mode of a Unix socket unless `?mode=` says otherwise: anyone may send.
const MODE: u32 = 0o666;

/// Where Windows has its named pipes.
const PIPES: &str = r"\\.\pipe\";

/// One address to receive on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A UDP address.
    Udp(SocketAddr),
    /// `:PORT`: every address of the host, IPv6 and IPv4 where it has both.
    Wildcard(u16),
    /// A Unix datagram socket.
    Unix {
        /// Where it stands.
        path: PathBuf,
        /// Its file mode.
        mode: u32,
    },
    /// A named pipe of Windows, of which every line is a datagram.
    Pipe(String),
}

impl Source {
    /// Reads `:PORT`, `IP:PORT`, `[IPV6]:PORT`, `udp://…`, `unixgram:///path?mode=0666`, `\\.\pipe\NAME`.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn parse(word: &str) -> Result<Self, String> {
        const RIGHT: &str = "give :PORT, IP:PORT, [IPV6]:PORT or unixgram:///path";
        if let Some(rest) = word.strip_prefix("unixgram://") {
            let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
            let path = unix_path(path)?;
            let mut mode = MODE;
            for option in options(query) {
                match option? {
                    ("mode", value) => {
                        mode = digits(value)
                            .and_then(|value| u32::from_str_radix(value, 8).ok())
                            .filter(|mode| *mode <= 0o777)
                            .ok_or_else(|| format!("mode '{value}' is not an octal file mode such as 0666"))?;
                    }
                    (name, _) => return Err(format!("option '{name}' is unknown: a Unix source has mode")),
                }
            }
            return Ok(Source::Unix { path, mode });
        }
        if let Some(name) = word.strip_prefix(PIPES) {
            return pipe(name).map(|()| Source::Pipe(word.to_owned()));
        }
        let word = word.strip_prefix("udp://").unwrap_or(word);
        if word.contains("://") {
            return Err(format!("its scheme is unknown: {RIGHT}"));
        }
        if word.contains('?') {
            return Err("a UDP source has no options".into());
        }
        if let Some(port) = word.strip_prefix(':') {
            let number = digits(port).and_then(|port| port.parse().ok());
            return number.map(Source::Wildcard).ok_or_else(|| format!("'{port}' is not a port: give 0 to 65535"));
        }
        let numeric = word.replace("localhost:", "127.0.0.1:");
        numeric.parse().map(Source::Udp).map_err(|_| match word.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_err() => format!("'{port}' is not a port of {host}: {RIGHT}"),
            Some(_) => format!("a listener needs an IP address, not a name: {RIGHT}"),
            None => format!("it has no port: {RIGHT}"),
        })
    }

    /// Whether it is a UDP address.
    pub fn is_udp(&self) -> bool {
        matches!(self, Source::Udp(_) | Source::Wildcard(_))
    }

    /// Whether both can never be bound by one process in a useful way.
    pub(super) fn overlaps(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Unix { path, .. }, Source::Unix { path: other, .. }) => path == other,
            (Source::Pipe(a), Source::Pipe(b)) => a.eq_ignore_ascii_case(b),
            (Source::Udp(a), Source::Udp(b)) => a == b && a.port() != 0,
            (Source::Wildcard(a), Source::Wildcard(b)) => a == b && *a != 0,
            (Source::Wildcard(p), Source::Udp(a)) | (Source::Udp(a), Source::Wildcard(p)) => {
                *p != 0 && a.port() == *p && a.ip().is_unspecified()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Udp(address) => write!(f, "{address}"),
            Source::Wildcard(port) => write!(f, ":{port}"),
            Source::Pipe(name) => f.write_str(name),
            Source::Unix { path, mode: MODE } => write!(f, "unixgram://{}", path.display()),
            Source::Unix { path, mode } => write!(f, "unixgram://{}?mode={mode:04o}", path.display()),
        }
    }
}

/// Checks what stands behind `\\.\pipe\`.
fn pipe(name: &str) -> Result<(), String> {
    /// The whole name has at most 256 characters.
    const LONGEST: usize = 256 - PIPES.len();
    if !cfg!(windows) {
        return Err("named pipes are for Windows: give an address and a port, or unixgram:///path".into());
    }
    if name.contains('?') {
        return Err("a named pipe has no options".into());
    }
    if name.is_empty() || name.chars().count() > LONGEST || name.contains('\\') {
        return Err(format!("a pipe's name has 1 to {LONGEST} characters and no backslash"));
    }
    Ok(())
}

/// Every address of the host with this port: IPv6 where the host has it (then IPv4 too), else IPv4.
pub fn wildcard(port: u16) -> SocketAddr {
    let ip = if crate::sys::bind::has_ipv6() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    };
    SocketAddr::new(ip, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!(Source::parse(":8125"), Ok(Source::Wildcard(8125)));
        assert_eq!(Source::parse("127.0.0.1:1"), Ok(Source::Udp("127.0.0.1:1".parse().unwrap())));
        assert_eq!(Source::parse("udp://[::1]:1"), Ok(Source::Udp("[::1]:1".parse().unwrap())));
        #[cfg(unix)]
        assert_eq!(
            Source::parse("unixgram:///run/dsd.socket?mode=0622"),
            Ok(Source::Unix { path: "/run/dsd.socket".into(), mode: 0o622 })
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_mode_is_octal_digits() {
        let problem = Source::parse("unixgram:///run/x?mode=+666").unwrap_err();
        assert!(problem.contains("not an octal file mode"), "{problem}");
    }

    #[cfg(windows)]
    #[test]
    fn there_are_no_unix_sockets() {
        let problem = Source::parse("unixgram:///run/x").unwrap_err();
        assert!(problem.contains("Windows has no such sockets"), "{problem}");
    }

    #[cfg(unix)]
    #[test]
    fn there_are_no_named_pipes() {
        let problem = Source::parse(r"\\.\pipe\datadog-dogstatsd").unwrap_err();
        assert!(problem.contains("named pipes are for Windows"), "{problem}");
    }

    #[cfg(windows)]
    #[test]
    fn a_named_pipe_is_read_and_shown() {
        let dogstatsd = Source::parse(r"\\.\pipe\datadog-dogstatsd").unwrap();
        assert_eq!(dogstatsd.to_string(), r"\\.\pipe\datadog-dogstatsd");
        assert!(dogstatsd.overlaps(&Source::parse(r"\\.\pipe\Datadog-DogStatsD").unwrap()), "case does not count");
        assert!(!dogstatsd.overlaps(&Source::parse(r"\\.\pipe\other").unwrap()) && !dogstatsd.is_udp());
        for (name, part) in
            [("", "1 to 247"), ("a\\b", "no backslash"), ("a?mode=1", "no options"), (&"x".repeat(248), "1 to 247")]
        {
            let problem = Source::parse(&format!(r"\\.\pipe\{name}")).unwrap_err();
            assert!(problem.contains(part), "{name}: {problem}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_source_is_shown_with_the_mode_it_was_given() {
        for word in ["unixgram:///run/dsd.socket", "unixgram:///run/dsd.socket?mode=0622"] {
            assert_eq!(Source::parse(word).unwrap().to_string(), word);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (word, part) in [
            (":70000", "not a port"),
            (":+8125", "not a port"),
            ("host:8125", "not a name"),
            ("1.2.3.4", "no port"),
            ("tcp://1.2.3.4:1", "scheme is unknown"),
            ("1.2.3.4:x", "not a port"),
            (":8125?mode=1", "no options"),
        ] {
            let problem = Source::parse(word).unwrap_err();
            assert!(problem.contains(part), "{word}: {problem}");
        }
    }
}
