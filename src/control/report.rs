//! Traffic logger.
use super::State;
use crate::stats::snapshot::Snapshot;
use std::sync::Arc;
use std::time::Duration;
/// Watch.
pub async fn watch(_state: Arc<State>) {
    std::future::pending().await
}
/// Started.
pub fn started(state: &State, engine: &str, admin: Option<&str>) {
    let l: Vec<_> = state.listeners.iter().map(|l| l.address.to_string()).collect();
    tracing::info!(listeners=?l, engine, admin, "started");
}
/// Leaving.
pub fn leaving(delay: Duration) {
    tracing::info!(?delay, "leaving");
}
/// Ended.
pub fn ended(_state: &State, snapshot: &Snapshot) {
    tracing::info!("{}", snapshot.summary());
}
