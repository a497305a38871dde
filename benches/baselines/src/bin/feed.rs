//! The generator of a measurement: `feed ADDRESS --rate 100k|max --size 64|30..150 --flows 16 --burst 32 --ms 2000`.
//!
//! Built to cost little, so that it leaves the machine to the relay: lines are written once, a burst is one
//! system call, and where all sizes are equal a burst is one `UDP_SEGMENT` message. The relay still receives
//! each datagram by itself, and a burst is there at once, as if many clients had sent at the same moment.
//! `--each`: no `UDP_SEGMENT`. Prints one JSON document.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use baselines::{BATCH, Batch, flag, option};

/// Bursts that are written before the first is sent, and then sent over and over.
const WRITTEN: usize = 32;
/// `load.00:00000000|g|#` and twelve digits of time, which only the first of a burst has.
const TIME_AT: usize = 20;
const TIME_DIGITS: usize = 12;

fn main() {
    let address = std::env::args().nth(1).expect("an address to send to");
    let rate = match option("rate").as_str() {
        "max" => None,
        text => Some(thousands(text)),
    };
    let sizes = option("size");
    let (least, most) = sizes.split_once("..").unwrap_or((&sizes, &sizes));
    let (least, most): (usize, usize) = (least.parse().expect("a size"), most.parse().expect("a size"));
    let burst: usize = option("burst").parse().expect("a number");
    let duration = Duration::from_millis(option("ms").parse().expect("a number"));
    let flows: Vec<UdpSocket> = (0..option("flows").parse().expect("a number")).map(|_| flow(&address)).collect();
    let runs = least == most && !flag("each");
    let mut random = 1u64;
    let mut bursts: Vec<Vec<Batch>> = (0..WRITTEN)
        .map(|_| {
            let sizes: Vec<usize> = (0..burst).map(|_| size(&mut random, least, most)).collect();
            sizes.chunks(BATCH).map(|chunk| Batch::of(chunk.iter().map(|size| line(*size)))).collect()
        })
        .collect();
    // A sleep of ours ends when it should, not up to 50 µs later.
    // SAFETY: prctl(PR_SET_TIMERSLACK) takes a number.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };

    let began = Instant::now();
    let (mut sent, mut turn) = (0u64, 0);
    loop {
        let elapsed = began.elapsed();
        if elapsed >= duration {
            break;
        }
        if let Some(rate) = rate {
            let due = Duration::from_nanos(sent * 1_000_000_000 / rate);
            if due > elapsed {
                sleep(due.min(duration) - elapsed);
                continue;
            }
        }
        let batches = &mut bursts[turn % WRITTEN];
        stamp(batches[0].datagram_mut(0));
        for batch in batches {
            let count = batch.prepare(runs);
            batch.send(flows[turn % flows.len()].as_raw_fd(), count);
        }
        sent += burst as u64;
        turn += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(r#"{{"sent":{sent},"seconds":{seconds:.6},"rate":{:.1}}}"#, sent as f64 / seconds);
}

fn flow(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.connect(address).expect("connect");
    socket
}

fn thousands(text: &str) -> u64 {
    let (number, times) = text.strip_suffix('k').map_or((text, 1), |number| (number, 1000));
    number.parse::<u64>().expect("a rate") * times
}

fn size(random: &mut u64, least: usize, most: usize) -> usize {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    least + (*random >> 33) as usize % (most - least + 1)
}

/// A gauge line of `size` bytes.
fn line(size: usize) -> Vec<u8> {
    let mut line = b"load.00:00000000|g|".to_vec();
    line.resize(size.max(line.len()), b'x');
    line
}

/// Writes the time of sending where there is room for it, in base 36.
fn stamp(line: &mut [u8]) {
    if line.len() < TIME_AT + TIME_DIGITS {
        return;
    }
    let mut time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    line[TIME_AT - 1] = b'#';
    for digit in line[TIME_AT..TIME_AT + TIME_DIGITS].iter_mut().rev() {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(time % 36) as usize];
        time /= 36;
    }
    if let Some(next) = line.get_mut(TIME_AT + TIME_DIGITS) {
        *next = b',';
    }
}
