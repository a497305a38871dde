//! The portable loop: one system call a datagram, through mio's sockets. Every platform has it, and it
//! promises the same as the batched one; only the cost differs.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use mio::event::Source;
use socket2::Socket;

use super::bind::Listener;
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

    fn adopt(&mut self, index: usize, listener: Listener) -> io::Result<PortableReceiver> {
        let mut datagrams = match listener {
            Listener::Socket(socket) => Datagrams::new(socket)?,
            #[cfg(windows)]
            Listener::Pipe(pipe) => Datagrams::Pipe(pipe),
        };
        self.waiter.watch_receiver(index, datagrams.source())?;
        Ok(PortableReceiver { datagrams })
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

/// Where datagrams come from or go to.
#[derive(Debug)]
enum Datagrams {
    Udp(mio::net::UdpSocket),
    #[cfg(unix)]
    Unix(mio::net::UnixDatagram),
    /// Lines of a stream; only received from.
    #[cfg(windows)]
    Pipe(super::os::pipe::Pipe),
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
            #[cfg(windows)]
            Datagrams::Pipe(pipe) => pipe,
        }
    }

    fn recv(&mut self, slot: &mut [u8]) -> io::Result<usize> {
        match self {
            Datagrams::Udp(socket) => {
                // Not recv(): a listener is not connected.
                socket.recv_from(slot).map(|(length, _)| length)
            }
            #[cfg(unix)]
            Datagrams::Unix(socket) => socket.recv(slot),
            #[cfg(windows)]
            Datagrams::Pipe(pipe) => pipe.recv(slot),
        }
    }

    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self {
            Datagrams::Udp(socket) => socket.send(datagram),
            #[cfg(unix)]
            Datagrams::Unix(socket) => socket.send(datagram),
            #[cfg(windows)]
            Datagrams::Pipe(_) => Err(io::ErrorKind::Unsupported.into()),
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

/// A listener's socket or pipe.
#[derive(Debug)]
pub struct PortableReceiver {
    datagrams: Datagrams,
}

impl Receiver for PortableReceiver {
    fn receive(&mut self, slots: &mut Slots) -> io::Result<usize> {
        fill(slots, |slot| self.datagrams.recv(slot), super::os::receive_error)
    }

    #[cfg(target_os = "linux")]
    fn memory(&self) -> Option<ReceiveMemory> {
        use std::os::fd::AsRawFd;
        self.datagrams.with_socket(|socket| super::linux::receive_memory(socket.as_raw_fd()))
    }

    #[cfg(not(target_os = "linux"))]
    fn memory(&self) -> Option<ReceiveMemory> {
        None
    }

    #[cfg(unix)]
    fn leave(&mut self) -> io::Result<()> {
        self.datagrams.with_socket(|socket| bind::leave(&socket))
    }

    /// Without a shared port there is no handover: the listener is read until empty and closed.
    #[cfg(windows)]
    fn leave(&mut self) -> io::Result<()> {
        if let Datagrams::Pipe(pipe) = &mut self.datagrams {
            pipe.leave();
        }
        Ok(())
    }
}

/// How a failed receive is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiveError {
    /// Nothing is there to read.
    Empty,
    /// This call brought nothing; the next one may.
    Nothing,
    /// A datagram larger than the slot was cut.
    #[cfg_attr(
        all(unix, not(test)),
        expect(dead_code, reason = "Unix fills the slot and says nothing; Windows says so")
    )]
    TooLong,
    /// Anything else.
    Other,
}

