//! Receiving a batch with one `recvmmsg`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use socket2::Socket;

use super::super::bind::leave;
use super::super::{BATCH, ReceiveMemory, Receiver, Slots};
use super::sockopt;

/// A listener's socket.
#[derive(Debug)]
pub struct BatchReceiver {
    socket: Socket,
}

impl BatchReceiver {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket }
    }
}

impl Receiver for BatchReceiver {
    fn receive(&mut self, slots: &mut Slots) -> io::Result<usize> {
        recvmmsg(self.socket.as_raw_fd(), slots)
    }

    fn memory(&self) -> Option<ReceiveMemory> {
        sockopt::receive_memory(self.socket.as_raw_fd())
    }

    fn leave(&mut self) -> io::Result<()> {
        leave(&self.socket)
    }
}

/// `recvmmsg(2)` into all slots.
///
/// The headers are written anew for each call (0.1 µs for 64 of them): so no pointer outlives the borrow it
/// came from, and `msg_flags`, which the kernel writes, never goes stale. No source address is asked for,
/// because nothing on the way of a datagram reads it.
fn recvmmsg(fd: RawFd, slots: &mut Slots) -> io::Result<usize> {
    let mut iovecs = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    let size = slots.size();
    for (i, (iovec, header)) in iovecs.iter_mut().zip(&mut headers).enumerate() {
        let base = slots.slot_mut(i).as_mut_ptr().cast();
        let iovec = iovec.write(libc::iovec { iov_base: base, iov_len: size });
        // SAFETY: all-zero is a valid mmsghdr (null pointers, zero lengths; musl adds private padding).
        let mut empty: libc::mmsghdr = unsafe { std::mem::zeroed() };
        empty.msg_hdr.msg_iov = ptr::from_mut(iovec);
        empty.msg_hdr.msg_iovlen = 1;
        header.write(empty);
    }
    // MSG_TRUNC: msg_len is the datagram's own length, even where the slot was too small for it.
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: `headers` holds BATCH initialised headers; each points to one iovec of `iovecs`, which points
    // to `size` writable bytes of `slots`. All of them outlive the call, and nothing else borrows them.
    let received = unsafe {
        libc::syscall(
            libc::SYS_recvmmsg,
            fd,
            headers.as_mut_ptr(),
            BATCH as libc::c_uint,
            flags,
            ptr::null_mut::<libc::timespec>(),
        )
    };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    let received = received as usize;
    for (i, header) in headers.iter().take(received).enumerate() {
        // SAFETY: all headers were initialised above.
        slots.set_length(i, unsafe { header.assume_init_ref() }.msg_len as usize);
    }
    Ok(received)
}
