//! Properties: the queue against a list, packing against its promise, and everything that reads what people
//! write against every string there is.

mod model;

use std::time::Duration;

use model::choose::{Choose, Seed};
use model::{pack, queue};
use proptest::prelude::*;
use udp_proxy::cli::Proxy;
use udp_proxy::config::limits::{Overflow, QueueLimits};
use udp_proxy::config::source::Source;
use udp_proxy::config::target::{Address, Target};
use udp_proxy::config::{Config, units};

const LIMITS: QueueLimits = QueueLimits { datagrams: 4096, bytes: 4 << 20, overflow: Overflow::Newest };

/// Text that looks like an address with options, more or less.
fn addresses() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9._-]{0,12}",
        "[0-9]{1,6}",
        "\\+?[0-9]{1,5}",
        Just("[::1]".to_owned()),
        Just("[::]".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("0.0.0.0".to_owned()),
        Just("unixgram://".to_owned()),
        Just("udp://".to_owned()),
        Just("/run/x.sock".to_owned()),
        Just("localhost".to_owned()),
        "[:=?&/+%\\[\\] ]",
        "(queue|queue_bytes|overflow|resolve|pack|linger|mode)=[a-z0-9]{0,8}",
        "\\PC{0,4}",
    ];
    prop_oneof![
        4 => prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()),
        1 => ".{0,40}",
        1 => "unixgram:///[a-z=]{1,8}\\?mode=0?[0-7]{1,3}",
        1 => "[a-z]{1,8}=[a-z0-9.-]{1,12}:[0-9]{1,5}(\\?queue=[0-9]{1,8})?(&pack=[0-9]{1,5}&linger=[0-9]{1,6}m?s)?",
    ]
}

/// What a command line without anything but sources and targets says.
fn proxy(source: &[&str], target: &[&str]) -> Proxy {
    let sources = source.iter().map(|source| format!("--source={source}"));
    let targets = target.iter().map(|target| format!("--target={target}"));
    let words = std::iter::once("udp-proxy".to_owned()).chain(sources).chain(targets);
    match udp_proxy::cli::read(words.map(Into::into)) {
        udp_proxy::cli::Outcome::Run(cli) => cli.proxy,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_answers_like_a_list(seed: u64, steps in 1usize..120) {
        let mut choose = Seed(seed);
        let mut pair = queue::Pair::new(queue::limits(&mut choose));
        for _ in 0..steps {
            pair.take(queue::step(&mut choose));
        }
        pair.finish();
    }

    #[test]
    fn packing_keeps_every_line(limit in 1usize..2_000, seed: u64) {
        let mut choose = Seed(seed);
        let datagrams = pack::datagrams(&mut choose);
        pack::check(limit, &datagrams, || choose.chance(10));
    }

    #[test]
    fn a_target_that_parses_is_within_its_limits_and_reads_as_it_is_shown(word in addresses()) {
        match Target::parse(&word, LIMITS) {
            Err(problem) => prop_assert!(!problem.is_empty()),
            Ok(target) => {
                prop_assert!((1..=10_000_000).contains(&target.queue.datagrams));
                prop_assert!((65_535..=1 << 34).contains(&target.queue.bytes));
                prop_assert!(target.resolve >= Duration::from_secs(1));
                prop_assert!(!target.name.is_empty());
                if let Some(pack) = target.pack {
                    prop_assert!((64..=65_507).contains(&pack.bytes));
                    prop_assert!(pack.linger <= Duration::from_secs(10));
                }
                match &target.address {
                    Address::Udp { host, port } => prop_assert!(!host.is_empty() && *port > 0),
                    Address::Unix(path) => prop_assert!(path.is_absolute() && path.as_os_str().len() <= 96),
                }
                let shown = target.address.to_string();
                prop_assert_eq!(Address::parse(&shown), Ok(target.address), "{}", shown);
            }
        }
    }

    #[test]
    fn a_source_that_parses_reads_as_it_is_shown(word in addresses()) {
        match Source::parse(&word) {
            Err(problem) => prop_assert!(!problem.is_empty()),
            Ok(source) => {
                let shown = source.to_string();
                prop_assert_eq!(Source::parse(&shown), Ok(source), "{}", shown);
            }
        }
    }

    #[test]
    fn a_configuration_is_checked_or_refused_in_one_line(source in addresses(), target in addresses()) {
        match Config::from_cli(&proxy(&[&source], &[&target])) {
            Ok(config) => prop_assert!(!config.sources.is_empty() && !config.targets.is_empty()),
            Err(error) => {
                let text = error.to_string();
                prop_assert_eq!(text.lines().count(), 1, "{:?}", text);
                prop_assert!(text.starts_with("--source: ") || text.starts_with("--target: "), "{text:?}");
            }
        }
    }

    #[test]
    fn units_never_panic_and_stay_in_their_range(raw in "\\PC{0,12}|[0-9]{1,24}[a-zA-Z]{0,4}", least in 0usize..1000, span in 0usize..1_000_000) {
        let most = least + span;
        for read in [units::count, units::size] {
            match read(&raw, least..=most) {
                Ok(value) => prop_assert!((least..=most).contains(&value)),
                Err(problem) => prop_assert!(!problem.is_empty()),
            }
        }
        let (least, most) = (Duration::from_millis(least as u64), Duration::from_millis(most as u64));
        match units::duration(&raw, least..=most) {
            Ok(value) => prop_assert!(least <= value && value <= most),
            Err(problem) => prop_assert!(!problem.is_empty()),
        }
    }

    #[test]
    fn numbers_read_as_they_are_written(value in 0u64..1 << 40) {
        prop_assert_eq!(units::count(&value.to_string(), 0..=usize::MAX), Ok(value as usize));
        prop_assert_eq!(units::size(&format!("{value}KiB"), 0..=usize::MAX), Ok((value as usize) << 10));
        let duration = Duration::from_millis(value);
        let shown = units::Shown(duration).to_string();
        prop_assert_eq!(units::duration(&shown, Duration::ZERO..=Duration::MAX), Ok(duration), "{}", shown);
    }
}

/// Rust reads '+8125' as a number; a port is digits.
#[test]
fn a_port_is_digits() {
    for word in ["host:+8125", "a=127.0.0.1:+1", "[::1]:+1"] {
        let problem = Target::parse(word, LIMITS).unwrap_err();
        assert!(problem.contains("is not a port"), "{word}: {problem}");
    }
}
