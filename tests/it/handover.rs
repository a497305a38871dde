//! A new process takes the port over while the old one drains: nothing is lost.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::process::Process;
use crate::support::{Sink, eventually, has_ipv6};

/// Datagrams a second, all senders together.
const RATE: u64 = 50_000;
/// They leave in bursts of this many.
const BURST: u64 = 25;

/// A port that is free now. The proxies bind it with `SO_REUSEPORT`, so port 0 cannot be used.
fn free_port(ip: &str) -> u16 {
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port()
}

/// Sends at the rate from several sockets until `end`.
fn send(to: &[SocketAddr], sent: &AtomicU64, end: &AtomicBool) {
    let sockets: Vec<_> = to
        .iter()
        .flat_map(|to| {
            (0..4).map(move |_| {
                let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).unwrap();
                socket.connect(to).unwrap();
                socket
            })
        })
        .collect();
    let began = Instant::now();
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        let due = Duration::from_nanos(count * 1_000_000_000 / RATE);
        if let Some(early) = due.checked_sub(began.elapsed()) {
            std::thread::park_timeout(early);
            continue;
        }
        for _ in 0..BURST {
            sockets[count as usize % sockets.len()].send(b"handover:1|c|#some:tag").expect("someone has the port");
            count += 1;
        }
        sent.store(count, Ordering::Relaxed);
    }
}

fn hand_over(times: usize, source: &str, to: &[SocketAddr], shards: usize) {
    let sink = Sink::new();
    let target = format!("--target=a={}", sink.address());
    let directory = tempfile::tempdir().unwrap();
    let admin = format!("--admin=unix://{}", directory.path().join("admin.sock").display());
    let (source, shards) = (format!("--source={source}"), format!("--shards={shards}"));
    let words = [&*source, &*target, &*shards, &*admin, "--readbuffer=8MiB"];
    let (sent, end) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut received, mut forwarded, mut lost) = (0, 0, 0);
    std::thread::scope(|scope| {
        let mut old = Process::start(&words);
        scope.spawn(|| send(to, &sent, &end));
        // Whatever happens in here, the sender must end, or the scope would wait for ever.
        let _end = EndOnDrop(&end);
        let mut add = |mut process: Process| {
            assert!(process.ended().success());
            received += process.summary("received");
            forwarded += process.summary("sent");
            lost += process.summary("kernel_drops");
        };
        for _ in 0..times {
            let before = sent.load(Ordering::Relaxed);
            eventually("traffic flows", || sent.load(Ordering::Relaxed) > before + 200);
            let new = Process::start(&words);
            old.signal("TERM");
            add(std::mem::replace(&mut old, new));
        }
        end.store(true, Ordering::Relaxed);
        // The sender's last burst is under way at most: it is in the kernel's queue before the drain ends.
        let before = sent.load(Ordering::Relaxed);
        eventually("the sender ends", || sent.load(Ordering::Relaxed) <= before + BURST);
        std::thread::park_timeout(Duration::from_millis(20));
        old.signal("TERM");
        add(old);
    });
    let sent = sent.load(Ordering::Relaxed);
    println!("{times} handovers of {source} {shards}: {sent} sent, {received} received, {lost} lost in the kernel");
    assert_eq!((received, forwarded, lost), (sent, sent, 0), "not one datagram is lost in {times} handovers");
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One after the other: each alone keeps both processors of a small machine busy.
#[test]
fn a_hundred_handovers_lose_nothing() {
    let port = free_port("127.0.0.1");
    let v4: SocketAddr = ([127, 0, 0, 1], port).into();
    hand_over(25, &v4.to_string(), &[v4], 1);
    hand_over(25, &v4.to_string(), &[v4], 4);
    if !has_ipv6() {
        return;
    }
    let v6: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    hand_over(13, &v6.to_string(), &[v6], 1);
    hand_over(12, &v6.to_string(), &[v6], 4);
    hand_over(13, &format!(":{port}"), &[v4, v6], 1);
    hand_over(12, &format!(":{port}"), &[v4, v6], 4);
}

#[test]
fn a_shared_port_is_said_and_an_exclusive_one_refused() {
    let port = free_port("127.0.0.1");
    let source = format!("--source=127.0.0.1:{port}");
    let words = [&*source, "--target=a=127.0.0.1:9", "--admin=off"];
    let first = Process::start(&words);
    assert!(!first.log().contains("shared"), "{}", first.log());
    let second = Process::start(&words);
    assert!(second.log().contains("port shared with another process"), "{}", second.log());
    let refused = crate::support::process::run(&[&words[..], &["--exclusive"]].concat());
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.lines().count() == 1 && text.contains(&format!("--source 127.0.0.1:{port}")), "{text}");
}

#[test]
fn a_unix_socket_is_taken_over_and_the_path_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dsd.sock");
    let source = format!("--source=unixgram://{}", path.display());
    let sink = Sink::new();
    let target = format!("--target=a={}", sink.address());
    let words = [&*source, &*target, "--admin=off"];
    let connect = || {
        let client = UnixDatagram::unbound().unwrap();
        client.connect(&path).unwrap();
        client
    };
    let mut old = Process::start(&words);
    let early = connect();
    early.send(b"to the old one").unwrap();
    let new = Process::start(&words);
    early.send(b"to the old one, which still reads").unwrap();
    connect().send(b"to the new one").unwrap();
    old.signal("TERM");
    assert!(old.ended().success());
    assert_eq!(old.summary("received"), 2);
    early.send(b"lost?").expect_err("a client of the old one is told, and can connect again");
    connect().send(b"the path leads to the new one").unwrap();
    assert_eq!(sink.take(4).len(), 4);
    drop(new);
}

#[test]
fn the_admin_addresses_are_handed_over_too() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let admins = [format!("--admin=unix://{}", path.display()), format!("--admin=127.0.0.1:{port}")];
    let words = ["--source=127.0.0.1:0", "--target=a=127.0.0.1:9", &*admins[0], &*admins[1]];
    let check = |admin: &str| crate::support::process::run(&["healthcheck", admin]).status.success();
    let mut old = Process::start(&words);
    assert!(old.log().contains(&format!("admin=\"unix://{}; 127.0.0.1:{port}\"", path.display())), "{}", old.log());
    for admin in &admins {
        eventually("the old one answers", || check(admin));
    }
    let mut new = Process::start(&words);
    assert!(check(&admins[0]), "the path leads to the new one at once");
    old.signal("TERM");
    assert!(old.ended().success());
    assert!(path.exists(), "the path is the new one's: the old one leaves it");
    for admin in &admins {
        eventually("the new one answers", || check(admin));
    }
    new.signal("TERM");
    assert!(new.ended().success());
    assert!(!path.exists(), "the last one removes it");
    for admin in &admins {
        assert!(!check(admin), "nobody answers at {admin} any more");
    }
}
