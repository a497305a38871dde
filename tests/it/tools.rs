//! `load`, `sink` and `check` as processes, against each other and against the real proxy.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Arc;

use serde_json::Value;
use udp_proxy::app::{self, AppError};
use udp_proxy::cli::{self, Outcome};
use udp_proxy::control::resolver::Lookup;
use udp_proxy::tools::check;

use crate::support::process::{command, run};
use crate::support::{Proxy, Sink};

/// A running sink, with its address.
struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Running {
    /// Starts a sink; its first line says where it receives.
    fn start(words: &[&str]) -> Self {
        let mut command = command(&[&["sink", "--source=127.0.0.1:0", "--duration=60s"], words].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("receiving at ").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        Self { child, stdout, address }
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

fn load(to: SocketAddr, words: &[&str]) -> Value {
    let target = format!("--target={to}");
    let output = run(&[&["load", &target, "--json", "--duration=60s"], words].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn what_load_sends_sink_counts() {
    for format in ["--format=statsd", "--format=raw"] {
        let sink = Running::start(&["--expect=5000"]);
        let sent = load(sink.address, &["--count=5000", "--rate=20k", "--flows=5", format]);
        assert_eq!((sent["sent"].as_u64(), sent["errors"].as_u64()), (Some(5000), Some(0)));
        let (code, text) = sink.end();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("5,000") && text.contains("one-way latency"), "{text}");
    }
}

#[test]
fn a_sink_that_does_not_get_what_it_expects_says_so() {
    let sink = Running::start(&["--expect=101", "--idle=100ms"]);
    load(sink.address, &["--count=100", "--rate=10k"]);
    let (code, text) = sink.end();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("100 of 101 arrived"), "{text}");
}

#[test]
fn lines_are_accounted_for_through_a_packing_proxy() {
    let (plain, packed) = (Running::start(&["--expect=20000"]), Running::start(&["--expect=20000"]));
    let targets = [format!("--target=a={}", plain.address), format!("--target=b={}?pack=mtu", packed.address)];
    let proxy = Proxy::start(&["--source=127.0.0.1:0", "--readbuffer=8MiB", &targets[0], &targets[1]]);
    // As fast as Wine can: there each datagram costs many system calls.
    let rate = if cfg!(windows) { "--rate=2k" } else { "--rate=20k" };
    let sent = load(proxy.address(), &["--count=20000", rate, "--size=20..200", "--flows=3"]);
    assert_eq!(sent["sent"], 20_000);
    for sink in [plain, packed] {
        let (code, text) = sink.end();
        assert_eq!(code, Some(0), "{text}");
    }
    assert_eq!(proxy.stop().received(), 20_000);
}

#[test]
fn check_proves_the_way_to_every_target() {
    let sinks = [Sink::new(), Sink::new()];
    let targets = [sinks[0].target("a", ""), sinks[1].target("b", "")];
    let proxy = Proxy::start(&["--source=127.0.0.1:0", "--admin=127.0.0.1:0", &targets[0], &targets[1]]);
    let admin = format!("--admin={}", proxy.admin[0]);
    let output = run(&["check", &admin, "--count=120"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("a: ok, 120 sent") && text.contains("b: ok, 120 sent"), "{text}");
    for sink in &sinks {
        assert!(sink.take(120).iter().all(|line| line == b"udp_proxy.check:0|c"));
    }
    proxy.stop();
    let output = run(&["check", &admin, "--timeout=1s"]);
    assert_eq!(output.status.code(), Some(1), "nobody there");
}

#[test]
fn check_tells_of_a_target_that_loses() {
    let sink = Sink::new();
    let proxy = Proxy::start(&[
        "--source=127.0.0.1:0",
        "--admin=127.0.0.1:0",
        "--target=nowhere=does-not-exist.invalid:1",
        &sink.target("a", ""),
    ]);
    let output = run(&["check", &format!("--admin={}", proxy.admin[0]), "--count=10"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("nowhere: 10 dropped") && text.contains("a: ok, 10 sent"), "{text}");
    proxy.stop();
}

/// `check` of a name that has `addresses`: whether it passed, and what it said; or why it could not be done.
fn check_all(addresses: &[String], words: &[&str]) -> Result<(bool, String), AppError> {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let lookup: Lookup = Arc::new(move |host, port| {
        assert_eq!((&*host, port), ("proxies.test", 2204));
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    let words = [&["udp-proxy", "check", "--admin=proxies.test:2204", "--count=60"], words].concat();
    let Outcome::Run(cli) = cli::read(words.iter().map(|word| word.into())) else { panic!("{words:?}") };
    let Some(cli::Command::Check(args)) = cli.command else { panic!("{words:?}") };
    app::block_on(async {
        let mut said = String::new();
        let passed = check::run(&args, &lookup, |line| said = format!("{said}{line}\n")).await?;
        Ok((passed, said))
    })
}

#[test]
fn check_takes_every_address_of_a_name_for_a_proxy() {
    let sinks = [Sink::new(), Sink::new(), Sink::new()];
    let proxies = sinks
        .each_ref()
        .map(|sink| Proxy::start(&["--source=127.0.0.1:0", "--admin=127.0.0.1:0", &sink.target("a", "")]));
    let admins = proxies.each_ref().map(|proxy| proxy.admin[0].clone());
    // A name server may say one twice.
    let answer = [&admins[..], &admins[..1]].concat();
    let (passed, text) = check_all(&answer, &[]).unwrap();
    assert!(passed && text.ends_with("\n3 of 3 proxies passed\n"), "{text}");
    for ((proxy, sink), admin) in proxies.iter().zip(&sinks).zip(&admins) {
        let lines = format!("proxy {admin}\n  60 probe lines received at {}\n  a: ok, 60 sent\n", proxy.address());
        assert!(text.contains(&lines), "{lines} is not in:\n{text}");
        assert_eq!(sink.take(60).len(), 60);
        sink.nothing();
    }
    // With one address the name is as good as the address.
    let (passed, text) = check_all(&admins[..1], &[]).unwrap();
    assert!(
        passed && text == format!("60 probe lines received at {}\na: ok, 60 sent\n", proxies[0].address()),
        "{text}"
    );
    let (passed, _) = check_all(&admins[..1], &[&format!("--source={}", proxies[0].address())]).unwrap();
    assert!(passed, "to one proxy the probe lines may be sent by any way");
    let refused = check_all(&admins, &["--source=127.0.0.1:9"]).expect_err("which proxy that is cannot be told");
    let text = refused.to_string();
    assert!(refused.exit_code() == 2 && text.starts_with("--source: ") && text.contains("3 addresses"), "{text}");
    proxies.into_iter().for_each(|proxy| drop(proxy.stop()));
}

#[test]
fn check_fails_when_one_of_several_proxies_does() {
    // One loses, one is well, and at the third address somebody listens who never answers.
    let sink = Sink::new();
    let start = |target: &str| Proxy::start(&["--source=127.0.0.1:0", "--admin=127.0.0.1:0", target]);
    let proxies = [start("--target=nowhere=does-not-exist.invalid:1"), start(&sink.target("a", ""))];
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = (mute.local_addr().unwrap().to_string(), mute);
    let admins = [mute.0.clone(), proxies[0].admin[0].clone(), proxies[1].admin[0].clone()];
    let (passed, text) = check_all(&admins, &["--timeout=1s"]).unwrap();
    assert!(!passed && text.ends_with("\n1 of 3 proxies passed\n"), "{text}");
    assert!(text.contains("  nowhere: 60 dropped, 0 sent\n") && text.contains("  a: ok, 60 sent\n"), "{text}");
    let said = text.split(&format!("proxy {}\n", mute.0)).nth(1).unwrap_or_else(|| panic!("{text}"));
    assert!(said.lines().next().is_some_and(|line| line.contains("within 1000 ms")), "the time is for each: {text}");
    proxies.into_iter().for_each(|proxy| drop(proxy.stop()));
}

#[test]
fn a_slow_sink_shows_what_a_full_buffer_does() {
    if !cfg!(target_os = "linux") {
        println!("skip: only Linux counts the kernel drops of a socket");
        return;
    }
    let sink = Running::start(&["--idle=300ms", "--delay=20ms", "--readbuffer=0"]);
    let address = sink.address;
    load(address, &["--count=60000", "--rate=max", "--size=1400"]);
    let (_, text) = sink.end();
    let last = text.lines().rev().find(|line| line.contains(',') && !line.contains("µs")).unwrap_or_default();
    let drops = last.split_whitespace().last().unwrap_or("0").replace(',', "");
    assert!(drops.parse::<u64>().is_ok_and(|drops| drops > 0), "{text}");
}

#[cfg(unix)]
#[test]
fn load_follows_a_unix_socket_that_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dsd.sock");
    let source = format!("--source=unixgram://{}", path.display());
    let sink = Sink::new();
    let words = ["--admin=off", &source, &sink.target("a", "")];
    let old = Proxy::start(&words);
    let target = format!("--target=unixgram://{}", path.display());
    let words_of_load = ["load", &target, "--json", "--count=3000", "--rate=2k", "--flows=4"];
    let mut load = command(&words_of_load).stdout(Stdio::piped()).spawn().unwrap();
    old.received(500);
    let new = Proxy::start(&words);
    let by_old = old.stop().received();
    let mut report = String::new();
    load.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    load.wait().unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["sent"], 3000, "{report}");
    assert_eq!(report["errors"], 4, "each flow is refused once and connects again: {report}");
    assert_eq!(by_old + new.stop().received(), 3000);
}

#[test]
fn load_to_a_closed_port_counts_the_refusals() {
    let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    held.connect("127.0.0.1:9").unwrap();
    let target = format!("--target={}", held.local_addr().unwrap());
    let output = run(&["load", &target, "--json", "--count=100", "--rate=10k"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(report["errors"].as_u64().is_some_and(|errors| errors > 0), "{report}");
    assert_eq!(report["sent"], 100, "each one is sent all the same");
}

#[test]
fn wrong_words_are_refused_in_one_line() {
    for (words, part) in [
        (vec!["load"], "--target"),
        (vec!["load", "--target=x"], "no port"),
        (vec!["load", "--target=127.0.0.1:9", "--rate=fast"], "--rate"),
        (vec!["load", "--target=127.0.0.1:9", "--size=150..30"], "smaller size first"),
        (vec!["load", "--target=127.0.0.1:9", "--size=0"], "--size"),
        (vec!["load", "--target=127.0.0.1:9", "--flows=0"], "--flows"),
        (vec!["load", "--target=127.0.0.1:9", "--format=json"], "--format"),
        (vec!["load", "--target=127.0.0.1:9", "--duration=10"], "--duration"),
        (vec!["load", "--target=127.0.0.1:9", "--seed=x"], "--seed"),
        (vec!["sink"], "--source"),
        (vec!["sink", "--source=here"], "--source"),
        (vec!["sink", "--source=127.0.0.1:0", "--idle=1"], "--idle"),
        (vec!["sink", "--source=127.0.0.1:0", "--expect=all"], "--expect"),
        (vec!["check", "--count=0"], "--count"),
        (vec!["check", "--admin=unix://x"], "--admin"),
        (vec!["check", "--source=x"], "--source"),
    ] {
        let output = run(&words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.lines().count() == 1 && text.contains(part), "{words:?}: {text}");
    }
}
