//! Admin HTTP: every route, its limits, and that it costs the data path nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use udp_proxy::control::admin::CONNECTIONS;
use udp_proxy::stats::cells::TargetCell;

use crate::support::{Client, PATIENCE, Proxy, Sink, eventually, lines};

/// One request, word for word; the answer's head and body.
fn ask(admin: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

fn get(admin: &str, path: &str) -> (u16, String) {
    let (head, body) = ask(admin, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    (head.split(' ').nth(1).expect("a status line").parse().unwrap(), body)
}

fn json(admin: &str, path: &str) -> Value {
    serde_json::from_str(&get(admin, path).1).expect("JSON")
}

fn start(words: &[&str]) -> (Proxy, String) {
    let proxy = Proxy::start(&[words, &["--admin=127.0.0.1:0", "--source=127.0.0.1:0"]].concat());
    let admin = proxy.admin[0].clone();
    (proxy, admin)
}

/// The value of a Prometheus sample.
fn sample(metrics: &str, key: &str) -> f64 {
    let line = metrics.lines().find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {key} in:\n{metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn every_route_answers() {
    let sink = Sink::new();
    let (proxy, admin) = start(&[&sink.target("a", "")]);
    eventually("ready", || get(&admin, "/readyz").0 == 200);
    assert_eq!(get(&admin, "/readyz"), (200, "ready\n".into()));
    assert_eq!(get(&admin, "/livez"), (200, "live\n".into()));
    assert_eq!(json(&admin, "/healthz")["targets"][0]["state"], "up");
    let status = json(&admin, "/status");
    assert_eq!(status["config"]["targets"][0], format!("a={}", sink.address()));
    assert_eq!(status["books"]["balanced"], true);
    assert!(get(&admin, "/").1.contains("<title>udp-proxy</title>"));
    assert_eq!(get(&admin, "/nope").0, 404);
    assert_eq!(get(&admin, "/status/").0, 404);
    let (head, _) = ask(&admin, "POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405") && head.to_ascii_lowercase().contains("allow: get, head"), "{head}");
    let (head, body) = ask(&admin, "HEAD /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{head}");
    proxy.stop();
}

#[test]
fn every_admin_address_answers_and_is_closed() {
    let words = ["--source=127.0.0.1:0", "--target=127.0.0.1:9", "--admin=127.0.0.1:0,127.0.0.1:0"];
    let proxy = Proxy::start(&words);
    let admins = proxy.admin.clone();
    assert!(admins.len() == 2 && admins[0] != admins[1], "{admins:?}");
    for admin in &admins {
        assert_eq!(get(admin, "/livez"), (200, "live\n".into()));
        assert_eq!(json(admin, "/status")["config"]["admin"], serde_json::json!(["127.0.0.1:0", "127.0.0.1:0"]));
        assert_eq!(get(admin, "/metrics").0, 200);
    }
    proxy.stop();
    for admin in &admins {
        TcpStream::connect(admin).expect_err("nobody listens any more");
    }
}

#[test]
fn all_admin_addresses_share_one_bound_of_connections() {
    let words = ["--source=127.0.0.1:0", "--target=127.0.0.1:9", "--admin=127.0.0.1:0 127.0.0.1:0"];
    let proxy = Proxy::start(&words);
    /// A connection that has a place: it is answered, and kept.
    fn answered(mut stream: TcpStream) -> TcpStream {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        stream
    }
    let open = |address: usize| TcpStream::connect(&proxy.admin[address]).unwrap();
    let half = CONNECTIONS / 2;
    let kept: Vec<_> = (0..2).flat_map(|address| (0..half).map(move |_| address)).map(|a| answered(open(a))).collect();
    for address in 0..2 {
        let mut refused = open(address);
        refused.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let closed = refused.read(&mut [0; 1]);
        let waits = |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!closed.as_ref().is_err_and(waits), "it is closed at once: {closed:?}");
    }
    drop(kept);
    proxy.stop();
}

#[test]
fn metrics_and_status_say_what_the_books_say() {
    let sink = Sink::new();
    let (proxy, admin) = start(&[&sink.target("a", "")]);
    Client::to(proxy.address()).send_all(&proxy, lines(300));
    assert_eq!(sink.take(300).len(), 300);
    let bytes: usize = lines(300).iter().map(String::len).sum();
    proxy.received(300);
    let metrics = get(&admin, "/metrics").1;
    let listener = format!("listener=\"{}\"", proxy.address());
    assert_eq!(sample(&metrics, &format!("udp_proxy_received_total{{{listener}}}")), 300.0);
    assert_eq!(sample(&metrics, &format!("udp_proxy_received_bytes_total{{{listener}}}")), bytes as f64);
    assert_eq!(sample(&metrics, "udp_proxy_sent_total{target=\"a\"}"), 300.0);
    assert_eq!(sample(&metrics, "udp_proxy_dropped_total{target=\"a\",reason=\"queue_full\"}"), 0.0);
    assert_eq!(sample(&metrics, &format!("udp_proxy_datagram_size_bytes_bucket{{{listener},le=\"16\"}}")), 0.0);
    assert_eq!(sample(&metrics, &format!("udp_proxy_datagram_size_bytes_bucket{{{listener},le=\"64\"}}")), 300.0);
    assert_eq!(sample(&metrics, "udp_proxy_queue_capacity{target=\"a\"}"), 4096.0);
    assert_eq!(sample(&metrics, "udp_proxy_queue_bytes_capacity{target=\"a\"}"), 4_194_304.0);
    assert_eq!(sample(&metrics, "udp_proxy_target_resolved{target=\"a\"}"), 1.0);
    assert_eq!(sample(&metrics, "udp_proxy_books_balanced"), 1.0);
    let status = json(&admin, "/status");
    assert_eq!(status["books"]["received"], 300);
    assert_eq!(status["targets"][0]["sent"], 300);
    assert_eq!(status["listeners"][0]["received_bytes"], bytes);
    proxy.stop();
}

#[test]
fn no_metrics_turns_them_off() {
    let (proxy, admin) = start(&["--target=127.0.0.1:9", "--no-metrics"]);
    assert_eq!(get(&admin, "/metrics").0, 404);
    assert_eq!(get(&admin, "/livez").0, 200);
    proxy.stop();
}

#[test]
fn self_metrics_leave_as_statsd() {
    let (sink, metrics) = (Sink::new(), Sink::new());
    let outlet = format!("--metrics-statsd={}", metrics.address());
    let (proxy, _) = start(&[&sink.target("a", ""), &outlet, "--metrics-prefix=me", "--metrics-interval=100ms"]);
    Client::to(proxy.address()).send_all(&proxy, lines(50));
    let mut received = 0;
    while received < 50 {
        for line in String::from_utf8(metrics.next()).unwrap().lines() {
            assert!(line.starts_with("me."), "{line}");
            if let Some(value) = line.strip_prefix("me.received:") {
                received += value.split('|').next().unwrap().parse::<u64>().unwrap();
            }
        }
    }
    assert_eq!(received, 50, "each growth is told once");
    proxy.stop();
}

/// The growth of an interval whose datagrams could not leave was forgotten.
#[cfg(unix)]
#[test]
fn self_metrics_that_could_not_leave_are_told_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.sock");
    let sink = Sink::new();
    let outlet = format!("--metrics-statsd=unixgram://{}", path.display());
    let (proxy, admin) = start(&[&sink.target("a", ""), &outlet, "--metrics-interval=100ms"]);
    Client::to(proxy.address()).send_all(&proxy, lines(50));
    // Intervals pass in which nobody is there.
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_millis(350) {
        assert_eq!(get(&admin, "/livez").0, 200);
    }
    let receiver = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    receiver.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    Client::to(proxy.address()).send_all(&proxy, lines(7));
    let mut received = 0;
    let mut buffer = [0; 65_536];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while received < 57 {
        assert!(std::time::Instant::now() < deadline, "{received} of 57 were told: the first interval is forgotten");
        let length = receiver.recv(&mut buffer).expect("what was received before is told, too");
        for line in std::str::from_utf8(&buffer[..length]).unwrap().lines() {
            if let Some(value) = line.strip_prefix("udp_proxy.received:") {
                received += value.split('|').next().unwrap().parse::<u64>().unwrap();
            }
        }
    }
    assert_eq!(received, 57, "each growth is told once");
    proxy.stop();
}

#[test]
fn self_metrics_can_go_through_the_proxy_to_every_target() {
    let sinks = [Sink::new(), Sink::new()];
    let targets = [sinks[0].target("a", ""), sinks[1].target("b", "")];
    let (proxy, _) = start(&[&targets[0], &targets[1], "--metrics-statsd=self", "--metrics-interval=100ms"]);
    for sink in &sinks {
        assert!(sink.next().starts_with(b"udp_proxy."));
    }
    proxy.stop();
}

#[test]
fn readiness_follows_the_rule_and_the_phase() {
    let sink = Sink::new();
    let unresolved = "--target=nowhere=does-not-exist.invalid:1";
    for (rule, code) in [("any", 200), ("all", 503)] {
        let (proxy, admin) = start(&[&sink.target("a", ""), unresolved, &format!("--ready={rule}")]);
        eventually("the target is connected", || proxy.snapshot().targets[0][TargetCell::Link] == 1);
        let (got, why) = get(&admin, "/readyz");
        assert_eq!(got, code, "{rule}: {why}");
        if code == 503 {
            assert!(why.contains("nowhere is unresolved"), "{why}");
        }
        proxy.stop();
    }
    let (proxy, admin) = start(&[&sink.target("a", ""), "--shutdown-delay=1h"]);
    proxy.ask_to_end();
    eventually("it is leaving", || get(&admin, "/readyz") == (503, "not ready: leaving\n".into()));
    assert_eq!(get(&admin, "/livez").0, 200, "a proxy that leaves is live");
    proxy.stop();
}

#[test]
fn draining_closes_the_admin_address() {
    let (proxy, admin) = start(&["--target=127.0.0.1:9"]);
    assert_eq!(get(&admin, "/livez").0, 200);
    proxy.stop();
    TcpStream::connect(&admin).expect_err("nobody listens any more");
}

#[test]
fn slow_and_huge_requests_are_cut_off() {
    let (proxy, admin) = start(&["--target=127.0.0.1:9"]);
    // A head that never ends: closed after its time, with nothing or an error, but closed.
    let mut slow = TcpStream::connect(&admin).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: ").unwrap();
    // Meanwhile a head that is too large.
    let huge = format!("GET /livez HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(&admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may close before it has taken everything: both are a refusal.
    let _ = stream.write_all(huge.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).expect("it is closed within its time");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(get(&admin, "/livez").0, 200);
    proxy.stop();
}

#[test]
fn hundreds_of_idle_connections_do_not_touch_the_data_path() {
    let sink = Sink::new();
    let (proxy, admin) = start(&[&sink.target("a", "")]);
    let idle: Vec<_> = (0..300).map(|_| TcpStream::connect(&admin).unwrap()).collect();
    let sent = lines(2000);
    Client::to(proxy.address()).send_all(&proxy, &sent);
    assert!(sink.take(2000).iter().zip(&sent).all(|(a, s)| a == s.as_bytes()));
    // Beyond the bound a connection is closed at once …
    let mut refused = &idle[299];
    refused.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(refused.read(&mut [0; 1]), Ok(0) | Err(_)));
    // … and when the idle ones are gone, there is room again.
    drop(idle);
    eventually("room again", || {
        let mut stream = TcpStream::connect(&admin).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
    });
    assert_eq!(proxy.stop().received(), 2000);
}

#[cfg(unix)]
#[test]
fn healthcheck_asks_over_tcp_and_a_unix_socket() {
    let sink = Sink::new();
    let (proxy, admin) = start(&[&sink.target("a", "")]);
    eventually("ready", || get(&admin, "/readyz").0 == 200);
    let check = |words: &[&str]| {
        let output = crate::support::process::run(&[&["healthcheck"], words].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(check(&["--admin", &admin]), (Some(0), "ready\n".into()));
    assert_eq!(check(&["--admin", &admin, "--live"]), (Some(0), "live\n".into()));
    proxy.stop();
    let (code, why) = check(&["--admin", &admin]);
    assert!(code == Some(1) && why.lines().count() == 1 && why.contains(&admin), "{why}");

    let directory = tempfile::tempdir().unwrap();
    let path = format!("unix://{}", directory.path().join("admin.sock").display());
    // The same words that the proxy has: the first is asked, and nobody is at the second.
    let list = format!("{path} {admin}");
    let proxy = Proxy::start(&["--source=127.0.0.1:0", &sink.target("a", ""), &format!("--admin={path}")]);
    eventually("ready", || check(&["--admin", &list]) == (Some(0), "ready\n".into()));
    let (code, why) = check(&["--admin", &format!("{admin} {path}")]);
    assert!(code == Some(1) && why.contains(&admin), "{why}");
    let output = crate::support::process::command(&["healthcheck"]).env("UDP_PROXY_ADMIN", &list).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"ready\n"[..]));
    proxy.stop();
    assert!(!directory.path().join("admin.sock").exists());
}

/// The paths of all keys in a document; of a list the first element stands for all.
fn keys(value: &Value, at: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let path = format!("{at}.{key}");
            keys(value, &path, found);
            found.insert(path);
        }),
        Value::Array(list) => list.first().into_iter().for_each(|first| keys(first, &format!("{at}[]"), found)),
        _ => {}
    }
}

#[test]
fn the_documented_samples_have_the_keys_of_the_answers() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/admin.md")).unwrap();
    let sample = |path: &str| -> Value {
        let section = page.split(&format!("## `{path}`")).nth(1).expect("a section");
        let text = section.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
        serde_json::from_str(text).expect("JSON")
    };
    let sinks = [Sink::new(), Sink::new()];
    let (proxy, admin) = start(&[&sinks[0].target("a", ""), &sinks[1].target("b", "?pack=mtu")]);
    for path in ["/healthz", "/status"] {
        let (mut documented, mut answered) = Default::default();
        keys(&sample(path), "", &mut documented);
        keys(&json(&admin, path), "", &mut answered);
        assert!(documented.len() > 10);
        if cfg!(target_os = "linux") {
            assert_eq!(documented, answered, "{path}");
        }
    }
    proxy.stop();
}
