//! Receives batches and throws them away: what nobody can save.

use std::os::fd::AsRawFd;

use baselines::{Batch, sockets};

fn main() {
    let (listen, _) = sockets();
    let mut batch = Batch::new();
    loop {
        batch.receive(listen.as_raw_fd());
    }
}
