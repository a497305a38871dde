//! Self-metrics: values of THE table through the `metrics` facade to two outlets, Prometheus and StatsD.
//!
//! Nothing here is on the way of a datagram: values are sums over the published books, taken when asked for.
//! Each outlet knows what it exported last, so that it can send growth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::{State, health, resolver};
use crate::stats::cells::{ListenerCell, SIZE_BUCKETS, ShardCell, size_bound, size_cell};
use crate::stats::reason::DropReason;
use crate::stats::snapshot::{Snapshot, dropped_for};
use crate::stats::table::{From, HostCounter, Kind, Process, Row, TABLE};
use crate::sys::{host, resident_bytes};

mod statsd;
pub use statsd::Statsd;

/// One value of one row.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its row of the table.
    pub row: &'static Row,
    /// The values of the row's labels, in their order.
    pub labels: Vec<String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The facade's key of this sample under `name`.
    fn key(&self, name: String) -> Key {
        let labels = self.row.labels().iter().zip(&self.labels).map(|(k, v)| Label::new(*k, v.clone()));
        Key::from_parts(name, labels.collect::<Vec<_>>())
    }
}

/// Every value there is now.
pub fn samples(state: &State) -> Vec<Sample> {
    let snapshot = state.snapshot();
    let mut samples = Vec::new();
    for row in TABLE {
        let mut add = |labels: Vec<String>, value: f64| samples.push(Sample { row, labels, value });
        collect(row.from, state, &snapshot, &mut add);
    }
    samples
}

fn collect(from: From, state: &State, snapshot: &Snapshot, add: &mut dyn FnMut(Vec<String>, f64)) {
    let listeners = || state.listeners.iter().map(|l| l.address.to_string()).zip(&snapshot.listeners);
    let targets = || state.config.targets.iter().map(|t| t.name.clone()).zip(&snapshot.targets);
    match from {
        From::Listener(cell) => listeners().for_each(|(name, books)| add(vec![name], books[cell] as f64)),
        From::Sizes => {
            for (name, books) in listeners() {
                let mut below = 0;
                for i in 0..SIZE_BUCKETS {
                    below += books[size_cell(i)];
                    add(vec![name.clone(), size_bound(i).to_string()], below as f64);
                }
                add(vec![name, "+Inf".into()], books[ListenerCell::Received] as f64);
            }
        }
        From::BufferAsked => {
            state.listeners.iter().for_each(|l| add(vec![l.address.to_string()], l.buffer.asked as f64));
        }
        From::BufferGranted => {
            state.listeners.iter().for_each(|l| add(vec![l.address.to_string()], l.buffer.granted as f64));
        }
        From::Target(cell) => targets().for_each(|(name, books)| add(vec![name], books[cell] as f64)),
        From::QueueCapacity => {
            state.config.targets.iter().for_each(|t| add(vec![t.name.clone()], t.queue.datagrams as f64));
        }
        From::QueueBytesCapacity => {
            state.config.targets.iter().for_each(|t| add(vec![t.name.clone()], t.queue.bytes as f64));
        }
        From::Dropped => {
            for (name, books) in targets() {
                for reason in DropReason::ALL {
                    add(vec![name.clone(), reason.name().into()], dropped_for(books, reason) as f64);
                }
            }
        }
        From::Up => targets().for_each(|(name, books)| {
            add(vec![name], f64::from(u8::from(health::Condition::of(books) == health::Condition::Up)));
        }),
        From::Resolved | From::ResolveFailures | From::AddressChanges => {
            for (target, resolution) in state.config.targets.iter().zip(resolver::resolutions(state).iter()) {
                let value = match from {
                    From::Resolved => u64::from(resolution.last_error.is_none()),
                    From::AddressChanges => resolution.changes,
                    _ => resolution.failures,
                };
                add(vec![target.name.clone()], value as f64);
            }
        }
        From::Shard(cell) => {
            snapshot.shards.iter().enumerate().for_each(|(i, shard)| add(vec![i.to_string()], shard[cell] as f64));
        }
        From::ShardCpu => {
            for (i, shard) in snapshot.shards.iter().enumerate() {
                add(vec![i.to_string()], (shard[ShardCell::CpuNanos] / 1_000) as f64);
            }
        }
        From::HeartbeatAge => {
            for (i, age) in health::heartbeat_ages(state.epoch, snapshot).enumerate() {
                add(vec![i.to_string()], age.as_secs_f64());
            }
        }
        From::Host(counter) => {
            for (family, counters) in ["v4", "v6"].into_iter().zip(host::udp_counters()) {
                let Some(counters) = counters else { continue };
                let value = match counter {
                    HostCounter::ReceiveBufferErrors => counters.receive_buffer_errors,
                    HostCounter::InErrors => counters.in_errors,
                    HostCounter::SendBufferErrors => counters.send_buffer_errors,
                    HostCounter::NoPorts => counters.no_ports,
                };
                add(vec![family.into()], value as f64);
            }
        }
        From::Process(process) => collect_process(process, state, snapshot, add),
    }
}