/// Fills `slots` until nothing is there to read. An error ends the batch, but not one that says nothing of the
/// datagrams that are there: those would wait for an event that does not come.
fn fill(
    slots: &mut Slots,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
    read: impl Fn(&io::Error) -> ReceiveError,
) -> io::Result<usize> {
    let mut filled = 0;
    // Each call can fail once for every datagram it could bring: enough for every pending error, and bounded.
    for _ in 0..2 * BATCH {
        if filled == BATCH {
            break;
        }
        match receive(slots.slot_mut(filled)) {
            Ok(length) => {
                slots.set_length(filled, length);
                filled += 1;
            }
            Err(error) => match read(&error) {
                ReceiveError::Nothing => {}
                // How much longer it was is not told.
                ReceiveError::TooLong => {
                    slots.set_length(filled, slots.size() + 1);
                    filled += 1;
                }
                ReceiveError::Empty if filled == 0 => return Err(io::ErrorKind::WouldBlock.into()),
                ReceiveError::Other if filled == 0 => return Err(error),
                ReceiveError::Empty | ReceiveError::Other => break,
            },
        }
    }
    if filled == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(filled) }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What one receive call answers.
    #[derive(Clone, Copy)]
    enum Answer {
        Datagram(usize),
        Fails(ReceiveError),
    }
    use Answer::{Datagram, Fails};

    /// Fills a batch from these answers; then nothing is there. The lengths, or what the error was, and how many
    /// answers were taken.
    fn filled(answers: &[Answer]) -> (Result<Vec<usize>, io::ErrorKind>, usize) {
        let mut slots = Slots::new(100);
        let mut taken = 0;
        let receive = |slot: &mut [u8]| {
            let answer = answers.get(taken).copied().unwrap_or(Fails(ReceiveError::Empty));
            taken += 1;
            match answer {
                Datagram(length) => Ok(length.min(slot.len())),
                Fails(error) => Err(io::Error::from_raw_os_error(error as i32)),
            }
        };
        use ReceiveError::{Empty, Nothing, Other, TooLong};
        let read = |error: &io::Error| [Empty, Nothing, TooLong, Other][error.raw_os_error().unwrap() as usize];
        let result = fill(&mut slots, receive, read);
        let lengths = result.map(|filled| (0..filled).map(|i| slots.length(i)).collect());
        (lengths.map_err(|error| error.kind()), taken)
    }

    #[test]
    fn what_an_earlier_send_caused_does_not_end_the_batch() {
        let nothing = Fails(ReceiveError::Nothing);
        assert_eq!(filled(&[Datagram(1), nothing, Datagram(2), nothing, nothing, Datagram(3)]), (Ok(vec![1, 2, 3]), 7));
        assert_eq!(filled(&[nothing, Datagram(4)]), (Ok(vec![4]), 3));
        assert_eq!(filled(&[nothing]), (Err(io::ErrorKind::WouldBlock), 2));
        let (result, taken) = filled(&[nothing; 1000]);
        assert!(result == Err(io::ErrorKind::WouldBlock) && taken == 2 * BATCH, "errors without end end: {taken}");
    }

    #[test]
    fn a_batch_ends_where_nothing_is_there_or_the_kernel_refuses() {
        assert_eq!(filled(&[]), (Err(io::ErrorKind::WouldBlock), 1));
        assert_eq!(filled(&[Datagram(0); 100]), (Ok(vec![0; BATCH]), BATCH));
        assert_eq!(filled(&[Datagram(1), Fails(ReceiveError::TooLong), Datagram(2)]), (Ok(vec![1, 101, 2]), 4));
        assert_eq!(filled(&[Datagram(1), Fails(ReceiveError::Other), Datagram(2)]), (Ok(vec![1]), 2));
        assert!(filled(&[Fails(ReceiveError::Other), Datagram(2)]).0.is_err());
    }

    #[test]
    fn a_real_listener_is_read_until_it_is_empty() {
        let socket = bind::udp("127.0.0.1:0".parse().unwrap(), false, false).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut io = Portable::open().unwrap();
        let mut receiver = io.adopt(0, socket.into()).unwrap();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut slots = Slots::new(1000);
        assert_eq!(receiver.receive(&mut slots).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        for size in [10, 0, 1000, 1001] {
            client.send_to(&vec![7; size], address).unwrap();
        }
        let mut lengths = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while lengths.len() < 4 && Instant::now() < deadline {
            io.wait(Duration::from_secs(1)).unwrap();
            let filled = receiver.receive(&mut slots).unwrap_or(0);
            lengths.extend((0..filled).map(|i| slots.length(i)));
        }
        assert_eq!(lengths, [10, 0, 1000, 1001]);
    }
}
