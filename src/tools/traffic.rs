//! The demo's ends: a paced generator and counting sinks, each on a thread of its own.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::sys::bind::{self, ReceiveBuffer};
use crate::sys::{BATCH, Endpoint, Io, Native, Receiver, Sender, Slots, Sockets};

/// The receive buffer that a sink asks for.
const SINK_BUFFER: usize = 4 << 20;
/// How often the threads look whether they should end.
const LOOK: Duration = Duration::from_millis(50);

/// Counts what arrives.
#[derive(Debug)]
pub(super) struct Sink {
    address: SocketAddr,
    buffer: ReceiveBuffer,
    count: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    pub(super) fn start() -> io::Result<Self> {
        let socket = bind::udp((Ipv4Addr::LOCALHOST, 0).into(), false, false)?;
        let buffer = bind::receive_buffer(&socket, SINK_BUFFER);
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut io = Native::open()?;
        let mut receiver = io.adopt(0, socket.into())?;
        let (count, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (count.clone(), end.clone());
        let thread = thread::Builder::new().name("sink".into()).spawn(move || {
            let mut slots = Slots::new(2048);
            while !ended.load(Ordering::Relaxed) && io.wait(LOOK).is_ok() {
                while let Ok(received) = receiver.receive(&mut slots) {
                    counted.fetch_add(received as u64, Ordering::Relaxed);
                }
            }
        })?;
        Ok(Self { address, buffer, count, end, thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn buffer(&self) -> ReceiveBuffer {
        self.buffer
    }

    pub(super) fn received(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The counter itself, for a generator that keeps step.
    pub(super) fn count(&self) -> Arc<AtomicU64> {
        self.count.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A sink that panicked has counted what it counted; the verdict shows it.
            let _ = thread.join();
        }
    }
}

/// Sends StatsD lines in bursts of a batch, at a rate, and never too far ahead of those who count.
#[derive(Debug)]
pub(super) struct Generator {
    sent: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Generator {
    pub(super) fn start(to: SocketAddr, rate: u64, ahead: u64, counts: [Arc<AtomicU64>; 2]) -> io::Result<Self> {
        let sender = Native::open()?.connect(&Endpoint::Udp(to))?;
        let (sent, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (sent.clone(), end.clone());
        let pause = Duration::from_secs(1) * BATCH as u32 / u32::try_from(rate).unwrap_or(u32::MAX);
        let behind = move |sent: u64| sent - counts.iter().map(|c| c.load(Ordering::Relaxed)).min().unwrap_or(0);
        let thread = thread::Builder::new().name("generator".into()).spawn(move || {
            run(sender, pause, &counted, &ended, |sent| behind(sent) + BATCH as u64 <= ahead);
        })?;
        Ok(Self { sent, end, thread })
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; how many datagrams it sent in all.
    pub(super) fn stop(self) -> u64 {
        self.end.store(true, Ordering::Relaxed);
        // A generator that panicked has sent what it counted.
        let _ = self.thread.join();
        self.sent.load(Ordering::Relaxed)
    }
}

fn run(mut sender: impl Sender, pause: Duration, sent: &AtomicU64, end: &AtomicBool, may_send: impl Fn(u64) -> bool) {
    let lines: Vec<String> = (0..BATCH).map(|i| format!("demo.requests:{i}|c|#shop:berlin,path:/cart")).collect();
    let burst: Vec<_> = lines.iter().map(|line| IoSlice::new(line.as_bytes())).collect();
    let mut next = Instant::now();
    while !end.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now < next {
            thread::sleep(next - now);
            continue;
        }
        if !may_send(sent.load(Ordering::Relaxed)) {
            thread::sleep(Duration::from_micros(50));
            continue;
        }
        let result = sender.send(&burst);
        sent.fetch_add(result.accepted as u64, Ordering::Relaxed);
        // Late by more than a moment: go on from here instead of catching up in one flood.
        next = (next + pause).max(now - Duration::from_millis(20));
    }
}
