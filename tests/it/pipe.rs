//! Named pipes of Windows: the lines that clients write are datagrams, whole, in order and in the books.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use udp_proxy::stats::cells::{ListenerCell, TargetCell};

use crate::support::process::Process;
use crate::support::{Proxy, Sink, eventually, is_wine, lines};

/// The most clients at a time, as src/sys/windows/pipe.rs has it.
const CLIENTS: usize = 64;
/// What Windows says when each instance of a pipe has its client.
const ERROR_PIPE_BUSY: i32 = 231;

/// A pipe's name that nobody else has.
fn name(test: &str) -> String {
    format!(r"\\.\pipe\udp-proxy-{test}-{}", std::process::id())
}

fn source(pipe: &str) -> String {
    format!("--source={pipe}")
}

fn open(pipe: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(pipe)
}

/// A client, as soon as the pipe has an instance for it.
#[track_caller]
fn client(pipe: &str) -> File {
    let mut client = None;
    eventually("the pipe takes a client", || {
        client = open(pipe).ok();
        client.is_some()
    });
    client.expect("it is there")
}

#[test]
fn lines_are_datagrams_in_the_order_of_each_client() {
    let (sink, name) = (Sink::new(), name("order"));
    let proxy = Proxy::start(&[&source(&name), "--shards=2", &sink.target("a", "")]);
    let mut clients = [client(&name), client(&name), client(&name)];
    for line in lines(300) {
        for (number, client) in clients.iter_mut().enumerate() {
            // In two writes, so that a line's parts come apart, and with an empty line, which is none.
            client.write_all(format!("{number}.").as_bytes()).unwrap();
            client.write_all(format!("{line}\n\n").as_bytes()).unwrap();
        }
    }
    let arrived: Vec<_> = sink.take(900).into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    for number in 0..clients.len() {
        let own = arrived.iter().filter_map(|line| line.strip_prefix(&format!("{number}.")));
        assert!(own.eq(lines(300).iter()), "client {number}: {arrived:?}");
    }
    let books = proxy.stop();
    assert_eq!((books.received(), books.targets[0][TargetCell::Sent]), (900, 900));
    sink.nothing();
}

#[test]
fn what_is_not_whole_is_counted_and_not_sent() {
    let (sink, name) = (Sink::new(), name("whole"));
    let proxy = Proxy::start(&[&source(&name), "--buffer=100", &sink.target("a", "")]);
    let mut one = client(&name);
    for length in [100, 101, 70_000, 200_000, 1] {
        one.write_all(&vec![b'x'; length]).unwrap();
        one.write_all(b"\n").unwrap();
    }
    one.write_all(b"no end").unwrap();
    drop(one);
    assert_eq!([sink.next().len(), sink.next().len()], [100, 1]);
    proxy.received(6);
    let mut another = client(&name);
    another.write_all(b"the next client\n").unwrap();
    assert_eq!(sink.next(), b"the next client", "it does not go on where the last one ended");
    let books = proxy.stop();
    assert_eq!((books.received(), books.listeners[0][ListenerCell::Truncated]), (7, 4));
    sink.nothing();
}

#[test]
fn clients_are_bounded_and_make_room_when_they_go() {
    let (sink, name) = (Sink::new(), name("bound"));
    let proxy = Proxy::start(&[&source(&name), &sink.target("a", "")]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| client(&name)).collect();
    clients[CLIENTS - 1].write_all(b"the last one\n").unwrap();
    assert_eq!(sink.next(), b"the last one");
    let refused = open(&name).expect_err("there is no room");
    assert_eq!(refused.raw_os_error(), Some(ERROR_PIPE_BUSY), "{refused}");
    clients.remove(0);
    client(&name).write_all(b"in its place\n").unwrap();
    assert_eq!(sink.next(), b"in its place");
    assert_eq!(proxy.stop().received(), 2);
}

#[test]
fn what_was_written_before_the_end_is_sent() {
    let (sink, name) = (Sink::new(), name("drain"));
    let proxy = Proxy::start(&[&source(&name), "--source=127.0.0.1:0", &sink.target("a", "")]);
    let mut one = client(&name);
    one.write_all((lines(200).join("\n") + "\n").as_bytes()).unwrap();
    let books = proxy.stop();
    assert_eq!(books.received(), 200);
    assert_eq!(sink.take(200).len(), 200);
    assert!(one.write_all(b"too late\n").is_err(), "the client sees that nobody reads any more");
    assert!(open(&name).is_err(), "the pipe is gone");
}

#[test]
fn another_process_writes_into_it() {
    let (sink, name) = (Sink::new(), name("cmd"));
    let proxy = Proxy::start(&[&source(&name), &sink.target("a", "")]);
    let echo = std::process::Command::new("cmd").args(["/c", "echo", "from.cmd:1^|c", ">", &name]).status().unwrap();
    assert!(echo.success());
    assert_eq!(String::from_utf8(sink.next()).unwrap().trim_end(), "from.cmd:1|c");
    assert_eq!(proxy.stop().received(), 1);
}

#[test]
fn a_pipe_that_another_process_has_is_refused() {
    if is_wine() {
        println!("skip: Wine lets a second process make a pipe of the same name");
        return;
    }
    let name = name("taken");
    let _proxy = Proxy::start(&[&source(&name), "--target=127.0.0.1:9"]);
    let mut second = Process::spawn(&[&source(&name), "--target=127.0.0.1:9", "--admin=off"]);
    assert_eq!(second.ended().code(), Some(1), "{}", second.log());
    eventually("it says why", || second.log().contains("has a pipe of this name"));
    assert!(second.log().lines().count() == 1 && second.log().contains(&name), "{}", second.log());
}
