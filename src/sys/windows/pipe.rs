//! A named pipe to receive from, as DogStatsD clients on Windows write into one: a stream of bytes from each client,
//! of which every line is a datagram.
//!
//! Owns the pipe's instances (one a client, and one that waits for the next) and what each client has written of a
//! line that is not whole yet. Always true: there are at most [`CLIENTS`] instances, each with one buffer for as
//! long as its client stays; the lines of a client keep their order; a line is lent whole or counted as too long.

use std::io::{self, Read};
use std::os::windows::io::{FromRawHandle, RawHandle};
use std::ptr::null_mut;

use mio::event::Source;
use mio::windows::NamedPipe;
use mio::{Interest, Registry, Token};
use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES,
};

/// The most clients at a time; a further one finds the pipe busy and waits, as its library sees fit.
const CLIENTS: usize = 64;
/// Bytes that Windows keeps of each client until they are read.
pub(in crate::sys) const BUFFER: usize = 64 << 10;
/// The longest line that can be told from a longer one: the largest datagram, and its newline.
const LINE: usize = 65_536;
/// The system, administrators and our own account may do anything, everyone on this machine may connect: clients
/// open the pipe to read and write, even those that only write.
const ACCESS: &str = "D:(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)(A;;GRGW;;;WD)";

/// A named pipe and its clients.
#[derive(Debug)]
pub struct Pipe {
    name: Vec<u16>,
    clients: Vec<Client>,
    /// The client whose turn it is.
    turn: usize,
    /// Where instances are registered; none before the pipe is.
    place: Option<(Registry, Token, Interest)>,
    leaving: bool,
}

impl Pipe {
    /// Makes the pipe `name` (`\\.\pipe\…`) and its first instance.
    ///
    /// # Errors
    /// `PermissionDenied` when another process has a pipe of this name; else what the system said.
    pub(in crate::sys) fn bind(name: &str) -> io::Result<Self> {
        let name = wide(name);
        let first = Client::new(instance(&name, FILE_FLAG_FIRST_PIPE_INSTANCE)?);
        Ok(Self { name, clients: vec![first], turn: 0, place: None, leaving: false })
    }

    /// The next line of the client whose turn it is, or of one behind it, without its newline. A line longer than
    /// `slot` fills it, and so does what a client that went left without a newline: neither can be told whole.
    ///
    /// # Errors
    /// `WouldBlock` when no client has written a whole line.
    pub(in crate::sys) fn recv(&mut self, slot: &mut [u8]) -> io::Result<usize> {
        let mut asked = 0;
        while asked < self.clients.len() {
            self.turn %= self.clients.len();
            match self.clients[self.turn].next(slot) {
                Next::Line(length) => return Ok(length),
                Next::Nothing => {}
                Next::Gone { stump } => {
                    self.release();
                    if stump {
                        return Ok(slot.len());
                    }
                }
            }
            self.turn += 1;
            asked += 1;
        }
        self.invite();
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Takes no new client; those that are there are read on until the pipe is closed.
    pub(in crate::sys) fn leave(&mut self) {
        self.leaving = true;
        self.clients.retain_mut(Client::is_connected);
    }

    /// The client whose turn it is has gone: its instance waits for another one.
    fn release(&mut self) {
        if self.leaving {
            self.clients.remove(self.turn);
        } else {
            self.clients[self.turn].wait();
        }
    }

    /// Adds an instance that waits, unless there is one or there are enough. Where the system refuses it, the next
    /// idle look tries again.
    fn invite(&mut self) {
        let Some((registry, token, interest)) = &self.place else { return };
        let waits = self.clients.iter().any(|client| !client.connected);
        if self.leaving || waits || self.clients.len() == CLIENTS {
            return;
        }
        if let Ok(pipe) = instance(&self.name, 0) {
            let mut client = Client::new(pipe);
            if registry.register(&mut client.pipe, *token, *interest).is_ok() {
                client.wait();
                self.clients.push(client);
            }
        }
    }
}

impl Source for Pipe {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.place = Some((registry.try_clone()?, token, interest));
        for client in &mut self.clients {
            registry.register(&mut client.pipe, token, interest)?;
            client.wait();
        }
        Ok(())
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.place = Some((registry.try_clone()?, token, interest));
        self.clients.iter_mut().try_for_each(|client| registry.reregister(&mut client.pipe, token, interest))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.place = None;
        self.clients.iter_mut().try_for_each(|client| registry.deregister(&mut client.pipe))
    }
}

