//! `demo`: the main job in ten seconds, in one process: a generator, the real proxy, two sinks on loopback.
//!
//! It shows what the proxy promises and checks it: exit code 0 only when every generated datagram arrived at
//! both sinks and the books say the same.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::term::{Cell, Mood, Screen, grouped};
use super::traffic::{Generator, Sink};
use crate::app::{self, AppError, Running};
use crate::cli::{self, Outcome};
use crate::config::Config;
use crate::control::{Bound, State, resolver, signals};
use crate::lifecycle::Shutdown;
use crate::stats::cells::{ShardCell, TargetCell, dropped};
use crate::stats::snapshot::Snapshot;

/// How long it generates.
const LENGTH: Duration = Duration::from_secs(10);
/// Datagrams a second.
const RATE: u64 = 100_000;
/// What the kernel books for one small datagram in a receive queue, at most: its buffer's head, the shared
/// part and a fragment (768 bytes plain, up to 1,280 when cut from a run), rounded up.
const KERNEL_COST: usize = 2048;
/// How long what was generated may take to arrive, once the generator has stopped.
const ARRIVAL: Duration = Duration::from_secs(3);

/// Runs the demo.
///
/// # Errors
/// When the system refuses a socket.
pub fn main(_args: &cli::Demo) -> Result<ExitCode, AppError> {
    app::block_on(async {
        let interrupt = Shutdown::default();
        // Without Ctrl-C the demo still ends by itself.
        let _ = signals::listen(interrupt.clone());
        let sinks = [sink("datadog")?, sink("otel")?];
        let running = app::start(config(&sinks), resolver::system()).await?;
        let state = running.state.clone();
        let generator = generator(&state, &sinks)?;
        let shutdown = Shutdown::default();
        let proxy = tokio::spawn(Running::serve(running, shutdown.clone()));

        let mut screen = Screen::stdout();
        show(&mut screen, &state, &sinks, &generator, &interrupt).await;
        let generated = generator.stop();
        arrived(&sinks, generated).await;
        shutdown.request();
        let books = match proxy.await {
            Ok(ended) => ended?,
            Err(panic) => return Err(AppError::ShardDied { shard: 0, cause: panic.to_string() }),
        };
        Ok(verdict(&mut screen, &books, &sinks, generated))
    })
}

/// A sink with the name of what stands in its place in earnest.
fn sink(name: &'static str) -> Result<(&'static str, Sink), AppError> {
    Ok((name, Sink::start().map_err(|cause| refused("a sink's socket", cause))?))
}

fn refused(what: &str, cause: std::io::Error) -> AppError {
    AppError::System { what: what.to_owned(), cause, remedy: "the demo needs UDP sockets on 127.0.0.1" }
}

/// The proxy as anyone would start it, on a port that is free.
fn config(sinks: &[(&str, Sink)]) -> Config {
    let mut words = vec!["udp-proxy".to_owned(), "--source=127.0.0.1:0".into(), "--admin=off".into()];
    words.extend(sinks.iter().map(|(name, sink)| format!("--target={name}={}", sink.address())));
    match cli::read(words.into_iter().map(Into::into)) {
        Outcome::Run(cli) => Config::from_cli(&cli.proxy).expect("the demo's own words are right"),
        other => unreachable!("the demo's own words are a command line, not {other:?}"),
    }
}

fn generator(state: &Arc<State>, sinks: &[(&str, Sink); 2]) -> Result<Generator, AppError> {
    let Bound::Udp { address, .. } = state.listeners[0].address else { unreachable!("the demo listens on UDP") };
    let to: SocketAddr = address;
    // Never further ahead of the slower sink than what the smallest receive queue holds: the demo shows what
    // the proxy does, not what a busy laptop's kernel throws away. The kernel fills twice what it granted.
    let granted = sinks.iter().map(|(_, sink)| sink.buffer().granted).chain([state.listeners[0].buffer.granted]).min();
    let ahead = (2 * granted.unwrap_or(0) / KERNEL_COST).clamp(64, 8192) as u64;
    let counts = [sinks[0].1.count(), sinks[1].1.count()];
    Generator::start(to, RATE, ahead, counts).map_err(|cause| refused("the generator's socket", cause))
}

/// Draws until the time is over or Ctrl-C comes.
async fn show(
    screen: &mut Screen,
    state: &State,
    sinks: &[(&str, Sink); 2],
    generator: &Generator,
    interrupt: &Shutdown,
) {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(screen.pause());
    ticks.tick().await;
    if !screen.is_live() {
        println!("{}", title(state, Duration::ZERO));
    }
    let mut seen = state.snapshot();
    let mut rates = Rates::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = interrupt.requested(1) => break,
        }
        let now = state.snapshot();
        rates.update(&mut seen, &now);
        if screen.is_live() {
            let mut lines = vec![title(state, began.elapsed()), String::new()];
            lines.extend(table(screen, state, sinks, generator, &now, &rates));
            screen.draw(&lines);
        } else {
            println!("{}", plain(state, sinks, &now, &rates, began.elapsed()));
        }
        if began.elapsed() >= LENGTH {
            break;
        }
    }
    screen.keep();
}

/// Rates over about a second, so that the numbers can be read.
#[derive(Debug, Default)]
struct Rates {
    received: f64,
    sent: Vec<f64>,
}

