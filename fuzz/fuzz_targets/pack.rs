//! Any datagrams, packed to any limit: the lines that leave are the lines that came.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/model/mod.rs"]
mod model;

use model::choose::{Bytes, Choose};

fuzz_target!(|input: &[u8]| {
    let mut choose = Bytes(input);
    let limit = choose.within(1, 300) as usize;
    let pauses = choose.below(256);
    // The rest is datagrams: each begins with its length.
    let mut datagrams = Vec::new();
    while !choose.is_empty() {
        datagrams.push(choose.piece());
    }
    let mut offered = 0;
    model::pack::check(limit, &datagrams, || {
        offered += 1;
        pauses >> (offered % 8) & 1 == 1
    });
});
