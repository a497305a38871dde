//! One target as one shard serves it: its way (`route.rs`), the queue behind that, and packing where it is on.
//!
//! Always true: a datagram that was offered is afterwards sent, queued, discarded or dropped, once; datagrams
//! leave in the order in which they were offered; nothing here waits.

use std::io::IoSlice;
use std::time::Instant;

use super::packing::Packing;
use super::queue::{Queue, Weight};
use super::route::Route;
use crate::config::limits::{PackLimits, QueueLimits};
use crate::stats::cells::{TargetBooks, TargetCell, dropped_cell};
use crate::stats::reason::DropReason;
use crate::sys::{BATCH, Endpoint, Io, Sender};

/// What a datagram that was not packed stands for.
const SINGLE: Weight = Weight { datagrams: 1, lines: 0 };

/// One target of one shard.
#[derive(Debug)]
pub struct Target<S> {
    route: Route<S>,
    queue: Queue,
    pack: Option<Packing>,
}

impl<S: Sender> Target<S> {
    /// Target number `index`, without an endpoint.
    pub fn new(index: usize, queue: QueueLimits, pack: Option<PackLimits>) -> Self {
        Self { route: Route::new(index), queue: Queue::new(queue), pack: pack.map(Packing::new) }
    }

    /// Sends to `endpoint` from now on; what is queued goes there too.
    pub fn set_endpoint<I: Io<Sender = S>>(&mut self, io: &mut I, endpoint: Option<Endpoint>, books: &mut TargetBooks) {
        if self.route.lead_to(io, endpoint, books) {
            self.flush(io, books);
        }
    }

    /// Looks whether a way that was closed can be opened again. Sending does that too; this is for targets
    /// to which nothing is sent, because readiness waits for them.
    pub fn revive<I: Io<Sender = S>>(&mut self, io: &mut I, books: &mut TargetBooks) {
        self.route.revive(io, books);
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
                pack.await_more(|| io.now());
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
        self.route.due().into_iter().chain(self.pack.as_ref().and_then(Packing::due)).min()
    }

    /// Does what is due at `now`.
    pub fn tick<I: Io<Sender = S>>(&mut self, io: &mut I, now: Instant, books: &mut TargetBooks) {
        if self.pack.as_ref().and_then(Packing::due).is_some_and(|due| due <= now) {
            self.close_pack(io, books);
        }
        if self.route.due().is_some_and(|due| due <= now) {
            self.flush(io, books);
        }
    }

    /// Lets what packing holds leave.
    pub fn close_pack<I: Io<Sender = S>>(&mut self, io: &mut I, books: &mut TargetBooks) {
        let Some(pack) = &mut self.pack else { return };
        let (route, queue) = (&mut self.route, &mut self.queue);
        pack.close(books, |ready, weights, books| forward(route, queue, io, ready, weights, books));
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
        let (datagrams, bytes) = self.pack.as_ref().map_or((0, 0), Packing::held);
        books[TargetCell::Queued] = self.queue.datagrams() + u64::from(datagrams);
        books[TargetCell::QueuedBytes] = (self.queue.bytes() + bytes) as u64;
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
