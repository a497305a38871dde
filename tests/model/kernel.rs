//! A kernel to run a shard on: bounded receive queues, targets with moods, and a clock that moves only when
//! the shard waits. It notes each breach of what `sys::Io` asks of its user.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::{Duration, Instant};

use udp_proxy::data::table::Table;
use udp_proxy::lifecycle::{Lifecycle, Phase};
use udp_proxy::sys::{BATCH, Endpoint, Io, Ready, ReceiveMemory, Receiver, Sender, Sent, Slots};

use super::outlet::{Mood, Outlet};

/// The longest wait that keeps a shard's heartbeat alive.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub enum Event {
    /// Datagrams arrive.
    Arrive { listener: usize, datagrams: Vec<Vec<u8>> },
    /// The listener's next receive call, behind what is queued, fails.
    ReceiveError { listener: usize, error: ErrorKind },
    /// The kernel threw so many away for lack of memory.
    Lose { listener: usize, count: u32 },
    /// A target's socket has room again.
    Refill { target: usize },
    /// A writable event without a reason.
    Nudge { target: usize },
    /// A target's network changes.
    Mood { target: usize, mood: Mood },
    /// The resolver found a target's address.
    Resolve { target: usize, endpoint: Endpoint },
    /// The shard is woken for nothing.
    Wake,
    /// The process is to drain.
    Drain,
}

/// A datagram as the shard read it.
#[derive(Clone, Debug)]
pub struct Read {
    /// When, in milliseconds.
    pub at: u64,
    pub bytes: Vec<u8>,
}

/// One listener's receive queue.
#[derive(Debug)]
pub struct Inbox {
    pub items: VecDeque<Result<Vec<u8>, ErrorKind>>,
    pub capacity: usize,
    /// The drop counter as the socket shows it, and the same without its wrap-around.
    pub drops: u32,
    pub dropped: u64,
    /// `leave` was called …
    pub left: bool,
    /// … but the kernel refuses it.
    pub cannot_leave: bool,
    /// Datagrams that came after it left: another process has them.
    pub handed_over: u64,
    edge: bool,
}

impl Inbox {
    pub fn new(capacity: usize, cannot_leave: bool) -> Self {
        Self {
            items: VecDeque::new(),
            capacity,
            drops: 0,
            dropped: 0,
            left: false,
            cannot_leave,
            handed_over: 0,
            edge: false,
        }
    }

    fn lose(&mut self, count: u32) {
        self.drops = self.drops.wrapping_add(count);
        self.dropped += u64::from(count);
    }

    fn arrive(&mut self, datagrams: Vec<Vec<u8>>) {
        if self.left {
            self.handed_over += datagrams.len() as u64;
            return;
        }
        for datagram in datagrams {
            if self.items.len() < self.capacity {
                self.items.push_back(Ok(datagram));
                self.edge = true;
            } else {
                self.lose(1);
            }
        }
    }
}

/// Everything the model kernel knows.
#[derive(Debug)]
pub struct State {
    epoch: Instant,
    /// Milliseconds since the epoch.
    pub now: u64,
    agenda: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    pub inboxes: Vec<Inbox>,
    pub outlets: Vec<Outlet>,
    pub table: Table,
    pub lifecycle: Lifecycle,
    /// Every datagram that a receive call returned, in order.
    pub read: Vec<Read>,
    /// What the shard did that `sys::Io` does not allow.
    pub breaches: Vec<String>,
    /// Waits without patience in a row that brought nothing.
    spins: u32,
}

/// The model kernel; copies are handles to the same one.
#[derive(Clone, Debug)]
pub struct Kernel(Rc<RefCell<State>>);

impl Kernel {
    pub fn new(inboxes: Vec<Inbox>, outlets: Vec<Outlet>, table: Table, lifecycle: Lifecycle) -> Self {
        Self(Rc::new(RefCell::new(State {
            epoch: Instant::now(),
            now: 0,
            agenda: BTreeMap::new(),
            scheduled: 0,
            inboxes,
            outlets,
            table,
            lifecycle,
            read: Vec::new(),
            breaches: Vec::new(),
            spins: 0,
        })))
    }