/// What a client has.
enum Next {
    /// A line of this length stands in the slot.
    Line(usize),
    /// No whole line now.
    Nothing,
    /// It has gone; with a stump, when its last line had no end.
    Gone { stump: bool },
}

/// One instance of the pipe.
#[derive(Debug)]
struct Client {
    pipe: NamedPipe,
    connected: bool,
    stream: Stream,
}

impl Client {
    fn new(pipe: NamedPipe) -> Self {
        Self { pipe, connected: false, stream: Stream::default() }
    }

    /// Ends the connection, if there is one, and waits for the next. An event tells of it.
    fn wait(&mut self) {
        if self.connected {
            // It fails only where there is nobody to disconnect.
            let _ = self.pipe.disconnect();
        }
        self.connected = false;
        self.stream = Stream::default();
        // It is asked again with each look; a client that is here already shows then.
        let _ = self.pipe.connect();
    }

    fn is_connected(&mut self) -> bool {
        if !self.connected && self.pipe.connect().is_ok() {
            self.connected = true;
            self.stream.open();
        }
        self.connected
    }

    fn next(&mut self, slot: &mut [u8]) -> Next {
        if !self.is_connected() {
            return Next::Nothing;
        }
        loop {
            if let Some(length) = self.stream.line(slot) {
                return Next::Line(length);
            }
            match self.pipe.read(self.stream.space()) {
                Ok(0) => return Next::Gone { stump: self.stream.ends_in_a_stump() },
                Ok(count) => self.stream.end += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Nothing,
                Err(_) => return Next::Gone { stump: self.stream.ends_in_a_stump() },
            }
        }
    }
}

/// What a client has written and nobody has taken yet.
#[derive(Debug, Default)]
struct Stream {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// The line that goes on has been counted as too long.
    skipping: bool,
}

impl Stream {
    fn open(&mut self) {
        self.bytes = vec![0; LINE].into_boxed_slice();
    }

    /// Takes the next whole line, empty ones left out: its length, at most that of `slot`.
    fn line(&mut self, slot: &mut [u8]) -> Option<usize> {
        while let Some(length) = memchr::memchr(b'\n', &self.bytes[self.start..self.end]) {
            let line = self.start..self.start + length;
            self.start = line.end + 1;
            let skipped = std::mem::take(&mut self.skipping);
            if length > 0 && !skipped {
                let taken = length.min(slot.len());
                slot[..taken].copy_from_slice(&self.bytes[line][..taken]);
                return Some(taken);
            }
        }
        // A full buffer without an end of line: longer than any datagram.
        if self.start == 0 && self.end == LINE {
            self.end = 0;
            return (!std::mem::replace(&mut self.skipping, true)).then_some(slot.len());
        }
        None
    }

    /// Room to read into; there is some, as a full buffer has no beginning left of [`Stream::line`].
    fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut self.bytes[self.end..]
    }

    fn ends_in_a_stump(&self) -> bool {
        self.end > self.start && !self.skipping
    }
}

/// Makes an instance of the pipe `name`.
fn instance(name: &[u16], flags: u32) -> io::Result<NamedPipe> {
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the text ends with a zero; the descriptor that is made is freed below.
    let made = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            wide(ACCESS).as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            null_mut(),
        )
    };
    if made == 0 {
        return Err(io::Error::last_os_error());
    }
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    };
    // SAFETY: the name ends with a zero, and the attributes live through the call.
    let handle = unsafe {
        CreateNamedPipeW(
            name.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | flags,
            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            0,
            BUFFER as u32,
            0,
            &attributes,
        )
    };
    let refused = io::Error::last_os_error();
    // SAFETY: the call above made it, and nothing refers to it any more.
    unsafe { LocalFree(descriptor) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(refused);
    }
    // SAFETY: the handle is that of a new pipe, opened for overlapped calls; nobody else has it.
    Ok(unsafe { NamedPipe::from_raw_handle(handle as RawHandle) })
}

/// UTF-16 with its final zero.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}
