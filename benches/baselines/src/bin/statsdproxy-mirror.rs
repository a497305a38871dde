//! A packing relay from crates.io: getsentry's statsdproxy, its `Mirror` before an upstream for each target.
//! It joins lines up to 512 bytes and waits up to a second for more.

use statsdproxy::middleware::{Middleware, mirror::Mirror, server::Server, upstream::Upstream};

fn main() {
    let mut words = std::env::args().skip(1);
    let listen = words.next().expect("an address to listen on");
    let upstream = |target: String| -> Box<dyn Middleware> { Box::new(Upstream::new(target).expect("an upstream")) };
    let all = words.map(upstream).reduce(|first, second| Box::new(Mirror::new(first, second)));
    Server::new(listen, all.expect("a target")).expect("bind").run().expect("run");
}