    /// Looks at, or changes, what it knows.
    pub fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.borrow_mut())
    }

    pub fn epoch(&self) -> Instant {
        self.with(|state| state.epoch)
    }

    pub fn schedule(&self, at: u64, event: Event) {
        self.with(|state| state.schedule(at, event));
    }

    /// The listeners' sockets, for the shard.
    pub fn receivers(&self) -> Vec<ModelReceiver> {
        let count = self.with(|state| state.inboxes.len());
        (0..count).map(|listener| ModelReceiver { kernel: self.clone(), listener }).collect()
    }
}

impl State {
    fn schedule(&mut self, at: u64, event: Event) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), event);
    }

    fn breach(&mut self, what: impl Into<String>) {
        self.breaches.push(what.into());
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<u64> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    fn happen(&mut self) -> bool {
        let mut woken = false;
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Event::Arrive { listener, datagrams } => self.inboxes[listener].arrive(datagrams),
                Event::ReceiveError { listener, error } => {
                    self.inboxes[listener].items.push_back(Err(error));
                    self.inboxes[listener].edge = true;
                }
                Event::Lose { listener, count } => self.inboxes[listener].lose(count),
                Event::Refill { target } => self.outlets[target].refill(),
                Event::Nudge { target } => self.outlets[target].nudge(),
                Event::Mood { target, mood } => {
                    self.outlets[target].mood = mood;
                    self.outlets[target].refill();
                }
                Event::Resolve { target, endpoint } => {
                    self.table.set(target, endpoint);
                    woken = true;
                }
                Event::Wake => woken = true,
                Event::Drain => {
                    self.lifecycle.advance(Phase::Draining);
                    woken = true;
                }
            }
        }
        woken
    }

    fn ready(&mut self) -> Ready {
        let mut ready = Ready::default();
        for (i, inbox) in self.inboxes.iter_mut().enumerate() {
            ready.receivers |= u64::from(std::mem::take(&mut inbox.edge)) << i;
        }
        for (i, outlet) in self.outlets.iter_mut().enumerate() {
            ready.senders |= u64::from(std::mem::take(&mut outlet.edge)) << i;
        }
        ready
    }

    fn wait(&mut self, timeout: Duration) -> Ready {
        if timeout > LONGEST_WAIT {
            self.breach(format!("waits {timeout:?}, which is longer than the heartbeat allows"));
        }
        let mut woken = self.happen();
        let mut ready = self.ready();
        let waiting = self.inboxes.iter().any(|inbox| !inbox.items.is_empty());
        if timeout.is_zero() {
            // Asking again and again takes time as well, or a spinning shard would stand still in it.
            let nothing = ready == Ready::default() && !woken && !waiting;
            self.now += u64::from(nothing);
            self.spins = if nothing { self.spins + 1 } else { 0 };
            if self.spins > 3 && self.lifecycle.phase() < Phase::Draining {
                self.breach("spins: asks without patience although nothing is there");
            }
            return ready;
        }
        self.spins = 0;
        let deadline = self.now + timeout.as_millis().max(1) as u64;
        while !woken && ready == Ready::default() && self.now < deadline {
            self.now = self.next().map_or(deadline, |next| next.clamp(self.now, deadline));
            woken = self.happen();
            ready = self.ready();
        }
        ready
    }
}

impl Io for Kernel {
    type Receiver = ModelReceiver;
    type Sender = ModelSender;

    fn connect(&mut self, endpoint: &Endpoint) -> io::Result<ModelSender> {
        self.with(|state| {
            let target = target_of(endpoint);
            let outlet = &mut state.outlets[target];
            outlet.connect(endpoint)?;
            if outlet.sockets > 1 {
                state.breach(format!("target {target} has two sockets"));
            }
            Ok::<(), io::Error>(())
        })?;
        Ok(ModelSender { kernel: self.clone(), endpoint: endpoint.clone() })
    }

    fn watch_sender(&mut self, index: usize, sender: &mut ModelSender) -> io::Result<()> {
        self.with(|state| {
            if index != target_of(&sender.endpoint) {
                state.breach(format!("watches {} as target {index}", sender.endpoint));
            }
            let watched = state.outlets[index].watch();
            if matches!(&watched, Err(error) if error.kind() == ErrorKind::AlreadyExists) {
                state.breach(format!("watches target {index} twice"));
            }
            watched
        })
    }

    fn unwatch_sender(&mut self, sender: &mut ModelSender) -> io::Result<()> {
        let index = target_of(&sender.endpoint);
        self.with(|state| {
            let unwatched = state.outlets[index].unwatch();
            if unwatched.is_err() {
                state.breach(format!("ends the watch of target {index}, which was not watched"));
            }
            unwatched
        })
    }

