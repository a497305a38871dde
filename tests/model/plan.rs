//! What happens to one shard in one run: its bounds, who sends to it and when, and what its targets go
//! through. All of it is chosen before the run begins, so a plan can be run again in part.

use std::io::ErrorKind;
use std::time::Duration;

use udp_proxy::config::limits::{Overflow, PackLimits, QueueLimits};
use udp_proxy::sys::Endpoint;

use super::choose::Choose;
use super::kernel::{Event, endpoint};
use super::outlet::Mood;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The largest datagram.
    pub buffer: usize,
    pub listeners: Vec<ListenerPlan>,
    pub targets: Vec<TargetPlan>,
    /// Milliseconds.
    pub drain_timeout: u64,
    /// When draining begins, in milliseconds.
    pub drain: u64,
    /// When every target is well again, if that is before the end.
    pub healed: Option<u64>,
    /// What happens, by millisecond.
    pub events: Vec<(u64, Event)>,
}

#[derive(Clone, Debug)]
pub struct ListenerPlan {
    /// Datagrams that its receive queue holds.
    pub capacity: usize,
    /// The kernel does not let it leave when draining begins.
    pub cannot_leave: bool,
}

#[derive(Clone, Debug)]
pub struct TargetPlan {
    pub queue: QueueLimits,
    pub pack: Option<PackLimits>,
    /// Where it is at first.
    pub endpoint: Option<Endpoint>,
    pub mood: Mood,
    /// Decides what its network does.
    pub seed: u64,
}

/// More than any run brings.
pub const AMPLE: QueueLimits = QueueLimits { datagrams: 1_000_000, bytes: 1 << 30, overflow: Overflow::Newest };
/// What a well target is given to show that it is well: after this, in milliseconds …
const PROBE: u64 = 2_000;
/// … and draining begins this long after it.
const REST: u64 = 1_000;

impl Plan {
    /// Chooses a run. A `calm` one has nothing in it that depends on the moment in which the shard looks at
    /// a target, so that what one target receives can be compared with and without the others.
    pub fn choose(choose: &mut impl Choose, calm: bool) -> Self {
        let buffer = choose.one_of(&[1, 16, 200, 200, 512, 512, 512, 512, 1500, 65_535]);
        let listeners: Vec<_> = (0..choose.within(1, 3))
            .map(|_| ListenerPlan {
                capacity: choose.one_of(&[1, 20, 64, 300, 5_000]),
                cannot_leave: !calm && choose.chance(5),
            })
            .collect();
        let targets: Vec<_> = (0..choose.within(1, 5)).map(|i| TargetPlan::choose(choose, i as usize, calm)).collect();
        let span = choose.within(1, 3_000);
        let mut plan = Self {
            buffer,
            drain_timeout: choose.one_of(&[0, 1, 50, 1_000, 5_000]),
            drain: choose.within(0, span + 500),
            healed: None,
            events: Vec::new(),
            listeners,
            targets,
        };
        plan.arrivals(choose, span);
        plan.troubles(choose, span, calm);
        if choose.chance(50) {
            plan.heal(choose, span);
        }
        if choose.chance(10) {
            // More than one turn reads, at the last moment.
            plan.arrive(plan.drain, choose.within(1, 2_000));
        }
        plan.events.push((plan.drain, Event::Drain));
        plan
    }

    /// A run in which only what is added happens: one listener, one well target with a large queue.
    pub fn plain(drain: u64) -> Self {
        Self {
            buffer: 512,
            listeners: vec![ListenerPlan { capacity: 5_000, cannot_leave: false }],
            targets: vec![TargetPlan {
                queue: AMPLE,
                pack: None,
                endpoint: Some(endpoint(0, 0, false)),
                mood: Mood::default(),
                seed: 1,
            }],
            drain_timeout: 5_000,
            drain,
            healed: None,
            events: vec![(drain, Event::Drain)],
        }
    }

    /// Datagrams arrive.
    pub fn arrive(&mut self, at: u64, count: u64) {
        let datagrams = (0..count).map(|number| filled(number, 8)).collect();
        self.events.push((at, Event::Arrive { listener: 0, datagrams }));
    }

