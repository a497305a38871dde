//! A log file that never grows past its bound: when it is full it becomes `.1`, `.1` becomes `.2`, and the
//! oldest is gone. Always true: all files together hold at most `files × bytes`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file being written, and its predecessors beside it.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    file: File,
    length: u64,
    bytes: u64,
    files: u32,
}

impl Rotating {
    /// Goes on with the file at `path` (its directory is made when missing). No file grows past `bytes`; there
    /// are at most `files` of them, at least one.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(path: &Path, bytes: u64, files: u32) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        // Not by appending: what may only append may not cut a file on Windows.
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file, length, bytes, files })
    }

    /// `udp-proxy.log` → `udp-proxy.1.log`.
    fn predecessor(&self, number: u32) -> PathBuf {
        let extension = self.path.extension().map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
        self.path.with_extension(format!("{number}{extension}").trim_start_matches('.'))
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.files.saturating_sub(1)).rev() {
            let from = self.predecessor(number);
            if from.exists() {
                fs::rename(from, self.predecessor(number + 1))?;
            }
        }
        if self.files > 1 {
            fs::rename(&self.path, self.predecessor(1))?;
        }
        self.file = OpenOptions::new().create(true).truncate(true).write(true).open(&self.path)?;
        Ok(())
    }
}

impl Write for Rotating {
    /// Takes a line whole, in one file; one that is longer than a file is cut.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let taken = usize::try_from(self.bytes).map_or(line, |most| &line[..line.len().min(most)]);
        if self.length + taken.len() as u64 > self.bytes {
            // A predecessor that cannot be moved (another account's, or one that is being looked at) must neither
            // stop the log nor let it grow: the file then begins anew.
            if self.rotate().is_err() {
                self.file.set_len(0)?;
                self.file.rewind()?;
            }
            self.length = 0;
        }
        self.file.write_all(taken)?;
        self.length += taken.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn full_files_move_on_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub").join("x.log");
        let mut log = Rotating::open(&path, 10, 3).unwrap();
        for line in ["1234\n", "5678\n", "abcd\n", "e\n", "a long line\n", "last\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let name = |name: &str| path.with_file_name(name);
        assert_eq!(read(&path), "last\n");
        assert_eq!(read(&name("x.1.log")), "a long lin");
        assert_eq!(read(&name("x.2.log")), "abcd\ne\n");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
    }

    #[test]
    fn a_new_process_goes_on_where_the_last_one_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        for line in ["one\n", "two\n", "three\n"] {
            Rotating::open(&path, 10, 2).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "three\n");
        assert_eq!(read(&directory.path().join("x.1.log")), "one\ntwo\n");
    }

    #[test]
    fn what_cannot_be_moved_does_not_grow() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        // A directory that is not empty stands where the full file should go.
        fs::create_dir_all(directory.path().join("x.1.log").join("y")).unwrap();
        let mut log = Rotating::open(&path, 10, 2).unwrap();
        for line in ["12345678\n", "abc\n", "def\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "abc\ndef\n");
    }

    #[test]
    fn a_single_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let mut log = Rotating::open(&path, 10, 1).unwrap();
        for line in ["12345678\n", "abc\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!((read(&path).as_str(), fs::read_dir(directory.path()).unwrap().count()), ("abc\n", 1));
    }
}
