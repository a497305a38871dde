//! The model kernel's sending side: one target's network, in whatever mood it is, and what arrived there.

use std::io::{self, ErrorKind};

use udp_proxy::sys::{Endpoint, Sent};

use super::choose::{Choose, Seed};

/// How a target's network behaves for the time being. Shares are in percent.
#[derive(Clone, Debug)]
pub struct Mood {
    /// The most datagrams the socket takes before it is full, and the most milliseconds until it has room
    /// again.
    pub room: Option<(u64, u64)>,
    /// After a datagram that was taken, the host answers that nothing listens: the next send says so.
    pub echo: u64,
    /// The host refuses, again and again.
    pub refused: u64,
    /// The kernel is out of buffers.
    pub no_buffers: u64,
    /// The longest datagram the path takes.
    pub narrow: usize,
    /// No route.
    pub unroutable: u64,
    /// The receiver's socket is gone.
    pub gone: u64,
    /// A firewall says no.
    pub forbidden: u64,
    /// Opening a socket fails, in one of several ways.
    pub connect_fails: u64,
    /// Asking for a writable event fails.
    pub watch_fails: u64,
}

impl Default for Mood {
    fn default() -> Self {
        Self {
            room: None,
            echo: 0,
            refused: 0,
            no_buffers: 0,
            narrow: usize::MAX,
            unroutable: 0,
            gone: 0,
            forbidden: 0,
            connect_fails: 0,
            watch_fails: 0,
        }
    }
}

impl Mood {
    /// Whether every datagram gets through in the end, if the queue is large enough. (A hundred `ENOBUFS` in
    /// a row do not happen at a share of one half.)
    pub fn lossless(&self) -> bool {
        let Self { refused, narrow, unroutable, gone, forbidden, connect_fails, no_buffers, .. } = self;
        *narrow == usize::MAX && refused + unroutable + gone + forbidden + connect_fails == 0 && *no_buffers <= 50
    }

    /// Whether the way stays open, so that nothing depends on when the shard happens to look at it.
    pub fn open(&self) -> bool {
        self.unroutable + self.connect_fails == 0
    }
}

/// What the model kernel has said to one target's sends so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    pub would_block: u64,
    pub no_buffers: u64,
    /// How often in a row, without a datagram taken in between.
    pub no_buffers_run: u64,
    /// The longest such run.
    pub no_buffers_longest: u64,
    pub refused: u64,
    pub too_long: u64,
    pub unroutable: u64,
    pub gone: u64,
    pub forbidden: u64,
    pub connects: u64,
    pub connects_failed: u64,
}

/// A datagram that arrived at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// When, in milliseconds.
    pub at: u64,
    pub bytes: Vec<u8>,
}

/// One target's side of the model kernel.
#[derive(Debug)]
pub struct Outlet {
    pub mood: Mood,
    pub said: Said,
    pub delivered: Vec<Delivered>,
    /// A writable event waits to be told.
    pub edge: bool,
    /// A refill is on the agenda.
    pub refilling: bool,
    /// Sockets that are open now.
    pub sockets: u32,
    watched: bool,
    echo: bool,
    room: u64,
    choose: Seed,
}

impl Outlet {
    pub fn new(seed: u64, mood: Mood) -> Self {
        let mut outlet = Self {
            said: Said::default(),
            delivered: Vec::new(),
            edge: false,
            refilling: false,
            sockets: 0,
            watched: false,
            echo: false,
            room: 0,
            choose: Seed(seed),
            mood,
        };
        outlet.refill();
        outlet
    }

    /// The socket has room again.
    pub fn refill(&mut self) {
        self.refilling = false;
        self.room = match self.mood.room {
            Some((most, _)) => self.choose.within(1, most),
            None => u64::MAX,
        };
        self.edge |= self.watched;
    }

    /// When a full socket will have room again, from now on.
    pub fn pause(&mut self) -> u64 {
        let longest = self.mood.room.map_or(1, |(_, longest)| longest);
        self.choose.within(1, longest)
    }

