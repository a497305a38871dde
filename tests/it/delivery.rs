//! Every datagram to every target: bytes, edges, order, sizes, families.

use udp_proxy::stats::cells::{ListenerCell, TargetCell};
use udp_proxy::stats::reason::DropReason;
use udp_proxy::stats::snapshot::dropped_for;

use crate::support::{Client, Proxy, Sink, both_engines, eventually, has_ipv6, lines};

fn deliver(engine: &str, source: &str, sinks: &[Sink], shards: usize) {
    let mut words = vec![engine.to_owned(), format!("--source={source}"), format!("--shards={shards}")];
    words.extend(sinks.iter().enumerate().map(|(i, sink)| sink.target(&format!("t{i}"), "")));
    let proxy = Proxy::start(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let sent = lines(500);
    Client::to(proxy.address()).send_all(&proxy, &sent);
    for sink in sinks {
        let arrived = sink.take(sent.len());
        assert!(arrived.iter().zip(&sent).all(|(a, s)| a == s.as_bytes()), "bytes and order are kept");
        sink.nothing();
    }
    let books = proxy.stop();
    assert_eq!(books.received(), 500);
    assert_eq!(books.over_targets(TargetCell::Sent), 500 * sinks.len() as u64);
}

#[test]
fn one_two_and_many_targets_get_everything_in_order() {
    both_engines(|engine| {
        for targets in [1, 2, 16, 64] {
            let sinks: Vec<_> = (0..targets).map(|_| Sink::new()).collect();
            deliver(engine, "127.0.0.1:0", &sinks, 2);
        }
    });
}

#[test]
fn ipv6_and_dual_stack() {
    if !has_ipv6() {
        return;
    }
    both_engines(|engine| {
        let sinks = [Sink::new(), Sink::at("[::1]:0".parse().unwrap())];
        deliver(engine, "[::1]:0", &sinks, 1);
        deliver(engine, ":0", &sinks, 3);
        // A dual-stack listener takes IPv4 too.
        let proxy = Proxy::start(&[engine, "--source=:0", &sinks[0].target("a", "")]);
        let mut address = proxy.address();
        address.set_ip("127.0.0.1".parse().unwrap());
        Client::to(address).send(b"over IPv4");
        assert_eq!(sinks[0].next(), b"over IPv4");
        proxy.stop();
    });
}

#[test]
fn every_size_passes_whole() {
    both_engines(|engine| {
        let sinks = [Sink::new(), Sink::new()];
        let targets = [sinks[0].target("a", ""), sinks[1].target("b", "")];
        let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", &targets[0], &targets[1]]);
        let client = Client::to(proxy.address());
        let sizes = [0, 1, 2, 1431, 1432, 1433, 1472, 1473, 8192, 65_000, 65_506, 65_507, 0];
        for (i, size) in sizes.into_iter().enumerate() {
            let datagram: Vec<u8> = (0..size).map(|byte| (byte * 7 + i) as u8).collect();
            client.send(&datagram);
            for sink in &sinks {
                assert!(sink.next() == datagram, "{size} bytes arrive as they were");
            }
        }
        assert_eq!(proxy.stop().received(), sizes.len() as u64);
    });
}

#[test]
fn runs_of_all_shapes_keep_their_edges() {
    // What the kernel sends as one message must arrive as it came: equal sizes, a shorter last one, empty
    // ones between, sizes around what fits a frame.
    both_engines(|engine| {
        let sink = Sink::new();
        let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", "--shards=1", &sink.target("a", "")]);
        let client = Client::to(proxy.address());
        let mut sent = Vec::new();
        for (i, size) in [64, 64, 64, 10, 64, 64, 0, 0, 100, 100, 99, 1400, 1400, 3, 1500, 1500, 1].iter().enumerate() {
            for copy in 0..=(i % 5) {
                sent.push(vec![(i * 16 + copy) as u8; *size]);
            }
        }
        for _ in 0..20 {
            client.send_all(&proxy, &sent);
            let arrived = sink.take(sent.len());
            assert!(arrived == sent);
        }
        proxy.stop();
    });
}

#[test]
fn what_is_larger_than_the_buffer_is_counted_and_not_forwarded() {
    both_engines(|engine| {
        let sink = Sink::new();
        let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", "--buffer=100", &sink.target("a", "")]);
        let client = Client::to(proxy.address());
        client.send_all(&proxy, [vec![1; 100], vec![2; 101], vec![3; 9000], vec![4; 99]]);
        assert_eq!(sink.next(), [1; 100]);
        assert_eq!(sink.next(), [4; 99], "no stump between");
        proxy.received(4);
        sink.nothing();
        let books = proxy.stop();
        assert_eq!(books.listeners[0][ListenerCell::Truncated], 2);
        assert_eq!(dropped_for(&books.targets[0], DropReason::Truncated), 2);
        assert_eq!(books.targets[0][TargetCell::Sent], 2);
    });
}

#[test]
fn several_sources_at_once_share_the_targets() {
    let sink = Sink::new();
    let directory = tempfile::tempdir().unwrap();
    let mut words = vec!["--source=127.0.0.1:0".to_owned(), sink.target("a", "")];
    let path = directory.path().join("dsd.sock");
    if cfg!(unix) {
        words.push(format!("--source=unixgram://{}?mode=0622", path.display()));
    }
    let proxy = Proxy::start(&words.iter().map(String::as_str).collect::<Vec<_>>());
    Client::to(proxy.address()).send(b"udp:1|c");
    assert_eq!(sink.next(), b"udp:1|c");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o622);
        let client = std::os::unix::net::UnixDatagram::unbound().unwrap();
        client.connect(&path).unwrap();
        for size in [0, 7, 65_535] {
            client.send(&vec![9; size]).unwrap();
            if size <= 65_507 {
                assert_eq!(sink.next().len(), size);
            }
        }
        // UDP over IPv4 cannot carry 65,535 bytes: the kernel says so, and the books do.
        eventually("it is dropped", || dropped_for(&proxy.snapshot().targets[0], DropReason::TooLong) == 1);
    }
    proxy.stop();
    assert!(!path.exists(), "the socket's file is removed at the end");
}

