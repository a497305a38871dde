//! The data threads as the application sees them: started, woken, and waited for. A shard that panics or fails
//! is noticed here; it ends the process.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc;

use super::{AppError, system};
use crate::config::Config;
use crate::data::shard::{Setup, Shard};
use crate::data::table::Table;
use crate::lifecycle::Lifecycle;
use crate::stats::cells::Published;
use crate::stats::snapshot::ShardBooks;
use crate::sys::bind::Listener;
use crate::sys::{Sockets, Waker};

/// What every shard is started with.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) table: &'a Table,
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) epoch: Instant,
}

/// The data threads, seen from outside.
#[derive(Debug)]
pub(super) struct Shards {
    pub(super) engine: &'static str,
    pub(super) wakers: Vec<Waker>,
    ends: mpsc::UnboundedReceiver<(usize, Result<(), String>)>,
}

impl Shards {
    /// Starts one thread for each of `listeners`' entries: its own, each with the number of its source.
    pub(super) fn start<S: Sockets>(
        context: &Context<'_>,
        listeners: Vec<Vec<(usize, Listener)>>,
    ) -> Result<(Self, Vec<ShardBooks>), AppError>
    where
        S::Receiver: Send,
        S::Sender: Send,
    {
        let count = listeners.len();
        let (end, ends) = mpsc::unbounded_channel();
        let mut shards = Self { engine: S::NAME, wakers: Vec::new(), ends };
        let mut books = Vec::new();
        for (number, listeners) in listeners.into_iter().enumerate() {
            let published = Arc::new(Published::new(listeners.len(), context.config.targets.len()));
            books.push(ShardBooks {
                published: published.clone(),
                sources: listeners.iter().map(|(i, _)| *i).collect(),
            });
            let setup = context.setup(count, published);
            let (shard, waker) = build::<S>(listeners, setup).map_err(|cause| {
                system(
                    format!("shard {number}"),
                    cause,
                    "the process may open too few files: raise its limit (ulimit -n)",
                )
            })?;
            shards.wakers.push(waker);
            let end = end.clone();
            let run = move || {
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shard.run()));
                let result = match ended {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(panic) => Err(panic_text(&*panic)),
                };
                // The receiver is gone only when the process ends anyway.
                let _ = end.send((number, result));
            };
            thread::Builder::new()
                .name(format!("shard-{number}"))
                .spawn(run)
                .map_err(|cause| system(format!("--shards {count}"), cause, "the process may start too few threads"))?;
        }
        Ok((shards, books))
    }

    pub(super) fn wake(&self) {
        self.wakers.iter().for_each(Waker::wake);
    }

    /// Waits for a shard to end that should not.
    pub(super) async fn died(&mut self) -> AppError {
        match self.ends.recv().await {
            Some((shard, result)) => {
                AppError::ShardDied { shard, cause: result.err().unwrap_or_else(|| "unasked".into()) }
            }
            None => AppError::ShardDied { shard: 0, cause: "all shards are gone".into() },
        }
    }

    /// Waits for all shards to end as they should.
    pub(super) async fn drained(&mut self) -> Result<(), AppError> {
        for _ in 0..self.wakers.len() {
            if let Some((shard, Err(cause))) = self.ends.recv().await {
                return Err(AppError::ShardDied { shard, cause });
            }
        }
        Ok(())
    }
}

impl Context<'_> {
    fn setup(&self, shards: usize, published: Arc<Published>) -> Setup {
        Setup {
            buffer: self.config.buffer,
            targets: self.config.targets.iter().map(|t| (t.queue.share(shards), t.pack)).collect(),
            table: self.table.clone(),
            lifecycle: self.lifecycle.clone(),
            published,
            drain_timeout: self.config.drain_timeout,
            epoch: self.epoch,
        }
    }
}

fn build<S: Sockets>(listeners: Vec<(usize, Listener)>, setup: Setup) -> io::Result<(Shard<S>, Waker)> {
    let mut io = S::open()?;
    let waker = io.waker();
    let adopted = listeners.into_iter().enumerate().map(|(i, (_, listener))| io.adopt(i, listener));
    let receivers = adopted.collect::<io::Result<Vec<_>>>()?;
    Ok((Shard::new(io, receivers, setup), waker))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::time::Duration;

    use super::*;
    use crate::sys::{Endpoint, Io, Native, Ready, ReceiveMemory, Receiver, Sender, Sent, Slots};

    /// Sockets whose first wait is a defect.
    struct Broken(Native);

    struct Nothing;

    impl Receiver for Nothing {
        fn receive(&mut self, _slots: &mut Slots) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
        fn memory(&self) -> Option<ReceiveMemory> {
            None
        }
        fn leave(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sender for Nothing {
        fn send(&mut self, datagrams: &[IoSlice<'_>]) -> Sent {
            Sent { accepted: datagrams.len(), error: None }
        }
    }

    impl Io for Broken {
        type Receiver = Nothing;
        type Sender = Nothing;
        fn connect(&mut self, _endpoint: &Endpoint) -> io::Result<Nothing> {
            Ok(Nothing)
        }
        fn watch_sender(&mut self, _index: usize, _sender: &mut Nothing) -> io::Result<()> {
            Ok(())
        }
        fn unwatch_sender(&mut self, _sender: &mut Nothing) -> io::Result<()> {
            Ok(())
        }
        fn wait(&mut self, _timeout: Duration) -> io::Result<Ready> {
            panic!("a defect");
        }
        fn now(&self) -> Instant {
            Instant::now()
        }
        fn cpu_time(&self) -> Duration {
            Duration::ZERO
        }
    }

    impl Sockets for Broken {
        const NAME: &'static str = "broken";
        fn open() -> io::Result<Self> {
            Native::open().map(Broken)
        }
        fn waker(&self) -> Waker {
            self.0.waker()
        }
        fn adopt(&mut self, _index: usize, _listener: Listener) -> io::Result<Nothing> {
            Ok(Nothing)
        }
    }

    #[test]
    fn a_dead_shard_ends_the_process() {
        let words = ["udp-proxy", "--target=127.0.0.1:9", "--source=127.0.0.1:0"];
        let crate::cli::Outcome::Run(cli) = crate::cli::read(words.map(Into::into)) else {
            panic!("the words are right")
        };
        let config = crate::config::Config::from_cli(&cli.proxy).unwrap();
        let (table, lifecycle) = (Table::new(vec![None]), Lifecycle::default());
        let context = Context { config: &config, table: &table, lifecycle: &lifecycle, epoch: Instant::now() };
        let (mut shards, _) = Shards::start::<Broken>(&context, vec![Vec::new()]).unwrap();
        let died = super::super::block_on(async { Ok(shards.died().await) }).unwrap();
        assert_eq!(died.to_string(), "shard 0 ended: a defect");
        assert_eq!(died.exit_code(), 70);
    }
}
