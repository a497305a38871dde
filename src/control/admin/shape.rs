//! The JSON of `/healthz` and `/status`. Documented in `docs/admin.md`; a test compares its keys.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::locked;
use crate::config::limits::Overflow;
use crate::config::units::Shown;
use crate::config::{Engine, ReadyRule, StatsdOutlet};
use crate::control::health::{self, Condition};
use crate::control::{State, report, resolver};
use crate::stats::cells::{ListenerBooks, ListenerCell, ShardCell, TargetBooks, TargetCell, dropped};
use crate::stats::reason::DropReason;
use crate::stats::snapshot::{Snapshot, dropped_for};
use crate::sys::{host, resident_bytes};

/// `/healthz`: what state everything is in.
#[derive(Debug, Serialize)]
pub struct Health {
    phase: &'static str,
    pub(super) ready: bool,
    pub(super) live: bool,
    /// Why not; empty when ready and live.
    problems: Vec<String>,
    listeners: Vec<ListenerHealth>,
    targets: Vec<TargetHealth>,
}

#[derive(Debug, Serialize)]
struct ListenerHealth {
    address: String,
    state: &'static str,
    since_unix_seconds: f64,
    receive_errors: u64,
    kernel_drops: u64,
    receive_queue_bytes: u64,
}

#[derive(Debug, Serialize)]
struct TargetHealth {
    name: String,
    endpoint: Option<String>,
    state: &'static str,
    since_unix_seconds: f64,
    last_error: Option<String>,
    queued: u64,
    queue_capacity: usize,
}

impl Health {
    /// The state now.
    pub fn of(state: &State) -> Self {
        let snapshot = state.snapshot();
        let (ready, live) = (health::ready(state, &snapshot), health::live(state, &snapshot));
        let problems = [ready.as_ref().err(), live.as_ref().err()].into_iter().flatten().cloned().collect();
        let started = unix(state.started);
        let listeners = state.listeners.iter().zip(&snapshot.listeners).map(|(listener, books)| ListenerHealth {
            address: listener.address.to_string(),
            state: "bound",
            since_unix_seconds: started,
            receive_errors: books[ListenerCell::ReceiveErrors],
            kernel_drops: books[ListenerCell::KernelDrops],
            receive_queue_bytes: books[ListenerCell::QueueBytes],
        });
        Self {
            phase: state.lifecycle.phase().name(),
            ready: ready.is_ok(),
            live: live.is_ok(),
            problems,
            listeners: listeners.collect(),
            targets: target_health(state, &snapshot),
        }
    }
}

fn target_health(state: &State, snapshot: &Snapshot) -> Vec<TargetHealth> {
    let endpoints = state.table.load();
    let resolutions = resolver::resolutions(state);
    let health = locked(&state.health);
    let one = |i: usize| {
        let (target, books) = (&state.config.targets[i], &snapshot.targets[i]);
        let condition = Condition::of(books);
        // The kept state is a second old at most; one that is newer has just begun.
        let since = health.targets.get(i).filter(|kept| kept.0 == condition).and_then(|kept| kept.1);
        let resolve_error = resolutions[i].last_error.as_ref().map(|error| format!("resolve: {error}"));
        let send_error = Some(report::error_text(books[TargetCell::LastErrno])).filter(|text| !text.is_empty());
        TargetHealth {
            name: target.name.clone(),
            endpoint: endpoints[i].as_ref().map(ToString::to_string),
            state: condition.name(),
            since_unix_seconds: unix_of(state, since.unwrap_or(snapshot.at)),
            last_error: resolve_error.or(send_error),
            queued: books[TargetCell::Queued],
            queue_capacity: target.queue.datagrams,
        }
    };
    (0..state.config.targets.len()).map(one).collect()
}

/// `/status`: everything.
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    commit: &'static str,
    platform: &'static str,
    phase: &'static str,
    ready: bool,
    live: bool,
    uptime_seconds: f64,
    started_unix_seconds: f64,
    resident_bytes: Option<u64>,
    config: ConfigInForce,
    books: Totals,
    listeners: Vec<ListenerStatus>,
    targets: Vec<TargetStatus>,
    shards: Vec<ShardStatus>,
    host_udp: BTreeMap<&'static str, HostUdp>,
}

