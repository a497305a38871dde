//! Where there are no Unix datagram sockets: every attempt says so. The configuration refuses them earlier.

use std::io;
use std::path::Path;

use socket2::{Socket, Type};

/// The file of a bound Unix socket. There is none here.
#[derive(Debug)]
pub struct SocketFile {
    never: std::convert::Infallible,
}

impl SocketFile {
    /// Leaves the file where it is when the socket is gone.
    pub fn leave(self) {
        match self.never {}
    }
}

/// Whether a process serves the socket at `path`.
pub fn in_use(_path: &Path, _kind: Type) -> bool {
    false
}

/// Binds a socket at `path`.
///
/// # Errors
/// Always `Unsupported`.
pub fn bind(_path: &Path, _kind: Type, _mode: u32) -> io::Result<(Socket, SocketFile)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this platform has no Unix sockets"))
}
