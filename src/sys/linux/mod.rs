//! Linux: `recvmmsg`, `sendmmsg`, `UDP_SEGMENT` and `SO_MEMINFO`, called directly.
//!
//! The system calls are made through `libc::syscall`: musl's `sendmmsg()` is a loop over `sendmsg()`.
//! nix, rustix and quinn-udp each lack one of the pieces, so the unsafe code is here, in two files.

mod receive;
mod send;
mod sockopt;

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::bind::Listener;
use super::wait::{Ready, Waiter, Waker};
use super::{Endpoint, Io, Sockets};
use mio::unix::SourceFd;
pub use receive::BatchReceiver;
pub use send::BatchSender;
pub(super) use sockopt::receive_memory;

/// [`Io`] by batches.
#[derive(Debug)]
pub struct Batched {
    waiter: Waiter,
}

impl Sockets for Batched {
    const NAME: &'static str = "batched";

    fn open() -> io::Result<Self> {
        Ok(Self { waiter: Waiter::new()? })
    }

    fn waker(&self) -> Waker {
        self.waiter.waker()
    }

    fn adopt(&mut self, index: usize, listener: Listener) -> io::Result<BatchReceiver> {
        let Listener::Socket(socket) = listener;
        self.waiter.watch_receiver(index, &mut SourceFd(&socket.as_raw_fd()))?;
        Ok(BatchReceiver::new(socket))
    }
}

impl Io for Batched {
    type Receiver = BatchReceiver;
    type Sender = BatchSender;

    fn connect(&mut self, endpoint: &Endpoint) -> io::Result<BatchSender> {
        BatchSender::new(super::bind::connect(endpoint)?)
    }

    fn watch_sender(&mut self, index: usize, sender: &mut BatchSender) -> io::Result<()> {
        self.waiter.watch_sender(index, &mut SourceFd(&sender.socket().as_raw_fd()))
    }

    fn unwatch_sender(&mut self, sender: &mut BatchSender) -> io::Result<()> {
        self.waiter.unwatch(&mut SourceFd(&sender.socket().as_raw_fd()))
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<Ready> {
        self.waiter.wait(timeout)
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn cpu_time(&self) -> Duration {
        super::cpu_time()
    }
}