#[cfg(unix)]
#[test]
fn from_unix_to_unix_every_size_passes_whole() {
    use std::os::unix::net::UnixDatagram;
    both_engines(|engine| {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let receiver = UnixDatagram::bind(path("out.sock")).unwrap();
        receiver.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        let source = format!("--source=unixgram://{}", path("in.sock").display());
        let target = format!("--target=a=unixgram://{}", path("out.sock").display());
        let proxy = Proxy::start(&[engine, &source, &target]);
        let client = UnixDatagram::unbound().unwrap();
        client.connect(path("in.sock")).unwrap();
        let mut buffer = vec![0; 70_000];
        for size in [0, 1, 8192, 65_507, 65_508, 65_535, 0] {
            let datagram: Vec<u8> = (0..size).map(|byte| (byte * 11) as u8).collect();
            client.send(&datagram).unwrap();
            let length = receiver.recv(&mut buffer).expect("it arrives");
            assert!(buffer[..length] == datagram, "{size} bytes arrive as they were");
        }
        client.send(&vec![1; 65_536]).unwrap();
        eventually("one byte more is truncated", || {
            dropped_for(&proxy.snapshot().targets[0], DropReason::Truncated) == 1
        });
        proxy.stop();
    });
}

#[test]
fn overload_is_counted_to_the_last_datagram() {
    // A flat-out sender against a small receive buffer: what was sent is either received or counted as a
    // kernel drop. Only Linux tells the drops of one socket.
    if !cfg!(target_os = "linux") {
        println!("skip: only Linux counts the kernel drops of a socket");
        return;
    }
    let sink = Sink::new();
    let proxy = Proxy::start(&["--source=127.0.0.1:0", "--readbuffer=0", "--shards=1", &sink.target("a", "?queue=10")]);
    let client = Client::to(proxy.address());
    let datagram = [7; 1000];
    let mut sent = 0;
    // A queue of the kernel's default size holds a few hundred of these: keep on until some are lost.
    eventually("something is lost", || {
        for _ in 0..20_000 {
            client.send(&datagram);
            sent += 1;
        }
        proxy.snapshot().kernel_drops() > 0
    });
    eventually("all are accounted for", || {
        let books = proxy.snapshot();
        books.received() + books.kernel_drops() == sent
    });
    let books = proxy.stop();
    assert_eq!(books.received() + books.kernel_drops(), sent);
    assert_eq!(books.listeners[0][ListenerCell::Received], books.targets[0][TargetCell::Sent]);
}
