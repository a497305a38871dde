//! One target as one shard serves it: send, classify what the kernel said, and keep what it refused.
//!
//! Always true: a datagram that was offered is afterwards sent, queued, discarded or dropped, once; datagrams
//! leave in the order in which they were offered; nothing here waits.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use super::queue::{Queue, Weight};
use crate::config::limits::{PackLimits, QueueLimits};
use crate::stats::cells::{Link, TargetBooks, TargetCell, dropped_cell};
use crate::stats::reason::DropReason;
use crate::statsd::pack::{Offer, Packer};
use crate::sys::{BATCH, Endpoint, Io, Refusal, Sender, refusal};

/// How long a way that could not be opened stays closed before it is tried again.
const REOPEN: Duration = Duration::from_millis(100);
/// `ENOBUFS` brings no writable event: the queue is tried again after this long …
const NO_BUFFERS_PAUSE: Duration = Duration::from_millis(10);
/// … and after this many tries in vain (about a second) its first datagram is dropped.
const NO_BUFFERS_TRIES: u32 = 100;

/// What a datagram that was not packed stands for.
const SINGLE: Weight = Weight { datagrams: 1, lines: 0 };

/// One target of one shard.
#[derive(Debug)]
pub struct Target<S> {
    route: Route<S>,
    queue: Queue,
    pack: Option<Packing>,
}

/// The way to the target's endpoint.
#[derive(Debug)]
struct Route<S> {
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

#[derive(Debug)]
struct Packing {
    packer: Packer,
    linger: Duration,
    /// When the open pack must leave.
    due: Option<Instant>,
}

impl<S: Sender> Target<S> {
    /// Target number `index`, without an endpoint.
    pub fn new(index: usize, queue: QueueLimits, pack: Option<PackLimits>) -> Self {
        Self {
            route: Route { index, endpoint: None, way: Way::Unopened, blocked: Blocked::No },
            queue: Queue::new(queue),
            pack: pack.map(|p| Packing { packer: Packer::new(p.bytes), linger: p.linger, due: None }),
        }
    }

    /// Sends to `endpoint` from now on; what is queued goes there too.
    pub fn set_endpoint<I: Io<Sender = S>>(&mut self, io: &mut I, endpoint: Option<Endpoint>, books: &mut TargetBooks) {
        if self.route.endpoint == endpoint {
            return;
        }
        self.route.unblock(io);
        self.route.endpoint = endpoint;
        self.route.way = Way::Unopened;
        // Opened now, so that readiness shows what the kernel says before the first datagram comes.
        let _ = self.route.open(io, books);
        self.flush(io, books);
    }

    /// Looks whether a way that was closed can be opened again. Sending does that too; this is for targets
    /// to which nothing is sent, because readiness waits for them.
    pub fn revive<I: Io<Sender = S>>(&mut self, io: &mut I, books: &mut TargetBooks) {
        if matches!(self.route.way, Way::Closed { .. }) {
            let _ = self.route.open(io, books);
        }
    }

