//! What state each listener and target is in, since when, and how fast datagrams go through.
//!
//! Looked at once a second by [`super::report`]; readiness is asked at the moment it is wanted.

use std::time::{Duration, Instant};

use super::State;
use crate::config::ReadyRule;
use crate::lifecycle::Phase;
use crate::stats::cells::{Link, ListenerCell, ShardCell, TargetBooks, TargetCell, dropped};
use crate::stats::snapshot::Snapshot;

/// A shard that has not turned for this long is stuck: even an idle one turns twice a second.
pub const STUCK: Duration = Duration::from_secs(5);

/// The state of a target, as shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Its name has no address yet.
    #[default]
    Unresolved,
    /// It can be sent to.
    Up,
    /// It can be sent to, but its host says that nothing listens there.
    Refusing,
    /// It cannot be sent to: see the last error.
    Down,
}

impl Condition {
    /// The state of a target by its books.
    pub fn of(target: &TargetBooks) -> Self {
        match Link::from_cell(target[TargetCell::Link]) {
            Link::NoEndpoint => Condition::Unresolved,
            Link::Up => Condition::Up,
            Link::Refusing => Condition::Refusing,
            Link::Down => Condition::Down,
        }
    }

    /// The word used in JSON and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Unresolved => "unresolved",
            Condition::Up => "up",
            Condition::Refusing => "refusing",
            Condition::Down => "down",
        }
    }

    /// Whether datagrams can be sent to it. A refusing target counts: only traffic can show that it is well
    /// again, and a proxy that is not ready gets none.
    pub fn usable(self) -> bool {
        matches!(self, Condition::Up | Condition::Refusing)
    }
}

/// Why the proxy is not ready; `Ok` when it is.
///
/// # Errors
/// One line that says why.
pub fn ready(state: &State, snapshot: &Snapshot) -> Result<(), String> {
    let phase = state.lifecycle.phase();
    if phase != Phase::Ready {
        return Err(phase.name().to_owned());
    }
    let conditions: Vec<_> = snapshot.targets.iter().map(Condition::of).collect();
    let enough = match state.config.ready {
        ReadyRule::Any => conditions.iter().any(|c| c.usable()),
        ReadyRule::All => conditions.iter().all(|c| c.usable()),
    };
    if enough {
        return Ok(());
    }
    let unusable = state.config.targets.iter().zip(&conditions).filter(|(_, c)| !c.usable());
    let unusable: Vec<_> = unusable.map(|(target, c)| format!("{} is {}", target.name, c.name())).collect();
    Err(format!("targets not usable: {}", unusable.join(", ")))
}

/// Why the proxy is not live; `Ok` when it is.
///
/// # Errors
/// One line that names the stuck shards.
pub fn live(state: &State, snapshot: &Snapshot) -> Result<(), String> {
    let stuck: Vec<_> = heartbeat_ages(state.epoch, snapshot)
        .enumerate()
        .filter(|(_, age)| *age > STUCK)
        .map(|(shard, age)| format!("shard {shard} has not turned for {:.1} s", age.as_secs_f64()))
        .collect();
    if stuck.is_empty() { Ok(()) } else { Err(stuck.join(", ")) }
}

/// How long ago each shard ended its last turn.
pub fn heartbeat_ages(epoch: Instant, snapshot: &Snapshot) -> impl Iterator<Item = Duration> + '_ {
    let now = snapshot.at.saturating_duration_since(epoch);
    snapshot.shards.iter().map(move |shard| now.saturating_sub(Duration::from_millis(shard[ShardCell::HeartbeatMs])))
}

/// What is kept from second to second.
#[derive(Debug, Default)]
pub struct Health {
    /// Each target's state and when it began.
    pub targets: Vec<(Condition, Option<Instant>)>,
    /// What went through each listener and target in a second, lately.
    pub rates: Rates,
    last: Option<Snapshot>,
}

/// Datagrams a second.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// Received by each listener.
    pub received: Vec<f64>,
    /// Sent to each target.
    pub sent: Vec<f64>,
    /// Dropped for each target.
    pub dropped: Vec<f64>,
}

impl Health {
    /// Takes in a new snapshot; returns the targets whose state changed, with the state they had.
    pub fn observe(&mut self, snapshot: &Snapshot) -> Vec<(usize, Condition, Condition)> {
        let first = self.targets.is_empty();
        self.targets.resize(snapshot.targets.len(), (Condition::default(), None));
        let mut changes = Vec::new();
        for (i, (target, kept)) in snapshot.targets.iter().zip(&mut self.targets).enumerate() {
            let condition = Condition::of(target);
            if condition != kept.0 || kept.1.is_none() {
                if !first {
                    changes.push((i, kept.0, condition));
                }
                *kept = (condition, Some(snapshot.at));
            }
        }
        if let Some(last) = &self.last {
            self.rates = Rates::between(last, snapshot);
        }
        self.last = Some(snapshot.clone());
        changes
    }
}

impl Rates {
    fn between(old: &Snapshot, new: &Snapshot) -> Self {
        let seconds = new.at.saturating_duration_since(old.at).as_secs_f64().max(0.001);
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        let targets = || new.targets.iter().zip(&old.targets);
        Self {
            received: new
                .listeners
                .iter()
                .zip(&old.listeners)
                .map(|(n, o)| rate(n[ListenerCell::Received], o[ListenerCell::Received]))
                .collect(),
            sent: targets().map(|(n, o)| rate(n[TargetCell::Sent], o[TargetCell::Sent])).collect(),
            dropped: targets().map(|(n, o)| rate(dropped(n), dropped(o))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(at: Instant, link: Link, sent: u64, heartbeat_ms: u64) -> Snapshot {
        let mut snapshot = Snapshot::take(&[], 1, 1);
        snapshot.at = at;
        snapshot.targets[0][TargetCell::Link] = link as u64;
        snapshot.targets[0][TargetCell::Sent] = sent;
        snapshot.shards.push([0; ShardCell::COUNT]);
        snapshot.shards[0][ShardCell::HeartbeatMs] = heartbeat_ms;
        snapshot
    }

    #[test]
    fn a_state_is_kept_with_its_beginning_and_its_change_is_told_once() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut health = Health::default();
        assert_eq!(health.observe(&snapshot(second(0), Link::Up, 0, 0)), []);
        assert_eq!(health.observe(&snapshot(second(1), Link::Up, 50, 0)), []);
        assert_eq!(health.targets, [(Condition::Up, Some(second(0)))]);
        assert_eq!(health.rates.sent, [50.0]);
        let changed = health.observe(&snapshot(second(3), Link::Refusing, 150, 0));
        assert_eq!(changed, [(0, Condition::Up, Condition::Refusing)]);
        assert_eq!(health.targets, [(Condition::Refusing, Some(second(3)))]);
        assert_eq!(health.rates.sent, [50.0]);
        assert_eq!(health.observe(&snapshot(second(4), Link::Refusing, 150, 0)), []);
    }

    #[test]
    fn a_heartbeat_ages() {
        let epoch = Instant::now();
        let snapshot = snapshot(epoch + Duration::from_secs(9), Link::Up, 0, 3_000);
        let ages: Vec<_> = heartbeat_ages(epoch, &snapshot).collect();
        assert_eq!(ages, [Duration::from_secs(6)]);
        assert!(ages[0] > STUCK);
    }
}
