//! Shared by the baselines: sockets, and batches by `recvmmsg` and `sendmmsg`.
//!
//! No counting, no queues, no errors but a panic: these programs say what the kernel's part costs.

use std::io;
use std::mem::zeroed;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::null_mut;

/// Datagrams in a batch.
pub const BATCH: usize = 64;
const SLOT: usize = 65_600;

/// `NAME LISTEN TARGET…`: a bound socket with a large buffer, and a connected one for each target.
pub fn sockets() -> (UdpSocket, Vec<UdpSocket>) {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let listen = UdpSocket::bind(words.next().expect("an address to listen on")).expect("bind");
    receive_buffer(&listen, 4 << 20);
    let targets = words.map(|target| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.connect(&target).expect("connect");
        socket
    });
    (listen, targets.collect())
}

/// Whether `--name` was given.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|word| word == format!("--{name}"))
}

/// The word behind `--name`.
pub fn option(name: &str) -> String {
    let mut words = std::env::args().skip_while(|word| *word != format!("--{name}"));
    words.nth(1).unwrap_or_else(|| panic!("--{name} is needed"))
}

/// Asks for a receive buffer beyond the host's limit, then within it.
pub fn receive_buffer(socket: &UdpSocket, bytes: i32) {
    for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
        // SAFETY: `bytes` is a valid i32 of the length given.
        unsafe {
            let value = std::ptr::from_ref(&bytes).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, 4);
        }
    }
}

/// Lets the kernel throw away, and count, whatever comes to `socket`.
pub fn refuse_all(socket: &UdpSocket) {
    // `ret #0`: no byte of any datagram is kept.
    let mut none = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &mut none };
    // SAFETY: `program` is one instruction long, and the kernel copies it.
    let result = unsafe {
        let value = std::ptr::from_ref(&program).cast();
        let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, length)
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// How many datagrams the kernel has thrown away at `socket`.
pub fn refused(socket: &UdpSocket) -> u64 {
    let mut values = [0u32; 9];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: `values` and `length` are valid for the kernel to write.
    let result = unsafe {
        let value = values.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, value, &mut length)
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SK_MEMINFO_DROPS
    u64::from(values[8])
}

/// A batch of datagrams and the headers that the kernel fills and reads.
pub struct Batch {
    memory: Vec<u8>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    sends: Vec<libc::mmsghdr>,
    controls: Vec<[u64; 3]>,
    pub filled: usize,
}

impl Batch {
    pub fn new() -> Self {
        // SAFETY: all-zero is a valid iovec and mmsghdr.
        let (iovec, header): (libc::iovec, libc::mmsghdr) = unsafe { (zeroed(), zeroed()) };
        let mut batch = Self {
            memory: vec![0; SLOT * BATCH],
            iovecs: vec![iovec; BATCH],
            headers: vec![header; BATCH],
            sends: vec![header; BATCH],
            controls: vec![[0; 3]; BATCH],
            filled: 0,
        };
        for i in 0..BATCH {
            batch.iovecs[i].iov_base = batch.memory[i * SLOT..].as_mut_ptr().cast();
            batch.headers[i].msg_hdr.msg_iov = &mut batch.iovecs[i];
            batch.headers[i].msg_hdr.msg_iovlen = 1;
        }
        batch
    }

    /// A batch that holds these datagrams, to be sent.
    pub fn of(datagrams: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut batch = Self::new();
        for (i, datagram) in datagrams.enumerate() {
            batch.memory[i * SLOT..][..datagram.len()].copy_from_slice(&datagram);
            batch.iovecs[i].iov_len = datagram.len();
            batch.filled = i + 1;
        }
        batch
    }

    /// One `recvmmsg` that waits for the first datagram.
    pub fn receive(&mut self, fd: RawFd) {
        self.iovecs.iter_mut().for_each(|iovec| iovec.iov_len = SLOT);
        // SAFETY: every header points to an iovec of ours, and that into `memory`.
        let received = unsafe {
            let headers = self.headers.as_mut_ptr();
            libc::syscall(libc::SYS_recvmmsg, fd, headers, BATCH, libc::MSG_WAITFORONE, null_mut::<libc::timespec>())
        };
        assert!(received > 0, "{}", io::Error::last_os_error());
        self.filled = received as usize;
        for i in 0..self.filled {
            self.iovecs[i].iov_len = self.headers[i].msg_len as usize;
        }
    }

    pub fn datagram(&self, i: usize) -> &[u8] {
        &self.memory[i * SLOT..][..self.iovecs[i].iov_len]
    }

    pub fn datagram_mut(&mut self, i: usize) -> &mut [u8] {
        &mut self.memory[i * SLOT..][..self.iovecs[i].iov_len]
    }

    /// What will be sent: each datagram as one message, or (`runs`) equal sizes and then a shorter one as one
    /// `UDP_SEGMENT` message.
    pub fn prepare(&mut self, runs: bool) -> usize {
        let (mut count, mut next) = (0, 0);
        while next < self.filled {
            let size = self.iovecs[next].iov_len;
            let mut run = 1;
            while runs && size > 0 && next + run < self.filled && (run + 1) * size < 65_000 && size <= 1472 {
                let length = self.iovecs[next + run].iov_len;
                run += usize::from((1..=size).contains(&length));
                if length != size {
                    break;
                }
            }
            let header = &mut self.sends[count].msg_hdr;
            // SAFETY: all-zero is a valid msghdr.
            *header = unsafe { zeroed() };
            header.msg_iov = &mut self.iovecs[next];
            header.msg_iovlen = run as _;
            if run > 1 {
                // A cmsghdr (length, level, type) and the size: see cmsg(3).
                let control = &mut self.controls[count];
                let head = libc::cmsghdr { cmsg_len: 18, cmsg_level: libc::SOL_UDP, cmsg_type: libc::UDP_SEGMENT };
                // SAFETY: 24 bytes hold the 16 of the head and the 2 of the size.
                unsafe { control.as_mut_ptr().cast::<libc::cmsghdr>().write(head) };
                control[2] = size as u64;
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = 24;
            }
            count += 1;
            next += run;
        }
        count
    }

    /// Sends the first `count` prepared messages.
    pub fn send(&mut self, fd: RawFd, count: usize) {
        let mut done = 0;
        while done < count {
            // SAFETY: the headers point to iovecs and controls of ours.
            let sent = unsafe {
                let headers = self.sends.as_mut_ptr().add(done);
                libc::syscall(libc::SYS_sendmmsg, fd, headers, count - done, 0)
            };
            // A refused datagram is somebody else's business here.
            done += sent.max(1) as usize;
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}
