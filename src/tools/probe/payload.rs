//! How a numbered datagram is written and read again.
//!
//! As StatsD it is a gauge line of its flow: `load.3:41|g|#crxp0v8ka2l8,xxxx` is number 41 of flow 3, then the
//! time it was sent (nanoseconds since the Unix epoch, base 36) and padding. A relay may join such lines; each
//! is read by itself. As raw bytes it has a fixed head: `UPLD`, flow, number, time (big-endian), padding.

use std::io::Write;

/// Begins a raw datagram.
const MAGIC: &[u8; 4] = b"UPLD";
/// Bytes of a raw head.
const HEAD: usize = 24;

/// The shape of a numbered datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A StatsD line.
    Statsd,
    /// Bytes that are no text.
    Raw,
}

/// One numbered datagram (or line).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The sender's socket.
    pub flow: u32,
    /// Its place in the flow, from 0 on.
    pub number: u64,
    /// When it was sent, in nanoseconds since the Unix epoch.
    pub sent: u64,
}

impl Numbered {
    /// Appends it to `out`, padded to `size` bytes; longer where that does not hold it.
    pub fn write(self, format: Format, size: usize, out: &mut Vec<u8>) {
        let start = out.len();
        match format {
            Format::Statsd => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "load.{}:{}|g|#", self.flow, self.number);
                base36(self.sent, out);
                if out.len() + 1 < start + size {
                    out.push(b',');
                    out.resize(start + size, b'x');
                }
            }
            Format::Raw => {
                out.extend_from_slice(MAGIC);
                out.extend_from_slice(&self.flow.to_be_bytes());
                out.extend_from_slice(&self.number.to_be_bytes());
                out.extend_from_slice(&self.sent.to_be_bytes());
                out.resize(start + size.max(HEAD), 0xa5);
            }
        }
    }

    /// Reads a raw datagram.
    fn read_raw(datagram: &[u8]) -> Option<Self> {
        let rest = datagram.strip_prefix(MAGIC)?;
        let (flow, rest) = rest.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (sent, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            flow: u32::from_be_bytes(*flow),
            number: u64::from_be_bytes(*number),
            sent: u64::from_be_bytes(*sent),
        })
    }

    /// Reads a line.
    fn read_line(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.strip_prefix("load.")?;
        let (flow, text) = text.split_once(':')?;
        let (number, text) = text.split_once("|g|#")?;
        let sent = text.split(',').next()?;
        Some(Self { flow: flow.parse().ok()?, number: number.parse().ok()?, sent: u64::from_str_radix(sent, 36).ok()? })
    }
}

/// Calls `each` for everything numbered in a datagram (`None` for what is not), and returns how many lines it has.
pub fn read(datagram: &[u8], mut each: impl FnMut(Option<Numbered>)) -> u64 {
    if datagram.starts_with(MAGIC) {
        each(Numbered::read_raw(datagram));
        return 1;
    }
    let mut lines = 0;
    for line in datagram.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        each(Numbered::read_line(line));
        lines += 1;
    }
    if lines == 0 {
        each(None);
    }
    lines
}

fn base36(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 13];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(n % 36) as usize];
        n /= 36;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for format in [Format::Statsd, Format::Raw] {
            for size in [0, 30, 64, 1400] {
                let numbered = Numbered { flow: 12, number: 1_234_567, sent: 1_795_468_576_598_168_400 };
                let mut datagram = Vec::new();
                numbered.write(format, size, &mut datagram);
                assert!(datagram.len() >= size && (size < 40 || datagram.len() == size), "{size}: {}", datagram.len());
                let mut read_again = Vec::new();
                read(&datagram, |n| read_again.push(n));
                assert_eq!(read_again, [Some(numbered)]);
            }
        }
    }

    #[test]
    fn joined_lines_are_read_one_by_one_and_foreign_ones_are_told() {
        let mut datagram = Vec::new();
        for number in 0..3 {
            Numbered { flow: 1, number, sent: 5 }.write(Format::Statsd, 40, &mut datagram);
            datagram.push(b'\n');
        }
        datagram.extend_from_slice(b"other.metric:1|c");
        let mut numbers = Vec::new();
        assert_eq!(read(&datagram, |n| numbers.push(n.map(|n| n.number))), 4);
        assert_eq!(numbers, [Some(0), Some(1), Some(2), None]);
        let foreign: [&[u8]; 5] = [b"", b"\n", b"UPLD", b"load.x:1|g|#1", b"load.1:1|g|#\xff"];
        for datagram in foreign {
            let mut told = 0;
            read(datagram, |n| told += u32::from(n.is_none()));
            assert_eq!(told, 1, "{datagram:?}");
        }
    }
}
