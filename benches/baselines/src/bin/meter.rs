//! The sinks of a measurement: counts lines and bytes at each of `PORT…` on 127.0.0.1 and samples latency.
//! Prints one JSON document when its standard input ends. Built to cost little: one thread, `recvmmsg`.
//! `--count`: the kernel counts and nothing is read, so that no rate is too high for it: a filter refuses every
//! datagram at the socket, and the socket counts what was refused. Lines and latencies are then unknown.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{SystemTime, UNIX_EPOCH};

use baselines::{Batch, flag, receive_buffer, refuse_all, refused};

#[derive(Default)]
struct Count {
    datagrams: u64,
    lines: u64,
    latencies: Vec<u32>,
}

fn main() {
    let count_only = flag("count");
    let sockets: Vec<UdpSocket> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .map(|port| {
            let socket = UdpSocket::bind(("127.0.0.1", port.parse().expect("a port"))).expect("bind");
            receive_buffer(&socket, 64 << 20);
            if count_only {
                refuse_all(&socket);
            }
            socket
        })
        .collect();
    println!("ready");
    let mut polls: Vec<libc::pollfd> = sockets.iter().map(|s| poll(s.as_raw_fd())).collect();
    polls.push(poll(0));
    let mut counts: Vec<Count> = sockets.iter().map(|_| Count::default()).collect();
    let mut batch = Batch::new();
    loop {
        // SAFETY: `polls` is a valid array of that many pollfd.
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as _, -1) };
        for (i, socket) in sockets.iter().enumerate() {
            if polls[i].revents != 0 {
                batch.receive(socket.as_raw_fd());
                take_in(&batch, &mut counts[i]);
            }
        }
        let idle = polls[..sockets.len()].iter().all(|p| p.revents == 0);
        if idle && polls[sockets.len()].revents != 0 {
            break;
        }
    }
    if count_only {
        for (count, socket) in counts.iter_mut().zip(&sockets) {
            count.datagrams = refused(socket);
            count.lines = count.datagrams;
        }
    }
    let ports: Vec<_> = counts.iter_mut().map(json).collect();
    println!("[{}]", ports.join(","));
}

fn poll(fd: i32) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

fn take_in(batch: &Batch, count: &mut Count) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    for i in 0..batch.filled {
        let datagram = batch.datagram(i);
        count.datagrams += 1;
        count.lines += 1 + datagram.iter().filter(|b| **b == b'\n').count() as u64;
    }
    // One sample a batch: the first, which waited longest. `load.3:41|g|#TIME,xxx`
    let first = batch.datagram(0);
    let time = first.split(|b| *b == b'#').nth(1).and_then(|rest| rest.split(|b| matches!(b, b',' | b'\n')).next());
    let sent = time.and_then(|time| u64::from_str_radix(std::str::from_utf8(time).ok()?, 36).ok());
    if let Some(sent) = sent.filter(|_| count.latencies.len() < 1 << 22) {
        count.latencies.push(now.saturating_sub(sent).min(u64::from(u32::MAX)) as u32);
    }
}

fn json(count: &mut Count) -> String {
    count.latencies.sort_unstable();
    let at =
        |q: f64| count.latencies.get((count.latencies.len() as f64 * q) as usize).map_or(0.0, |n| f64::from(*n) / 1e3);
    let (p50, p99) = (at(0.5), at(0.99));
    let Count { datagrams, lines, .. } = count;
    format!(r#"{{"datagrams":{datagrams},"lines":{lines},"p50_us":{p50:.1},"p99_us":{p99:.1}}}"#)
}