    pub fn connect(&mut self, endpoint: &Endpoint) -> io::Result<()> {
        self.said.connects += 1;
        if self.choose.chance(self.mood.connect_fails) {
            self.said.connects_failed += 1;
            let unix = [ErrorKind::NotFound.into(), ErrorKind::ConnectionRefused.into(), no_buffers()];
            let udp = [ErrorKind::NetworkUnreachable.into(), ErrorKind::HostUnreachable.into(), other()];
            let which = self.choose.below(3) as usize;
            let errors = if matches!(endpoint, Endpoint::Unix(_)) { unix } else { udp };
            return Err(errors.into_iter().nth(which).expect("three of each"));
        }
        self.sockets += 1;
        self.echo = false;
        Ok(())
    }

    /// The socket was closed: whatever was known of it is forgotten.
    pub fn close(&mut self) {
        self.sockets -= 1;
        (self.watched, self.edge) = (false, false);
    }

    /// Takes `datagrams` as far as the mood allows.
    pub fn send<'a>(&mut self, at: u64, datagrams: impl Iterator<Item = &'a [u8]>) -> Sent {
        let mut accepted = 0;
        for datagram in datagrams {
            if let Some(error) = self.refusal(datagram.len()) {
                return Sent { accepted, error: Some(error) };
            }
            self.said.no_buffers_run = 0;
            self.room -= 1;
            self.echo = self.choose.chance(self.mood.echo);
            self.delivered.push(Delivered { at, bytes: datagram.to_vec() });
            accepted += 1;
        }
        Sent { accepted, error: None }
    }

    fn refusal(&mut self, length: usize) -> Option<io::Error> {
        let Self { mood, said, choose, .. } = self;
        let (counter, error): (&mut u64, io::Error) = if std::mem::take(&mut self.echo) || choose.chance(mood.refused) {
            (&mut said.refused, ErrorKind::ConnectionRefused.into())
        } else if length > mood.narrow {
            (&mut said.too_long, too_long())
        } else if choose.chance(mood.unroutable) {
            (&mut said.unroutable, ErrorKind::HostUnreachable.into())
        } else if choose.chance(mood.gone) {
            (&mut said.gone, ErrorKind::NotConnected.into())
        } else if choose.chance(mood.forbidden) {
            (&mut said.forbidden, ErrorKind::PermissionDenied.into())
        } else if choose.chance(mood.no_buffers) {
            said.no_buffers_run += 1;
            said.no_buffers_longest = said.no_buffers_longest.max(said.no_buffers_run);
            (&mut said.no_buffers, no_buffers())
        } else if self.room == 0 {
            (&mut said.would_block, ErrorKind::WouldBlock.into())
        } else {
            return None;
        };
        *counter += 1;
        Some(error)
    }

    /// Asks for a writable event; what a poll that knows the socket already says.
    pub fn watch(&mut self) -> io::Result<()> {
        if self.choose.chance(self.mood.watch_fails) {
            return Err(ErrorKind::OutOfMemory.into());
        }
        if std::mem::replace(&mut self.watched, true) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.edge = self.room > 0;
        Ok(())
    }

    /// Takes that back; what a poll that does not know the socket says.
    pub fn unwatch(&mut self) -> io::Result<()> {
        self.edge = false;
        match std::mem::take(&mut self.watched) {
            true => Ok(()),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    /// A writable event for nothing, if one was asked for.
    pub fn nudge(&mut self) {
        self.edge |= self.watched;
    }
}

/// The codes of errors that `ErrorKind` has no name for: of Unix, and of Windows sockets.
fn no_buffers() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::ENOBUFS);
    #[cfg(windows)]
    return io::Error::from_raw_os_error(10055);
}

fn too_long() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::EMSGSIZE);
    #[cfg(windows)]
    return io::Error::from_raw_os_error(10040);
}

fn other() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::EMFILE);
    #[cfg(windows)]
    return io::Error::from_raw_os_error(10024);
}