impl Rates {
    fn update(&mut self, seen: &mut Snapshot, now: &Snapshot) {
        let seconds = now.at.saturating_duration_since(seen.at).as_secs_f64();
        if seconds < 0.95 && !self.sent.is_empty() {
            return;
        }
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds.max(0.001);
        self.received = rate(now.received(), seen.received());
        let sent = now.targets.iter().zip(&seen.targets);
        self.sent = sent.map(|(new, old)| rate(new[TargetCell::Sent], old[TargetCell::Sent])).collect();
        *seen = now.clone();
    }
}

fn title(state: &State, elapsed: Duration) -> String {
    let seconds = elapsed.min(LENGTH).as_secs_f64();
    format!(
        "udp-proxy demo: generator → {} → 2 targets, {} shards, {seconds:.1} s of {} s",
        state.listeners[0].address,
        state.config.shards,
        LENGTH.as_secs()
    )
}

fn table(
    screen: &Screen,
    state: &State,
    sinks: &[(&str, Sink); 2],
    generator: &Generator,
    now: &Snapshot,
    rates: &Rates,
) -> Vec<String> {
    let blank = || Cell::plain("");
    let mut rows = vec![
        vec![Cell::plain("generated"), Cell::plain(grouped(generator.sent()))],
        vec![
            Cell::plain("received"),
            Cell::plain(grouped(now.received())),
            Cell::plain(grouped(rates.received as u64)),
            blank(),
            Cell::worry(now.kernel_drops()),
        ],
    ];
    for (i, (target, books)) in state.config.targets.iter().zip(&now.targets).enumerate() {
        rows.push(vec![
            Cell::plain(format!("sent to {}", target.name)),
            Cell::plain(grouped(books[TargetCell::Sent])),
            Cell::plain(grouped(rates.sent.get(i).copied().unwrap_or(0.0) as u64)),
            Cell::of(grouped(books[TargetCell::Queued]), Mood::Faint),
            Cell::worry(dropped(books)),
            Cell::plain(grouped(sinks[i].1.received())),
        ]);
    }
    screen.table(&["", "datagrams", "a second", "queued", "dropped", "arrived"], &rows)
}

fn plain(state: &State, sinks: &[(&str, Sink); 2], now: &Snapshot, rates: &Rates, elapsed: Duration) -> String {
    let targets = state.config.targets.iter().zip(&now.targets).zip(sinks).map(|((target, books), (_, sink))| {
        format!(
            "{}: sent {} queued {} dropped {} arrived {}",
            target.name,
            books[TargetCell::Sent],
            books[TargetCell::Queued],
            dropped(books),
            sink.received()
        )
    });
    format!(
        "{:4.1} s  received {} ({}/s)  {}",
        elapsed.as_secs_f64(),
        now.received(),
        rates.received as u64,
        targets.collect::<Vec<_>>().join("  ")
    )
}

/// Waits until everything has arrived, or until it is clear that it will not.
async fn arrived(sinks: &[(&str, Sink); 2], generated: u64) {
    let deadline = Instant::now() + ARRIVAL;
    while sinks.iter().any(|(_, sink)| sink.received() < generated) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn verdict(screen: &mut Screen, books: &Snapshot, sinks: &[(&str, Sink); 2], generated: u64) -> ExitCode {
    let received = books.received();
    let kernel_drops = books.kernel_drops();
    let cpu: u64 = books.shards.iter().map(|shard| shard[ShardCell::CpuNanos]).sum();
    let accounted = books.balanced() && received + kernel_drops == generated;
    let whole = received == generated && sinks.iter().all(|(_, sink)| sink.received() == generated);
    let balance = if books.balanced() { ("balanced", Mood::Good) } else { ("not balanced", Mood::Bad) };
    println!();
    println!(
        "books    received {} × {} = sent {} + queued {} + discarded {} + dropped {}: {}",
        grouped(received),
        books.targets.len(),
        grouped(books.over_targets(TargetCell::Sent)),
        grouped(books.over_targets(TargetCell::Queued)),
        grouped(books.over_targets(TargetCell::Discarded)),
        grouped(books.dropped()),
        screen.paint(balance.0, balance.1),
    );
    let arrivals = sinks.iter().map(|(name, sink)| format!("{name} {}", grouped(sink.received())));
    println!(
        "arrived  {} of {} generated; lost in the kernel {}",
        arrivals.collect::<Vec<_>>().join(", "),
        grouped(generated),
        grouped(kernel_drops)
    );
    if received > 0 {
        let per_datagram = cpu as f64 / received as f64 / 1_000.0;
        println!(
            "cost     {per_datagram:.2} µs of CPU for each received datagram, sent to {} targets",
            books.targets.len()
        );
    }
    let (text, mood, code) = match (accounted, whole) {
        (true, true) => ("every datagram is accounted for, and none was lost", Mood::Good, ExitCode::SUCCESS),
        (true, false) => ("every datagram is accounted for, but some were lost", Mood::Bad, ExitCode::FAILURE),
        (false, _) => ("the books do not account for every datagram", Mood::Bad, ExitCode::FAILURE),
    };
    println!("{}", screen.paint(text, mood));
    code
}
