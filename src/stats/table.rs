//! THE table of metrics: one row each. Both outlets, `docs/metrics.md` and the tests are made from it.
//!
//! Always true: label values come from the configuration or from an enum, never from the network.

use super::cells::{ListenerCell as L, ShardCell as S, TargetCell as T};

/// Whether a value only grows or says what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; exported with `_total` in Prometheus and as the growth of each interval in StatsD.
    Counter,
    /// Says what is now.
    Gauge,
}

/// Where a row's values come from, and so which labels they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A cell of each listener; label `listener`.
    Listener(L),
    /// The size histogram of each listener: labels `listener`, `le`.
    Sizes,
    /// How many bytes of receive buffer were asked for each of a listener's sockets; label `listener`.
    BufferAsked,
    /// How many the kernel granted; label `listener`.
    BufferGranted,
    /// A cell of each target; label `target`.
    Target(T),
    /// How many datagrams each target may queue; label `target`.
    QueueCapacity,
    /// How many bytes each target may queue; label `target`.
    QueueBytesCapacity,
    /// The drop counters of each target: labels `target`, `reason`.
    Dropped,
    /// Whether each target can be sent to (1 or 0); label `target`.
    Up,
    /// Whether the last look-up of each target's name found an address (1 or 0); label `target`.
    Resolved,
    /// Failed look-ups of each target's name; label `target`.
    ResolveFailures,
    /// Changes of each target's address; label `target`.
    AddressChanges,
    /// A cell of each shard; label `shard`.
    Shard(S),
    /// CPU microseconds of each shard; label `shard`.
    ShardCpu,
    /// Seconds since each shard's last turn; label `shard`.
    HeartbeatAge,
    /// A counter of the host's UDP stack: label `family` (`v4`, `v6`).
    Host(HostCounter),
    /// Of the process.
    Process(Process),
}

/// The host's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCounter {
    /// `RcvbufErrors`.
    ReceiveBufferErrors,
    /// `InErrors`.
    InErrors,
    /// `SndbufErrors`.
    SendBufferErrors,
    /// `NoPorts`.
    NoPorts,
}

/// Values of the process as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// 1 while `/readyz` says yes.
    Ready,
    /// 1 when the books balance.
    Balanced,
    /// Targets configured.
    Targets,
    /// Seconds since the Unix epoch at start.
    StartTime,
    /// Resident memory in bytes.
    Resident,
    /// Always 1; labels `version`, `commit`.
    BuildInfo,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name behind the prefix, without `_total`.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// What one of it is.
    pub unit: &'static str,
    /// What it says, in one sentence.
    pub help: &'static str,
    /// Where its values come from.
    pub from: From,
}

