//! The control plane: everything that is not on the way of a datagram, on one thread with a current-thread
//! tokio runtime. It sees the data plane only through published books, the target table and the phase.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use crate::config::Config;
use crate::data::table::Table;
use crate::lifecycle::Lifecycle;
use crate::stats::snapshot::{ShardBooks, Snapshot};
use crate::sys::bind::ReceiveBuffer;

pub mod admin;
pub mod export;
pub mod health;
pub mod log;
pub mod report;
pub mod resolver;
pub mod signals;

/// What the control plane knows of the running proxy. Shared by its tasks.
#[derive(Debug)]
pub struct State {
    /// The configuration in force.
    pub config: Config,
    /// Where the process is in its life.
    pub lifecycle: Lifecycle,
    /// Each source as it was bound.
    pub listeners: Vec<Listening>,
    /// Each shard's books.
    pub shards: Vec<ShardBooks>,
    /// Where the targets are.
    pub table: Table,
    /// What the resolver last found out about each target.
    pub resolution: Mutex<Vec<resolver::Resolution>>,
    /// What state things are in, and since when.
    pub health: Mutex<health::Health>,
    /// The StatsD outlet of self-metrics, if there is one.
    pub statsd: Option<Arc<export::Statsd>>,
    /// The beginning of time for heartbeats.
    pub epoch: Instant,
    /// The same moment on the wall clock.
    pub started: SystemTime,
}

impl State {
    /// The books now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.shards, self.config.sources.len(), self.config.targets.len())
    }
}

/// One source as it was bound.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Where it really listens.
    pub address: Bound,
    /// What the kernel granted to each of its sockets.
    pub buffer: ReceiveBuffer,
    /// Another process has the same port.
    pub shared: bool,
}

/// A bound address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// UDP.
    Udp {
        /// With port 0 asked for, the port that was given.
        address: SocketAddr,
        /// An IPv6 wildcard that takes IPv4 too.
        dual: bool,
    },
    /// A Unix datagram socket.
    Unix(PathBuf),
    /// A named pipe of Windows.
    Pipe(String),
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bound::Udp { address, .. } => write!(f, "{address}"),
            Bound::Unix(path) => write!(f, "unixgram://{}", path.display()),
            Bound::Pipe(name) => f.write_str(name),
        }
    }
}
