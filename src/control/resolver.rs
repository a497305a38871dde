//! Names of targets: resolved at start, and again in the background for as long as the process lives.
//!
//! Always true: a failed look-up keeps the last good address; an address that is still among the answers is
//! kept; an endpoint that is one of our own listeners is never taken.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Bound, State};
use crate::config::target::{Address, Target};
use crate::sys::{Endpoint, Waker, bind};

/// How long the start waits for names.
pub const AT_START: Duration = Duration::from_secs(2);

/// Names are never asked for more often than this.
const LEAST: Duration = Duration::from_secs(1);

/// How a name becomes addresses. The program asks the system; tests answer themselves.
pub type Lookup = Arc<dyn Fn(String, u16) -> Answer + Send + Sync>;

/// The answer to a look-up.
pub type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// What is known of a target's name.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Look-ups that failed.
    pub failures: u64,
    /// Why the last look-up failed; `None` after one that did not.
    pub last_error: Option<String>,
    /// When an address was last found.
    pub resolved: Option<Instant>,
    /// How often the address changed.
    pub changes: u64,
}

/// Asks the system's resolver (`getaddrinfo`), on a blocking thread of the runtime.
pub fn system() -> Lookup {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

/// Resolves every target once, within [`AT_START`]; those without an answer start without an endpoint.
pub async fn at_start(targets: &[Target], lookup: &Lookup) -> Vec<(Option<Endpoint>, Resolution)> {
    let deadline = tokio::time::Instant::now() + AT_START;
    let lookups: Vec<_> = targets
        .iter()
        .map(|target| {
            let (address, lookup) = (target.address.clone(), lookup.clone());
            tokio::spawn(async move { resolve(&address, None, &lookup).await })
        })
        .collect();
    let mut found = Vec::with_capacity(targets.len());
    for lookup in lookups {
        let answer = match tokio::time::timeout_at(deadline, lookup).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(stopped)) => Err(stopped.to_string()),
            Err(_) => Err(format!("no answer within {} s", AT_START.as_secs())),
        };
        found.push(match answer {
            Ok(endpoint) => (Some(endpoint), Resolution { resolved: Some(Instant::now()), ..Resolution::default() }),
            Err(error) => (None, Resolution { failures: 1, last_error: Some(error), ..Resolution::default() }),
        });
    }
    found
}

/// Keeps target `index` resolved until the runtime ends. A number never changes, so it needs no task.
pub async fn follow(state: Arc<State>, index: usize, lookup: Lookup, wakers: Vec<Waker>) {
    let target = state.config.targets[index].clone();
    if target.address.literal().is_some() {
        return;
    }
    let mut pause = match resolutions(&state)[index].last_error {
        Some(_) => LEAST,
        None => target.resolve,
    };
    loop {
        tokio::time::sleep(jittered(pause)).await;
        let current = state.table.load()[index].clone();
        let answer =
            resolve(&target.address, current.as_ref(), &lookup).await.and_then(|endpoint| {
                match own_listener(&endpoint, state.listeners.iter().map(|l| &l.address)) {
                    Some(own) => Err(format!("it resolves to {endpoint}, which is our own listener {own}")),
                    None => Ok(endpoint),
                }
            });
        let mut resolutions = resolutions(&state);
        let resolution = &mut resolutions[index];
        match answer {
            Ok(endpoint) => {
                pause = target.resolve;
                resolution.resolved = Some(Instant::now());
                if resolution.last_error.take().is_some() {
                    tracing::info!(target_name = %target.name, %endpoint, "the target's name resolves again");
                }
                if current.as_ref() != Some(&endpoint) {
                    let was = current.map_or_else(|| "none".to_owned(), |e| e.to_string());
                    tracing::info!(target_name = %target.name, %was, now = %endpoint, "the target's address changed");
                    resolution.changes += 1;
                    state.table.set(index, endpoint);
                    wakers.iter().for_each(Waker::wake);
                }
            }
            Err(error) => {
                // A name that fails is asked again soon, then less and less often.
                pause = if resolution.last_error.is_none() { LEAST } else { (pause * 2).min(target.resolve) };
                resolution.failures += 1;
                if resolution.last_error.as_ref() != Some(&error) {
                    let kept = current.map_or_else(|| "none".to_owned(), |e| e.to_string());
                    tracing::warn!(target_name = %target.name, %error, %kept, "the target's name does not resolve");
                }
                resolution.last_error = Some(error);
            }
        }
    }
}

/// What is known of each target's name.
pub fn resolutions(state: &State) -> MutexGuard<'_, Vec<Resolution>> {
    state.resolution.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resolves `address` once.
///
/// # Errors
/// Why it has no address now.
pub async fn once(address: &Address, lookup: &Lookup) -> Result<Endpoint, String> {
    resolve(address, None, lookup).await
}

