//! Making sockets: listeners (shared port, receive buffer, handover) and connected senders.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, SockAddr, Socket, Type};

use super::Endpoint;

#[cfg(not(unix))]
#[path = "bind/no_unix.rs"]
pub mod unix;
#[cfg(unix)]
pub mod unix;

/// What a source was bound as.
#[derive(Debug)]
pub enum Listener {
    /// A socket, UDP or Unix.
    Socket(Socket),
    /// A named pipe.
    #[cfg(windows)]
    Pipe(super::os::pipe::Pipe),
}

impl From<Socket> for Listener {
    fn from(socket: Socket) -> Self {
        Listener::Socket(socket)
    }
}

/// Makes a named pipe, which no other process has then, with its buffer for each client.
///
/// # Errors
/// `PermissionDenied` when another process has it; else what the system said.
#[cfg(windows)]
pub fn pipe(name: &str) -> io::Result<(Listener, ReceiveBuffer)> {
    use super::os::pipe::{BUFFER, Pipe};
    Ok((Listener::Pipe(Pipe::bind(name)?), ReceiveBuffer { asked: BUFFER, granted: BUFFER }))
}

/// Where there are no named pipes.
///
/// # Errors
/// Always `Unsupported`; the configuration refuses them earlier.
#[cfg(not(windows))]
pub fn pipe(_name: &str) -> io::Result<(Listener, ReceiveBuffer)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this platform has no such named pipes"))
}

/// The receive buffer of a listener, in bytes of payload and kernel overhead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveBuffer {
    /// What `--readbuffer` asked for.
    pub asked: usize,
    /// What the kernel granted (`SO_RCVBUF`; on Linux without the doubling that getsockopt shows).
    pub granted: usize,
}

impl ReceiveBuffer {
    /// Whether the kernel granted less than was asked.
    pub fn clamped(&self) -> bool {
        self.granted < self.asked
    }
}

/// Whether the host can bind IPv6 sockets.
pub fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Whether `ip` is an address of this host.
pub fn is_local(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether another socket already has this UDP address. Asks by binding without `SO_REUSEPORT`; where the
/// answer is no, nobody is served there yet, so nothing is taken from anyone.
pub fn in_use(address: SocketAddr, dual: bool) -> bool {
    let probe = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(!dual)?;
        }
        socket.bind(&address.into())
    };
    matches!(probe(), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

/// Binds one UDP listener. `[::]` also takes IPv4 when `dual` is set; `shared` lets other sockets of the
/// same user bind the same port (our other shards, and our successor at a handover).
///
/// # Errors
/// What the kernel said.
pub fn udp(address: SocketAddr, dual: bool, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    share_port(&socket, shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Binds and listens on a TCP address, shared like a UDP listener's.
///
/// # Errors
/// What the kernel said.
pub fn tcp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    share_port(&socket, shared)?;
    reuse_closed(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket)
}

/// Lets a port be bound again while connections of an earlier process linger (`TIME_WAIT`). Windows allows
/// that by itself, and means something else by the option.
fn reuse_closed(socket: &Socket) -> io::Result<()> {
    if cfg!(unix) { socket.set_reuse_address(true) } else { Ok(()) }
}

/// An address at which a listener of this host is reached from this host.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
        _ => address,
    }
}

/// Whether several sockets of one process can receive on one port, each its part.
pub const SHARES_PORTS: bool = cfg!(unix);

#[cfg(unix)]
fn share_port(socket: &Socket, shared: bool) -> io::Result<()> {
    socket.set_reuse_port(shared)
}

/// Windows has no `SO_REUSEPORT`; its `SO_REUSEADDR` would let any process steal the port, so the
/// listener asks for exclusive use instead.
#[cfg(windows)]
fn share_port(socket: &Socket, _shared: bool) -> io::Result<()> {
    super::os::exclusive_address(socket)
}

/// Asks for a receive buffer of `asked` bytes and reports what was granted. Never lowers the kernel's default:
/// a value meant to help must not lose bursts.
pub fn receive_buffer(socket: &Socket, asked: usize) -> ReceiveBuffer {
    let granted = || socket.recv_buffer_size().map_or(0, |size| size / KERNEL_DOUBLES);
    if asked > granted() {
        force_receive_buffer(socket, asked);
        if granted() < asked {
            // Clamped to net.core.rmem_max; the caller reports what came of it.
            let _ = socket.set_recv_buffer_size(asked);
        }
    }
    ReceiveBuffer { asked, granted: granted() }
}

/// Linux books twice the asked value, for its own overhead, and shows that (socket(7)).
const KERNEL_DOUBLES: usize = if cfg!(target_os = "linux") { 2 } else { 1 };

#[cfg(target_os = "linux")]
fn force_receive_buffer(socket: &Socket, asked: usize) {
    use std::os::fd::AsRawFd;
    let value = i32::try_from(asked).unwrap_or(i32::MAX);
    // SAFETY: `value` is a valid i32 for the length given. Failure (no CAP_NET_ADMIN) is expected and shows
    // in what getsockopt reports next.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            std::ptr::from_ref(&value).cast(),
            size_of::<i32>() as libc::socklen_t,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn force_receive_buffer(_socket: &Socket, _asked: usize) {}

/// Takes a listener out of the kernel's choice: from here on new datagrams go to other sockets of the same
/// port, and what is queued stays readable. A UDP socket is connected to an address that never sends; a
/// Unix one refuses further datagrams, so that clients see it and connect again.
///
/// # Errors
/// What the kernel said.
pub fn leave(socket: &Socket) -> io::Result<()> {
    /// RFC 863 discard: nobody sends from it.
    const NOBODY: u16 = 9;
    let local = socket.local_addr()?;
    let Some(address) = local.as_socket() else {
        return socket.shutdown(std::net::Shutdown::Read);
    };
    let dummies: &[IpAddr] = match address {
        SocketAddr::V4(_) => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        // A dual-stack socket needs the mapped form: connected to ::1 it would go on receiving IPv4.
        SocketAddr::V6(_) if !socket.only_v6()? => &[IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped())],
        SocketAddr::V6(_) => &[IpAddr::V6(Ipv6Addr::LOCALHOST)],
    };
    // A socket bound to an address that cannot reach loopback can always reach itself.
    let own = SocketAddr::new(address.ip(), NOBODY);
    dummies
        .iter()
        .map(|ip| SocketAddr::new(*ip, NOBODY))
        .chain((!address.ip().is_unspecified()).then_some(own))
        .map(|dummy| socket.connect(&dummy.into()))
        .reduce(|first, second| if first.is_ok() { first } else { second })
        .unwrap_or_else(|| Err(io::ErrorKind::AddrNotAvailable.into()))
}

/// Opens a non-blocking socket connected to `endpoint`.
///
/// # Errors
/// What the kernel said.
pub fn connect(endpoint: &Endpoint) -> io::Result<Socket> {
    let (domain, address) = match endpoint {
        Endpoint::Udp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Endpoint::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
    };
    let socket = Socket::new(domain, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&address)?;
    Ok(socket)
}
