//! The system that the proxy replaces, as it is described: a reader, a bounded channel for each target into
//! which the reader puts a copy (and waits when it is full), a writer for each target.

use std::sync::mpsc::sync_channel;

fn main() {
    let (listen, targets) = baselines::sockets();
    let channels: Vec<_> = targets
        .into_iter()
        .map(|target| {
            let (put, take) = sync_channel::<Vec<u8>>(100);
            std::thread::spawn(move || {
                for datagram in take {
                    let _ = target.send(&datagram);
                }
            });
            put
        })
        .collect();
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, _) = listen.recv_from(&mut buffer).expect("receive");
        for channel in &channels {
            channel.send(buffer[..length].to_vec()).expect("the writer lives");
        }
    }
}
