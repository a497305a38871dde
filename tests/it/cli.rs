//! Bad input: one line on stderr that names what is wrong and says what would be right, and an exit code.

use std::net::{TcpListener, UdpSocket};

use crate::support::process::{command, run};

/// Asserts that the binary refuses `words` with `code` and one line that holds each of `parts`.
#[track_caller]
fn refused(words: &[&str], code: i32, parts: &[&str]) {
    let output = run(words);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
    assert!(output.stdout.is_empty(), "{words:?}: nothing on stdout");
    assert_eq!(text.lines().count(), 1, "{words:?}: one line: {text}");
    assert!(text.starts_with("udp-proxy: "), "{words:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "{words:?}: '{part}' is not in: {text}");
    }
}

#[test]
fn wrong_words_are_refused() {
    // What follows a target that is right; the parts that the line must hold.
    let cases: &[(&[&str], &[&str])] = &[
        (&["--bogus"], &["--bogus", "unknown", "--help"]),
        (&["--sourc=:1"], &["--sourc", "did you mean --source"]),
        (&["extra"], &["extra"]),
        (&["--source"], &["--source", "value is missing"]),
        (&["--source="], &["--source", ":8125"]),
        (&["--source=8125"], &["--source", "'8125'", "no port", ":PORT"]),
        (&["--source=:"], &["--source", "not a port"]),
        (&["--source=:70000"], &["--source", "70000", "0 to 65535"]),
        (&["--source=:-1"], &["--source", "-1", "not a port"]),
        (&["--source=example.com:8125"], &["--source", "example.com", "not a name"]),
        (&["--source=1.2.3.4"], &["--source", "no port"]),
        (&["--source=1.2.3.400:1"], &["--source", "1.2.3.400", "IP"]),
        (&["--source=::1:8125x"], &["--source", "8125x"]),
        (&["--source=tcp://1.2.3.4:1"], &["--source", "scheme"]),
        (&["--source=:1?mode=1"], &["--source", "no options"]),
        (&["--source=unixgram://relative"], &["--source", "absolute path"]),
        (&["--source=unixgram:///tmp/a?mode=999"], &["--source", "mode", "octal"]),
        (&["--source=unixgram:///tmp/a?mode=7777"], &["--source", "mode", "octal"]),
        (&["--source=unixgram:///tmp/a?owner=me"], &["--source", "owner", "mode"]),
        (&["--source=unixgram:///tmp/"], &["--source", "names a file"]),
        (&["--source=:1", "--source=:1"], &["--source", "twice"]),
        (&["--source=:1", "--source=0.0.0.0:1"], &["--source", "twice"]),
        (&["--target="], &["--target"]),
        (&["--target=host"], &["--target", "no port", "host:port"]),
        (&["--target=host:0"], &["--target", "'0'", "1 to 65535"]),
        (&["--target=host:99999"], &["--target", "99999", "1 to 65535"]),
        (&["--target=host:x"], &["--target", "'x'", "1 to 65535"]),
        (&["--target=:8125"], &["--target", "no host"]),
        (&["--target=::1:8125"], &["--target", "brackets"]),
        (&["--target=[::1:8125"], &["--target"]),
        (&["--target=[nonsense]:8125"], &["--target", "nonsense", "IPv6"]),
        (&["--target=[::]:8125"], &["--target", "no address to send to"]),
        (&["--target=0.0.0.0:8125"], &["--target", "no address to send to"]),
        (&["--target=1.2.3:8125"], &["--target", "1.2.3", "IPv4"]),
        (&["--target=ho_st!:8125"], &["--target", "ho_st!", "host name"]),
        (&["--target=-host:8125"], &["--target", "-host"]),
        (&["--target=a..b:8125"], &["--target", "a..b"]),
        (&["--target=http://host:8125"], &["--target", "http", "udp://"]),
        (&["--target=unixgram:relative"], &["--target"]),
        (&["--target=unixgram://relative"], &["--target", "absolute path"]),
        (&["--target=-bad=host:1"], &["--target", "-bad", "name"]),
        (&["--target=a b"], &["--target"]),
        (&["--target=x=127.0.0.1:1", "--target=x=127.0.0.1:2"], &["--target", "'x'", "own name"]),
        (&["--target=x=127.0.0.1:1", "--target=y=127.0.0.1:1"], &["--target", "twice"]),
        (&["--target=h:1?speed=1"], &["--target", "speed", "queue"]),
        (&["--target=h:1?queue"], &["--target", "queue", "no value"]),
        (&["--target=h:1?queue=0"], &["--target", "queue", "'0'", "1 to"]),
        (&["--target=h:1?queue=many"], &["--target", "queue", "many", "4096"]),
        (&["--target=h:1?queue=1&queue=2"], &["--target", "queue", "twice"]),
        (&["--target=h:1?queue_bytes=1"], &["--target", "queue_bytes", "65535"]),
        (&["--target=h:1?overflow=random"], &["--target", "overflow", "newest or oldest"]),
        (&["--target=h:1?resolve=10"], &["--target", "resolve", "10s"]),
        (&["--target=h:1?resolve=500ms"], &["--target", "resolve", "1s"]),
        (&["--target=h:1?pack=huge"], &["--target", "pack", "mtu"]),
        (&["--target=h:1?pack=10"], &["--target", "pack", "64"]),
        (&["--target=h:1?pack=70000"], &["--target", "pack", "65507"]),
        (&["--target=h:1?linger=5ms"], &["--target", "linger", "pack"]),
        (&["--target=h:1?pack=mtu&linger=1h"], &["--target", "linger", "10s"]),
        (&["--buffer=0"], &["--buffer", "'0'", "1 to 65535"]),
        (&["--buffer=65536"], &["--buffer", "65536", "65535"]),
        (&["--buffer=1.5k"], &["--buffer", "1.5k", "64KiB"]),
        (&["--channel-size=0"], &["--channel-size", "1 to"]),
        (&["--channel-size=-5"], &["--channel-size", "-5"]),
        (&["--queue-bytes=1"], &["--queue-bytes", "65535"]),
        (&["--readbuffer=2TiB"], &["--readbuffer", "2TiB"]),
        (&["--shards=0"], &["--shards", "1 to 64"]),
        (&["--shards=65"], &["--shards", "1 to 64"]),
        (&["--shards=two"], &["--shards", "two"]),
        (&["--engine=fast"], &["--engine", "fast", "auto, portable"]),
        (&["--exclusive=yes"], &["--exclusive", "no value"]),
        (&["--shutdown-delay=5"], &["--shutdown-delay", "'5'", "10s"]),
        (&["--shutdown-delay=2h"], &["--shutdown-delay", "1h"]),
        (&["--drain-timeout=soon"], &["--drain-timeout", "soon"]),
        (&["--admin=nowhere"], &["--admin", "nowhere", "off"]),
        (&["--admin=:99999"], &["--admin", "99999"]),
        (&["--admin=:+1"], &["--admin", ":+1"]),
        (&["--admin=unix://relative"], &["--admin", "absolute path"]),
        (&["--admin="], &["--admin", "no address", "off"]),
        (&["--admin=:1", "--admin=nowhere"], &["--admin", "'nowhere'"]),
        (&["--admin=:1", "--admin=off"], &["--admin", "'off'", "alone"]),
        (&["--admin=off off"], &["--admin", "'off'", "alone"]),
        (&["--admin=127.0.0.1:1 127.0.0.1:1"], &["--admin", "'127.0.0.1:1'", "twice"]),
        (&["--admin=0.0.0.0:1,127.0.0.1:1"], &["--admin", "'127.0.0.1:1'", "0.0.0.0:1", "already"]),
        (&["--admin=unix:///a/b unix:///a//b"], &["--admin", "'unix:///a//b'", "twice", "unix:///a/b serves"]),
        (&["--admin=127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 [::1]:4 [::1]:5"], &["--admin", "5", "at most 4"]),
        (&["--ready=most"], &["--ready", "most", "any, all"]),
        (&["--log-level=loud"], &["--log-level", "loud", "debug"]),
        (&["--log-format=xml"], &["--log-format", "xml", "text, json"]),
        (&["--metrics-statsd=nowhere"], &["--metrics-statsd", "nowhere", "self"]),
        (&["--metrics-prefix="], &["--metrics-prefix"]),
        (&["--metrics-prefix=1st"], &["--metrics-prefix", "1st"]),
        (&["--metrics-prefix=a-b"], &["--metrics-prefix", "a-b"]),
        (&["--metrics-interval=1ms"], &["--metrics-interval", "100ms"]),
        (&["--no-metrics", "--metrics-statsd=self"], &["--no-metrics", "--metrics-statsd"]),
        (&["--metrics-statsd=self", "--source=unixgram:///tmp/x"], &["--metrics-statsd", "UDP --source"]),
        (&["--shards=1", "--shards=2"], &["--shards", "twice"]),
    ];
    assert!(cases.len() >= 60, "{}", cases.len());
    for (words, parts) in cases {
        let unix = words.iter().any(|word| word.contains("=unix") && word.contains("://"));
        let parts = if cfg!(windows) && unix { &["Windows has no such sockets"] } else { *parts };
        let own = words.iter().any(|word| word.starts_with("--target"));
        let target: &[&str] = if own { &[] } else { &["--target=t=127.0.0.1:9"] };
        refused(&[target, words].concat(), 2, parts);
    }
}