#[derive(Debug, Serialize)]
struct ConfigInForce {
    sources: Vec<String>,
    targets: Vec<String>,
    buffer: usize,
    readbuffer: usize,
    shards: usize,
    engine: &'static str,
    exclusive: bool,
    admin: Vec<String>,
    ready: &'static str,
    shutdown_delay: String,
    drain_timeout: String,
    metrics: bool,
    metrics_statsd: Option<String>,
    metrics_prefix: Option<String>,
    metrics_interval: Option<String>,
    log_level: String,
}

#[derive(Debug, Serialize)]
struct Totals {
    received: u64,
    targets: usize,
    sent: u64,
    queued: u64,
    discarded: u64,
    dropped: u64,
    kernel_drops: u64,
    balanced: bool,
}

#[derive(Debug, Serialize)]
struct ListenerStatus {
    address: String,
    shared: bool,
    buffer_asked: usize,
    buffer_granted: usize,
    received: u64,
    received_bytes: u64,
    received_per_second: f64,
    truncated: u64,
    batches: u64,
    receive_errors: u64,
    kernel_drops: u64,
    receive_queue_bytes: u64,
    receive_queue_high_bytes: u64,
}

#[derive(Debug, Serialize)]
struct TargetStatus {
    name: String,
    address: String,
    endpoint: Option<String>,
    state: &'static str,
    sent: u64,
    sent_bytes: u64,
    sent_per_second: f64,
    queued: u64,
    queued_bytes: u64,
    queued_high: u64,
    queue_capacity: usize,
    queue_bytes_capacity: usize,
    overflow: &'static str,
    discarded: u64,
    dropped: u64,
    dropped_per_second: f64,
    dropped_by_reason: BTreeMap<&'static str, u64>,
    datagrams_out: u64,
    pack: Option<usize>,
    linger: Option<String>,
    lines_in: u64,
    lines_out: u64,
    refusals: u64,
    last_error: Option<String>,
    resolve_failures: u64,
    address_changes: u64,
}

#[derive(Debug, Serialize)]
struct ShardStatus {
    turns: u64,
    cpu_seconds: f64,
    heartbeat_age_seconds: f64,
}

#[derive(Debug, Serialize)]
struct HostUdp {
    receive_buffer_errors: u64,
    in_errors: u64,
    send_buffer_errors: u64,
    no_ports: u64,
}

impl Status {
    /// Everything now.
    pub fn of(state: &State) -> Self {
        let snapshot = state.snapshot();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("UDP_PROXY_COMMIT"),
            platform: env!("UDP_PROXY_TARGET_TRIPLE"),
            phase: state.lifecycle.phase().name(),
            ready: health::ready(state, &snapshot).is_ok(),
            live: health::live(state, &snapshot).is_ok(),
            uptime_seconds: snapshot.at.saturating_duration_since(state.epoch).as_secs_f64(),
            started_unix_seconds: unix(state.started),
            resident_bytes: resident_bytes(),
            config: ConfigInForce::of(state),
            books: Totals::of(&snapshot),
            listeners: listeners(state, &snapshot),
            targets: targets(state, &snapshot),
            shards: shards(state, &snapshot),
            host_udp: host_udp(),
        }
    }
}

impl ConfigInForce {
    fn of(state: &State) -> Self {
        let config = &state.config;
        let metrics = config.metrics.as_ref();
        Self {
            sources: config.sources.iter().map(ToString::to_string).collect(),
            targets: config.targets.iter().map(|t| format!("{}={}", t.name, t.address)).collect(),
            buffer: config.buffer,
            readbuffer: config.readbuffer,
            shards: config.shards,
            engine: match config.engine {
                Engine::Auto => "auto",
                Engine::Portable => "portable",
            },
            exclusive: config.exclusive,
            admin: config.admin.iter().map(ToString::to_string).collect(),
            ready: match config.ready {
                ReadyRule::Any => "any",
                ReadyRule::All => "all",
            },
            shutdown_delay: Shown(config.shutdown_delay).to_string(),
            drain_timeout: Shown(config.drain_timeout).to_string(),
            metrics: metrics.is_some(),
            metrics_statsd: metrics.and_then(|m| m.statsd.as_ref()).map(|statsd| match statsd {
                StatsdOutlet::Own => "self".to_owned(),
                StatsdOutlet::To(address) => address.to_string(),
            }),
            metrics_prefix: metrics.map(|m| m.prefix.clone()),
            metrics_interval: metrics.map(|m| Shown(m.interval).to_string()),
            log_level: config.log.level.to_string(),
        }
    }
}