    fn wait(&mut self, timeout: Duration) -> io::Result<Ready> {
        Ok(self.with(|state| state.wait(timeout)))
    }

    fn now(&self) -> Instant {
        self.with(|state| state.epoch + Duration::from_millis(state.now))
    }

    fn cpu_time(&self) -> Duration {
        Duration::ZERO
    }
}

/// One listener's socket.
#[derive(Debug)]
pub struct ModelReceiver {
    kernel: Kernel,
    listener: usize,
}

impl Receiver for ModelReceiver {
    fn receive(&mut self, slots: &mut Slots) -> io::Result<usize> {
        self.kernel.with(|state| {
            let at = state.now;
            for i in 0..BATCH {
                let items = &mut state.inboxes[self.listener].items;
                match items.front() {
                    None if i == 0 => return Err(ErrorKind::WouldBlock.into()),
                    Some(Err(_)) if i == 0 => {
                        let error = items.pop_front().and_then(Result::err).unwrap_or(ErrorKind::Other);
                        return Err(error.into());
                    }
                    None | Some(Err(_)) => return Ok(i),
                    Some(Ok(_)) => {}
                }
                let bytes = items.pop_front().and_then(Result::ok).unwrap_or_default();
                let slot = slots.slot_mut(i);
                let stump = bytes.len().min(slot.len());
                slot[..stump].copy_from_slice(&bytes[..stump]);
                slots.set_length(i, bytes.len());
                state.read.push(Read { at, bytes });
            }
            Ok(BATCH)
        })
    }

    fn memory(&self) -> Option<ReceiveMemory> {
        self.kernel.with(|state| {
            let inbox = &state.inboxes[self.listener];
            Some(ReceiveMemory { queued: inbox.items.len() as u32, drops: inbox.drops })
        })
    }

    fn leave(&mut self) -> io::Result<()> {
        self.kernel.with(|state| {
            let inbox = &mut state.inboxes[self.listener];
            inbox.left = !inbox.cannot_leave;
            if inbox.left { Ok(()) } else { Err(ErrorKind::AddrNotAvailable.into()) }
        })
    }
}

/// A socket that sends to one endpoint of a target.
#[derive(Debug)]
pub struct ModelSender {
    kernel: Kernel,
    endpoint: Endpoint,
}

impl Sender for ModelSender {
    fn send(&mut self, datagrams: &[IoSlice<'_>]) -> Sent {
        let target = target_of(&self.endpoint);
        self.kernel.with(|state| {
            if datagrams.is_empty() || datagrams.len() > BATCH {
                state.breach(format!("sends {} datagrams at once", datagrams.len()));
            }
            if state.table.load()[target].as_ref() != Some(&self.endpoint) {
                state.breach(format!("sends to {}, where target {target} no longer is", self.endpoint));
            }
            let at = state.now;
            let outlet = &mut state.outlets[target];
            let sent = outlet.send(at, datagrams.iter().map(|datagram| &datagram[..]));
            let full = matches!(&sent.error, Some(error) if error.kind() == ErrorKind::WouldBlock);
            if full && !std::mem::replace(&mut outlet.refilling, true) {
                let again = at + outlet.pause();
                state.schedule(again, Event::Refill { target });
            }
            sent
        })
    }
}

impl Drop for ModelSender {
    fn drop(&mut self) {
        let target = target_of(&self.endpoint);
        self.kernel.with(|state| state.outlets[target].close());
    }
}

/// An address of target number `target`: each `version` is another one.
pub fn endpoint(target: usize, version: u16, unix: bool) -> Endpoint {
    match unix {
        true => Endpoint::Unix(format!("/model/{target}/{version}").into()),
        false => Endpoint::Udp(([127, 0, target as u8, 1], 1024 + version).into()),
    }
}

fn target_of(endpoint: &Endpoint) -> usize {
    match endpoint {
        Endpoint::Udp(address) => match address.ip() {
            std::net::IpAddr::V4(ip) => usize::from(ip.octets()[2]),
            std::net::IpAddr::V6(_) => unreachable!("the model's addresses are IPv4"),
        },
        Endpoint::Unix(path) => {
            let target = path.iter().nth(2).and_then(|part| part.to_str()).and_then(|part| part.parse().ok());
            target.expect("the model's paths hold the target's number")
        }
    }
}