#[test]
fn wrong_counts_and_commands_are_refused() {
    refused(&[], 2, &["--target", "at least one", "--target a="]);
    refused(&["--target="], 2, &["--target", "at least one"]);
    let many: Vec<_> = (1..=65).map(|port| format!("--target=127.0.0.1:{port}")).collect();
    refused(&many.iter().map(String::as_str).collect::<Vec<_>>(), 2, &["--target", "65", "at most 64"]);
    let many: Vec<_> = (1..=17).map(|port| format!("--source=127.0.0.1:{port}")).collect();
    let mut words: Vec<_> = many.iter().map(String::as_str).collect();
    words.push("--target=127.0.0.1:99");
    refused(&words, 2, &["--source", "17", "at most 16"]);
    refused(&["demoo"], 2, &["demoo", "did you mean demo"]);
    refused(&["demo", "--fast"], 2, &["--fast", "unknown"]);
    refused(&["healthcheck", "--admin=off"], 2, &["--admin", "off"]);
    refused(&["healthcheck", "--admin=x"], 2, &["--admin", "'x'"]);
    refused(&["healthcheck", "--admin="], 2, &["--admin", "''"]);
    refused(&["healthcheck", "--admin=:1", "--admin=:2"], 2, &["--admin", "twice"]);
    refused(&["healthcheck", "--timeout=1"], 2, &["--timeout", "'1'"]);
    // Each name alone could be a target, but 127.0.0.1:2203 is the default listener.
    refused(&["--target=127.0.0.1:2203"], 2, &["--target", "our own listener"]);
}

