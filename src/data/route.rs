//! The way to one target's endpoint: open, send, sort what the kernel said, and when to try again.
//!
//! Always true: a datagram that [`Route::transmit`] has done with is counted as sent or dropped, once; one that
//! it has not done with waits for a reason that ends (a writable event, or a moment). Nothing here waits.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use super::queue::Weight;
use crate::stats::cells::{Link, TargetBooks, TargetCell, dropped_cell};
use crate::stats::reason::DropReason;
use crate::sys::{Endpoint, Io, Refusal, Sender, refusal};

/// How long a way that could not be opened stays closed before it is tried again.
const REOPEN: Duration = Duration::from_millis(100);
/// `ENOBUFS` brings no writable event: the queue is tried again after this long …
const NO_BUFFERS_PAUSE: Duration = Duration::from_millis(10);
/// … and after this many tries in vain (about a second) its first datagram is dropped.
const NO_BUFFERS_TRIES: u32 = 100;

/// The way to the target's endpoint.
#[derive(Debug)]
pub(super) struct Route<S> {
    index: usize,
    endpoint: Option<Endpoint>,
    way: Way<S>,
    blocked: Blocked,
}

#[derive(Debug)]
enum Way<S> {
    /// Not opened yet: the next datagram does.
    Unopened,
    Open(S),
    Closed {
        reason: DropReason,
        again: Instant,
    },
}

/// Why the queue is not being flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    No,
    UntilWritable,
    Until { again: Instant, tries: u32 },
}

impl<S: Sender> Route<S> {
    /// The way of target number `index`, which leads nowhere yet.
    pub(super) fn new(index: usize) -> Self {
        Self { index, endpoint: None, way: Way::Unopened, blocked: Blocked::No }
    }

    /// Leads to `endpoint` from now on; returns whether that is another one.
    pub(super) fn lead_to<I: Io<Sender = S>>(
        &mut self,
        io: &mut I,
        endpoint: Option<Endpoint>,
        books: &mut TargetBooks,
    ) -> bool {
        if self.endpoint == endpoint {
            return false;
        }
        self.unblock(io);
        self.endpoint = endpoint;
        self.way = Way::Unopened;
        // Opened now, so that readiness shows what the kernel says before the first datagram comes.
        let _ = self.open(io, books);
        true
    }

    /// Tries to open a way that is closed.
    pub(super) fn revive<I: Io<Sender = S>>(&mut self, io: &mut I, books: &mut TargetBooks) {
        if matches!(self.way, Way::Closed { .. }) {
            let _ = self.open(io, books);
        }
    }

