//! What a failed send means, sorted by who can cause it. Nothing here decides what to do about it.

use std::io::{Error, ErrorKind};

use super::os::codes;

/// Why the kernel did not take a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Our socket is full for now; a writable event will come.
    WouldBlock,
    /// The kernel is out of buffers; no event will come.
    NoBuffers,
    /// The target: nothing listens there. On UDP it speaks of an *earlier* datagram.
    Refused,
    /// The target: its Unix socket does not exist (any more), or was never connected.
    Gone,
    /// The network: no route.
    Unreachable,
    /// The sender of the datagram: it is too long for the path.
    TooLong,
    /// Anything else (a firewall's `EPERM`, say).
    Other,
}

/// Sorts a send or connect error.
pub fn refusal(error: &Error) -> Refusal {
    match error.raw_os_error() {
        Some(codes::NO_BUFFERS | codes::NO_MEMORY) => return Refusal::NoBuffers,
        Some(codes::TOO_LONG) => return Refusal::TooLong,
        _ => {}
    }
    match error.kind() {
        ErrorKind::WouldBlock => Refusal::WouldBlock,
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Refusal::Refused,
        ErrorKind::NotFound | ErrorKind::NotConnected | ErrorKind::BrokenPipe => Refusal::Gone,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => Refusal::Unreachable,
        _ => Refusal::Other,
    }
}
