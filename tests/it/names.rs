//! Names: what cannot be resolved, what changes, what is ourselves.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use udp_proxy::control::export;
use udp_proxy::control::resolver::{Lookup, resolutions};
use udp_proxy::stats::cells::TargetCell;
use udp_proxy::stats::reason::DropReason;
use udp_proxy::stats::snapshot::dropped_for;

use crate::support::{Client, Proxy, Sink, eventually, lines};

/// A resolver that tests answer for: the address of every name, or none.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Option<SocketAddr>>>);

impl Names {
    fn set(&self, address: Option<SocketAddr>) {
        *self.0.lock().unwrap() = address;
    }

    fn lookup(&self) -> Lookup {
        let names = self.clone();
        Arc::new(move |_, _| {
            let answer = names.0.lock().unwrap().map(|address| vec![address]);
            Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
        })
    }
}

/// The metrics `target_resolved` and `target_up` of the first target.
fn told(proxy: &Proxy) -> [f64; 2] {
    let samples = export::samples(&proxy.state);
    ["target_resolved", "target_up"].map(|name| samples.iter().find(|s| s.row.name == name).expect(name).value)
}

#[test]
fn a_name_without_an_address_does_not_stop_the_start() {
    let (sink, well) = (Sink::new(), Sink::new());
    let names = Names::default();
    let words = ["--source=127.0.0.1:0", "--target=late=some.name:1?resolve=1s", &well.target("well", "")];
    let proxy = Proxy::start_with(&words, names.lookup()).unwrap();
    let client = Client::to(proxy.address());
    client.send_all(&proxy, lines(10));
    proxy.received(10);
    eventually("they are dropped with their reason", || {
        dropped_for(&proxy.snapshot().targets[0], DropReason::NoEndpoint) == 10
    });
    assert_eq!(told(&proxy), [0.0, 0.0]);
    names.set(Some(sink.address()));
    eventually("it is resolved", || proxy.state.table.load()[0].is_some());
    eventually("it is connected", || proxy.snapshot().targets[0][TargetCell::Link] == 1);
    client.send(b"now");
    assert_eq!(sink.next(), b"now");
    eventually("the metrics say so", || told(&proxy) == [1.0, 1.0]);
    assert_eq!(well.take(11).len(), 11, "the other one had everything all along");
    proxy.stop();
}

#[test]
fn traffic_follows_a_name_and_a_failed_look_up_keeps_the_last_address() {
    let (first, second, well) = (Sink::new(), Sink::new(), Sink::new());
    let names = Names::default();
    names.set(Some(first.address()));
    let words = ["--source=127.0.0.1:0", "--target=moving=some.name:1?resolve=1s", &well.target("well", "")];
    let proxy = Proxy::start_with(&words, names.lookup()).unwrap();
    let client = Client::to(proxy.address());
    client.send(b"one");
    assert_eq!(first.next(), b"one");
    names.set(None);
    eventually("a look-up fails", || resolutions(&proxy.state)[0].last_error.is_some());
    client.send(b"two");
    assert_eq!(first.next(), b"two", "the last good address is kept");
    eventually("the metrics tell one from the other", || told(&proxy) == [0.0, 1.0]);
    names.set(Some(second.address()));
    eventually("the address changes", || resolutions(&proxy.state)[0].changes == 1);
    eventually("traffic follows", || {
        client.send(b"three");
        second.socket.set_nonblocking(true).unwrap();
        let got = second.socket.recv(&mut [0; 64]).is_ok();
        second.socket.set_nonblocking(false).unwrap();
        got
    });
    let received = proxy.snapshot().received();
    assert_eq!(well.take(received as usize).len() as u64, received, "the other target loses nothing");
    let books = proxy.stop();
    assert_eq!(books.dropped(), 0);
}

#[test]
fn a_look_up_that_hangs_does_not_hold_up_the_start() {
    let well = Sink::new();
    let lookup: Lookup = Arc::new(|_, _| Box::pin(std::future::pending()));
    let words = ["--source=127.0.0.1:0", "--target=hangs=some.name:1", &well.target("well", "")];
    let began = std::time::Instant::now();
    let proxy = Proxy::start_with(&words, lookup).unwrap();
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    Client::to(proxy.address()).send(b"served");
    assert_eq!(well.next(), b"served");
    proxy.stop();
}

#[test]
fn a_name_that_begins_to_mean_ourselves_is_not_followed() {
    let sink = Sink::new();
    let names = Names::default();
    names.set(Some(sink.address()));
    let words = ["--source=127.0.0.1:0", "--target=a=some.name:1?resolve=1s"];
    let proxy = Proxy::start_with(&words, names.lookup()).unwrap();
    names.set(Some(proxy.address()));
    eventually("it is refused", || {
        resolutions(&proxy.state)[0].last_error.as_ref().is_some_and(|error| error.contains("our own listener"))
    });
    Client::to(proxy.address()).send(b"no loop");
    assert_eq!(sink.next(), b"no loop");
    assert_eq!(proxy.stop().received(), 1);
}

#[test]
fn our_own_listener_is_refused_at_start_by_any_name() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let names = Names::default();
    names.set(Some(([127, 0, 0, 1], port).into()));
    for (source, target) in [
        (format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
        (format!(":{port}"), format!("127.0.0.1:{port}")),
        (format!(":{port}"), format!("127.7.7.7:{port}")),
        (format!("127.0.0.1:{port}"), format!("[::ffff:127.0.0.1]:{port}")),
        (format!("0.0.0.0:{port}"), format!("a=some.name:{port}")),
    ] {
        let words = [&*format!("--source={source}"), &*format!("--target={target}")];
        let error = Proxy::start_with(&words, names.lookup()).err().unwrap_or_else(|| panic!("{words:?} starts"));
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.starts_with("--target: ") && text.contains("our own listener"), "{text}");
    }
    #[cfg(unix)]
    {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        let source = format!("--source=unixgram://{}/s.sock", directory.path().display());
        let target = format!("--target=unixgram://{}/s.sock", link.display());
        let error = Proxy::start_with(&[&source, &target], names.lookup()).err().expect("a loop by a link is found");
        assert_eq!(error.exit_code(), 2);
    }
}
