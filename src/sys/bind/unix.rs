//! Unix sockets that are named by a path: taken over without a gap, removed only by their owner.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a bound Unix socket; removed on drop if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    /// Where it stands: the socket itself knows only the name that it had before it was put there.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file where it is when the socket is gone: a later process takes it over.
    pub fn leave(mut self) {
        self.inode = (0, 0);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // After a handover the path belongs to the new process.
        if identity(&self.path).is_some_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of what stands at `path`.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// Whether a process serves the socket at `path`.
pub fn in_use(path: &Path, kind: Type) -> bool {
    let attempt = || Socket::new(Domain::UNIX, kind, None)?.connect(&SockAddr::unix(path)?);
    attempt().is_ok()
}

/// Binds a socket at `path` with file mode `mode`, atomically in place of a socket that may be there: a
/// client finds the old one or the new one, never none.
///
/// # Errors
/// `AlreadyExists` when something other than a socket is there; else what the kernel said.
pub fn bind(path: &Path, kind: Type, mode: u32) -> io::Result<(Socket, SocketFile)> {
    if fs::symlink_metadata(path).is_ok_and(|m| !m.file_type().is_socket()) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket"));
    }
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let _ = fs::remove_file(&temporary);
    socket.bind(&SockAddr::unix(&temporary)?)?;
    if kind == Type::STREAM {
        socket.listen(128)?;
    }
    let placed = fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| identity(path).ok_or_else(|| io::ErrorKind::NotFound.into()));
    match placed {
        Ok(inode) => Ok((socket, SocketFile { path: path.to_owned(), inode })),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}
