//! Packing for one target: joins what a batch brought, and lets it wait for more where `linger=` asks for it.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::queue::Weight;
use crate::config::limits::PackLimits;
use crate::stats::cells::{TargetBooks, TargetCell};
use crate::statsd::pack::{Closed, Offer, Packer};
use crate::sys::BATCH;

/// Where one target's datagrams are joined.
#[derive(Debug)]
pub(super) struct Packing {
    packer: Packer,
    linger: Duration,
    /// When the open pack must leave.
    due: Option<Instant>,
}

impl Packing {
    /// With nothing in it.
    pub(super) fn new(limits: PackLimits) -> Self {
        Self { packer: Packer::new(limits.bytes), linger: limits.linger, due: None }
    }

    /// Datagrams and bytes in the open pack.
    pub(super) fn open(&self) -> (u32, usize) {
        (self.packer.open_datagrams(), self.packer.open_bytes())
    }

    /// When the open pack must leave.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Says until when the open pack may take more, if there is one.
    pub(super) fn await_more(&mut self, now: impl FnOnce() -> Instant) {
        if self.packer.open_datagrams() == 0 {
            self.due = None;
        } else if self.due.is_none() {
            self.due = Some(now() + self.linger);
        }
    }

    /// Packs `datagrams`; `send` is given what is ready to leave, at most a batch at a time.
    pub(super) fn offer(
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

    /// Lets the open pack leave.
    pub(super) fn close(&mut self, send: impl FnOnce(&[IoSlice<'_>], &[Weight])) {
        self.due = None;
        if let Some(closed) = self.packer.close() {
            let weight = Weight { datagrams: closed.datagrams, lines: closed.lines };
            send(&[IoSlice::new(self.packer.bytes(closed.range))], &[weight]);
            self.packer.recycle();
        }
    }
}

/// Something that leaves as one datagram.
enum Piece {
    Pack(Closed),
    /// Datagram `.0` of the batch, which has `.1` lines.
    Alone(usize, u32),
}
