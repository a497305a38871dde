//! Anything that can be asked of a queue, in any order: it answers like a list.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/model/mod.rs"]
mod model;

use model::choose::Bytes;
use model::queue::{Pair, limits, step};

/// Steps of one input: longer ones find nothing more, only later.
const STEPS: usize = 200;

fuzz_target!(|input: &[u8]| {
    let mut choose = Bytes(input);
    let mut pair = Pair::new(limits(&mut choose));
    for _ in 0..STEPS {
        if choose.is_empty() {
            break;
        }
        pair.take(step(&mut choose));
    }
    pair.finish();
});
