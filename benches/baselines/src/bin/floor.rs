//! The floor: the barest loop that receives a batch and sends it to every target. `--plain`: without runs.
//! `--pack`: joined with newlines up to 1432 bytes.

use std::os::fd::AsRawFd;

use baselines::{Batch, flag, sockets};

fn main() {
    let (listen, targets) = sockets();
    let (plain, pack) = (flag("plain"), flag("pack"));
    let mut batch = Batch::new();
    let mut packed: Vec<u8> = Vec::with_capacity(1432);
    loop {
        batch.receive(listen.as_raw_fd());
        if !pack {
            let count = batch.prepare(!plain);
            targets.iter().for_each(|target| batch.send(target.as_raw_fd(), count));
            continue;
        }
        for target in &targets {
            packed.clear();
            for i in 0..batch.filled {
                let datagram = batch.datagram(i);
                if !packed.is_empty() && packed.len() + 1 + datagram.len() > 1432 {
                    let _ = target.send(&packed);
                    packed.clear();
                }
                if !packed.is_empty() {
                    packed.push(b'\n');
                }
                packed.extend_from_slice(datagram);
            }
            let _ = target.send(&packed);
        }
    }
}
