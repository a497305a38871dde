//! Receive one, send one, send one: what most relays do.

fn main() {
    let (listen, targets) = baselines::sockets();
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, _) = listen.recv_from(&mut buffer).expect("receive");
        for target in &targets {
            let _ = target.send(&buffer[..length]);
        }
    }
}
