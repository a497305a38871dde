//! Socket options that socket2 has no name for.

use std::os::fd::RawFd;

use super::super::ReceiveMemory;

/// `SO_MEMINFO` (linux/sock_diag.h): an array of `SK_MEMINFO_VARS` 32-bit values.
const SK_MEMINFO_RMEM_ALLOC: usize = 0;
const SK_MEMINFO_DROPS: usize = 8;
const SK_MEMINFO_VARS: usize = 9;

/// What the kernel says of the receive queue of `fd`; `None` before Linux 4.12.
pub(in crate::sys) fn receive_memory(fd: RawFd) -> Option<ReceiveMemory> {
    let mut values = [0u32; SK_MEMINFO_VARS];
    let length = get(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, &mut values)?;
    (length > SK_MEMINFO_DROPS * 4)
        .then(|| ReceiveMemory { queued: values[SK_MEMINFO_RMEM_ALLOC], drops: values[SK_MEMINFO_DROPS] })
}

/// The largest datagram that fits one frame on the path of the connected socket `fd`; 0 where the socket
/// or the kernel (before 4.18) knows no `UDP_SEGMENT`.
pub(super) fn segment_limit(fd: RawFd) -> usize {
    let mut value = 0i32;
    if get(fd, libc::SOL_UDP, libc::UDP_SEGMENT, &mut value).is_none() {
        return 0;
    }
    // A v4 header is 20 bytes, a v6 header 40, UDP's 8 (RFC 791, 8200, 768). A v6 socket that is connected
    // to a mapped v4 address answers both; the smaller limit is right for it too.
    if get(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU, &mut value).is_some() {
        return usize::try_from(value - 48).unwrap_or(0);
    }
    if get(fd, libc::IPPROTO_IP, libc::IP_MTU, &mut value).is_some() {
        return usize::try_from(value - 28).unwrap_or(0);
    }
    0
}

/// `getsockopt(2)` into `value`; the length that the kernel wrote, or `None` when it knows no such option.
fn get<T: Copy>(fd: RawFd, level: i32, option: i32, value: &mut T) -> Option<usize> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` and `length` are valid for the kernel to write `length` bytes; every T used here is
    // made of integers, so any bytes are valid.
    let result = unsafe { libc::getsockopt(fd, level, option, std::ptr::from_mut(value).cast(), &mut length) };
    (result == 0).then_some(length as usize)
}