impl Totals {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            received: snapshot.received(),
            targets: snapshot.targets.len(),
            sent: snapshot.over_targets(TargetCell::Sent),
            queued: snapshot.over_targets(TargetCell::Queued),
            discarded: snapshot.over_targets(TargetCell::Discarded),
            dropped: snapshot.dropped(),
            kernel_drops: snapshot.kernel_drops(),
            balanced: snapshot.balanced(),
        }
    }
}

fn listeners(state: &State, snapshot: &Snapshot) -> Vec<ListenerStatus> {
    let rates = locked(&state.health).rates.received.clone();
    let one = |(i, books): (usize, &ListenerBooks)| ListenerStatus {
        address: state.listeners[i].address.to_string(),
        shared: state.listeners[i].shared,
        buffer_asked: state.listeners[i].buffer.asked,
        buffer_granted: state.listeners[i].buffer.granted,
        received: books[ListenerCell::Received],
        received_bytes: books[ListenerCell::ReceivedBytes],
        received_per_second: rates.get(i).copied().unwrap_or(0.0),
        truncated: books[ListenerCell::Truncated],
        batches: books[ListenerCell::Batches],
        receive_errors: books[ListenerCell::ReceiveErrors],
        kernel_drops: books[ListenerCell::KernelDrops],
        receive_queue_bytes: books[ListenerCell::QueueBytes],
        receive_queue_high_bytes: books[ListenerCell::QueueHighBytes],
    };
    snapshot.listeners.iter().enumerate().map(one).collect()
}

fn targets(state: &State, snapshot: &Snapshot) -> Vec<TargetStatus> {
    let resolutions = resolver::resolutions(state).clone();
    let rates = locked(&state.health).rates.clone();
    let one = |(health, i): (TargetHealth, usize)| {
        let target = &state.config.targets[i];
        let books: &TargetBooks = &snapshot.targets[i];
        TargetStatus {
            name: health.name,
            address: target.address.to_string(),
            endpoint: health.endpoint,
            state: health.state,
            sent: books[TargetCell::Sent],
            sent_bytes: books[TargetCell::SentBytes],
            sent_per_second: rates.sent.get(i).copied().unwrap_or(0.0),
            queued: books[TargetCell::Queued],
            queued_bytes: books[TargetCell::QueuedBytes],
            queued_high: books[TargetCell::QueuedHigh],
            queue_capacity: target.queue.datagrams,
            queue_bytes_capacity: target.queue.bytes,
            overflow: match target.queue.overflow {
                Overflow::Newest => "newest",
                Overflow::Oldest => "oldest",
            },
            discarded: books[TargetCell::Discarded],
            dropped: dropped(books),
            dropped_per_second: rates.dropped.get(i).copied().unwrap_or(0.0),
            dropped_by_reason: DropReason::ALL.map(|reason| (reason.name(), dropped_for(books, reason))).into(),
            datagrams_out: books[TargetCell::DatagramsOut],
            pack: target.pack.map(|pack| pack.bytes),
            linger: target.pack.map(|pack| Shown(pack.linger).to_string()),
            lines_in: books[TargetCell::LinesIn],
            lines_out: books[TargetCell::LinesOut],
            refusals: books[TargetCell::Refusals],
            last_error: health.last_error,
            resolve_failures: resolutions[i].failures,
            address_changes: resolutions[i].changes,
        }
    };
    target_health(state, snapshot).into_iter().zip(0..).map(one).collect()
}

fn shards(state: &State, snapshot: &Snapshot) -> Vec<ShardStatus> {
    let ages = health::heartbeat_ages(state.epoch, snapshot);
    let one = |(cells, age): (&[u64; ShardCell::COUNT], Duration)| ShardStatus {
        turns: cells[ShardCell::Turns],
        cpu_seconds: cells[ShardCell::CpuNanos] as f64 / 1e9,
        heartbeat_age_seconds: age.as_secs_f64(),
    };
    snapshot.shards.iter().zip(ages).map(one).collect()
}

fn host_udp() -> BTreeMap<&'static str, HostUdp> {
    let families = ["v4", "v6"].into_iter().zip(host::udp_counters());
    let told = families.filter_map(|(family, counters)| {
        let c = counters?;
        let host = HostUdp {
            receive_buffer_errors: c.receive_buffer_errors,
            in_errors: c.in_errors,
            send_buffer_errors: c.send_buffer_errors,
            no_ports: c.no_ports,
        };
        Some((family, host))
    });
    told.collect()
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A moment of the process's clock on the wall clock.
fn unix_of(state: &State, at: Instant) -> f64 {
    unix(state.started) + at.saturating_duration_since(state.epoch).as_secs_f64()
}
