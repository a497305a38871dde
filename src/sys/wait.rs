//! Waiting for sockets with mio: which listener has datagrams, which sender has room, who woke us.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

/// Tokens: listeners from 0, senders from here, the waker last. Both fit a 64-bit set.
const SENDERS: usize = 64;
const WAKER: Token = Token(2 * SENDERS);

/// What became ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Bit `i`: listener `i` has something to read.
    pub receivers: u64,
    /// Bit `i`: the watched sender of target `i` has room.
    pub senders: u64,
}

/// Ends another thread's wait.
#[derive(Clone, Debug)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Ends the wait that is under way, or else the next one.
    pub fn wake(&self) {
        // It fails only when the poll is gone, and then nobody waits.
        let _ = self.0.wake();
    }
}

/// A shard's poll.
#[derive(Debug)]
pub(super) struct Waiter {
    poll: Poll,
    events: Events,
    waker: Waker,
}

impl Waiter {
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKER)?));
        Ok(Self { poll, events: Events::with_capacity(2 * SENDERS + 1), waker })
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    pub(super) fn watch_receiver<S: Source + ?Sized>(&self, index: usize, source: &mut S) -> io::Result<()> {
        self.poll.registry().register(source, Token(index), Interest::READABLE)
    }

    pub(super) fn watch_sender<S: Source + ?Sized>(&self, index: usize, source: &mut S) -> io::Result<()> {
        self.poll.registry().register(source, Token(SENDERS + index), Interest::WRITABLE)
    }

    pub(super) fn unwatch<S: Source + ?Sized>(&self, source: &mut S) -> io::Result<()> {
        self.poll.registry().deregister(source)
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<Ready> {
        let mut ready = Ready::default();
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            match event.token().0 {
                token if token < SENDERS => ready.receivers |= 1 << token,
                token if token < WAKER.0 => ready.senders |= 1 << (token - SENDERS),
                _ => {}
            }
        }
        Ok(ready)
    }
}
