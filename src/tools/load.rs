//! `load`: numbered datagrams from many sources, paced or flat out. Reproduces a buffer overrun in a minute.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::probe::payload::{Format, Numbered};
use super::term::{Screen, grouped};
use super::{interrupt, probe, usage};
use crate::app::{self, AppError};
use crate::cli;
use crate::config::target::Address;
use crate::config::units;
use crate::control::resolver;
use crate::sys::{BATCH, Endpoint, Io, Native, Refusal, Sender, Sockets, refusal};

/// What to send.
#[derive(Clone, Debug)]
struct Plan {
    endpoint: Endpoint,
    /// Datagrams a second; `None`: as fast as it goes.
    rate: Option<u64>,
    duration: Duration,
    count: u64,
    sizes: RangeInclusive<usize>,
    flows: usize,
    format: Format,
    seed: u64,
    burst: usize,
}

/// What was sent.
#[derive(Clone, Debug, Default, Serialize)]
struct Report {
    sent: u64,
    bytes: u64,
    seconds: f64,
    rate: f64,
    /// How often a full socket made it wait.
    waits: u64,
    errors: u64,
    errors_by_kind: BTreeMap<String, u64>,
}

/// Sends, shows how it goes, and says what was sent.
///
/// # Errors
/// When an argument cannot be used or the system refuses a socket.
pub fn main(args: &cli::Load) -> Result<ExitCode, AppError> {
    let address = Address::parse(&args.target).map_err(|p| usage("--target", format!("'{}': {p}", args.target)))?;
    let plan = app::block_on(async {
        let endpoint = resolver::once(&address, &resolver::system()).await;
        plan(args, endpoint.map_err(|why| usage("--target", format!("'{address}' does not resolve: {why}")))?)
    })?;
    let senders = senders(&plan).map_err(|cause| AppError::System {
        what: format!("--target {}", plan.endpoint),
        cause,
        remedy: "nothing can be sent there from this host",
    })?;
    // Ctrl-C ends it early, with its report.
    let interrupted = interrupt();
    let mut screen = if args.json { Screen::silent() } else { Screen::stdout() };
    let report = run(&plan, senders, || again(&plan), &mut screen, &interrupted);
    if args.json {
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
    } else {
        screen.draw(&lines(&plan, &report));
    }
    Ok(if report.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plan(args: &cli::Load, endpoint: Endpoint) -> Result<Plan, AppError> {
    let rate = match args.rate.as_str() {
        "max" => None,
        rate => Some(units::count(rate, 1..=100_000_000).map_err(|p| usage("--rate", format!("{p}, or max")))? as u64),
    };
    let (least, most) = args.size.split_once("..").unwrap_or((&args.size, &args.size));
    let size =
        |raw| units::size(raw, 1..=65_507).map_err(|p| usage("--size", format!("{p}, or a range such as 30..150")));
    let sizes = size(least)?..=size(most)?;
    if sizes.is_empty() {
        return Err(usage("--size", format!("'{}' is empty: give the smaller size first", args.size)));
    }
    let format = match args.format.as_str() {
        "statsd" => Format::Statsd,
        "raw" => Format::Raw,
        other => return Err(usage("--format", format!("'{other}' is unknown: give statsd or raw"))),
    };
    // Bursts of about a third of a millisecond: what a sender that is scheduled by a kernel can keep up.
    let natural = rate.map_or(BATCH as u64, |rate| (rate / 3_000).clamp(1, BATCH as u64)) as usize;
    let count = |flag, raw: &str, most| units::count(raw, 1..=most).map_err(|p| usage(flag, p));
    Ok(Plan {
        endpoint,
        rate,
        duration: units::duration(&args.duration, Duration::from_millis(1)..=Duration::from_secs(86_400))
            .map_err(|p| usage("--duration", p))?,
        count: args
            .count
            .as_deref()
            .map_or(Ok(u64::MAX), |raw| count("--count", raw, units::two_to(40)).map(|n| n as u64))?,
        sizes,
        flows: count("--flows", &args.flows, 1024)?,
        format,
        seed: args.seed,
        burst: args.burst.as_deref().map_or(Ok(natural), |raw| count("--burst", raw, 4096))?,
    })
}

/// One socket for each flow. Each datagram is a message of its own, as a real client sends it.
fn senders(plan: &Plan) -> io::Result<Vec<<Native as Io>::Sender>> {
    let mut io = Native::open()?;
    (0..plan.flows).map(|_| sender(&mut io, &plan.endpoint)).collect()
}

fn sender(io: &mut Native, endpoint: &Endpoint) -> io::Result<<Native as Io>::Sender> {
    let mut sender = io.connect(endpoint)?;
    sender.one_by_one();
    Ok(sender)
}

/// The socket that takes the place of a refused one. Only a Unix socket needs it: its path may lead to another
/// receiver now, which a client finds when it connects again.
fn again(plan: &Plan) -> Option<<Native as Io>::Sender> {
    matches!(plan.endpoint, Endpoint::Unix(_)).then(|| sender(&mut Native::open().ok()?, &plan.endpoint).ok()).flatten()
}

fn run<S: Sender>(
    plan: &Plan,
    mut senders: Vec<S>,
    mut again: impl FnMut() -> Option<S>,
    screen: &mut Screen,
    interrupted: &AtomicBool,
) -> Report {
    let mut report = Report::default();
    let mut numbers = vec![0; senders.len()];
    let mut sizes = Sizes { state: plan.seed.wrapping_mul(2).wrapping_add(1), range: plan.sizes.clone() };
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let began = Instant::now();
    let (mut shown, mut planned, mut turn) = (began, 0u64, 0);
    while planned < plan.count && began.elapsed() < plan.duration && !interrupted.load(Ordering::Relaxed) {
        if let Some(early) = plan.rate.and_then(|rate| at(planned, rate).checked_sub(began.elapsed())) {
            // A sleep ends late; what is due then goes out at once.
            thread::sleep(early.min(plan.duration.saturating_sub(began.elapsed())));
            continue;
        }
        let flow = turn % senders.len();
        let burst = (plan.burst as u64).min(plan.count - planned) as usize;
        write_burst(plan, flow, burst, &mut numbers[flow], &mut sizes, &mut bytes, &mut ends);
        send_burst(&mut senders[flow], &mut again, &bytes, &ends, &mut report);
        planned += burst as u64;
        turn += 1;
        report.seconds = began.elapsed().as_secs_f64();
        report.rate = report.sent as f64 / report.seconds.max(1e-9);
        if shown.elapsed() >= screen.pause() {
            shown = Instant::now();
            let lines = lines(plan, &report);
            screen.progress(&lines, &lines[1]);
        }
    }
    report
}

/// When datagram `number` is due.
fn at(number: u64, rate: u64) -> Duration {
    Duration::from_nanos((u128::from(number) * 1_000_000_000 / u128::from(rate)) as u64)
}

fn write_burst(
    plan: &Plan,
    flow: usize,
    burst: usize,
    number: &mut u64,
    sizes: &mut Sizes,
    bytes: &mut Vec<u8>,
    ends: &mut Vec<usize>,
) {
    bytes.clear();
    ends.clear();
    let sent = probe::now();
    for _ in 0..burst {
        Numbered { flow: flow as u32, number: *number, sent }.write(plan.format, sizes.next(), bytes);
        ends.push(bytes.len());
        *number += 1;
    }
}

fn send_burst<S: Sender>(
    sender: &mut S,
    again: &mut impl FnMut() -> Option<S>,
    bytes: &[u8],
    ends: &[usize],
    report: &mut Report,
) {
    let mut start = 0;
    for chunk in ends.chunks(BATCH) {
        let mut space = [IoSlice::new(&[]); BATCH];
        for (slice, end) in space.iter_mut().zip(chunk) {
            *slice = IoSlice::new(&bytes[start..*end]);
            start = *end;
        }
        let mut rest = &space[..chunk.len()];
        let mut retried = false;
        while !rest.is_empty() {
            let sent = sender.send(rest);
            retried &= sent.accepted == 0;
            report.sent += sent.accepted as u64;
            report.bytes += rest[..sent.accepted].iter().map(|d| d.len() as u64).sum::<u64>();
            rest = &rest[sent.accepted..];
            let Some(error) = sent.error else { break };
            let kind = refusal(&error);
            if matches!(kind, Refusal::WouldBlock | Refusal::NoBuffers) {
                // A client that blocks would wait here too.
                report.waits += 1;
                thread::sleep(Duration::from_micros(50));
                continue;
            }
            report.errors += 1;
            *report.errors_by_kind.entry(error.to_string()).or_default() += 1;
            // A refusal answers an earlier datagram, or tells that the receiver was replaced; this one has not been
            // tried yet.
            retried = matches!(kind, Refusal::Refused | Refusal::Gone) && !retried;
            if !retried {
                rest = &rest[1..];
            } else if let Some(new) = again() {
                *sender = new;
            }
        }
    }
}

/// Sizes by a seed: the same seed gives the same sizes (xorshift64*).
struct Sizes {
    state: u64,
    range: RangeInclusive<usize>,
}

impl Sizes {
    fn next(&mut self) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        let width = (self.range.end() - self.range.start() + 1) as u64;
        self.range.start() + (random % width) as usize
    }
}

fn lines(plan: &Plan, report: &Report) -> Vec<String> {
    let wanted =
        plan.rate.map_or_else(|| "as fast as it goes".to_owned(), |rate| format!("{}/s wanted", grouped(rate)));
    let mut lines = vec![
        format!("to {} from {} sources in bursts of {}, {wanted}", plan.endpoint, plan.flows, plan.burst),
        format!(
            "sent {} datagrams, {} bytes in {:.1} s: {}/s; send errors {}",
            grouped(report.sent),
            grouped(report.bytes),
            report.seconds,
            grouped(report.rate as u64),
            grouped(report.errors)
        ),
    ];
    if report.waits > 0 {
        lines.push(format!("waited {} times for a full socket", grouped(report.waits)));
    }
    if plan.rate.is_some_and(|rate| report.seconds > 0.5 && report.rate < rate as f64 * 0.97) {
        lines.push("this host does not keep up with the wanted rate".to_owned());
    }
    lines.extend(report.errors_by_kind.iter().map(|(kind, count)| format!("  {kind}: {}", grouped(*count))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_sizes_within_the_range() {
        let sizes = |seed| {
            let mut sizes = Sizes { state: seed, range: 30..=150 };
            (0..1000).map(|_| sizes.next()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(7), sizes(7));
        assert_ne!(sizes(7), sizes(9));
        assert_eq!((*sizes(7).iter().min().unwrap(), *sizes(7).iter().max().unwrap()), (30, 150));
    }

    #[test]
    fn datagrams_are_due_at_their_rate() {
        assert_eq!(at(100_000, 100_000), Duration::from_secs(1));
        assert_eq!(at(u64::from(u32::MAX) * 1000, 1_000), Duration::from_secs(u64::from(u32::MAX)));
    }
}