#[test]
fn what_the_system_refuses_is_one_line_with_a_remedy() {
    // A socket that does not share its port.
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let source = format!("--source={}", taken.local_addr().unwrap());
    let target = "--target=127.0.0.1:9";
    refused(
        &[&source, target, "--admin=off"],
        1,
        &["--source 127.0.0.1:", "another process has it", "another address"],
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("--admin={}", taken.local_addr().unwrap());
    refused(
        &["--source=127.0.0.1:0", target, &admin],
        1,
        &["--admin 127.0.0.1:", "another process has it", "another address"],
    );
    if UdpSocket::bind("198.51.100.1:0").is_ok() {
        println!("skip: this system binds an address that it does not have");
        return;
    }
    let foreign = "--source=198.51.100.1:18125";
    refused(&[foreign, target, "--admin=off"], 1, &["--source 198.51.100.1:18125", "no such address"]);
}

#[cfg(unix)]
#[test]
fn socket_paths_that_cannot_be_are_one_line_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let target = "--target=127.0.0.1:9";
    let path = |name: &str| format!("{}/{name}", directory.path().display());
    std::fs::write(path("file"), "precious").unwrap();
    for (source, part) in [
        (path("missing/s.sock"), "directory does not exist"),
        (path("file"), "not a socket"),
        (path("file/s.sock"), "no directory"),
    ] {
        let source = format!("--source=unixgram://{source}");
        refused(&[&source, target, "--admin=off"], 1, &["--source unixgram://", part]);
    }
    assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "precious", "a file is never replaced");
    let admin = format!("--admin=unix://{}", path("missing/a.sock"));
    refused(&["--source=127.0.0.1:0", target, &admin], 1, &["--admin unix://", "directory does not exist"]);
    if udp_proxy::sys::is_root() {
        println!("skip: root may write anywhere, so an unwritable directory cannot be shown");
        return;
    }
    refused(
        &["--source=unixgram:///s.sock", target, "--admin=off"],
        1,
        &["--source unixgram:///s.sock", "not permitted"],
    );
}

