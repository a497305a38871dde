//! The portable loop: one system call a datagram, through mio's sockets. Every platform has it, and it
//! promises the same as the batched one; only the cost differs.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use mio::event::Source;
use socket2::Socket;

use super::wait::{Ready, Waiter, Waker};
use super::{BATCH, Endpoint, Io, ReceiveMemory, Receiver, Sender, Sent, Slots, Sockets, bind};

/// [`Io`] by single calls.
#[derive(Debug)]
pub struct Portable {
    waiter: Waiter,
}

impl Sockets for Portable {
    const NAME: &'static str = "portable";

    fn open() -> io::Result<Self> {
        Ok(Self { waiter: Waiter::new()? })
    }

    fn waker(&self) -> Waker {
        self.waiter.waker()
    }

    fn adopt(&mut self, index: usize, socket: Socket) -> io::Result<PortableReceiver> {
        let mut socket = Datagrams::new(socket)?;
        self.waiter.watch_receiver(index, socket.source())?;
        Ok(PortableReceiver { socket })
    }
}

impl Io for Portable {
    type Receiver = PortableReceiver;
    type Sender = PortableSender;

    fn connect(&mut self, endpoint: &Endpoint) -> io::Result<PortableSender> {
        Ok(PortableSender { socket: Datagrams::new(bind::connect(endpoint)?)? })
    }

    fn watch_sender(&mut self, index: usize, sender: &mut PortableSender) -> io::Result<()> {
        self.waiter.watch_sender(index, sender.socket.source())
    }

    fn unwatch_sender(&mut self, sender: &mut PortableSender) -> io::Result<()> {
        self.waiter.unwatch(sender.socket.source())
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<Ready> {
        self.waiter.wait(timeout)
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn cpu_time(&self) -> Duration {
        super::cpu_time()
    }
}

/// A datagram socket of either kind.
#[derive(Debug)]
enum Datagrams {
    Udp(mio::net::UdpSocket),
    #[cfg(unix)]
    Unix(mio::net::UnixDatagram),
}

impl Datagrams {
    #[cfg(unix)]
    fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(match socket.local_addr()?.is_unix() {
            true => Datagrams::Unix(mio::net::UnixDatagram::from_std(socket.into())),
            false => Datagrams::Udp(mio::net::UdpSocket::from_std(socket.into())),
        })
    }

    #[cfg(windows)]
    fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        super::os::ignore_port_unreachable(&socket)?;
        Ok(Datagrams::Udp(mio::net::UdpSocket::from_std(socket.into())))
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Datagrams::Udp(socket) => socket,
            #[cfg(unix)]
            Datagrams::Unix(socket) => socket,
        }
    }

    fn recv(&self, slot: &mut [u8]) -> io::Result<usize> {
        match self {
            Datagrams::Udp(socket) => {
                // Not recv(): a listener is not connected.
                socket.recv_from(slot).map(|(length, _)| length)
            }
            #[cfg(unix)]
            Datagrams::Unix(socket) => socket.recv(slot),
        }
    }

    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self {
            Datagrams::Udp(socket) => socket.send(datagram),
            #[cfg(unix)]
            Datagrams::Unix(socket) => socket.send(datagram),
        }
    }

    #[cfg(unix)]
    fn with_socket<T>(&self, f: impl FnOnce(socket2::SockRef<'_>) -> T) -> T {
        match self {
            Datagrams::Udp(socket) => f(socket2::SockRef::from(socket)),
            Datagrams::Unix(socket) => f(socket2::SockRef::from(socket)),
        }
    }
}

/// A listener's socket.
#[derive(Debug)]
pub struct PortableReceiver {
    socket: Datagrams,
}

impl Receiver for PortableReceiver {
    fn receive(&mut self, slots: &mut Slots) -> io::Result<usize> {
        for i in 0..BATCH {
            match self.socket.recv(slots.slot_mut(i)) {
                Ok(length) => slots.set_length(i, length),
                Err(error) => match super::os::receive_error(&error) {
                    // Windows says so instead of filling the slot; how much longer it was is not told.
                    super::os::ReceiveError::TooLong => slots.set_length(i, slots.size() + 1),
                    super::os::ReceiveError::Nothing if i == 0 => return Err(io::ErrorKind::WouldBlock.into()),
                    super::os::ReceiveError::Other if i == 0 => return Err(error),
                    _ => return Ok(i),
                },
            }
        }
        Ok(BATCH)
    }

    #[cfg(target_os = "linux")]
    fn memory(&self) -> Option<ReceiveMemory> {
        use std::os::fd::AsRawFd;
        self.socket.with_socket(|socket| super::linux::receive_memory(socket.as_raw_fd()))
    }

    #[cfg(not(target_os = "linux"))]
    fn memory(&self) -> Option<ReceiveMemory> {
        None
    }

    #[cfg(unix)]
    fn leave(&mut self) -> io::Result<()> {
        self.socket.with_socket(|socket| bind::leave(&socket))
    }

    /// Without a shared port there is no handover: the listener is read until empty and closed.
    #[cfg(windows)]
    fn leave(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connected sending socket.
#[derive(Debug)]
pub struct PortableSender {
    socket: Datagrams,
}

impl Sender for PortableSender {
    fn send(&mut self, datagrams: &[IoSlice<'_>]) -> Sent {
        for (accepted, datagram) in datagrams.iter().enumerate() {
            let error = loop {
                match self.socket.send(datagram) {
                    Ok(_) => break None,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Some(error),
                }
            };
            if error.is_some() {
                return Sent { accepted, error };
            }
        }
        Sent { accepted: datagrams.len(), error: None }
    }
}
