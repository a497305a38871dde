//! Packing for one target: joins what a batch brought, and lets it wait for more where `linger=` asks for it.
//!
//! Without `linger=` nothing stays here between two batches. With it, full packs wait beside the open one, so that
//! they leave together as one send, which costs the kernel hardly more than a send of one of them.
//! Always true between two batches: what waits is due at one moment, not later than `linger` after its first
//! datagram came, and is not more than 65,000 bytes, or one pack where that is larger.

use std::io::IoSlice;
use std::time::Instant;

use super::queue::Weight;
use crate::config::limits::PackLimits;
use crate::stats::cells::{TargetBooks, TargetCell};
use crate::statsd::pack::{Closed, Offer, Packer};
use crate::sys::BATCH;

/// What the kernel takes in one send of equal sizes; more could not leave together.
const HELD_BYTES: usize = 65_000;

/// Where one target's datagrams are joined.
#[derive(Debug)]
pub(super) struct Packing {
    packer: Packer,
    /// What is ready to leave, in order; at most a batch.
    ready: Vec<Piece>,
    limits: PackLimits,
    /// When everything that waits must leave.
    due: Option<Instant>,
}

/// Something that leaves as one datagram.
#[derive(Debug)]
enum Piece {
    Pack(Closed),
    /// Datagram `.0` of the batch, which has `.1` lines.
    Alone(usize, u32),
}

impl Packing {
    /// With nothing in it.
    pub(super) fn new(limits: PackLimits) -> Self {
        Self { packer: Packer::new(limits.bytes), ready: Vec::with_capacity(BATCH), limits, due: None }
    }

    /// Datagrams and bytes that wait here.
    pub(super) fn held(&self) -> (u32, usize) {
        (self.packer.held_datagrams(), self.packer.held_bytes())
    }

    /// When what waits must leave.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Says until when what waits may take more, if anything does.
    pub(super) fn await_more(&mut self, now: impl FnOnce() -> Instant) {
        if self.packer.held_datagrams() == 0 {
            self.due = None;
        } else if self.due.is_none() {
            self.due = Some(now() + self.limits.linger);
        }
    }

    /// Packs `datagrams`; `send` is given what is to leave, at most a batch at a time.
    pub(super) fn offer(
        &mut self,
        datagrams: &[IoSlice<'_>],
        books: &mut TargetBooks,
        mut send: impl FnMut(&[IoSlice<'_>], &[Weight], &mut TargetBooks),
    ) {
        let mut alone = false;
        for (i, datagram) in datagrams.iter().enumerate() {
            let mut offer = self.packer.offer(datagram);
            if !matches!(offer, Offer::Taken { .. } | Offer::Empty) {
                self.complete();
                if self.is_full() {
                    self.release(datagrams, books, &mut send);
                }
                if offer == Offer::Full {
                    offer = self.packer.offer(datagram);
                }
            }
            match offer {
                Offer::Taken { lines } => books[TargetCell::LinesIn] += u64::from(lines),
                Offer::Alone { lines } => {
                    books[TargetCell::LinesIn] += u64::from(lines);
                    self.ready.push(Piece::Alone(i, lines));
                    alone = true;
                    if self.is_full() {
                        self.release(datagrams, books, &mut send);
                    }
                }
                Offer::Empty => books[TargetCell::Discarded] += 1,
                Offer::Full => unreachable!("an empty pack takes whatever is not larger than itself"),
            }
        }
        if self.limits.linger.is_zero() {
            self.complete();
        }
        // What leaves alone lies in the batch, which ends here.
        if self.limits.linger.is_zero() || alone {
            self.release(datagrams, books, &mut send);
        }
    }

    /// Lets everything leave.
    pub(super) fn close(
        &mut self,
        books: &mut TargetBooks,
        mut send: impl FnMut(&[IoSlice<'_>], &[Weight], &mut TargetBooks),
    ) {
        self.complete();
        self.release(&[], books, &mut send);
    }

    /// The open pack takes no more.
    fn complete(&mut self) {
        self.ready.extend(self.packer.close().map(Piece::Pack));
    }

    /// Whether another pack might not leave together with those that are ready.
    fn is_full(&self) -> bool {
        self.ready.len() == BATCH || self.packer.held_bytes() + self.limits.bytes > HELD_BYTES
    }

    /// Lets what is ready leave. An open pack stays: it was begun by the batch at hand, so it may wait anew.
    fn release(
        &mut self,
        datagrams: &[IoSlice<'_>],
        books: &mut TargetBooks,
        send: &mut impl FnMut(&[IoSlice<'_>], &[Weight], &mut TargetBooks),
    ) {
        self.due = None;
        if self.ready.is_empty() {
            return;
        }
        let mut space = [IoSlice::new(&[]); BATCH];
        let mut weights = [Weight::default(); BATCH];
        for ((slice, weight), piece) in space.iter_mut().zip(&mut weights).zip(&self.ready) {
            (*slice, *weight) = match piece {
                Piece::Pack(closed) => (
                    IoSlice::new(self.packer.bytes(closed.range.clone())),
                    Weight { datagrams: closed.datagrams, lines: closed.lines },
                ),
                Piece::Alone(i, lines) => (IoSlice::new(&datagrams[*i]), Weight { datagrams: 1, lines: *lines }),
            };
        }
        send(&space[..self.ready.len()], &weights[..self.ready.len()], books);
        self.ready.clear();
        self.packer.recycle();
    }
}
