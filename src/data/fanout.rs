//! Fan-out: one batch to each target. One target never waits for another, because none waits at all.

use std::io::IoSlice;

use super::batch::Batch;
use super::target::Target;
use crate::stats::cells::{TargetBooks, dropped_cell};
use crate::stats::reason::DropReason;
use crate::sys::{BATCH, Io};

/// Offers what is in `batch` to every target.
#[inline]
pub fn fan_out<I: Io>(io: &mut I, batch: &Batch, targets: &mut [Target<I::Sender>], books: &mut [TargetBooks]) {
    let mut space = [IoSlice::new(&[]); BATCH];
    let datagrams = batch.datagrams(&mut space);
    for (target, books) in targets.iter_mut().zip(books) {
        books[dropped_cell(DropReason::Truncated)] += batch.truncated() as u64;
        target.offer(io, datagrams, books);
    }
}
