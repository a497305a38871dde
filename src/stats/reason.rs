//! Why a datagram was dropped. A closed set: labels never come from the network.

/// The reasons for which a datagram can be lost on its way to one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum DropReason {
    /// The target's queue was full.
    QueueFull,
    /// The datagram was larger than `--buffer`; a stump is never forwarded.
    Truncated,
    /// The kernel or the path refused its size (`EMSGSIZE`).
    TooLong,
    /// The target's name has no address yet, or its Unix socket does not exist.
    NoEndpoint,
    /// The target's host refused it twice in a row (`ECONNREFUSED`).
    Refused,
    /// There is no route to the target (`ENETUNREACH`, `EHOSTUNREACH`).
    Unreachable,
    /// The kernel stayed out of buffers (`ENOBUFS`).
    NoBuffers,
    /// Any other error of the send call.
    IoError,
    /// Still queued when `--drain-timeout` ended.
    Shutdown,
}

impl DropReason {
    /// Every reason, in the order of its number.
    pub const ALL: [DropReason; 9] = [
        DropReason::QueueFull,
        DropReason::Truncated,
        DropReason::TooLong,
        DropReason::NoEndpoint,
        DropReason::Refused,
        DropReason::Unreachable,
        DropReason::NoBuffers,
        DropReason::IoError,
        DropReason::Shutdown,
    ];

    /// The label value in metrics, logs and `/status`.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queue_full",
            DropReason::Truncated => "truncated",
            DropReason::TooLong => "too_long",
            DropReason::NoEndpoint => "no_endpoint",
            DropReason::Refused => "refused",
            DropReason::Unreachable => "unreachable",
            DropReason::NoBuffers => "no_buffers",
            DropReason::IoError => "io_error",
            DropReason::Shutdown => "shutdown",
        }
    }

    /// What an operator should look at, for the log line.
    pub fn remedy(self) -> &'static str {
        match self {
            DropReason::QueueFull => {
                "the target takes less than it is sent: raise --channel-size or ?queue= for bursts, or give the target more capacity"
            }
            DropReason::Truncated => "datagrams larger than --buffer arrive: raise --buffer",
            DropReason::TooLong => "the path does not take datagrams of this size: send smaller ones",
            DropReason::NoEndpoint => "the target's name does not resolve, or its socket does not exist",
            DropReason::Refused => "nothing listens at the target's address",
            DropReason::Unreachable => "there is no route to the target's address",
            DropReason::NoBuffers => "the kernel is out of network buffers",
            DropReason::IoError => "the kernel refused the send: see last_error in /healthz",
            DropReason::Shutdown => "still queued when --drain-timeout ended: raise it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions() {
        for (i, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, i);
        }
    }
}
