//! The StatsD outlet: the exporter formats the lines, and our sink joins them into datagrams and sends them.
//!
//! Always true: it never blocks; growth that could not be sent is part of what the next interval sends, so the
//! counts on the other side add up to the books whatever happened between.

use std::io;
use std::sync::{Arc, Mutex};

use cadence::MetricSink;
use metrics::{Key, Recorder};
use metrics_exporter_statsd::{StatsdBuilder, StatsdRecorder};

use super::{METADATA, Sent, State, locked, samples};
use crate::config::StatsdOutlet;
use crate::control::Bound;
use crate::stats::table::Kind;
use crate::sys::{Endpoint, bind};

/// The size that datagrams are filled to: one Ethernet frame, whatever tunnel is between.
const FILL: usize = 1432;

/// The outlet.
pub struct Statsd {
    recorder: StatsdRecorder,
    sink: Datagrams,
    sent: Mutex<Sent>,
    to: StatsdOutlet,
}

impl std::fmt::Debug for Statsd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statsd").field("to", &self.to).finish_non_exhaustive()
    }
}

impl Statsd {
    /// An outlet to `to` whose names begin with `prefix`.
    pub fn new(to: StatsdOutlet, prefix: &str) -> Self {
        let sink = Datagrams::default();
        let recorder = StatsdBuilder::from("", 0).with_sink(sink.clone()).build(Some(prefix));
        let recorder = recorder.expect("with a sink of its own the exporter opens nothing that could fail");
        Self { recorder, sink, sent: Mutex::default(), to }
    }

    /// Where to send this time: a name is resolved anew at each interval.
    pub async fn endpoint(&self, state: &State) -> Option<Endpoint> {
        match &self.to {
            StatsdOutlet::To(address) => super::resolver::once(address, &super::resolver::system()).await.ok(),
            StatsdOutlet::Own => state.listeners.iter().find_map(|listener| match listener.address {
                Bound::Udp { address, .. } => Some(Endpoint::Udp(bind::reachable(address))),
                Bound::Unix(_) | Bound::Pipe(_) => None,
            }),
        }
    }

    /// Sends everything that has grown or says what is.
    pub fn send(&self, state: &State, endpoint: Option<Endpoint>) {
        self.sink.connect(endpoint);
        let mut sent = locked(&self.sent);
        // The counters whose lines stand in the open datagram.
        let mut open = Vec::new();
        let settle = |sent: &mut Sent, open: &mut Vec<(Key, u64)>| match self.sink.flushed() {
            Some(Flushed::Left) => sent.0.extend(open.drain(..)),
            Some(Flushed::Lost) => open.clear(),
            None => {}
        };
        for sample in samples(state) {
            let key = sample.key(sample.row.name.to_owned());
            match sample.row.kind {
                Kind::Gauge => self.recorder.register_gauge(&key, &METADATA).set(sample.value),
                Kind::Counter => {
                    let value = sample.value as u64;
                    let growth = sent.growth(&key, value);
                    if growth == 0 {
                        continue;
                    }
                    self.recorder.register_counter(&key, &METADATA).increment(growth);
                    // The line that did not fit has sent the datagram before it.
                    settle(&mut sent, &mut open);
                    open.push((key, value));
                }
            }
            settle(&mut sent, &mut open);
        }
        self.sink.flush_all();
        settle(&mut sent, &mut open);
    }
}

/// Joins lines into datagrams. Shared with the exporter, which writes into it.
#[derive(Clone, Debug, Default)]
struct Datagrams(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    endpoint: Option<Endpoint>,
    socket: Option<socket2::Socket>,
    lines: Vec<u8>,
    /// What became of the datagram that was flushed last, if nobody has asked yet.
    flushed: Option<Flushed>,
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    /// The kernel took it.
    Left,
    Lost,
}

impl Datagrams {
    fn connect(&self, endpoint: Option<Endpoint>) {
        let mut open = locked(&self.0);
        if open.endpoint != endpoint || open.socket.is_none() {
            open.socket = endpoint.as_ref().and_then(|endpoint| bind::connect(endpoint).ok());
            open.endpoint = endpoint;
        }
    }

    /// What became of the datagram that was flushed since this was last asked.
    fn flushed(&self) -> Option<Flushed> {
        locked(&self.0).flushed.take()
    }

    fn flush_all(&self) {
        locked(&self.0).flush();
    }
}

impl Open {
    fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        self.flushed = Some(Flushed::Lost);
        if let Some(socket) = &self.socket {
            // The second try: an answer to an earlier datagram may have been pending on the socket. A Unix
            // receiver that was replaced is found at the next interval.
            let sent = socket.send(&self.lines).or_else(|_| socket.send(&self.lines));
            match sent {
                Ok(_) => self.flushed = Some(Flushed::Left),
                Err(_) => self.socket = None,
            }
        }
        self.lines.clear();
    }
}

impl MetricSink for Datagrams {
    fn emit(&self, line: &str) -> io::Result<usize> {
        let mut open = locked(&self.0);
        if !open.lines.is_empty() {
            if open.lines.len() + 1 + line.len() > FILL {
                open.flush();
            } else {
                open.lines.push(b'\n');
            }
        }
        open.lines.extend_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn lines_leave_in_full_datagrams() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sink = Datagrams::default();
        sink.connect(Some(Endpoint::Udp(receiver.local_addr().unwrap())));
        for i in 0..100 {
            sink.emit(&format!("udp_proxy.some.name:{i}|c|#target:a")).unwrap();
        }
        sink.flush_all();
        let mut lines = Vec::new();
        let mut buffer = [0; 65_536];
        while lines.len() < 100 {
            let length = receiver.recv(&mut buffer).unwrap();
            assert!(length <= FILL);
            lines.extend(String::from_utf8_lossy(&buffer[..length]).split('\n').map(str::to_owned));
        }
        assert_eq!(lines.len(), 100);
        assert!(lines.iter().enumerate().all(|(i, line)| *line == format!("udp_proxy.some.name:{i}|c|#target:a")));
    }
}