fn collect_process(process: Process, state: &State, snapshot: &Snapshot, add: &mut dyn FnMut(Vec<String>, f64)) {
    let truth = |value: bool| f64::from(u8::from(value));
    match process {
        Process::Ready => add(vec![], truth(health::ready(state, snapshot).is_ok())),
        Process::Balanced => add(vec![], truth(snapshot.balanced())),
        Process::Targets => add(vec![], state.config.targets.len() as f64),
        Process::StartTime => add(vec![], seconds_of(state.started)),
        Process::Resident => resident_bytes().into_iter().for_each(|bytes| add(vec![], bytes as f64)),
        Process::BuildInfo => add(vec![env!("CARGO_PKG_VERSION").into(), env!("UDP_PROXY_COMMIT").into()], 1.0),
    }
}

fn seconds_of(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

const METADATA: Metadata<'static> = Metadata::new("udp_proxy", Level::INFO, None);

/// The Prometheus outlet: rendered by the admin server.
pub struct Prometheus {
    recorder: PrometheusRecorder,
    prefix: String,
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Prometheus {
    /// An outlet whose names begin with `prefix` (dots become underscores).
    pub fn new(prefix: &str) -> Self {
        let prefix = prefix.replace('.', "_");
        let recorder = PrometheusBuilder::new().build_recorder();
        for row in TABLE {
            let name = KeyName::from(format!("{prefix}_{}", row.prometheus_name()));
            match row.kind {
                Kind::Counter => recorder.describe_counter(name, None, SharedString::from(row.help)),
                Kind::Gauge => recorder.describe_gauge(name, None, SharedString::from(row.help)),
            }
        }
        Self { recorder, prefix }
    }

    /// The text of `/metrics` now.
    pub fn render(&self, state: &State) -> String {
        for sample in samples(state) {
            let key = sample.key(format!("{}_{}", self.prefix, sample.row.prometheus_name()));
            match sample.row.kind {
                Kind::Counter => self.recorder.register_counter(&key, &METADATA).absolute(sample.value as u64),
                Kind::Gauge => self.recorder.register_gauge(&key, &METADATA).set(sample.value),
            }
        }
        self.recorder.handle().render()
    }
}

/// What an outlet that sends growth has sent.
#[derive(Debug, Default)]
struct Sent(HashMap<Key, u64>);

impl Sent {
    /// How much a counter has grown since it was last sent.
    fn growth(&self, key: &Key, value: u64) -> u64 {
        value.saturating_sub(self.0.get(key).copied().unwrap_or(0))
    }
}

/// Sends self-metrics as StatsD at each interval until the runtime ends; `None` when that is not wanted.
pub fn statsd(state: &Arc<State>) -> Option<impl Future<Output = ()> + use<>> {
    let interval = state.config.metrics.as_ref()?.interval;
    let outlet = state.statsd.clone()?;
    let state = state.clone();
    Some(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let endpoint = outlet.endpoint(&state).await;
            outlet.send(&state, endpoint);
        }
    })
}

/// The outlets as the control plane shares them.
pub type Shared<T> = Arc<Mutex<T>>;

/// Sends the last numbers, where they still can go.
pub async fn last(state: &State) {
    if let Some(outlet) = &state.statsd {
        let endpoint = outlet.endpoint(state).await;
        outlet.send(state, endpoint);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
