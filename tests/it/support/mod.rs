//! What every test needs: a proxy that is really started, receivers, senders that keep step, and waiting for
//! facts. No sleeps, no fixed ports.

pub mod process;

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use udp_proxy::app::{self, AppError};
use udp_proxy::cli::{self, Outcome};
use udp_proxy::config::Config;
use udp_proxy::control::{Bound, State, resolver};
use udp_proxy::lifecycle::Shutdown;
use udp_proxy::stats::snapshot::Snapshot;

/// How long a fact may take to come true: far longer than it ever should, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a fact.
#[track_caller]
pub fn eventually(what: &str, mut fact: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !fact() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// A proxy in this process, with its control plane on a thread of its own.
pub struct Proxy {
    pub state: Arc<State>,
    pub admin: Vec<String>,
    shutdown: Shutdown,
    thread: Option<JoinHandle<Result<Snapshot, AppError>>>,
}

impl Proxy {
    /// Starts a proxy with these words of the command line; admin is off unless they say otherwise.
    #[track_caller]
    pub fn start(words: &[&str]) -> Self {
        Self::start_with(words, resolver::system()).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The same, asking `lookup` for names.
    pub fn start_with(words: &[&str], lookup: resolver::Lookup) -> Result<Self, AppError> {
        let config = config(words)?;
        let shutdown = Shutdown::default();
        let (started, start) = mpsc::channel();
        let ended = shutdown.clone();
        let thread = std::thread::spawn(move || {
            app::block_on(async {
                let running = app::start(config, lookup).await?;
                started.send((running.state.clone(), running.admin.clone())).expect("the test waits");
                running.serve(ended).await
            })
        });
        match start.recv() {
            Ok((state, admin)) => Ok(Self { state, admin, shutdown, thread: Some(thread) }),
            Err(_) => Err(thread.join().expect("start does not panic").expect_err("it did not start")),
        }
    }

    /// Where its first UDP listener is reached.
    pub fn address(&self) -> SocketAddr {
        let udp = self.state.listeners.iter().find_map(|listener| match listener.address {
            Bound::Udp { address, .. } => Some(udp_proxy::sys::bind::reachable(address)),
            Bound::Unix(_) | Bound::Pipe(_) => None,
        });
        udp.expect("it has a UDP listener")
    }

    pub fn snapshot(&self) -> Snapshot {
        let snapshot = self.state.snapshot();
        assert!(snapshot.balanced(), "the books balance at every moment: {snapshot:?}");
        snapshot
    }

    /// Waits until `count` datagrams were received.
    #[track_caller]
    pub fn received(&self, count: u64) {
        eventually(&format!("{count} received, of {}", self.snapshot().received()), || {
            self.snapshot().received() >= count
        });
    }

    /// Asks for the end, without waiting for it.
    pub fn ask_to_end(&self) {
        self.shutdown.request();
    }

    /// Drains it; the books at the end balance.
    #[track_caller]
    pub fn stop(mut self) -> Snapshot {
        self.shutdown.request();
        let thread = self.thread.take().expect("it is stopped once");
        let books = thread.join().expect("the control plane does not panic").expect("it drains");
        assert!(books.balanced(), "{books:?}");
        books
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shutdown.request();
        self.shutdown.request();
    }
}

/// A configuration by the words of the command line.
pub fn config(words: &[&str]) -> Result<Config, AppError> {
    let mut all = vec!["udp-proxy"];
    if !words.iter().any(|word| word.starts_with("--admin")) {
        all.push("--admin=off");
    }
    all.extend(words);
    match cli::read(all.iter().map(|&word| word.to_owned().into())) {
        Outcome::Run(cli) => Ok(Config::from_cli(&cli.proxy)?),
        other => panic!("{words:?}: {other:?}"),
    }
}

/// Runs a test with both ways of moving datagrams.
pub fn both_engines(test: impl Fn(&str)) {
    for engine in ["--engine=auto", "--engine=portable"] {
        println!("{engine}");
        test(engine);
    }
}

/// A receiver: a UDP socket with a large buffer.
pub struct Sink {
    pub socket: UdpSocket,
}

impl Sink {
    pub fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub fn at(address: SocketAddr) -> Self {
        let socket = udp_proxy::sys::bind::udp(address, false, false).expect("a sink");
        udp_proxy::sys::bind::receive_buffer(&socket, 8 << 20);
        socket.set_nonblocking(false).unwrap();
        let socket: UdpSocket = socket.into();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The words of a `--target` that is this sink.
    pub fn target(&self, name: &str, options: &str) -> String {
        format!("--target={name}={}{options}", self.address())
    }

    /// The next datagram.
    #[track_caller]
    pub fn next(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer).expect("a datagram arrives");
        buffer.truncate(length);
        buffer
    }

    /// The next `count` datagrams.
    #[track_caller]
    pub fn take(&self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Asserts that nothing (more) has arrived.
    #[track_caller]
    pub fn nothing(&self) {
        self.socket.set_nonblocking(true).unwrap();
        let got = self.socket.recv(&mut [0; 16]);
        self.socket.set_nonblocking(false).unwrap();
        match got {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("nothing more should have arrived: {other:?}"),
        }
    }
}

/// A client of the proxy.
pub struct Client {
    socket: UdpSocket,
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let any: SocketAddr = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(address).unwrap();
        Self { socket }
    }

    #[track_caller]
    pub fn send(&self, datagram: &[u8]) {
        // An answer to an earlier datagram may be pending when a proxy was not there yet.
        let sent = self.socket.send(datagram).or_else(|_| self.socket.send(datagram));
        assert_eq!(sent.expect("it is sent"), datagram.len());
    }

    /// Sends datagrams, never more than 100 ahead of what `proxy` has received, so that no receive buffer
    /// overflows, whatever the machine is doing.
    #[track_caller]
    pub fn send_all<D: AsRef<[u8]>>(&self, proxy: &Proxy, datagrams: impl IntoIterator<Item = D>) {
        let before = proxy.snapshot().received();
        for (sent, datagram) in datagrams.into_iter().enumerate() {
            if sent % 50 == 49 {
                eventually("the proxy keeps up", || proxy.snapshot().received() + 50 >= before + sent as u64);
            }
            self.send(datagram.as_ref());
        }
    }
}

/// `count` numbered lines.
pub fn lines(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("it.counter:{i}|c|#number:{i}")).collect()
}

/// Whether the host has IPv6; says so when it has not.
pub fn has_ipv6() -> bool {
    let has = udp_proxy::sys::bind::has_ipv6();
    if !has {
        println!("skip: this host has no IPv6");
    }
    has
}

/// Whether a test can end a process as a signal would; says so when it cannot.
#[cfg(unix)]
pub fn has_signals() -> bool {
    true
}

/// Whether a test can end a process as a signal would; says so when it cannot.
#[cfg(windows)]
pub fn has_signals() -> bool {
    if is_wine() {
        println!("skip: Wine passes no Ctrl-Break on to a process group");
    }
    !is_wine()
}

/// Whether this Windows is Wine.
#[cfg(windows)]
pub fn is_wine() -> bool {
    use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
    // SAFETY: both names end with a zero; the function is looked up, not called.
    let wine =
        unsafe { GetProcAddress(GetModuleHandleW(windows_sys::w!("ntdll.dll")), windows_sys::s!("wine_get_version")) };
    wine.is_some()
}
