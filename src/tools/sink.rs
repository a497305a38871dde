//! `sink`: counts and checks what arrives, and how late it is.

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::probe::ledger::Ledger;
use super::probe::{self, payload};
use super::term::{Cell, Mood, Screen, grouped};
use super::{interrupt, usage};
use crate::app::AppError;
use crate::cli;
use crate::config::source::{Source, wildcard};
use crate::config::units;
use crate::sys::bind::{self, ReceiveBuffer};
use crate::sys::{BATCH, Io, Native, Receiver, Slots, Sockets};

/// How often it looks whether it should end.
const LOOK: Duration = Duration::from_millis(20);
/// The largest datagram there is.
const LARGEST: usize = 65_535;

/// When to end.
#[derive(Clone, Copy, Debug)]
struct End {
    duration: Option<Duration>,
    idle: Option<Duration>,
    expect: Option<u64>,
    delay: Duration,
}

/// Everything that arrived, as `--json` prints it.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    received: u64,
    bytes: u64,
    lines: u64,
    flows: usize,
    arrived: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    foreign: u64,
    kernel_drops: u64,
    seconds: f64,
    rate: f64,
    latency_us: Latency,
}

/// One-way latency in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// Receives until the end, shows how it goes, and says what arrived.
///
/// # Errors
/// When an argument cannot be used or the system refuses a socket.
pub fn main(args: &cli::Sink) -> Result<ExitCode, AppError> {
    let end = end(args)?;
    let (mut io, mut receivers, addresses, buffer) = bind_all(args)?;
    let interrupted = interrupt();
    let mut screen = if args.json { Screen::silent() } else { Screen::stdout() };
    screen.draw(&[format!(
        "receiving at {} (receive buffer {} bytes); Ctrl-C ends it",
        addresses.join(", "),
        grouped(buffer.granted as u64)
    )]);
    screen.keep();
    let report = run(&mut io, &mut receivers, end, &mut screen, &interrupted).map_err(|cause| AppError::System {
        what: "sink".into(),
        cause,
        remedy: "waiting for datagrams failed",
    })?;
    if args.json {
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
    } else {
        screen.draw(&table(&screen, &report));
    }
    let met = end.expect.is_none_or(|expect| report.arrived >= expect);
    if let (false, Some(expect), false) = (met, end.expect, args.json) {
        println!("{}", screen.paint(&format!("{} of {} arrived", grouped(report.arrived), grouped(expect)), Mood::Bad));
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn end(args: &cli::Sink) -> Result<End, AppError> {
    let day = Duration::from_secs(86_400);
    let duration = |flag, raw: &Option<String>| {
        let parse = |raw: &String| units::duration(raw, Duration::from_millis(1)..=day).map_err(|p| usage(flag, p));
        raw.as_ref().map(parse).transpose()
    };
    let expect =
        |raw: &String| units::count(raw, 1..=units::two_to(40)).map(|n| n as u64).map_err(|p| usage("--expect", p));
    Ok(End {
        duration: duration("--duration", &args.duration)?,
        idle: duration("--idle", &args.idle)?,
        expect: args.expect.as_ref().map(expect).transpose()?,
        delay: units::duration(&args.delay, Duration::ZERO..=day).map_err(|p| usage("--delay", p))?,
    })
}

type Receivers = Vec<<Native as Io>::Receiver>;

fn bind_all(args: &cli::Sink) -> Result<(Native, Receivers, Vec<String>, ReceiveBuffer), AppError> {
    let asked = units::size(&args.readbuffer, 0..=1 << 30).map_err(|p| usage("--readbuffer", p))?;
    let refused = |source: &str, cause: io::Error| AppError::System {
        what: format!("--source {source}"),
        cause,
        remedy: "choose another address",
    };
    let mut io = Native::open().map_err(|cause| refused("", cause))?;
    let (mut receivers, mut addresses, mut buffer) = (Vec::new(), Vec::new(), ReceiveBuffer::default());
    for raw in &args.source {
        let source = Source::parse(raw).map_err(|p| usage("--source", format!("'{raw}': {p}")))?;
        let socket = match &source {
            Source::Udp(address) => bind::udp(*address, false, false),
            Source::Wildcard(port) => {
                let address = wildcard(*port);
                bind::udp(address, address.is_ipv6(), false)
            }
            Source::Unix { path, mode } => bind::unix::bind(path, socket2::Type::DGRAM, *mode).map(|(socket, file)| {
                file.leave();
                socket
            }),
            Source::Pipe(_) => {
                return Err(usage("--source", format!("'{raw}': a sink has no pipes: give an address and a port")));
            }
        };
        let socket = socket.map_err(|cause| refused(raw, cause))?;
        buffer = bind::receive_buffer(&socket, asked);
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        addresses.push(address.map_or_else(|| source.to_string(), |address| address.to_string()));
        receivers.push(io.adopt(receivers.len(), socket.into()).map_err(|cause| refused(raw, cause))?);
    }
    Ok((io, receivers, addresses, buffer))
}

fn run(
    io: &mut Native,
    receivers: &mut Receivers,
    end: End,
    screen: &mut Screen,
    interrupted: &AtomicBool,
) -> io::Result<Report> {
    let mut slots = Slots::new(LARGEST);
    let mut ledger = Ledger::default();
    let mut report = Report::default();
    let began = Instant::now();
    let (mut first, mut last, mut shown) = (None, began, began);
    loop {
        io.wait(LOOK)?;
        let now = Instant::now();
        // Every receiver is read, event or not: that is cheap, and nothing can be missed.
        let before = report.received;
        for receiver in receivers.iter_mut() {
            while let Ok(count) = receiver.receive(&mut slots) {
                take_in(&slots, count, &mut ledger, &mut report);
                if !end.delay.is_zero() {
                    thread::sleep(end.delay);
                }
                if count < BATCH || interrupted.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        if report.received > before {
            last = now;
            first.get_or_insert(now);
        }
        if shown.elapsed() >= screen.pause() {
            shown = Instant::now();
            sum_up(&mut report, &ledger, receivers, first, last);
            let plain = format!(
                "received {} ({}/s) lost {} duplicated {} reordered {}",
                report.received, report.rate as u64, report.lost, report.duplicated, report.reordered
            );
            screen.progress(&table(screen, &report), &plain);
        }
        let over = end.duration.is_some_and(|duration| began.elapsed() >= duration)
            || (first.is_some() && end.idle.is_some_and(|idle| last.elapsed() >= idle))
            || (report.received > before && end.expect.is_some_and(|expect| ledger.totals().arrived >= expect));
        if over || interrupted.load(Ordering::Relaxed) {
            sum_up(&mut report, &ledger, receivers, first, last);
            return Ok(report);
        }
    }
}

fn take_in(slots: &Slots, count: usize, ledger: &mut Ledger, report: &mut Report) {
    let now = probe::now();
    report.received += count as u64;
    for datagram in (0..count).filter_map(|i| slots.datagram(i)) {
        report.bytes += datagram.len() as u64;
        report.lines += payload::read(datagram, |numbered| ledger.note(numbered, now));
    }
}

fn sum_up(report: &mut Report, ledger: &Ledger, receivers: &Receivers, first: Option<Instant>, last: Instant) {
    let totals = ledger.totals();
    let us = |q| ledger.latency.quantile(q) as f64 / 1e3;
    report.flows = ledger.flows();
    (report.arrived, report.lost) = (totals.arrived, totals.lost);
    (report.duplicated, report.reordered) = (totals.duplicated, totals.reordered);
    report.foreign = ledger.foreign;
    report.kernel_drops = receivers.iter().filter_map(|r| r.memory()).map(|memory| u64::from(memory.drops)).sum();
    report.seconds = first.map_or(0.0, |first| last.saturating_duration_since(first).as_secs_f64());
    report.rate = if report.seconds > 0.0 { report.received as f64 / report.seconds } else { 0.0 };
    let max = ledger.latency.max() as f64 / 1e3;
    report.latency_us = Latency { p50: us(0.5), p90: us(0.9), p99: us(0.99), p999: us(0.999), max };
}

fn table(screen: &Screen, report: &Report) -> Vec<String> {
    let heads =
        ["datagrams", "a second", "lines", "flows", "lost", "duplicated", "reordered", "foreign", "kernel drops"];
    let row = vec![
        Cell::plain(grouped(report.received)),
        Cell::plain(grouped(report.rate as u64)),
        Cell::plain(grouped(report.lines)),
        Cell::plain(grouped(report.flows as u64)),
        Cell::worry(report.lost),
        Cell::worry(report.duplicated),
        Cell::worry(report.reordered),
        Cell::worry(report.foreign),
        Cell::worry(report.kernel_drops),
    ];
    let mut lines = screen.table(&heads, &[row]);
    let l = report.latency_us;
    lines.push(format!(
        "  one-way latency µs: p50 {:.0}  p90 {:.0}  p99 {:.0}  p99.9 {:.0}  max {:.0}",
        l.p50, l.p90, l.p99, l.p999, l.max
    ));
    lines
}
