//! The end: readiness is withdrawn, what was received is flushed, the books are said, exit code 0.

use crate::support::{Client, Proxy, Sink, eventually, lines};

#[test]
fn what_was_received_is_forwarded_before_the_end() {
    for engine in ["--engine=auto", "--engine=portable"] {
        let sink = Sink::new();
        let proxy = Proxy::start(&[engine, "--source=127.0.0.1:0", &sink.target("a", "?pack=mtu&linger=10s")]);
        // Less than one pack: it would wait for ten seconds.
        Client::to(proxy.address()).send_all(&proxy, lines(5));
        let books = proxy.stop();
        assert_eq!(books.received(), 5, "what is in the kernel's queue is read");
        assert_eq!(String::from_utf8(sink.next()).unwrap().split('\n').count(), 5, "and leaves");
    }
}

#[test]
fn the_shutdown_delay_serves_on() {
    let sink = Sink::new();
    let target = sink.target("a", "");
    let proxy = Proxy::start(&["--source=127.0.0.1:0", "--shutdown-delay=1h", &target]);
    proxy.ask_to_end();
    eventually("it is leaving", || proxy.state.lifecycle.phase().name() == "leaving");
    let client = Client::to(proxy.address());
    client.send(b"still served");
    assert_eq!(sink.next(), b"still served");
    // The second request, which stop() makes, does not wait for the hour.
    let books = proxy.stop();
    assert_eq!(books.received(), 1);
}

mod signals {
    use super::*;
    use crate::support::has_signals;
    use crate::support::process::Process;

    /// What a test can send: Windows lets a process end a group of processes with Ctrl-Break alone.
    const ENDING: &[&str] = if cfg!(unix) { &["TERM", "INT"] } else { &["BREAK"] };

    #[test]
    fn each_ending_signal_drains_and_exits_with_zero() {
        if !has_signals() {
            return;
        }
        for signal in ENDING {
            let sink = Sink::new();
            let target = sink.target("a", "");
            let mut process = Process::start(&["--source=127.0.0.1:0", "--admin=off", &target]);
            process.signal(signal);
            assert_eq!(process.ended().code(), Some(0), "{}", process.log());
            assert_eq!(process.summary("received"), 0);
            assert!(process.log().contains("balanced=true"), "{}", process.log());
        }
    }

    #[test]
    fn a_second_signal_ends_at_once() {
        if !has_signals() {
            return;
        }
        let mut process =
            Process::start(&["--source=127.0.0.1:0", "--admin=off", "--target=a=127.0.0.1:9", "--shutdown-delay=1h"]);
        process.signal(ENDING[0]);
        eventually("it is leaving", || process.log().contains("no longer ready"));
        process.signal(ENDING[0]);
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
        assert!(process.log().contains("ending at once"), "{}", process.log());
    }

    #[test]
    fn json_lines_are_json() {
        if !has_signals() {
            return;
        }
        let words = ["--source=127.0.0.1:0", "--admin=off", "--target=a=127.0.0.1:9", "--log-format=json"];
        let mut process = Process::spawn(&words);
        eventually("the start-up line", || process.log().contains("\"ready\""));
        process.signal(ENDING[0]);
        assert!(process.ended().success());
        eventually("the last line", || process.log().contains("balanced=true"));
        for line in process.log().lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
            assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
        }
    }
}
