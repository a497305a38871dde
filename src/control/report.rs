//! What the log says: start, end, and the only lines about traffic.
//!
//! Always true: whatever the network does, there is at most one line for each target and reason (listener and
//! kind) in ten seconds; it carries the counts since the line before.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::State;
use super::health::Condition;
use crate::config::units::Shown;
use crate::stats::cells::{ListenerCell, TargetCell};
use crate::stats::reason::DropReason;
use crate::stats::snapshot::{Snapshot, dropped_for};

/// The shortest time between two lines about the same thing.
const QUIET: Duration = Duration::from_secs(10);

/// What the lines about traffic are logged under, so that a log can tell them from others.
pub const TRAFFIC: &str = "udp_proxy::traffic";

/// Logs what the start was granted.
pub fn started(state: &State, engine: &str, admin: &[String]) {
    let config = &state.config;
    let listeners: Vec<_> = state
        .listeners
        .iter()
        .map(|l| {
            let shared = if l.shared { ", port shared with another process" } else { "" };
            format!("{} (receive buffer {} of {} bytes{shared})", l.address, l.buffer.granted, l.buffer.asked)
        })
        .collect();
    let endpoints = state.table.load();
    let targets: Vec<_> = config
        .targets
        .iter()
        .zip(endpoints.iter())
        .map(|(target, endpoint)| {
            let endpoint = endpoint.as_ref().map_or_else(|| "unresolved".to_owned(), ToString::to_string);
            if target.name == endpoint { endpoint } else { format!("{}={endpoint}", target.name) }
        })
        .collect();
    let admin = if admin.is_empty() { "off".to_owned() } else { admin.join("; ") };
    tracing::info!(
        version = crate::config::LONG_VERSION,
        listeners = %listeners.join("; "),
        targets = %targets.join("; "),
        shards = config.shards,
        engine,
        buffer = config.buffer,
        admin,
        "ready"
    );
    for listener in &state.listeners {
        if listener.buffer.clamped() {
            tracing::warn!(
                listener = %listener.address,
                asked = listener.buffer.asked,
                granted = listener.buffer.granted,
                "the kernel granted a smaller receive buffer than --readbuffer asks: set sysctl net.core.rmem_max={} on the host, or grant CAP_NET_ADMIN",
                listener.buffer.asked
            );
        }
    }
    for (target, resolution) in config.targets.iter().zip(super::resolver::resolutions(state).iter()) {
        if let Some(error) = &resolution.last_error {
            tracing::warn!(target_name = %target.name, address = %target.address, %error, "the target's name does not resolve: its datagrams are dropped as no_endpoint until it does");
        }
    }
}

/// Logs that the end was asked for.
pub fn leaving(delay: Duration) {
    if delay.is_zero() {
        tracing::info!("draining: no longer ready");
    } else {
        tracing::info!(delay = %Shown(delay), "no longer ready; serving on, then draining");
    }
}

/// Logs the books at the end.
pub fn ended(snapshot: &Snapshot) {
    tracing::info!("ended: {}", snapshot.summary());
}

/// Looks at the books once a second until the runtime ends.
pub async fn watch(state: Arc<State>) {
    let mut traffic = Traffic::default();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let snapshot = state.snapshot();
        let changes = state.health.lock().unwrap_or_else(PoisonError::into_inner).observe(&snapshot);
        for (target, was, is) in changes {
            traffic.note_change(target, was, is);
        }
        for line in traffic.lines(&state.config.targets, &state.listeners, &snapshot) {
            line.log();
        }
    }
}

/// What a line is about: there is one clock for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Dropped(usize, DropReason),
    State(usize),
    KernelDrops(usize),
    ReceiveErrors(usize),
}

/// One line about traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    good: bool,
    subject: String,
    count: u64,
    text: String,
}

impl Line {
    fn log(&self) {
        let Line { subject, count, text, .. } = self;
        if self.good {
            tracing::info!(target: TRAFFIC, %subject, count, "{text}");
        } else {
            tracing::warn!(target: TRAFFIC, %subject, count, "{text}");
        }
    }
}

/// Counts that were told already, and when.
#[derive(Debug, Default)]
struct Traffic {
    told: HashMap<Subject, (Instant, u64)>,
    /// State changes that have not been told: the state at the last line, the state now, how many.
    changes: HashMap<usize, (Condition, Condition, u64)>,
}

impl Traffic {
    fn note_change(&mut self, target: usize, was: Condition, is: Condition) {
        let change = self.changes.entry(target).or_insert((was, is, 0));
        change.1 = is;
        change.2 += 1;
    }