    /// Takes the next datagrams, in order.
    #[inline]
    pub fn offer<I: Io<Sender = S>>(&mut self, io: &mut I, datagrams: &[IoSlice<'_>], books: &mut TargetBooks) {
        match &mut self.pack {
            None => forward(&mut self.route, &mut self.queue, io, datagrams, &[SINGLE; BATCH], books),
            Some(pack) => {
                let route = &mut self.route;
                let queue = &mut self.queue;
                pack.offer(datagrams, books, |ready, weights, books| forward(route, queue, io, ready, weights, books));
                if pack.packer.open_datagrams() == 0 {
                    pack.due = None;
                } else if pack.due.is_none() {
                    pack.due = Some(io.now() + pack.linger);
                }
            }
        }
        self.note_queued(books);
    }

    /// Sends what is queued, as far as the kernel takes it.
    pub fn flush<I: Io<Sender = S>>(&mut self, io: &mut I, books: &mut TargetBooks) {
        while !self.queue.is_empty() {
            let mut space = [IoSlice::new(&[]); BATCH];
            let mut weights = [Weight::default(); BATCH];
            let front = self.queue.front(&mut space, &mut weights);
            let done = self.route.transmit(io, front, &weights, books);
            let stopped = done < front.len();
            for _ in 0..done {
                self.queue.pop();
            }
            if stopped {
                break;
            }
        }
        if self.queue.is_empty() {
            self.route.unblock(io);
        }
        self.note_queued(books);
    }

    /// When this target wants [`Target::tick`] next.
    pub fn due(&self) -> Option<Instant> {
        let again = match self.route.blocked {
            Blocked::Until { again, .. } => Some(again),
            _ => None,
        };
        let pack = self.pack.as_ref().and_then(|pack| pack.due);
        again.into_iter().chain(pack).min()
    }

    /// Does what is due at `now`.
    pub fn tick<I: Io<Sender = S>>(&mut self, io: &mut I, now: Instant, books: &mut TargetBooks) {
        if self.pack.as_ref().and_then(|pack| pack.due).is_some_and(|due| due <= now) {
            self.close_pack(io, books);
        }
        if matches!(self.route.blocked, Blocked::Until { again, .. } if again <= now) {
            self.flush(io, books);
        }
    }

    /// Lets the open pack leave.
    pub fn close_pack<I: Io<Sender = S>>(&mut self, io: &mut I, books: &mut TargetBooks) {
        let Some(pack) = &mut self.pack else { return };
        pack.due = None;
        let (route, queue) = (&mut self.route, &mut self.queue);
        pack.close(|ready, weights| forward(route, queue, io, ready, weights, books));
        self.note_queued(books);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Drops what still waits: the end.
    pub fn abandon(&mut self, books: &mut TargetBooks) {
        books[dropped_cell(DropReason::Shutdown)] += self.queue.clear();
        self.note_queued(books);
    }

    fn note_queued(&mut self, books: &mut TargetBooks) {
        let open = self.pack.as_ref().map_or((0, 0), |p| (p.packer.open_datagrams(), p.packer.open_bytes()));
        books[TargetCell::Queued] = self.queue.datagrams() + u64::from(open.0);
        books[TargetCell::QueuedBytes] = (self.queue.bytes() + open.1) as u64;
        books[TargetCell::QueuedHigh] = books[TargetCell::QueuedHigh].max(self.queue.datagrams());
    }
}

/// Sends `datagrams` at once if nothing waits before them, and queues what the kernel refused.
fn forward<I: Io>(
    route: &mut Route<I::Sender>,
    queue: &mut Queue,
    io: &mut I,
    datagrams: &[IoSlice<'_>],
    weights: &[Weight],
    books: &mut TargetBooks,
) {
    let done = if queue.is_empty() { route.transmit(io, datagrams, weights, books) } else { 0 };
    for (datagram, weight) in datagrams.iter().zip(weights).skip(done) {
        books[dropped_cell(DropReason::QueueFull)] += queue.push(datagram, *weight);
    }
}

impl<S: Sender> Route<S> {
    /// Sends in order until all are sent or dropped, or the kernel wants us to wait; returns how many it has
    /// done with.
    fn transmit<I: Io<Sender = S>>(
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

    fn unblock<I: Io<Sender = S>>(&mut self, io: &mut I) {
        if let (Blocked::UntilWritable, Way::Open(sender)) = (self.blocked, &mut self.way) {
            // A socket that cannot be taken out of the poll only wakes us for nothing.
            let _ = io.unwatch_sender(sender);
        }
        self.blocked = Blocked::No;
    }
}

impl Packing {
    /// Packs `datagrams`; `send` is given what is ready to leave, at most a batch at a time.
    fn offer(
        &mut self,
        datagrams: &[IoSlice<'_>],
        books: &mut TargetBooks,
        mut send: impl FnMut(&[IoSlice<'_>], &[Weight], &mut TargetBooks),
    ) {
        // Each datagram can complete the open pack and leave alone behind it; one pack may be open already.
        let mut pieces = [const { None }; 2 * BATCH + 1];
        let mut count = 0;
        let mut add = |piece: Option<Piece>| {
            if piece.is_some() {
                pieces[count] = piece;
                count += 1;
            }
        };
        for (i, datagram) in datagrams.iter().enumerate() {
            let mut offer = self.packer.offer(datagram);
            if !matches!(offer, Offer::Taken { .. } | Offer::Empty) {
                add(self.packer.close().map(Piece::Pack));
                if offer == Offer::Full {
                    offer = self.packer.offer(datagram);
                }
            }
            match offer {
                Offer::Taken { lines } => books[TargetCell::LinesIn] += u64::from(lines),
                Offer::Alone { lines } => {
                    books[TargetCell::LinesIn] += u64::from(lines);
                    add(Some(Piece::Alone(i, lines)));
                }
                Offer::Empty => books[TargetCell::Discarded] += 1,
                Offer::Full => unreachable!("an empty pack takes whatever is not larger than itself"),
            }
        }
        if self.linger.is_zero() {
            add(self.packer.close().map(Piece::Pack));
        }
        for chunk in pieces[..count].chunks(BATCH) {
            let mut space = [IoSlice::new(&[]); BATCH];
            let mut weights = [Weight::default(); BATCH];
            for (i, piece) in chunk.iter().flatten().enumerate() {
                (space[i], weights[i]) = match piece {
                    Piece::Pack(closed) => (
                        IoSlice::new(self.packer.bytes(closed.range.clone())),
                        Weight { datagrams: closed.datagrams, lines: closed.lines },
                    ),
                    Piece::Alone(i, lines) => (IoSlice::new(&datagrams[*i]), Weight { datagrams: 1, lines: *lines }),
                };
            }
            send(&space[..chunk.len()], &weights[..chunk.len()], books);
        }
        self.packer.recycle();
    }

    fn close(&mut self, send: impl FnOnce(&[IoSlice<'_>], &[Weight])) {
        if let Some(closed) = self.packer.close() {
            let weight = Weight { datagrams: closed.datagrams, lines: closed.lines };
            send(&[IoSlice::new(self.packer.bytes(closed.range))], &[weight]);
            self.packer.recycle();
        }
    }
}

/// Something that leaves as one datagram.
enum Piece {
    Pack(crate::statsd::pack::Closed),
    /// Datagram `.0` of the batch, which has `.1` lines.
    Alone(usize, u32),
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