/// Every endpoint that `address` has now, in the order of the answer; never none.
///
/// # Errors
/// Why it has no address now.
pub async fn all(address: &Address, lookup: &Lookup) -> Result<Vec<Endpoint>, String> {
    if let Some(endpoint) = address.literal() {
        return Ok(vec![endpoint]);
    }
    let Address::Udp { host, port } = address else { unreachable!("a Unix address is literal") };
    let answers = lookup(host.clone(), *port).await.map_err(|error| error.to_string())?;
    let endpoints: Vec<_> = answers.into_iter().filter(|a| !a.ip().is_unspecified()).map(Endpoint::Udp).collect();
    if endpoints.is_empty() { Err("the answer holds no address".to_owned()) } else { Ok(endpoints) }
}

/// Asks for `address`; an endpoint that is still among the answers is kept.
async fn resolve(address: &Address, current: Option<&Endpoint>, lookup: &Lookup) -> Result<Endpoint, String> {
    let mut endpoints = all(address, lookup).await?;
    let kept = endpoints.iter().position(|endpoint| Some(endpoint) == current).unwrap_or(0);
    Ok(endpoints.swap_remove(kept))
}

/// The listener of ours that `endpoint` is, by any local address: sending there would loop for ever.
pub fn own_listener<'a>(endpoint: &Endpoint, listeners: impl IntoIterator<Item = &'a Bound>) -> Option<&'a Bound> {
    listeners.into_iter().find(|listener| match (endpoint, listener) {
        (Endpoint::Udp(to), Bound::Udp { address, dual }) => {
            let (to_ip, own_ip) = (destination(to.ip()), address.ip().to_canonical());
            let family = *dual || to_ip.is_ipv4() == own_ip.is_ipv4();
            let wildcard = family && own_ip.is_unspecified() && bind::is_local(to_ip);
            to.port() == address.port() && (to_ip == own_ip || wildcard)
        }
        (Endpoint::Unix(to), Bound::Unix(listens)) => same_file(to, listens),
        _ => false,
    })
}

/// Where a datagram to `ip` goes: to the unspecified address means to this host's loopback address (ip(7)),
/// and some name servers answer it for names that they block.
fn destination(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Whether two paths name one socket, however they are written.
fn same_file(a: &std::path::Path, b: &std::path::Path) -> bool {
    let resolved = |path: &std::path::Path| {
        let parent = path.parent()?.canonicalize().ok()?;
        Some(parent.join(path.file_name()?))
    };
    a == b
        || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
        || matches!((resolved(a), resolved(b)), (Some(a), Some(b)) if a == b)
}

/// `interval`, up to a tenth shorter or longer, so that many proxies do not ask at once.
fn jittered(interval: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0) % 201;
    interval.mul_f64(0.9 + random as f64 / 1000.0).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(address: &str) -> Endpoint {
        Endpoint::Udp(address.parse().unwrap())
    }

    fn bound(address: &str) -> [Bound; 1] {
        match address.strip_prefix("dual ") {
            Some(address) => [Bound::Udp { address: address.parse().unwrap(), dual: true }],
            None => [Bound::Udp { address: address.parse().unwrap(), dual: false }],
        }
    }

    #[test]
    fn our_own_listener_is_found_by_any_address() {
        for (to, listens, own) in [
            ("127.0.0.1:8125", "127.0.0.1:8125", true),
            ("127.0.0.1:8125", "0.0.0.0:8125", true),
            ("127.0.0.9:8125", "dual [::]:8125", true),
            ("127.0.0.9:8125", "[::]:8125", false),
            ("[::1]:8125", "0.0.0.0:8125", false),
            ("[::1]:8125", "[::]:8125", true),
            ("[::ffff:127.0.0.1]:8125", "127.0.0.1:8125", true),
            ("127.0.0.1:8126", "0.0.0.0:8125", false),
            ("198.51.100.1:8125", "0.0.0.0:8125", false),
            ("127.0.0.2:8125", "127.0.0.1:8125", false),
            ("0.0.0.0:8125", "127.0.0.1:8125", true),
            ("[::ffff:0.0.0.0]:8125", "127.0.0.1:8125", true),
            ("[::]:8125", "[::1]:8125", true),
            ("[::]:8125", "127.0.0.1:8125", false),
        ] {
            if !own && std::net::UdpSocket::bind(to).is_ok() && !to.starts_with(['[', '0']) && !to.starts_with("127.") {
                println!("skip: {to} → {listens}: this system binds an address that it does not have");
                continue;
            }
            assert_eq!(own_listener(&udp(to), &bound(listens)).is_some(), own, "{to} → {listens}");
        }
    }

    #[test]
    fn an_interval_is_jittered_but_never_below_a_second() {
        for _ in 0..1000 {
            assert!(jittered(Duration::from_secs(1)) >= Duration::from_secs(1));
            let thirty = jittered(Duration::from_secs(30));
            assert!((27.0..=33.01).contains(&thirty.as_secs_f64()), "{thirty:?}");
        }
    }
}