    /// The lines that are due at the time of `snapshot`.
    fn lines(
        &mut self,
        targets: &[crate::config::target::Target],
        listeners: &[super::Listening],
        snapshot: &Snapshot,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        for (i, (target, books)) in targets.iter().zip(&snapshot.targets).enumerate() {
            for reason in DropReason::ALL {
                if let Some(count) = self.due(Subject::Dropped(i, reason), dropped_for(books, reason), snapshot.at) {
                    let text = format!("dropped ({}): {}", reason.name(), reason.remedy());
                    lines.push(Line { good: false, subject: format!("target {}", target.name), count, text });
                }
            }
            lines.extend(self.change_line(i, &target.name, books[TargetCell::LastErrno], snapshot.at));
        }
        for (i, (listener, books)) in listeners.iter().zip(&snapshot.listeners).enumerate() {
            let subject = format!("listener {}", listener.address);
            if let Some(count) = self.due(Subject::KernelDrops(i), books[ListenerCell::KernelDrops], snapshot.at) {
                let text = "lost by the kernel before they could be read: raise --readbuffer (and net.core.rmem_max), add shards or CPU".to_owned();
                lines.push(Line { good: false, subject: subject.clone(), count, text });
            }
            if let Some(count) = self.due(Subject::ReceiveErrors(i), books[ListenerCell::ReceiveErrors], snapshot.at) {
                lines.push(Line { good: false, subject, count, text: "receive calls failed".to_owned() });
            }
        }
        lines
    }

    fn change_line(&mut self, target: usize, name: &str, errno: u64, now: Instant) -> Option<Line> {
        let (was, is, count) = *self.changes.get(&target)?;
        if self.told.get(&Subject::State(target)).is_some_and(|(when, _)| now < *when + QUIET) {
            return None;
        }
        self.changes.remove(&target);
        self.told.insert(Subject::State(target), (now, 0));
        let why = match is {
            Condition::Refusing | Condition::Down => format!(" (last error: {})", error_text(errno)),
            Condition::Unresolved | Condition::Up => String::new(),
        };
        let text = format!("state {} → {}{why}", was.name(), is.name());
        Some(Line { good: is == Condition::Up, subject: format!("target {name}"), count, text })
    }

    /// How much `subject` has grown since it was last told, if a line is due.
    fn due(&mut self, subject: Subject, value: u64, now: Instant) -> Option<u64> {
        let told = self.told.get(&subject).copied();
        let (when, before) = told.map_or((None, 0), |(when, before)| (Some(when), before));
        if value <= before || when.is_some_and(|when| now < when + QUIET) {
            return None;
        }
        self.told.insert(subject, (now, value));
        Some(value - before)
    }
}

/// What an `errno` says; empty when there was none.
pub fn error_text(errno: u64) -> String {
    match i32::try_from(errno) {
        Ok(0) | Err(_) => String::new(),
        Ok(code) => std::io::Error::from_raw_os_error(code).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::QueueLimits;
    use crate::config::target::Target;
    use crate::stats::cells::dropped_cell;

    fn target() -> Target {
        let queue = QueueLimits { datagrams: 1, bytes: 65_535, overflow: Default::default() };
        Target::parse("a=127.0.0.1:1", queue).unwrap()
    }

    #[test]
    fn a_flood_of_drops_is_one_line_in_ten_seconds_with_all_of_them() {
        let mut traffic = Traffic::default();
        let mut snapshot = Snapshot::take(&[], 0, 1);
        let start = snapshot.at;
        let mut counts = Vec::new();
        for second in 0..=30 {
            snapshot.at = start + Duration::from_secs(second);
            snapshot.targets[0][dropped_cell(DropReason::QueueFull)] += 1_000;
            counts.extend(traffic.lines(&[target()], &[], &snapshot).into_iter().map(|l| (second, l.count)));
        }
        assert_eq!(counts, [(0, 1_000), (10, 10_000), (20, 10_000), (30, 10_000)]);
    }

    #[test]
    fn reasons_do_not_silence_each_other_and_quiet_ones_say_nothing() {
        let mut traffic = Traffic::default();
        let mut snapshot = Snapshot::take(&[], 0, 1);
        assert_eq!(traffic.lines(&[target()], &[], &snapshot), []);
        snapshot.targets[0][dropped_cell(DropReason::QueueFull)] = 1;
        snapshot.targets[0][dropped_cell(DropReason::Refused)] = 2;
        let lines = traffic.lines(&[target()], &[], &snapshot);
        assert_eq!(lines.iter().map(|l| l.count).collect::<Vec<_>>(), [1, 2]);
        assert!(lines[0].text.contains("queue_full") && lines[0].subject == "target a");
    }

    #[test]
    fn a_flapping_target_is_told_once_in_ten_seconds() {
        let mut traffic = Traffic::default();
        let mut snapshot = Snapshot::take(&[], 0, 1);
        let start = snapshot.at;
        let mut told = Vec::new();
        for second in 0..12 {
            snapshot.at = start + Duration::from_secs(second);
            let (was, is) = match second % 2 {
                0 => (Condition::Up, Condition::Refusing),
                _ => (Condition::Refusing, Condition::Up),
            };
            traffic.note_change(0, was, is);
            told.extend(traffic.lines(&[target()], &[], &snapshot).into_iter().map(|l| (second, l.count)));
        }
        assert_eq!(told, [(0, 1), (10, 10)]);
    }
}
