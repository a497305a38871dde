//! Windows: socket controls, error codes, CPU time, host counters and named pipes.

pub(super) mod host;
pub(super) mod pipe;

use std::io;
use std::os::windows::io::AsRawSocket;
use std::time::Duration;

use socket2::Socket;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Networking::WinSock;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, GetThreadTimes};

use super::fallback::ReceiveError;

/// Error codes that `std::io::ErrorKind` has no name for.
pub(super) mod codes {
    use windows_sys::Win32::Networking::WinSock;
    pub const NO_BUFFERS: i32 = WinSock::WSAENOBUFS;
    pub const NO_MEMORY: i32 = WinSock::WSA_NOT_ENOUGH_MEMORY;
    pub const TOO_LONG: i32 = WinSock::WSAEMSGSIZE;
}

/// How the portable loop reads a failed receive.
pub(super) fn receive_error(error: &io::Error) -> ReceiveError {
    match error.raw_os_error() {
        Some(WinSock::WSAEMSGSIZE) => ReceiveError::TooLong,
        // An ICMP answer to something that was *sent*: says nothing about this socket's own datagrams.
        Some(WinSock::WSAECONNRESET | WinSock::WSAENETRESET) => ReceiveError::Nothing,
        _ if error.kind() == io::ErrorKind::WouldBlock => ReceiveError::Empty,
        _ => ReceiveError::Other,
    }
}

/// Turns `SIO_UDP_CONNRESET` off: otherwise an ICMP port-unreachable makes the next *receive* fail.
pub(super) fn ignore_port_unreachable(socket: &Socket) -> io::Result<()> {
    let off = 0u32;
    let mut written = 0u32;
    // SAFETY: `off` is a valid BOOL of the length given; there is no output buffer and no overlapped call.
    let result = unsafe {
        WinSock::WSAIoctl(
            socket.as_raw_socket() as usize,
            WinSock::SIO_UDP_CONNRESET,
            std::ptr::from_ref(&off).cast(),
            size_of::<u32>() as u32,
            std::ptr::null_mut(),
            0,
            &mut written,
            std::ptr::null_mut(),
            None,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `SO_EXCLUSIVEADDRUSE`: nobody else can take the port while we have it.
pub(super) fn exclusive_address(socket: &Socket) -> io::Result<()> {
    let on = 1i32;
    // SAFETY: `on` is a valid BOOL of the length given.
    let result = unsafe {
        WinSock::setsockopt(
            socket.as_raw_socket() as usize,
            WinSock::SOL_SOCKET,
            WinSock::SO_EXCLUSIVEADDRUSE,
            std::ptr::from_ref(&on).cast(),
            size_of::<i32>() as i32,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The CPU time (user and kernel) that the calling thread has used.
pub fn cpu_time() -> Duration {
    let mut times = [FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 }; 4];
    let [created, exited, kernel, user] = &mut times;
    // SAFETY: the pseudo handle of the current thread is always valid, and so are the four out pointers.
    unsafe { GetThreadTimes(GetCurrentThread(), created, exited, kernel, user) };
    let hundred_nanos = |t: &FILETIME| (u64::from(t.dwHighDateTime) << 32) | u64::from(t.dwLowDateTime);
    Duration::from_nanos(100 * (hundred_nanos(kernel) + hundred_nanos(user)))
}

/// Whether the process runs with all rights. Not asked on Windows.
pub fn is_root() -> bool {
    false
}

/// Resident memory of this process in bytes: its working set.
pub fn resident_bytes() -> Option<u64> {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: the pseudo handle of the current process is always valid; `counters` is as large as is said.
    let done = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, size) };
    (done != 0).then_some(counters.WorkingSetSize as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::bind;

    #[test]
    fn what_a_send_caused_is_nothing_received() {
        let read = |code| receive_error(&io::Error::from_raw_os_error(code));
        assert_eq!((read(10_054), read(10_052)), (ReceiveError::Nothing, ReceiveError::Nothing));
        assert_eq!((read(10_035), read(10_040)), (ReceiveError::Empty, ReceiveError::TooLong));
        assert_eq!(read(10_004), ReceiveError::Other);
    }

    #[test]
    fn a_port_unreachable_does_not_disturb_the_listener() {
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = bind::udp("127.0.0.1:0".parse().unwrap(), false, false).unwrap();
        ignore_port_unreachable(&listener).expect("the system knows SIO_UDP_CONNRESET");
        listener.set_nonblocking(false).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let listener: std::net::UdpSocket = listener.into();
        listener.send_to(b"nobody reads this", gone).unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"after", listener.local_addr().unwrap()).unwrap();
        let mut slot = [0; 16];
        let length = listener.recv(&mut slot).expect("the answer to what was sent is not told here");
        assert_eq!(&slot[..length], b"after");
    }

    #[test]
    fn nobody_else_gets_the_port() {
        let listener = bind::udp("127.0.0.1:0".parse().unwrap(), false, true).unwrap();
        let address = listener.local_addr().unwrap();
        let thief = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        // On Windows this option takes a port from whoever did not ask for exclusive use.
        thief.set_reuse_address(true).unwrap();
        let refused = thief.bind(&address).expect_err("the port is taken");
        assert!(matches!(refused.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied), "{refused}");
    }
}