    /// The same run with target `kept` alone.
    pub fn alone(&self, kept: usize) -> Self {
        let mut plan = self.clone();
        plan.targets = vec![self.targets[kept].clone()];
        let renumbered = |target: usize| (target == kept).then_some(0);
        let kept_events = self.events.iter().filter_map(|(at, event)| {
            let event = match event.clone() {
                Event::Mood { target, mood } => Event::Mood { target: renumbered(target)?, mood },
                Event::Nudge { target } => Event::Nudge { target: renumbered(target)? },
                Event::Refill { target } => Event::Refill { target: renumbered(target)? },
                Event::Resolve { target, endpoint: to } => {
                    Event::Resolve { target: renumbered(target)?, endpoint: as_first(&to) }
                }
                other => other,
            };
            Some((*at, event))
        });
        plan.events = kept_events.collect();
        plan.targets[0].endpoint = plan.targets[0].endpoint.as_ref().map(as_first);
        plan
    }

    /// The moods that target `index` goes through.
    pub fn moods(&self, index: usize) -> impl Iterator<Item = &Mood> {
        let later = self.events.iter().filter_map(move |(_, event)| match event {
            Event::Mood { target, mood } if *target == index => Some(mood),
            _ => None,
        });
        std::iter::once(&self.targets[index].mood).chain(later)
    }

    /// Whether target `index` must receive everything, unless the end comes first.
    pub fn lossless(&self, index: usize) -> bool {
        let target = &self.targets[index];
        target.endpoint.is_some() && target.queue == AMPLE && self.moods(index).all(Mood::lossless)
    }

    fn arrivals(&mut self, choose: &mut impl Choose, span: u64) {
        let mut number = 0;
        for _ in 0..choose.within(1, 30) {
            let at = choose.within(0, span);
            let listener = choose.below(self.listeners.len() as u64) as usize;
            let count = match choose.below(8) {
                0 => 64,
                1 => choose.within(65, 200),
                _ => choose.within(1, 20),
            };
            let equal = choose.chance(30).then(|| choose.within(8, 100) as usize);
            let datagrams = (0..count).map(|_| {
                number += 1;
                equal.map_or_else(|| datagram(choose, number, self.buffer), |size| filled(number, size))
            });
            self.events.push((at, Event::Arrive { listener, datagrams: datagrams.collect() }));
        }
    }

    fn troubles(&mut self, choose: &mut impl Choose, span: u64, calm: bool) {
        for _ in 0..choose.within(0, 20) {
            let at = choose.within(0, span);
            let target = choose.below(self.targets.len() as u64) as usize;
            let listener = choose.below(self.listeners.len() as u64) as usize;
            let event = match choose.below(8) {
                0 => Event::Nudge { target },
                1 => Event::Wake,
                2 => Event::Lose { listener, count: choose.one_of(&[1, 7, 1 << 27]) },
                3 if !calm => {
                    let kinds = [ErrorKind::ConnectionRefused, ErrorKind::Interrupted, ErrorKind::OutOfMemory];
                    Event::ReceiveError { listener, error: choose.one_of(&kinds) }
                }
                3 | 4 => {
                    Event::Resolve { target, endpoint: endpoint(target, choose.within(1, 3) as u16, choose.chance(30)) }
                }
                _ => Event::Mood { target, mood: mood(choose, calm) },
            };
            self.events.push((at, event));
        }
        if choose.chance(5) {
            // The kernel's counter is 32 bits wide: this takes it round, with a look in between.
            self.events.extend([0, 700].map(|at| (at, Event::Lose { listener: 0, count: 3 << 30 })));
        }
    }

    fn heal(&mut self, choose: &mut impl Choose, span: u64) {
        for target in 0..self.targets.len() {
            self.events.push((span, Event::Mood { target, mood: Mood::default() }));
            if !choose.chance(10) {
                self.events.push((span, Event::Resolve { target, endpoint: endpoint(target, 9, choose.chance(30)) }));
            }
        }
        // Twice, because the first may be told what became of one before it.
        for later in [0, 400] {
            let probe = filled(later, self.buffer.min(40));
            self.events.push((span + PROBE + later, Event::Arrive { listener: 0, datagrams: vec![probe] }));
        }
        self.drain = span + PROBE + REST;
        self.healed = Some(span);
    }

