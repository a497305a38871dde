//! The memory that receive calls fill: [`BATCH`] slots, each as large as the largest datagram.

use super::BATCH;

/// What one receive call brought, and the memory it stands in.
#[derive(Debug)]
pub struct Slots {
    memory: Box<[u8]>,
    stride: usize,
    size: usize,
    lengths: [u32; BATCH],
}

impl Slots {
    /// Slots for datagrams of up to `size` bytes.
    ///
    /// The memory is asked for zeroed and whole, so the kernel gives a page only when a datagram first
    /// touches it: 64 slots for 65,535 bytes cost a quarter of a MiB while datagrams are small.
    pub fn new(size: usize) -> Self {
        // An odd number of cache lines: were the stride a power of two, the heads of all slots would
        // share a handful of cache sets and push each other out.
        let stride = ((size + 1).div_ceil(64) | 1) * 64;
        Self { memory: vec![0; stride * BATCH].into_boxed_slice(), stride, size, lengths: [0; BATCH] }
    }

    /// The largest datagram that fits, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Slot `i` to write into: one byte longer than the largest datagram, so that a receive call without
    /// a truncation flag shows a longer one by filling it.
    pub fn slot_mut(&mut self, i: usize) -> &mut [u8] {
        &mut self.memory[i * self.stride..][..self.size + 1]
    }

    /// Says that slot `i` holds a datagram that was `length` bytes long when it was sent.
    #[inline]
    pub fn set_length(&mut self, i: usize, length: usize) {
        self.lengths[i] = length as u32;
    }

    /// How long the datagram in slot `i` was when it was sent.
    #[inline]
    pub fn length(&self, i: usize) -> usize {
        self.lengths[i] as usize
    }

    /// The datagram in slot `i`, or `None` when it did not fit.
    #[inline]
    pub fn datagram(&self, i: usize) -> Option<&[u8]> {
        let length = self.lengths[i] as usize;
        (length <= self.size).then(|| &self.memory[i * self.stride..][..length])
    }
}
