//! What every Unix shares: error codes, CPU time, memory.

use std::time::Duration;

use super::fallback::ReceiveError;

/// Error codes that `std::io::ErrorKind` has no name for.
pub(super) mod codes {
    pub const NO_BUFFERS: i32 = libc::ENOBUFS;
    pub const NO_MEMORY: i32 = libc::ENOMEM;
    pub const TOO_LONG: i32 = libc::EMSGSIZE;
}

/// The CPU time (user and system) that the calling thread has used.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the call to fill; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Whether the process runs as root.
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Resident memory of this process in bytes (`/proc/self/statm`, field 2), where the host tells it.
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page).ok()?)
}

/// How the portable loop reads a failed receive.
pub(super) fn receive_error(error: &std::io::Error) -> ReceiveError {
    match error.kind() {
        std::io::ErrorKind::WouldBlock => ReceiveError::Empty,
        std::io::ErrorKind::Interrupted => ReceiveError::Nothing,
        _ => ReceiveError::Other,
    }
}