impl Row {
    /// The name behind the prefix as Prometheus sees it. The histogram's parts keep the names that
    /// `histogram_quantile` expects.
    pub fn prometheus_name(&self) -> String {
        match self.kind {
            Kind::Counter if self.from != From::Sizes => format!("{}_total", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// The names of the labels.
    pub fn labels(&self) -> &'static [&'static str] {
        match self.from {
            From::Listener(_) | From::BufferAsked | From::BufferGranted => &["listener"],
            From::Sizes => &["listener", "le"],
            From::Target(_) | From::QueueCapacity | From::QueueBytesCapacity => &["target"],
            From::Up | From::Resolved | From::ResolveFailures | From::AddressChanges => &["target"],
            From::Dropped => &["target", "reason"],
            From::Shard(_) | From::ShardCpu | From::HeartbeatAge => &["shard"],
            From::Host(_) => &["family"],
            From::Process(Process::BuildInfo) => &["version", "commit"],
            From::Process(_) => &[],
        }
    }
}

const fn counter(name: &'static str, unit: &'static str, from: From, help: &'static str) -> Row {
    Row { name, kind: Kind::Counter, unit, help, from }
}

const fn gauge(name: &'static str, unit: &'static str, from: From, help: &'static str) -> Row {
    Row { name, kind: Kind::Gauge, unit, help, from }
}

/// Every metric.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    counter("received", "datagrams", From::Listener(L::Received), "Datagrams read, whole or truncated."),
    counter("received_bytes", "bytes", From::Listener(L::ReceivedBytes), "Bytes of the datagrams read, as they were sent to us."),
    counter("datagram_size_bytes_bucket", "datagrams", From::Sizes, "Datagrams read that are not larger than `le` bytes (cumulative, for `histogram_quantile`)."),
    counter("truncated", "datagrams", From::Listener(L::Truncated), "Datagrams larger than `--buffer`: counted, not forwarded."),
    counter("batches", "calls", From::Listener(L::Batches), "Receive calls that brought at least one datagram."),
    counter("receive_errors", "calls", From::Listener(L::ReceiveErrors), "Receive calls that failed for another reason than that nothing was there."),
    counter("kernel_drops", "datagrams", From::Listener(L::KernelDrops), "Datagrams that the kernel threw away before we could read them, because the receive buffer was full (`SO_MEMINFO`)."),
    gauge("receive_queue_bytes", "bytes", From::Listener(L::QueueBytes), "Fill of the kernel's receive queue at the last look, with the kernel's overhead."),
    gauge("receive_queue_high_bytes", "bytes", From::Listener(L::QueueHighBytes), "Highest fill that was seen in the receive queue of one socket since the start."),
    gauge("receive_buffer_asked_bytes", "bytes", From::BufferAsked, "Receive buffer asked of the kernel for each socket (`--readbuffer`)."),
    gauge("receive_buffer_granted_bytes", "bytes", From::BufferGranted, "Receive buffer that the kernel granted; less than asked means that `net.core.rmem_max` is too small."),
    counter("sent", "datagrams", From::Target(T::Sent), "Received datagrams that the kernel took for this target."),
    counter("sent_bytes", "bytes", From::Target(T::SentBytes), "Payload bytes that the kernel took for this target."),
    counter("datagrams_out", "datagrams", From::Target(T::DatagramsOut), "Datagrams that left for this target; fewer than `sent` where `pack` joins several."),
    counter("lines_in", "lines", From::Target(T::LinesIn), "StatsD lines that came for this target; counted only with `pack`."),
    counter("lines_out", "lines", From::Target(T::LinesOut), "StatsD lines that left for this target; counted only with `pack`."),
    counter("discarded", "datagrams", From::Target(T::Discarded), "Received datagrams left out by a rule (with `pack`: those without any line)."),
    counter("dropped", "datagrams", From::Dropped, "Received datagrams lost on the way to this target, by reason."),
    gauge("queued", "datagrams", From::Target(T::Queued), "Received datagrams that wait for this target now."),
    gauge("queued_bytes", "bytes", From::Target(T::QueuedBytes), "Bytes that wait for this target now."),
    gauge("queue_capacity", "datagrams", From::QueueCapacity, "Datagrams that may wait for this target (`--channel-size`, `queue=`); each shard has an equal part."),
    gauge("queue_bytes_capacity", "bytes", From::QueueBytesCapacity, "Bytes that may wait for this target (`--queue-bytes`, `queue_bytes=`); each shard has an equal part."),
    gauge("queued_high", "datagrams", From::Target(T::QueuedHigh), "Most datagrams that waited for this target since the start (sum of the shards' highest)."),
    counter("refusals", "reports", From::Target(T::Refusals), "Reports that nothing listens at the target (`ECONNREFUSED`); each speaks of a datagram that had left."),
    gauge("target_up", "0 or 1", From::Up, "1 when the target has an address and can be sent to."),
    gauge("target_resolved", "0 or 1", From::Resolved, "0 when the last look-up of the target's name failed; a last good address is used on. 1 for a target that needs no look-up."),
    counter("resolve_failures", "look-ups", From::ResolveFailures, "Look-ups of the target's name that failed."),
    counter("address_changes", "changes", From::AddressChanges, "Times that the target's name began to stand for another address."),
    counter("shard_turns", "turns", From::Shard(S::Turns), "Turns of the shard's loop."),
    counter("shard_cpu_microseconds", "microseconds", From::ShardCpu, "CPU time of the shard's thread, user and system."),
    gauge("shard_heartbeat_age_seconds", "seconds", From::HeartbeatAge, "Time since the shard's last turn; an idle shard turns twice a second."),
    counter("host_udp_receive_buffer_errors", "datagrams", From::Host(HostCounter::ReceiveBufferErrors), "`RcvbufErrors` of this network namespace: datagrams dropped because some socket's receive buffer was full."),
    counter("host_udp_in_errors", "datagrams", From::Host(HostCounter::InErrors), "`InErrors` of this network namespace: datagrams that could not be delivered for any reason but a missing port."),
    counter("host_udp_send_buffer_errors", "datagrams", From::Host(HostCounter::SendBufferErrors), "`SndbufErrors` of this network namespace: datagrams not sent because a send buffer was full."),
    counter("host_udp_no_ports", "datagrams", From::Host(HostCounter::NoPorts), "`NoPorts` of this network namespace: datagrams for a port where nothing listens."),
    gauge("ready", "0 or 1", From::Process(Process::Ready), "1 while `/readyz` says yes."),
    gauge("books_balanced", "0 or 1", From::Process(Process::Balanced), "1 when received = sent + queued + discarded + dropped for every target. Anything else is a defect of this program."),
    gauge("targets", "targets", From::Process(Process::Targets), "Targets configured."),
    gauge("start_time_seconds", "seconds", From::Process(Process::StartTime), "When the process started, since the Unix epoch."),
    gauge("resident_memory_bytes", "bytes", From::Process(Process::Resident), "Resident memory of the process, where the platform tells it."),
    gauge("build_info", "1", From::Process(Process::BuildInfo), "Always 1; the labels say what runs."),
];

/// `docs/metrics.md`, made from the table.
pub fn markdown() -> String {
    let mut text = String::from(include_str!("metrics_head.md"));
    text.push_str("| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for row in TABLE {
        let kind = if row.kind == Kind::Counter { "counter" } else { "gauge" };
        let labels = row.labels().iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ");
        let (name, unit, help) = (row.prometheus_name(), row.unit, row.help);
        text.push_str(&format!("| `{name}` | {kind} | {unit} | {labels} | {help} |\n"));
    }
    text.push_str("\n## Reasons of `dropped`\n\n| reason | what to look at |\n|---|---|\n");
    for reason in super::reason::DropReason::ALL {
        text.push_str(&format!("| `{}` | {} |\n", reason.name(), reason.remedy()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_plain() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
