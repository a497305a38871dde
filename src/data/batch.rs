//! A batch: what one receive call brought, counted and lent out. Nothing is copied.

use std::io::{self, IoSlice};

use crate::stats::cells::{ListenerBooks, ListenerCell, size_bucket, size_cell};
use crate::sys::{BATCH, Receiver, Slots};

/// The receive memory of a shard and what stands in it now.
#[derive(Debug)]
pub struct Batch {
    slots: Slots,
    filled: usize,
    truncated: usize,
}

impl Batch {
    /// An empty batch for datagrams of up to `buffer` bytes.
    pub fn new(buffer: usize) -> Self {
        Self { slots: Slots::new(buffer), filled: 0, truncated: 0 }
    }

    /// Replaces what is in the batch by the next datagrams of `receiver`, and counts them.
    ///
    /// Returns whether more may be waiting: a call that did not fill every slot has emptied the socket.
    ///
    /// # Errors
    /// What the kernel said; the batch is then empty.
    pub fn receive(&mut self, receiver: &mut impl Receiver, books: &mut ListenerBooks) -> io::Result<bool> {
        (self.filled, self.truncated) = (0, 0);
        self.filled = receiver.receive(&mut self.slots)?;
        let mut bytes = 0;
        for i in 0..self.filled {
            let length = self.slots.length(i);
            bytes += length as u64;
            books[size_cell(size_bucket(length))] += 1;
            self.truncated += usize::from(length > self.slots.size());
        }
        books[ListenerCell::Batches] += 1;
        books[ListenerCell::Received] += self.filled as u64;
        books[ListenerCell::ReceivedBytes] += bytes;
        books[ListenerCell::Truncated] += self.truncated as u64;
        Ok(self.filled == BATCH)
    }

    /// How many datagrams were larger than the buffer; they are not among the [`Batch::datagrams`].
    pub fn truncated(&self) -> usize {
        self.truncated
    }

    /// The whole datagrams, in the order in which they came, as the front part of `space`.
    pub fn datagrams<'s, 'a>(&'a self, space: &'s mut [IoSlice<'a>; BATCH]) -> &'s [IoSlice<'a>] {
        let mut count = 0;
        for datagram in (0..self.filled).filter_map(|i| self.slots.datagram(i)) {
            space[count] = IoSlice::new(datagram);
            count += 1;
        }
        &space[..count]
    }
}
