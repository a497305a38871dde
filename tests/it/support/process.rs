//! The real binary as a process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::{PATIENCE, eventually};

/// A command of the binary with an environment that holds none of its variables.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udp-proxy"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("UDP_PROXY_")) {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn run(words: &[&str]) -> Output {
    command(words).output().expect("the binary runs")
}

/// Makes the child the first of a group, so that Ctrl-Break reaches it and not the tests. They share a console.
#[cfg(windows)]
fn own_group(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

#[cfg(unix)]
fn own_group(_: &mut Command) {}

/// A running proxy and what it has logged.
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it and waits until it says that it is ready.
    #[track_caller]
    pub fn start(words: &[&str]) -> Self {
        let process = Self::spawn(words);
        eventually("the start-up line", || process.log().contains(" ready "));
        process
    }

    /// Starts it.
    pub fn spawn(words: &[&str]) -> Self {
        let mut command = command(words);
        own_group(&mut command);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        let written = log.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stderr.take(1 << 20)).lines();
            while let Some(Ok(line)) = lines.next() {
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal by its name, as `kill` knows it.
    #[cfg(unix)]
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(done.expect("kill runs").success());
    }

    /// Sends Ctrl-Break to the process and its console group.
    #[cfg(windows)]
    #[track_caller]
    pub fn signal(&self, name: &str) {
        use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
        assert_eq!(name, "BREAK");
        // SAFETY: takes two numbers; the child leads a group of its own.
        let done = unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.child.id()) };
        assert_ne!(done, 0, "Ctrl-Break: {}", std::io::Error::last_os_error());
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    }

    /// A number of the summary line, by its name.
    #[track_caller]
    pub fn summary(&self, name: &str) -> u64 {
        let key = format!(" {name}=");
        eventually("the summary line", || self.log().contains(" ended: "));
        let log = self.log();
        let line = log.lines().find(|line| line.contains(" ended: ")).unwrap();
        let value = line.split(&key).nth(1).unwrap_or_else(|| panic!("no {name} in {line}"));
        value.split(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
