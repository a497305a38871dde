//! Any datagrams from the network, and any trouble with the targets: a shard neither panics nor loses count.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/model/mod.rs"]
mod model;

use model::choose::Bytes;
use model::kernel::Event;
use model::plan::Plan;
use model::world;

fuzz_target!(|input: &[u8]| {
    let (plan, datagrams) = input.split_at(input.len() / 2);
    let mut plan = Plan::choose(&mut Bytes(plan), false);
    // The datagrams that the plan would make up are replaced by the input's own bytes.
    let mut choose = Bytes(datagrams);
    for (_, event) in &mut plan.events {
        let Event::Arrive { datagrams, .. } = event else { continue };
        datagrams.truncate(200);
        for datagram in datagrams {
            if choose.is_empty() {
                break;
            }
            *datagram = choose.piece();
        }
    }
    world::run(&plan);
});
