//! Sending a batch with `sendmmsg`, runs of equal sizes as one `UDP_SEGMENT` message.
//!
//! A *run* is what one message carries: datagrams of one size, the last of which may be shorter. The kernel
//! cuts it again behind the routing, checksum and queueing work, which is then done once for the run.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use socket2::Socket;

use super::super::{BATCH, Sender, Sent};
use super::sockopt;

/// The most bytes of one `UDP_SEGMENT` message: what a UDP length field holds, less IPv6's largest headers.
const RUN_BYTES: usize = 65_000;

/// A connected sending socket.
#[derive(Debug)]
pub struct BatchSender {
    socket: Socket,
    /// The largest datagram that may be part of a run: what fits the path's MTU. 0: never make runs.
    segment_limit: usize,
}

impl BatchSender {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let segment_limit = sockopt::segment_limit(socket.as_raw_fd());
        Ok(Self { socket, segment_limit })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The kernel takes no such run on this path: its MTU shrank, or it has no checksum offload. That says
    /// nothing about the datagrams, so they go again, in smaller runs or one by one.
    fn lower_segment_limit(&mut self) {
        let limit = sockopt::segment_limit(self.socket.as_raw_fd());
        self.segment_limit = if limit < self.segment_limit { limit } else { 0 };
    }
}

impl Sender for BatchSender {
    fn send(&mut self, datagrams: &[IoSlice<'_>]) -> Sent {
        let mut accepted = 0;
        while accepted < datagrams.len() {
            let mut messages = Messages::new();
            messages.fill(&datagrams[accepted..], self.segment_limit);
            match messages.send(self.socket.as_raw_fd()) {
                Ok(sent) => accepted += sent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if messages.begins_with_run() && refuses_runs(&error) => self.lower_segment_limit(),
                Err(error) => return Sent { accepted, error: Some(error) },
            }
        }
        Sent { accepted, error: None }
    }

    fn one_by_one(&mut self) {
        self.segment_limit = 0;
    }
}

fn refuses_runs(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE | libc::EOPNOTSUPP))
}

/// A control message that carries the segment size, aligned as `cmsghdr` asks.
#[repr(C)]
struct SegmentSize {
    header: libc::cmsghdr,
    size: u16,
    _pad: [u8; 6],
}

/// The message headers of one `sendmmsg` call. Nothing in here is initialised before it is used.
struct Messages {
    headers: [MaybeUninit<libc::mmsghdr>; BATCH],
    controls: [MaybeUninit<SegmentSize>; BATCH],
    /// Datagrams in each message.
    runs: [MaybeUninit<u8>; BATCH],
    count: usize,
}

impl Messages {
    fn new() -> Self {
        Self {
            headers: [const { MaybeUninit::uninit() }; BATCH],
            controls: [const { MaybeUninit::uninit() }; BATCH],
            runs: [const { MaybeUninit::uninit() }; BATCH],
            count: 0,
        }
    }

    /// Describes all of `datagrams`. The headers point into `datagrams` and into `self`: neither may move
    /// before [`Messages::send`].
    fn fill(&mut self, datagrams: &[IoSlice<'_>], segment_limit: usize) {
        let mut next = 0;
        while next < datagrams.len().min(BATCH) {
            let run = run_length(&datagrams[next..], segment_limit);
            // SAFETY: all-zero is a valid mmsghdr (null pointers, zero lengths; musl adds private padding).
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            // IoSlice is guaranteed to have the layout of iovec. The kernel only reads through it.
            header.msg_hdr.msg_iov = datagrams[next..].as_ptr().cast_mut().cast();
            header.msg_hdr.msg_iovlen = run as _;
            if run > 1 {
                let control = self.controls[self.count].write(SegmentSize {
                    // SAFETY: all-zero is a valid cmsghdr.
                    header: unsafe { std::mem::zeroed() },
                    size: datagrams[next].len() as u16,
                    _pad: [0; 6],
                });
                // SAFETY: CMSG_LEN only computes.
                control.header.cmsg_len = unsafe { libc::CMSG_LEN(2) } as _;
                control.header.cmsg_level = libc::SOL_UDP;
                control.header.cmsg_type = libc::UDP_SEGMENT;
                header.msg_hdr.msg_control = ptr::from_mut(control).cast();
                header.msg_hdr.msg_controllen = size_of::<SegmentSize>() as _;
            }
            self.headers[self.count].write(header);
            self.runs[self.count].write(run as u8);
            self.count += 1;
            next += run;
        }
    }

    fn begins_with_run(&self) -> bool {
        // SAFETY: the first `count` entries are initialised.
        self.count > 0 && unsafe { self.runs[0].assume_init() } > 1
    }

    /// One `sendmmsg(2)`: how many *datagrams* left, or why the first message did not.
    fn send(&mut self, fd: RawFd) -> io::Result<usize> {
        // SAFETY: the first `count` headers are initialised; their pointers lead to slices that the caller
        // borrows and to controls of `self`, all alive and unmoved. The kernel writes only `msg_len`.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendmmsg,
                fd,
                self.headers.as_mut_ptr(),
                self.count as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `sent` is at most `count`, and the first `count` entries are initialised.
        Ok(self.runs[..sent as usize].iter().map(|run| usize::from(unsafe { run.assume_init() })).sum())
    }
}

/// How many of `datagrams` one message can carry: equal sizes, and then one that is shorter.
fn run_length(datagrams: &[IoSlice<'_>], segment_limit: usize) -> usize {
    let size = datagrams[0].len();
    if size == 0 || size > segment_limit {
        return 1;
    }
    let most = (RUN_BYTES / size).clamp(1, BATCH).min(datagrams.len());
    let equal = datagrams[..most].iter().take_while(|d| d.len() == size).count();
    let tail = equal < most && (1..size).contains(&datagrams[equal].len());
    equal + usize::from(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(sizes: &[usize], limit: usize) -> Vec<usize> {
        let bytes = vec![0; 65_507];
        let datagrams: Vec<_> = sizes.iter().map(|s| IoSlice::new(&bytes[..*s])).collect();
        let mut found = Vec::new();
        let mut next = 0;
        while next < datagrams.len() {
            let run = run_length(&datagrams[next..], limit);
            found.push(run);
            next += run;
        }
        found
    }

    #[test]
    fn a_run_is_equal_sizes_and_one_shorter() {
        assert_eq!(runs(&[64; 64], 1472), [64]);
        assert_eq!(runs(&[64, 64, 30, 64, 80, 80, 0, 0], 1472), [3, 1, 2, 1, 1]);
        assert_eq!(runs(&[30, 64], 1472), [1, 1]);
        assert_eq!(runs(&[1472; 64], 1472), [44, 20], "at most 65,000 bytes");
        assert_eq!(runs(&[1473; 3], 1472), [1, 1, 1]);
        assert_eq!(runs(&[64; 3], 0), [1, 1, 1], "switched off");
        assert_eq!(runs(&[40_000, 30_000], 65_507), [1, 1]);
    }
}
