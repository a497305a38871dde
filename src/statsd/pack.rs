//! Joins StatsD datagrams with newlines into larger ones (`?pack=`).
//!
//! Always true: the lines that leave are the lines that came, in order; nothing leaves larger than the limit
//! unless it came that way; a datagram larger than the limit leaves alone, unchanged.

use std::ops::Range;

/// Fills packs one after another in one piece of memory.
///
/// The *open* pack takes datagrams until it is [closed](Packer::close); closed ones stay readable until
/// [`Packer::recycle`].
#[derive(Debug)]
pub struct Packer {
    memory: Vec<u8>,
    limit: usize,
    /// Where the open pack begins.
    start: usize,
    datagrams: u32,
    lines: u32,
    /// Datagrams in the closed packs.
    closed: u32,
}

/// What became of a datagram that was offered.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is in the open pack.
    Taken {
        /// The lines it brought.
        lines: u32,
    },
    /// It does not fit behind what is in the open pack: close that and offer again.
    Full,
    /// It is larger than any pack: close the open one, then send this as it is.
    Alone {
        /// The lines it brings.
        lines: u32,
    },
    /// It holds no line (empty, or newlines only), so there is nothing to send.
    Empty,
}

/// A pack that is complete.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its bytes, for [`Packer::bytes`].
    pub range: Range<usize>,
    /// The datagrams in it.
    pub datagrams: u32,
    /// The lines in it.
    pub lines: u32,
}

impl Packer {
    /// Packs of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { memory: Vec::new(), limit, start: 0, datagrams: 0, lines: 0, closed: 0 }
    }

    /// Offers the next datagram.
    #[inline]
    pub fn offer(&mut self, datagram: &[u8]) -> Offer {
        if datagram.len() > self.limit {
            return Offer::Alone { lines: count_lines(datagram) };
        }
        let body = trim_newlines(datagram);
        if body.is_empty() {
            return Offer::Empty;
        }
        let filled = self.memory.len() - self.start;
        if filled > 0 {
            if filled + 1 + body.len() > self.limit {
                return Offer::Full;
            }
            self.memory.push(b'\n');
        }
        self.memory.extend_from_slice(body);
        let lines = count_lines(body);
        self.datagrams += 1;
        self.lines += lines;
        Offer::Taken { lines }
    }

    /// Datagrams in the open pack.
    pub fn open_datagrams(&self) -> u32 {
        self.datagrams
    }

    /// Datagrams in memory: in the open pack, and in those that were closed since [`Packer::recycle`].
    pub fn held_datagrams(&self) -> u32 {
        self.closed + self.datagrams
    }

    /// Bytes in memory, as [`Packer::held_datagrams`].
    pub fn held_bytes(&self) -> usize {
        self.memory.len()
    }

    /// Completes the open pack, if there is anything in it.
    pub fn close(&mut self) -> Option<Closed> {
        let range = self.start..self.memory.len();
        (!range.is_empty()).then(|| {
            self.start = range.end;
            self.closed += self.datagrams;
            Closed { range, datagrams: std::mem::take(&mut self.datagrams), lines: std::mem::take(&mut self.lines) }
        })
    }

    /// The bytes of a closed pack.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.memory[range]
    }

    /// Forgets the closed packs; the open one stays.
    pub fn recycle(&mut self) {
        self.memory.drain(..self.start);
        self.start = 0;
        self.closed = 0;
    }
}

/// A datagram without the newlines around it: they separate lines, they are no part of one.
#[inline]
fn trim_newlines(mut datagram: &[u8]) -> &[u8] {
    while let [b'\n', rest @ ..] = datagram {
        datagram = rest;
    }
    while let [rest @ .., b'\n'] = datagram {
        datagram = rest;
    }
    datagram
}

/// How many lines stand in `bytes`. An empty one does not count: it separates, it says nothing.
#[inline]
pub fn count_lines(bytes: &[u8]) -> u32 {
    let mut lines = 0;
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        lines += u32::from(end > start);
        start = end + 1;
    }
    lines + u32::from(start < bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What leaves when `datagrams` are packed: each closed pack and each lone datagram.
    fn packed(limit: usize, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut packer = Packer::new(limit);
        let mut out = Vec::new();
        let close = |packer: &mut Packer, out: &mut Vec<Vec<u8>>| {
            if let Some(closed) = packer.close() {
                let bytes = packer.bytes(closed.range).to_vec();
                assert_eq!(count_lines(&bytes), closed.lines);
                out.push(bytes);
                packer.recycle();
            }
        };
        for datagram in datagrams {
            loop {
                match packer.offer(datagram) {
                    Offer::Full => close(&mut packer, &mut out),
                    Offer::Alone { .. } => {
                        close(&mut packer, &mut out);
                        out.push(datagram.clone());
                        break;
                    }
                    Offer::Taken { .. } | Offer::Empty => break,
                }
            }
        }
        close(&mut packer, &mut out);
        out
    }

    fn lines(datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let split = datagrams.iter().flat_map(|d| d.split(|b| *b == b'\n'));
        split.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn packs_are_filled_to_the_limit_and_not_beyond() {
        let out = packed(10, &[b"abc".to_vec(), b"def\n".to_vec(), b"gh".to_vec(), b"i".to_vec()]);
        assert_eq!(out, [b"abc\ndef\ngh".to_vec(), b"i".to_vec()]);
        assert_eq!(packed(3, &[b"abcd\n".to_vec(), b"\n\n".to_vec(), vec![]]), [b"abcd\n".to_vec()]);
    }

    proptest! {
        #[test]
        fn the_lines_that_leave_are_the_lines_that_came(
            limit in 1usize..60,
            datagrams in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), b'a'..=b'f'], 0..40), 0..40),
        ) {
            let out = packed(limit, &datagrams);
            prop_assert_eq!(lines(&out), lines(&datagrams));
            for datagram in &out {
                prop_assert!(datagram.len() <= limit || datagrams.contains(datagram));
            }
        }
    }
}