    /// When sending is to be tried again, if no event will tell.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.blocked {
            Blocked::Until { again, .. } => Some(again),
            Blocked::No | Blocked::UntilWritable => None,
        }
    }

    /// Sends in order until all are sent or dropped, or the kernel wants us to wait; returns how many it has
    /// done with.
    pub(super) fn transmit<I: Io<Sender = S>>(
        &mut self,
        io: &mut I,
        datagrams: &[IoSlice<'_>],
        weights: &[Weight],
        books: &mut TargetBooks,
    ) -> usize {
        let mut done = 0;
        let mut retried = false;
        let mut clean = true;
        while done < datagrams.len() {
            let sender = match self.open(io, books) {
                Ok(sender) => sender,
                Err(reason) => {
                    books[dropped_cell(reason)] += count(&weights[done..datagrams.len()]);
                    return datagrams.len();
                }
            };
            let sent = sender.send(&datagrams[done..]);
            let accepted = done..done + sent.accepted;
            note_sent(&datagrams[accepted.clone()], &weights[accepted], books);
            done += sent.accepted;
            retried &= sent.accepted == 0;
            let Some(error) = sent.error else { break };
            clean = false;
            books[TargetCell::LastErrno] = error.raw_os_error().unwrap_or(0) as u64;
            let reason = match (refusal(&error), retried) {
                (Refusal::WouldBlock, _) => {
                    self.block_until_writable(io);
                    return done;
                }
                (Refusal::NoBuffers, _) => match self.pause(io, done > 0) {
                    true => return done,
                    false => DropReason::NoBuffers,
                },
                // On UDP this answers an earlier datagram, and asking cleared it; on a Unix socket the
                // receiver was replaced, and opening again finds the new one. Either way this datagram
                // has not been tried yet.
                (Refusal::Refused | Refusal::Gone, false) => {
                    books[TargetCell::Refusals] += 1;
                    books[TargetCell::Link] = Link::Refusing as u64;
                    if matches!(self.endpoint, Some(Endpoint::Unix(_))) {
                        self.unblock(io);
                        self.way = Way::Unopened;
                    }
                    retried = true;
                    continue;
                }
                (Refusal::Unreachable, false) => {
                    retried = true;
                    continue;
                }
                (Refusal::Refused, true) => DropReason::Refused,
                (Refusal::Gone, true) => DropReason::NoEndpoint,
                (Refusal::TooLong, _) => DropReason::TooLong,
                // No route, not even after another look: it holds for all of them. A new socket may find
                // another source address.
                (Refusal::Unreachable, true) => {
                    self.unblock(io);
                    self.shut(DropReason::Unreachable, io.now(), books);
                    continue;
                }
                (Refusal::Other, _) => DropReason::IoError,
            };
            books[dropped_cell(reason)] += count(&weights[done..=done]);
            done += 1;
            retried = false;
        }
        if clean && done > 0 {
            books[TargetCell::Link] = Link::Up as u64;
        }
        done
    }

    /// The open socket, or why there is none.
    fn open<I: Io<Sender = S>>(&mut self, io: &mut I, books: &mut TargetBooks) -> Result<&mut S, DropReason> {
        let Some(endpoint) = &self.endpoint else { return Err(DropReason::NoEndpoint) };
        let connect = match &self.way {
            Way::Open(_) => false,
            Way::Unopened => true,
            Way::Closed { reason, again } => {
                if io.now() < *again {
                    return Err(*reason);
                }
                true
            }
        };
        if connect {
            match io.connect(endpoint) {
                Ok(sender) => {
                    self.way = Way::Open(sender);
                    books[TargetCell::Link] = Link::Up as u64;
                }
                Err(error) => {
                    books[TargetCell::LastErrno] = error.raw_os_error().unwrap_or(0) as u64;
                    let reason = connect_failure(&error);
                    self.shut(reason, io.now(), books);
                    return Err(reason);
                }
            }
        }
        match &mut self.way {
            Way::Open(sender) => Ok(sender),
            Way::Unopened | Way::Closed { .. } => Err(DropReason::NoEndpoint),
        }
    }

    fn shut(&mut self, reason: DropReason, now: Instant, books: &mut TargetBooks) {
        self.way = Way::Closed { reason, again: now + REOPEN };
        books[TargetCell::Link] = Link::Down as u64;
    }

    fn block_until_writable<I: Io<Sender = S>>(&mut self, io: &mut I) {
        if self.blocked == Blocked::UntilWritable {
            return;
        }
        let watched = match &mut self.way {
            Way::Open(sender) => io.watch_sender(self.index, sender).is_ok(),
            Way::Unopened | Way::Closed { .. } => false,
        };
        // Without a watch no event would come: look again after a while instead.
        self.blocked = match watched {
            true => Blocked::UntilWritable,
            false => Blocked::Until { again: io.now() + NO_BUFFERS_PAUSE, tries: 0 },
        };
    }

    /// Tries again after a pause; false when that was done often enough for the datagram that is first now
    /// (`fresh`: it has only just become the first).
    fn pause<I: Io<Sender = S>>(&mut self, io: &mut I, fresh: bool) -> bool {
        let tries = match self.blocked {
            Blocked::Until { tries, .. } if !fresh => tries + 1,
            _ => 0,
        };
        // A watch that stood would make the next one fail.
        self.unblock(io);
        let again = io.now() + NO_BUFFERS_PAUSE;
        self.blocked = Blocked::Until { again, tries: if tries < NO_BUFFERS_TRIES { tries } else { 0 } };
        tries < NO_BUFFERS_TRIES
    }

    /// Nothing waits any more.
    pub(super) fn unblock<I: Io<Sender = S>>(&mut self, io: &mut I) {
        if let (Blocked::UntilWritable, Way::Open(sender)) = (self.blocked, &mut self.way) {
            // A socket that cannot be taken out of the poll only wakes us for nothing.
            let _ = io.unwatch_sender(sender);
        }
        self.blocked = Blocked::No;
    }
}

fn connect_failure(error: &io::Error) -> DropReason {
    match refusal(error) {
        Refusal::Refused => DropReason::Refused,
        Refusal::Gone => DropReason::NoEndpoint,
        Refusal::Unreachable => DropReason::Unreachable,
        Refusal::NoBuffers => DropReason::NoBuffers,
        Refusal::WouldBlock | Refusal::TooLong | Refusal::Other => DropReason::IoError,
    }
}

fn count(weights: &[Weight]) -> u64 {
    weights.iter().map(|weight| u64::from(weight.datagrams)).sum()
}

#[inline]
fn note_sent(datagrams: &[IoSlice<'_>], weights: &[Weight], books: &mut TargetBooks) {
    let (mut received, mut bytes, mut lines) = (0, 0, 0);
    for (datagram, weight) in datagrams.iter().zip(weights) {
        received += u64::from(weight.datagrams);
        lines += u64::from(weight.lines);
        bytes += datagram.len() as u64;
    }
    books[TargetCell::Sent] += received;
    books[TargetCell::SentBytes] += bytes;
    books[TargetCell::LinesOut] += lines;
    books[TargetCell::DatagramsOut] += datagrams.len() as u64;
}
