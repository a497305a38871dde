//! Operating systems, behind one facade: the only place with `unsafe` code and system calls.
//!
//! A function here returns what the kernel said and nothing more; policy (retry, queue, drop) is the
//! caller's. The data plane is written against [`Io`]; there are two of them, and a test's fake is a third:
//!
//! * `linux::Batched`: `recvmmsg`, `sendmmsg`, `UDP_SEGMENT`;
//! * [`fallback::Portable`]: one system call a datagram, on every platform (compiled and tested on Linux too).

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub mod bind;
mod error;
pub mod fallback;
pub mod host;
mod slots;
mod wait;

#[cfg(target_os = "linux")]
pub mod linux;

#[cfg(unix)]
#[path = "unix.rs"]
mod os;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod os;

pub use error::{Refusal, refusal};
pub use os::{cpu_time, is_root, resident_bytes};
pub use slots::Slots;
pub use wait::{Ready, Waker};

/// The most datagrams one receive call brings, and the most one [`Sender::send`] is given.
///
/// 64 is also the most segments that every kernel takes in one `UDP_SEGMENT` send (`UDP_MAX_SEGMENTS` was 64
/// before Linux 6.9), so a whole batch of equal sizes can leave in one message.
pub const BATCH: usize = 64;

/// One resolved address of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A UDP address.
    Udp(SocketAddr),
    /// A Unix datagram socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Udp(address) => write!(f, "{address}"),
            Endpoint::Unix(path) => write!(f, "unixgram://{}", path.display()),
        }
    }
}

/// What the kernel says of a receive queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveMemory {
    /// Bytes in the queue now, with the kernel's overhead (`SK_MEMINFO_RMEM_ALLOC`).
    pub queued: u32,
    /// Datagrams thrown away since the socket was made (`SK_MEMINFO_DROPS`); wraps at 2³².
    pub drops: u32,
}

/// A listener's socket, as one shard reads it.
pub trait Receiver {
    /// Fills `slots` from its first slot on; returns how many were filled.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; anything else is what the kernel said.
    fn receive(&mut self, slots: &mut Slots) -> io::Result<usize>;

    /// The kernel's view of the receive queue, where the platform tells it.
    fn memory(&self) -> Option<ReceiveMemory>;

    /// Leaves the kernel's choice: no new datagram comes in, what is queued stays readable (handover).
    ///
    /// # Errors
    /// What the kernel said; the listener then keeps receiving until it is closed.
    fn leave(&mut self) -> io::Result<()>;
}

/// What became of a send.
#[derive(Debug, Default)]
pub struct Sent {
    /// How many datagrams, from the first on, the kernel took.
    pub accepted: usize,
    /// Why it took no more, if it did not take all.
    pub error: Option<io::Error>,
}

/// A socket that sends to one endpoint.
pub trait Sender {
    /// Sends `datagrams` (at most [`BATCH`]) in order without waiting, as far as the kernel takes them.
    fn send(&mut self, datagrams: &[IoSlice<'_>]) -> Sent;

    /// Makes each datagram a message of its own from now on, as if a client sent it. What arrives is the
    /// same; what it costs the kernel is not.
    fn one_by_one(&mut self) {}
}

/// An [`Io`] over the system's own sockets.
pub trait Sockets: Io + Send + Sized + 'static {
    /// What it is called in the start-up line and in `/status`.
    const NAME: &'static str;

    /// Makes its poll.
    ///
    /// # Errors
    /// What the kernel said.
    fn open() -> io::Result<Self>;

    /// A handle that ends its wait.
    fn waker(&self) -> Waker;

    /// Takes over what a source was bound as: listener `index`.
    ///
    /// # Errors
    /// What the kernel said when it was registered.
    fn adopt(&mut self, index: usize, listener: bind::Listener) -> io::Result<Self::Receiver>;
}

/// The best the platform has.
#[cfg(target_os = "linux")]
pub type Native = linux::Batched;
/// The best the platform has.
#[cfg(not(target_os = "linux"))]
pub type Native = fallback::Portable;

/// One way of moving datagrams between sockets and memory, and of waiting for sockets. Owned by one shard.
pub trait Io {
    /// Its receiving sockets.
    type Receiver: Receiver;
    /// Its sending sockets.
    type Sender: Sender;

    /// Opens a socket that sends to `endpoint`.
    ///
    /// # Errors
    /// What the kernel said.
    fn connect(&mut self, endpoint: &Endpoint) -> io::Result<Self::Sender>;

    /// Tells [`Io::wait`] once when the sender of target `index` can send again.
    ///
    /// # Errors
    /// What the kernel said.
    fn watch_sender(&mut self, index: usize, sender: &mut Self::Sender) -> io::Result<()>;

    /// Ends [`Io::watch_sender`].
    ///
    /// # Errors
    /// What the kernel said.
    fn unwatch_sender(&mut self, sender: &mut Self::Sender) -> io::Result<()>;

    /// Waits until a socket is ready, the waker was used or `timeout` has passed.
    ///
    /// # Errors
    /// What the kernel said.
    fn wait(&mut self, timeout: Duration) -> io::Result<Ready>;

    /// The time.
    fn now(&self) -> Instant;

    /// The CPU time that the calling thread has used so far.
    fn cpu_time(&self) -> Duration;
}
