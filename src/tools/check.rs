//! `check`: sends probe lines to a running proxy and proves by its `/status` that each went to every target. Where
//! the admin's name has several addresses, each of them is a proxy, and one after the other is checked.
//!
//! A probe line is a counter of zero (`udp_proxy.check:0|c`): it passes through real systems and changes nothing.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::{http, usage};
use crate::app::{self, AppError};
use crate::cli;
use crate::config::target::Address;
use crate::config::{Admin, admin, units};
use crate::control::resolver::{self, Lookup};
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
    let passed = app::block_on(run(args, &resolver::system(), |line| println!("{line}")))?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same, asking `lookup` for names and giving each line to `say`. Whether every proxy passed.
///
/// # Errors
/// When an argument cannot be used.
pub async fn run(args: &cli::Check, lookup: &Lookup, mut say: impl FnMut(&str)) -> Result<bool, AppError> {
    let count = units::count(&args.count, 1..=1_000_000).map_err(|p| usage("--count", p))? as u64;
    let longest = Duration::from_secs(3600);
    let timeout =
        units::duration(&args.timeout, Duration::from_millis(1)..=longest).map_err(|p| usage("--timeout", p))?;
    let source = args.source.as_deref().map(Address::parse).transpose().map_err(|p| usage("--source", p))?;
    let word = admin::first(&args.admin);
    let admins = admins(word, lookup).await?;
    if admins.len() > 1 && source.is_some() {
        let several = format!("'{word}' has {} addresses, and which proxy receives there cannot be told", admins.len());
        return Err(usage("--source", format!("{several}: leave it out, or give --admin one proxy's address")));
    }
    let mut passed = 0;
    for admin in &admins {
        let proof = check(admin, source.as_ref(), count, timeout, lookup);
        let proof = tokio::time::timeout(timeout, proof).await;
        let proof = proof.unwrap_or_else(|_| Err(format!("no proof within {} ms: see /status", timeout.as_millis())));
        passed += usize::from(proof.is_ok());
        let (Ok(text) | Err(text)) = proof;
        if admins.len() == 1 {
            say(&text);
        } else {
            say(&format!("proxy {admin}\n  {}", text.replace('\n', "\n  ")));
        }
    }
    if admins.len() > 1 {
        say(&format!("{passed} of {} proxies passed", admins.len()));
    }
    Ok(passed == admins.len())
}

/// The admin address of each proxy. It may be a name here: a headless Service, in a cluster, has an address for each.
async fn admins(word: &str, lookup: &Lookup) -> Result<Vec<Admin>, AppError> {
    const RIGHT: &str = "give host:port, :port or unix:///path";
    let address = match (Admin::parse(word), Address::parse(word)) {
        (Ok(admin), _) => return Ok(vec![admin]),
        (_, Ok(address)) => address,
        _ => return Err(usage("--admin", format!("'{word}' is no address: {RIGHT}"))),
    };
    let endpoints = resolver::all(&address, lookup).await;
    let endpoints = endpoints.map_err(|why| usage("--admin", format!("'{word}' does not resolve: {why}")))?;
    let mut proxies = BTreeSet::new();
    for endpoint in endpoints {
        match endpoint {
            Endpoint::Udp(address) => proxies.insert(address),
            Endpoint::Unix(_) => return Err(usage("--admin", format!("'{word}' is a datagram socket: {RIGHT}"))),
        };
    }
    Ok(proxies.into_iter().map(Admin::Tcp).collect())
}

/// What `/status` says of the way of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counts {
    received: u64,
    targets: Vec<(String, u64, u64)>,
}

async fn check(
    admin: &Admin,
    source: Option<&Address>,
    count: u64,
    timeout: Duration,
    lookup: &Lookup,
) -> Result<String, String> {
    let status = status(admin, timeout).await?;
    let before = counts(&status)?;
    let endpoint = match source {
        Some(address) => resolver::once(address, lookup).await?,
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
