//! `check`: sends probe lines to a running proxy and proves by its `/status` that each went to every target.
//!
//! A probe line is a counter of zero (`udp_proxy.check:0|c`): it passes through real systems and changes nothing.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::{http, usage};
use crate::app::{self, AppError};
use crate::cli;
use crate::config::target::Address;
use crate::config::{self, Admin, units};
use crate::control::resolver;
use crate::sys::bind;
use crate::sys::{Endpoint, Io, Native, Sender, Sockets};

const PROBE: &[u8] = b"udp_proxy.check:0|c";
/// Between two looks at `/status`.
const PAUSE: Duration = Duration::from_millis(20);
/// Probe lines that are sent at once: what every receive buffer holds.
const BURST: u64 = 50;

/// Sends, looks, and says for each target whether the probes arrived there. Exit code 0 when all did.
///
/// # Errors
/// When an argument cannot be used.
pub fn main(args: &cli::Check) -> Result<ExitCode, AppError> {
    let count = units::count(&args.count, 1..=1_000_000).map_err(|p| usage("--count", p))? as u64;
    let longest = Duration::from_secs(3600);
    let timeout =
        units::duration(&args.timeout, Duration::from_millis(1)..=longest).map_err(|p| usage("--timeout", p))?;
    app::block_on(async {
        let admin = admin(&args.admin).await?;
        let source = args.source.as_deref().map(Address::parse).transpose().map_err(|p| usage("--source", p))?;
        let checked = tokio::time::timeout(timeout, check(&admin, source, count, timeout)).await;
        let (text, code) = match checked {
            Ok(Ok(text)) => (text, ExitCode::SUCCESS),
            Ok(Err(why)) => (why, ExitCode::FAILURE),
            Err(_) => (format!("no proof within {} ms: see /status", timeout.as_millis()), ExitCode::FAILURE),
        };
        println!("{text}");
        Ok(code)
    })
}

/// The admin address, which may be a name here: a Service, in a cluster.
async fn admin(raw: &str) -> Result<Admin, AppError> {
    if let Ok(Some(admin)) = config::admin("--admin", raw) {
        return Ok(admin);
    }
    let address = Address::parse(raw)
        .map_err(|_| usage("--admin", format!("'{raw}' is no address: give host:port, :port or unix:///path")))?;
    match resolver::once(&address, &resolver::system()).await {
        Ok(Endpoint::Udp(address)) => Ok(Admin::Tcp(address)),
        Ok(Endpoint::Unix(_)) => {
            Err(usage("--admin", format!("'{raw}' is a datagram socket: give host:port, :port or unix:///path")))
        }
        Err(why) => Err(usage("--admin", format!("'{raw}' does not resolve: {why}"))),
    }
}

/// What `/status` says of the way of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counts {
    received: u64,
    targets: Vec<(String, u64, u64)>,
}

