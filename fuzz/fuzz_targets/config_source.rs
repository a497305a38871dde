//! Any text as a source, and as an admin address: refused with a reason, or read as it is shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use udp_proxy::config::Admin;
use udp_proxy::config::source::Source;

fuzz_target!(|word: &str| {
    match Source::parse(word) {
        Err(problem) => assert!(!problem.is_empty()),
        Ok(source) => assert_eq!(Source::parse(&source.to_string()), Ok(source)),
    }
    match Admin::parse(word) {
        Err(error) => assert!(error.to_string().starts_with("--admin: ")),
        Ok(admin) => assert_eq!(Admin::parse(&admin.to_string()), Ok(admin)),
    }
});
