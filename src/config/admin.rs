//! `--admin`: where the admin server listens, and where the tools ask it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::target::{digits, unix_path};
use super::{ConfigError, source, words};

/// The most addresses of the admin server.
pub const MAX_ADMINS: usize = 4;

const FLAG: &str = "--admin";
/// The word that means no address at all.
const OFF: &str = "off";

/// One address of the admin server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Admin {
    /// Reads `IP:PORT`, `:PORT`, `unix:///path`.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn parse(word: &str) -> Result<Self, ConfigError> {
        if word == OFF {
            return Err(wrong("'off' cannot be asked: give the proxy's admin address"));
        }
        if let Some(path) = word.strip_prefix("unix://") {
            return unix_path(path).map(Admin::Unix).map_err(|p| wrong(format!("'{word}': {p}")));
        }
        let address = match word.strip_prefix(':') {
            Some(port) => digits(port).and_then(|port| port.parse().ok()).map(source::wildcard),
            None => word.replace("localhost:", "127.0.0.1:").parse().ok(),
        };
        address
            .map(Admin::Tcp)
            .ok_or_else(|| wrong(format!("'{word}' is no address: give IP:PORT, :PORT, unix:///path or off")))
    }

    /// Whether one of the two already serves what the other would.
    fn overlaps(&self, other: &Admin) -> bool {
        let covers = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
        match (self, other) {
            (Admin::Tcp(a), Admin::Tcp(b)) if a.port() == b.port() && a.port() != 0 => {
                a.ip() == b.ip() || covers(a.ip(), b.ip()) || covers(b.ip(), a.ip())
            }
            (Admin::Unix(a), Admin::Unix(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Admin::Tcp(address) => write!(f, "{address}"),
            Admin::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// The proxy's admin addresses; none with `off`.
///
/// # Errors
/// The first word that cannot be used.
pub fn all(raw: &[String]) -> Result<Vec<Admin>, ConfigError> {
    let given: Vec<&str> = words(raw).collect();
    if given == [OFF] {
        return Ok(Vec::new());
    }
    if given.contains(&OFF) {
        return Err(wrong("'off' is given with others: give it alone, or addresses without it"));
    }
    let mut admins: Vec<Admin> = Vec::new();
    for word in given {
        let admin = Admin::parse(word)?;
        if let Some(other) = admins.iter().find(|other| other.overlaps(&admin)) {
            return Err(wrong(format!("'{word}' is given twice: {other} serves it already, name each address once")));
        }
        admins.push(admin);
    }
    match admins.len() {
        0 => Err(wrong("no address is given: give one, for example :2204, or off")),
        n if n > MAX_ADMINS => Err(wrong(format!("{n} are given: at most {MAX_ADMINS}"))),
        _ => Ok(admins),
    }
}

/// The word that the tools ask: the first of those that the proxy takes.
pub fn first(raw: &str) -> &str {
    raw.split(super::separates).find(|word| !word.is_empty()).unwrap_or_default()
}

fn wrong(problem: impl Into<String>) -> ConfigError {
    ConfigError::new(FLAG, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &str) -> Result<Vec<String>, String> {
        let admins = all(&[list.to_owned()]).map_err(|error| error.to_string())?;
        Ok(admins.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn several_are_kept_in_their_order() {
        assert_eq!(shown("127.0.0.2:1 localhost:2,\n [::1]:1 ").unwrap(), ["127.0.0.2:1", "127.0.0.1:2", "[::1]:1"]);
        assert_eq!(shown("off").unwrap(), [""; 0]);
        // The system gives each a port of its own.
        assert_eq!(shown("127.0.0.1:0 127.0.0.1:0").unwrap().len(), 2);
    }

    #[test]
    fn what_another_serves_already_is_refused() {
        for (list, twice) in [
            ("127.0.0.1:1 127.0.0.1:1", true),
            ("127.0.0.1:1 127.0.0.1:2", false),
            ("127.0.0.1:1 [::1]:1", false),
            ("[::]:1 127.0.0.1:1", true),
            ("127.0.0.1:1 [::]:1", true),
            ("0.0.0.0:1 127.0.0.1:1", true),
            ("0.0.0.0:1 [::1]:1", false),
            ("[::]:1 0.0.0.0:1", true),
        ] {
            match shown(list) {
                Ok(_) => assert!(!twice, "{list}"),
                Err(problem) => assert!(twice && problem.contains("twice"), "{list}: {problem}"),
            }
        }
    }

    #[test]
    fn the_first_is_asked() {
        assert_eq!(first(" unix:///a :2204"), "unix:///a");
        assert_eq!(first("name:1,name:2"), "name:1");
        assert_eq!(first(""), "");
    }
}