async fn check(admin: &Admin, source: Option<Address>, count: u64, timeout: Duration) -> Result<String, String> {
    let status = status(admin, timeout).await?;
    let before = counts(&status)?;
    let endpoint = match source {
        Some(address) => resolver::once(&address, &resolver::system()).await?,
        None => listener(admin, &status)?,
    };
    let mut io = Native::open().map_err(|e| e.to_string())?;
    let mut sender = io.connect(&endpoint).map_err(|e| format!("{endpoint}: {e}"))?;
    let mut sent = 0;
    loop {
        let now = counts(&self::status(admin, timeout).await?)?;
        let received = now.received.saturating_sub(before.received);
        if sent < count && received >= sent {
            for _ in 0..BURST.min(count - sent) {
                let result = sender.send(&[IoSlice::new(PROBE)]);
                if let Some(error) = result.error {
                    return Err(format!("{endpoint}: {error}"));
                }
                sent += 1;
            }
        } else if let Some(verdict) = (sent == count).then(|| verdict(&before, &now, count, &endpoint)).flatten() {
            return verdict;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The verdict, once every probe has ended at every target.
fn verdict(before: &Counts, now: &Counts, count: u64, endpoint: &Endpoint) -> Option<Result<String, String>> {
    if now.received.saturating_sub(before.received) < count {
        return None;
    }
    let mut lines = vec![format!("{count} probe lines received at {endpoint}")];
    let mut lost = false;
    for ((name, sent_before, dropped_before), (_, sent, dropped)) in before.targets.iter().zip(&now.targets) {
        let (sent, dropped) = (sent - sent_before, dropped - dropped_before);
        if sent + dropped < count {
            return None;
        }
        lost |= dropped > 0;
        lines.push(match dropped {
            0 => format!("{name}: ok, {sent} sent"),
            _ => format!("{name}: {dropped} dropped, {sent} sent"),
        });
    }
    let text = lines.join("\n");
    Some(if lost { Err(text) } else { Ok(text) })
}

async fn status(admin: &Admin, timeout: Duration) -> Result<Value, String> {
    let (code, body) = http::get(admin, "/status", timeout).await?;
    match serde_json::from_str(&body) {
        Ok(status) if code == 200 => Ok(status),
        _ => Err(format!("/status answers {code}, and not with a proxy's JSON")),
    }
}

fn counts(status: &Value) -> Result<Counts, String> {
    let books = &status["books"];
    let number = |value: &Value| value.as_u64().ok_or_else(|| "/status is not that of a udp-proxy".to_owned());
    let targets = status["targets"].as_array().into_iter().flatten().map(|target| {
        let name = target["name"].as_str().unwrap_or("?").to_owned();
        Ok((name, number(&target["sent"])?, number(&target["dropped"])?))
    });
    Ok(Counts { received: number(&books["received"])?, targets: targets.collect::<Result<_, String>>()? })
}

/// The first listener that `/status` names and a datagram can be sent to. A wildcard is reached where the admin
/// server is.
fn listener(admin: &Admin, status: &Value) -> Result<Endpoint, String> {
    let mut addresses = status["listeners"].as_array().into_iter().flatten().filter_map(|l| l["address"].as_str());
    let address = addresses.find(|address| !address.starts_with(r"\\.\pipe\"));
    let address = address.ok_or("/status names no listener that takes datagrams")?;
    if let Some(path) = address.strip_prefix("unixgram://") {
        return Ok(Endpoint::Unix(path.into()));
    }
    let address: SocketAddr = address.parse().map_err(|_| format!("/status names a listener '{address}'"))?;
    Ok(Endpoint::Udp(match admin {
        Admin::Tcp(admin) if address.ip().is_unspecified() && !admin.ip().is_unspecified() => {
            (admin.ip(), address.port()).into()
        }
        _ => bind::reachable(address),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(received: u64, targets: &[(u64, u64)]) -> Counts {
        let targets = targets.iter().map(|(sent, dropped)| ("t".to_owned(), *sent, *dropped)).collect();
        Counts { received, targets }
    }

    #[test]
    fn the_verdict_waits_for_every_target_and_tells_of_loss() {
        let endpoint = Endpoint::Udp("127.0.0.1:1".parse().unwrap());
        let before = of(5, &[(5, 0), (4, 1)]);
        let after = |targets| verdict(&before, &of(15, targets), 10, &endpoint);
        assert_eq!(after(&[(15, 0), (13, 1)]), None, "one probe is still queued");
        assert!(after(&[(15, 0), (14, 1)]).unwrap().is_ok());
        assert!(after(&[(15, 0), (13, 2)]).unwrap().unwrap_err().contains("1 dropped"));
    }

    #[test]
    fn a_wildcard_listener_is_reached_where_the_admin_is() {
        let status = serde_json::json!({"listeners": [{"address": "[::]:8125"}]});
        let at = |admin: &str| listener(&Admin::Tcp(admin.parse().unwrap()), &status).unwrap().to_string();
        assert_eq!(at("10.0.0.7:2204"), "10.0.0.7:8125");
        assert_eq!(at("[::]:2204"), "[::1]:8125");
    }

    #[test]
    fn a_pipe_takes_no_datagrams() {
        let admin = Admin::Tcp("127.0.0.1:2204".parse().unwrap());
        let pipe = serde_json::json!({"address": r"\\.\pipe\x"});
        let both = serde_json::json!({"listeners": [pipe.clone(), {"address": "127.0.0.1:8125"}]});
        assert_eq!(listener(&admin, &both).unwrap().to_string(), "127.0.0.1:8125");
        let problem = listener(&admin, &serde_json::json!({"listeners": [pipe]})).unwrap_err();
        assert!(problem.contains("no listener that takes datagrams"), "{problem}");
    }
}