#[test]
fn the_environment_holds_every_flag_and_the_command_line_wins() {
    // Two targets in one variable, by spaces and commas; the second cannot be.
    for list in ["a=127.0.0.1:9 b=0.0.0.0:1", "a=127.0.0.1:9,b=0.0.0.0:1", " a=127.0.0.1:9 ,\n b=0.0.0.0:1 "] {
        let output = command(&[]).env("UDP_PROXY_TARGET", list).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains("'b=0.0.0.0:1'"), "{list}: {text}");
    }
    let words = <udp_proxy::cli::Cli as clap::CommandFactory>::command();
    for argument in words.get_arguments().filter(|a| !matches!(a.get_id().as_str(), "help" | "version")) {
        let flag = argument.get_long().expect("every flag is long");
        let variable = format!("UDP_PROXY_{}", flag.to_ascii_uppercase().replace('-', "_"));
        assert_eq!(argument.get_env().and_then(|e| e.to_str()), Some(&*variable), "--{flag}");
    }
    for (variable, value, flag) in [
        ("UDP_PROXY_SHARDS", "x", "--shards"),
        ("UDP_PROXY_BUFFER", "x", "--buffer"),
        ("UDP_PROXY_READBUFFER", "x", "--readbuffer"),
        ("UDP_PROXY_CHANNEL_SIZE", "x", "--channel-size"),
        ("UDP_PROXY_LOG_LEVEL", "x", "--log-level"),
        ("UDP_PROXY_SOURCE", "x", "--source"),
        ("UDP_PROXY_ADMIN", ":1,off", "--admin"),
        ("UDP_PROXY_SHUTDOWN_DELAY", "x", "--shutdown-delay"),
        ("UDP_PROXY_EXCLUSIVE", "perhaps", "--exclusive"),
    ] {
        let output = command(&["--target=127.0.0.1:9"]).env(variable, value).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{variable}: {text}");
        assert!(text.contains(flag) && text.lines().count() == 1, "{variable}: {text}");
    }
    let output = command(&["--target=127.0.0.1:9", "--buffer=y"]).env("UDP_PROXY_BUFFER", "x").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("'y'"), "the command line wins");
}

#[test]
fn help_and_version_are_answers_not_errors() {
    let help = run(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && help.stderr.is_empty());
    for part in ["Datagrams:", "Process:", "Seeing it:", "Examples:", "Exit codes:"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let version = run(&["--version"]);
    let text = String::from_utf8(version.stdout).unwrap();
    assert!(version.status.success());
    assert!(text.starts_with(&format!("udp-proxy {} (commit ", env!("CARGO_PKG_VERSION"))), "{text}");
}
