//! Any text as a target: refused with a reason, or read as it is shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use udp_proxy::config::limits::{Overflow, QueueLimits};
use udp_proxy::config::target::{Address, Target};

fuzz_target!(|word: &str| {
    let queue = QueueLimits { datagrams: 4096, bytes: 4 << 20, overflow: Overflow::Newest };
    match Target::parse(word, queue) {
        Err(problem) => assert!(!problem.is_empty()),
        Ok(target) => {
            assert!((1..=10_000_000).contains(&target.queue.datagrams));
            assert!((65_535..=1 << 34).contains(&target.queue.bytes));
            assert!(target.pack.is_none_or(|pack| (64..=65_507).contains(&pack.bytes)));
            assert_eq!(Address::parse(&target.address.to_string()), Ok(target.address));
        }
    }
});
