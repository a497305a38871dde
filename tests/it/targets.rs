//! One target never hurts another: dead, refusing, slow, full, appearing, vanishing, packed.

use std::net::UdpSocket;

use udp_proxy::stats::cells::TargetCell;

use crate::support::{Client, Proxy, Sink, both_engines, eventually, lines};

/// A port on which nothing listens, held so that nobody else takes it.
fn closed_port() -> (UdpSocket, String) {
    // A socket that is connected elsewhere does not take datagrams from the proxy: its host refuses them.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:9").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

#[test]
fn a_dead_target_costs_the_others_nothing() {
    both_engines(|engine| {
        let (_held, dead) = closed_port();
        let sink = Sink::new();
        let dead = format!("--target=dead={dead}");
        let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", &dead, &sink.target("well", "")]);
        let sent = lines(1000);
        Client::to(proxy.address()).send_all(&proxy, &sent);
        assert!(sink.take(1000).iter().zip(&sent).all(|(a, s)| a == s.as_bytes()));
        eventually("the refusals are seen", || proxy.snapshot().targets[0][TargetCell::Refusals] > 0);
        proxy.stop();
    });
}

#[test]
fn a_pending_refusal_never_eats_a_datagram() {
    both_engines(|engine| {
        let (held, address) = closed_port();
        let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", &format!("--target=a={address}")]);
        let client = Client::to(proxy.address());
        client.send(b"to nobody");
        proxy.received(1);
        drop(held);
        let sink = Sink::at(address.parse().unwrap());
        client.send(b"the next one");
        assert_eq!(sink.next(), b"the next one");
        let books = proxy.stop();
        assert_eq!((books.targets[0][TargetCell::Sent], books.dropped()), (2, 0));
    });
}

#[test]
fn packed_lines_are_the_lines_that_came() {
    both_engines(|engine| {
        for linger in ["", "&linger=20ms"] {
            let (packed, plain) = (Sink::new(), Sink::new());
            let target = packed.target("packed", &format!("?pack=200{linger}"));
            let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", "--shards=1", &target, &plain.target("b", "")]);
            let mut sent = lines(400);
            sent[10] = "x".repeat(500) + ":1|c";
            sent[20] = "two:1|c\nlines:2|c\n".into();
            sent[30] = "\n".into();
            sent[40] = String::new();
            Client::to(proxy.address()).send_all(&proxy, &sent);
            assert!(plain.take(400).iter().zip(&sent).all(|(a, s)| a == s.as_bytes()), "exact without pack");
            let expected: Vec<_> = sent.iter().flat_map(|d| d.split('\n')).filter(|l| !l.is_empty()).collect();
            let mut arrived: Vec<String> = Vec::new();
            while arrived.len() < expected.len() {
                let datagram = String::from_utf8(packed.next()).unwrap();
                assert!(datagram.len() <= 200 || datagram == sent[10], "{} bytes", datagram.len());
                arrived.extend(datagram.split('\n').map(str::to_owned));
            }
            assert_eq!(arrived, expected);
            let books = proxy.stop();
            let target = &books.targets[0];
            assert_eq!(target[TargetCell::Discarded], 2, "those without a line");
            assert_eq!(target[TargetCell::Sent], 398);
            assert_eq!(target[TargetCell::LinesIn], expected.len() as u64);
            assert_eq!(target[TargetCell::LinesOut], expected.len() as u64);
            assert!(target[TargetCell::DatagramsOut] < 398);
        }
    });
}

#[cfg(unix)]
mod unix {
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    use udp_proxy::stats::reason::DropReason;
    use udp_proxy::stats::snapshot::dropped_for;

    use super::*;

    fn target(path: &Path, options: &str) -> String {
        format!("--target=unix=unixgram://{}{options}", path.display())
    }

    fn read_all(socket: &UnixDatagram, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        (0..count)
            .map(|_| {
                let length = socket.recv(&mut buffer).expect("a datagram arrives");
                buffer[..length].to_vec()
            })
            .collect()
    }

    fn receiver(path: &Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        socket
    }

    /// Sends until the kernel and the queue of 50 are full, and some are dropped; then reads everything.
    fn overflow(engine: &str, policy: &str) -> (Vec<Vec<u8>>, Vec<String>, u64) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("slow.sock");
        let slow = receiver(&path);
        let well = Sink::new();
        let options = format!("?queue=50&overflow={policy}");
        let proxy = Proxy::start(&[
            engine,
            "--source=127.0.0.1:0",
            "--shards=1",
            &target(&path, &options),
            &well.target("well", ""),
        ]);
        // The kernel holds net.unix.max_dgram_qlen datagrams (10 to 512) for a Unix socket.
        let sent = lines(700);
        Client::to(proxy.address()).send_all(&proxy, &sent);
        assert!(well.take(700).iter().zip(&sent).all(|(a, s)| a == s.as_bytes()), "the other loses nothing");
        let books = proxy.snapshot();
        assert_eq!(books.targets[0][TargetCell::Queued], 50, "the queue is full");
        let dropped = dropped_for(&books.targets[0], DropReason::QueueFull);
        assert!(dropped > 0);
        let arrived = read_all(&slow, 700 - dropped as usize);
        eventually("the queue runs empty", || proxy.snapshot().targets[0][TargetCell::Queued] == 0);
        // And the way is free again.
        Client::to(proxy.address()).send(b"after");
        assert_eq!(read_all(&slow, 1), [b"after".to_vec()]);
        let books = proxy.stop();
        assert_eq!(dropped_for(&books.targets[0], DropReason::QueueFull), dropped);
        (arrived, sent, dropped)
    }

    #[test]
    fn a_full_queue_drops_the_newest() {
        both_engines(|engine| {
            let (arrived, sent, dropped) = overflow(engine, "newest");
            let expected = &sent[..700 - dropped as usize];
            assert!(arrived.iter().zip(expected).all(|(a, s)| a == s.as_bytes()), "the first ones, in order");
        });
    }

    #[test]
    fn a_full_queue_drops_the_oldest() {
        both_engines(|engine| {
            let (arrived, sent, dropped) = overflow(engine, "oldest");
            let held = arrived.len() - 50;
            let expected = sent[..held].iter().chain(&sent[held + dropped as usize..]);
            assert!(arrived.iter().zip(expected).all(|(a, s)| a == s.as_bytes()), "the last ones, in order");
        });
    }

    #[test]
    fn a_unix_receiver_may_appear_vanish_and_be_replaced() {
        both_engines(|engine| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("agent.sock");
            let well = Sink::new();
            let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", &target(&path, ""), &well.target("well", "")]);
            let client = Client::to(proxy.address());
            client.send(b"before it is there");
            eventually("it is dropped", || dropped_for(&proxy.snapshot().targets[0], DropReason::NoEndpoint) == 1);
            let first = receiver(&path);
            eventually("it is found", || proxy.snapshot().targets[0][TargetCell::Link] == 1);
            client.send(b"one");
            assert_eq!(read_all(&first, 1), [b"one".to_vec()]);
            // Replaced, as when an agent is restarted: the next datagram reaches the new one.
            drop(first);
            std::fs::remove_file(&path).unwrap();
            let second = receiver(&path);
            client.send(b"two");
            assert_eq!(read_all(&second, 1), [b"two".to_vec()]);
            drop(second);
            std::fs::remove_file(&path).unwrap();
            client.send(b"three");
            eventually("the loss is counted", || proxy.snapshot().dropped() == 2);
            assert_eq!(well.take(4).len(), 4);
            let books = proxy.stop();
            assert_eq!((books.received(), books.targets[0][TargetCell::Sent]), (4, 2));
        });
    }

    #[test]
    fn what_still_waits_at_the_end_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stuck.sock");
        let _stuck = receiver(&path);
        let proxy = Proxy::start(&["--source=127.0.0.1:0", "--drain-timeout=100ms", "--shards=1", &target(&path, "")]);
        Client::to(proxy.address()).send_all(&proxy, lines(700));
        proxy.received(700);
        let books = proxy.stop();
        let lost = dropped_for(&books.targets[0], DropReason::Shutdown);
        assert!(lost > 0);
        assert_eq!(books.targets[0][TargetCell::Sent] + lost, 700);
        assert_eq!(books.targets[0][TargetCell::Queued], 0);
    }
}