    /// How long a drain may go on.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout)
    }
}

impl TargetPlan {
    fn choose(choose: &mut impl Choose, index: usize, calm: bool) -> Self {
        let tight = QueueLimits {
            datagrams: choose.within(1, 40) as usize,
            bytes: choose.one_of(&[10, 300, 2_000, 65_535]),
            overflow: choose.one_of(&[Overflow::Newest, Overflow::Oldest]),
        };
        Self {
            queue: if choose.chance(50) { AMPLE } else { tight },
            pack: choose.chance(40).then(|| PackLimits {
                bytes: choose.one_of(&[1, 30, 64, 200, 1432]),
                linger: Duration::from_millis(choose.one_of(&[0, 0, 1, 10, 300])),
            }),
            endpoint: (!choose.chance(20)).then(|| endpoint(index, 0, choose.chance(30))),
            mood: mood(choose, calm),
            seed: choose.below(u64::MAX),
        }
    }
}

/// Chooses how a target's network behaves: half of the time it just works.
fn mood(choose: &mut impl Choose, calm: bool) -> Mood {
    let well = Mood::default();
    match choose.below(20) {
        0 | 1 => Mood { room: Some((choose.within(1, 100), choose.within(1, 60))), ..well },
        2 => Mood { room: Some((1, 1_000)), ..well },
        3 => Mood { echo: choose.within(1, 100), ..well },
        4 => Mood { refused: choose.within(1, 100), ..well },
        5 => Mood { no_buffers: choose.within(1, 50), room: Some((20, 20)), ..well },
        6 => Mood { no_buffers: 100, ..well },
        7 => Mood { narrow: choose.within(0, 100) as usize, ..well },
        8 => Mood { forbidden: choose.within(1, 100), ..well },
        9 => Mood { gone: choose.within(1, 100), ..well },
        10 if !calm => Mood { unroutable: choose.within(1, 100), ..well },
        11 if !calm => Mood { connect_fails: choose.within(1, 100), gone: 20, ..well },
        12 => Mood {
            room: Some((choose.within(1, 10), 20)),
            echo: 20,
            no_buffers: 20,
            watch_fails: choose.below(60),
            ..well
        },
        13 => Mood {
            room: Some((choose.within(1, 30), 20)),
            echo: 20,
            refused: 10,
            no_buffers: 20,
            forbidden: 5,
            unroutable: if calm { 0 } else { 5 },
            gone: 5,
            connect_fails: if calm { 0 } else { 20 },
            watch_fails: 10,
            ..well
        },
        _ => well,
    }
}

/// Chooses a datagram: lines, plain bytes, nothing, or more than the buffer holds.
fn datagram(choose: &mut impl Choose, number: u64, buffer: usize) -> Vec<u8> {
    match choose.below(16) {
        0 => Vec::new(),
        1 => vec![b'\n'; choose.within(1, 4) as usize],
        2 if buffer < 65_535 => filled(number, buffer + choose.within(1, 60) as usize),
        3 => filled(number, buffer.min(4_000)),
        4 => (0..choose.within(1, 40)).map(|_| choose.below(256) as u8).collect(),
        5..=9 => {
            let lines = (0..choose.within(1, 6)).map(|line| format!("c{number}.{line}:1|c")).collect::<Vec<_>>();
            let text = lines.join(choose.one_of(&["\n", "\n\n"]));
            (text + choose.one_of(&["", "\n"])).into_bytes()
        }
        _ => filled(number, choose.within(1, 120) as usize),
    }
}

/// `size` bytes that tell their number.
fn filled(number: u64, size: usize) -> Vec<u8> {
    format!("n{number}:").into_bytes().into_iter().chain(std::iter::repeat(b'x')).take(size).collect()
}

/// The same address, of target 0.
fn as_first(to: &Endpoint) -> Endpoint {
    match to {
        Endpoint::Udp(address) => endpoint(0, address.port() - 1024, false),
        Endpoint::Unix(path) => {
            let version = path.iter().nth(3).and_then(|part| part.to_str()).and_then(|part| part.parse().ok());
            endpoint(0, version.expect("the model's paths hold a version"), true)
        }
    }
}
