//! The order of start and stop.
//!
//! Start: resolve names, refuse loops, bind the admin addresses and then the listeners, start shards, be ready. Nothing is bound
//! before the configuration is known to work: at a handover a bound port already takes datagrams.
//! Stop: withdraw readiness, serve on for the shutdown delay, close admin, drain the shards, sum up.

mod shards;

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tokio::task::JoinHandle;

use crate::cli;
use crate::config::source::{Source, wildcard};
use crate::config::{Admin, Config, ConfigError, Engine};
use crate::control::{Bound, Listening, State, admin, export, log, report, resolver, signals};
use crate::data::table::Table;
use crate::lifecycle::{Lifecycle, Phase, Shutdown};
use crate::stats::snapshot::Snapshot;
use crate::sys::bind::{Listener, ReceiveBuffer};
use crate::sys::{Native, bind, fallback::Portable};
use shards::{Context, Shards};

/// Why the proxy could not start or go on: one line each, with an exit code.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system refused something that the start needs.
    #[error("{what}: {cause}: {remedy}")]
    System {
        /// What was tried, by flag and value.
        what: String,
        /// What the system said.
        cause: io::Error,
        /// What an operator can do about it.
        remedy: &'static str,
    },
    /// A shard ended that should not have.
    #[error("shard {shard} ended: {cause}")]
    ShardDied {
        /// Its number.
        shard: usize,
        /// Its panic or error.
        cause: String,
    },
}

impl AppError {
    /// The process's exit code for this error, as documented in the README.
    pub fn exit_code(&self) -> u8 {
        match self {
            AppError::Config(_) => 2,
            AppError::System { .. } => 1,
            AppError::ShardDied { .. } => 70,
        }
    }
}

/// A proxy that has started.
#[derive(Debug)]
pub struct Running {
    /// What the control plane knows.
    pub state: Arc<State>,
    /// Where the admin server listens, in the order of the configuration.
    pub admin: Vec<String>,
    shards: Shards,
    admin_tasks: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    _socket_files: Vec<bind::unix::SocketFile>,
}

/// The proxy as a program: checks the command line, serves until a signal, drains.
///
/// # Errors
/// See [`AppError`].
pub fn main(raw: &cli::Proxy) -> Result<ExitCode, AppError> {
    let config = Config::from_cli(raw)?;
    log::install(config.log);
    block_on(async {
        let shutdown = Shutdown::default();
        signals::listen(shutdown.clone()).map_err(|cause| {
            system("signals".into(), cause, "the process may open too few files: raise its limit (ulimit -n)")
        })?;
        serve(config, shutdown, || ()).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Starts the proxy, says when it serves, and drains it when `shutdown` is requested.
///
/// # Errors
/// See [`AppError`].
pub async fn serve(config: Config, shutdown: Shutdown, ready: impl FnOnce()) -> Result<Snapshot, AppError> {
    let running = start(config, resolver::system()).await?;
    ready();
    running.serve(shutdown).await
}

/// Runs `work` on the control plane's runtime: one thread, and a few more only while names are looked up.
///
/// # Errors
/// What `work` returns, or that the runtime could not be made.
pub fn block_on<T>(work: impl Future<Output = Result<T, AppError>>) -> Result<T, AppError> {
    /// Look-ups of the system's resolver that may hang at the same time; others wait.
    const LOOKUPS: usize = 8;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(LOOKUPS).build();
    let runtime = runtime.map_err(|cause| {
        system("runtime".into(), cause, "the process may open too few files: raise its limit (ulimit -n)")
    })?;
    let result = runtime.block_on(work);
    // A look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Starts the proxy: when this returns, it serves.
///
/// # Errors
/// See [`AppError`].
pub async fn start(config: Config, lookup: resolver::Lookup) -> Result<Running, AppError> {
    let (endpoints, resolution): (Vec<_>, Vec<_>) =
        resolver::at_start(&config.targets, &lookup).await.into_iter().unzip();
    let planned: Vec<_> = config.sources.iter().map(planned).collect();
    refuse_loops(&config, &endpoints, &planned)?;

    let admin_listeners = bind_admins(&config)?;
    let mut bound = bind_sources(&config)?;
    let listeners: Vec<_> = bound.iter().map(|b| b.listening.clone()).collect();
    let own: Vec<_> = listeners.iter().map(|l| l.address.clone()).collect();
    refuse_loops(&config, &endpoints, &own)?;
    let socket_files = bound.iter_mut().filter_map(|b| b.file.take()).collect();

    let table = Table::new(endpoints);
    let lifecycle = Lifecycle::default();
    let epoch = Instant::now();
    let dealt = deal(&mut bound, config.shards);
    let context = Context { config: &config, table: &table, lifecycle: &lifecycle, epoch };
    let (shards, books) = match config.engine {
        Engine::Auto => Shards::start::<Native>(&context, dealt)?,
        Engine::Portable => Shards::start::<Portable>(&context, dealt)?,
    };
    let statsd =
        config.metrics.as_ref().and_then(|m| Some(Arc::new(export::Statsd::new(m.statsd.clone()?, &m.prefix))));
    let state = Arc::new(State {
        config,
        lifecycle,
        listeners,
        shards: books,
        table,
        resolution: Mutex::new(resolution),
        health: Mutex::default(),
        statsd,
        epoch,
        started: SystemTime::now(),
    });

    let mut background: Vec<_> = (0..state.config.targets.len())
        .map(|i| tokio::spawn(resolver::follow(state.clone(), i, lookup.clone(), shards.wakers.clone())))
        .collect();
    background.push(tokio::spawn(report::watch(state.clone())));
    background.extend(export::statsd(&state).map(tokio::spawn));
    let admin: Vec<_> = admin_listeners.iter().map(admin::Listener::address).collect();
    let admin_tasks = admin::serve(admin_listeners, &state);

    state.lifecycle.advance(Phase::Ready);
    report::started(&state, shards.engine, &admin);
    Ok(Running { state, admin, shards, admin_tasks, background, _socket_files: socket_files })
}

impl Running {
    /// Serves until `shutdown` is requested, then drains; a second request ends at once.
    ///
    /// # Errors
    /// When a shard dies.
    pub async fn serve(mut self, shutdown: Shutdown) -> Result<Snapshot, AppError> {
        tokio::select! {
            () = shutdown.requested(1) => {}
            died = self.shards.died() => return Err(died),
        }
        let ended = tokio::select! {
            ended = self.stop() => ended,
            () = shutdown.requested(2) => {
                tracing::warn!("asked to end twice: ending at once, queues are given up");
                Ok(())
            }
        };
        let snapshot = self.state.snapshot();
        report::ended(&snapshot);
        ended.map(|()| snapshot)
    }

    async fn stop(&mut self) -> Result<(), AppError> {
        let delay = self.state.config.shutdown_delay;
        self.state.lifecycle.advance(Phase::Leaving);
        report::leaving(delay);
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            died = self.shards.died() => return Err(died),
        }
        // From here on new requests reach the process that takes over.
        self.admin_tasks.iter().for_each(JoinHandle::abort);
        self.state.lifecycle.advance(Phase::Draining);
        self.shards.wake();
        self.shards.drained().await?;
        self.state.lifecycle.advance(Phase::Stopped);
        self.background.iter().for_each(JoinHandle::abort);
        export::last(&self.state).await;
        Ok(())
    }
}

/// One source as it was bound: for each shard, except a Unix socket or a pipe, which only one shard can read.
struct BoundSource {
    listening: Listening,
    listeners: Vec<Listener>,
    file: Option<bind::unix::SocketFile>,
}

/// Where a source will listen, as far as that is known before it is bound.
fn planned(source: &Source) -> Bound {
    match source {
        Source::Udp(address) => Bound::Udp { address: *address, dual: false },
        Source::Wildcard(port) => {
            let address = wildcard(*port);
            Bound::Udp { address, dual: address.is_ipv6() }
        }
        Source::Unix { path, .. } => Bound::Unix(path.clone()),
        Source::Pipe(name) => Bound::Pipe(name.clone()),
    }
}

fn refuse_loops(config: &Config, endpoints: &[Option<crate::sys::Endpoint>], own: &[Bound]) -> Result<(), AppError> {
    for (target, endpoint) in config.targets.iter().zip(endpoints) {
        let own = endpoint.as_ref().and_then(|endpoint| resolver::own_listener(endpoint, own));
        if let Some(own) = own {
            let problem = format!(
                "'{}' is our own listener {own}: each datagram would come back for ever; give another address or port",
                target.address
            );
            return Err(ConfigError { flag: "--target", problem }.into());
        }
    }
    Ok(())
}

/// Binds every source. The UDP ones come last: from then on the kernel gives us datagrams, which would be lost
/// if something else failed.
fn bind_sources(config: &Config) -> Result<Vec<BoundSource>, AppError> {
    let mut order: Vec<_> = config.sources.iter().enumerate().collect();
    order.sort_by_key(|(_, source)| source.is_udp());
    let mut bound = Vec::with_capacity(order.len());
    for (number, source) in order {
        bound.push((number, bind_source(source, config)?));
    }
    bound.sort_by_key(|(number, _)| *number);
    Ok(bound.into_iter().map(|(_, bound)| bound).collect())
}

fn bind_source(source: &Source, config: &Config) -> Result<BoundSource, AppError> {
    let refused = |cause: io::Error| {
        let remedy = bind_remedy(&cause);
        system(format!("--source {source}"), cause, remedy)
    };
    let (address, dual) = match planned(source) {
        Bound::Udp { address, dual } => (address, dual),
        Bound::Unix(_) => return bind_unix(source, config),
        Bound::Pipe(name) => return bind_pipe(name),
    };
    let in_use = address.port() != 0 && bind::in_use(address, dual);
    if in_use && config.exclusive {
        return Err(refused(io::ErrorKind::AddrInUse.into()));
    }
    // Alone on the port by choice and with one shard, there is no reason to let anyone else in.
    let shared = !(config.exclusive && config.shards == 1);
    let first = bind::udp(address, dual, shared).map_err(refused)?;
    let address = first.local_addr().ok().and_then(|a| a.as_socket()).unwrap_or(address);
    let buffer = bind::receive_buffer(&first, config.readbuffer);
    let mut listeners = vec![first.into()];
    let per_shard = if bind::SHARES_PORTS { config.shards } else { 1 };
    while listeners.len() < per_shard {
        let socket = bind::udp(address, dual, shared).map_err(refused)?;
        bind::receive_buffer(&socket, config.readbuffer);
        listeners.push(socket.into());
    }
    Ok(BoundSource {
        listening: Listening { address: Bound::Udp { address, dual }, buffer, shared: in_use },
        listeners,
        file: None,
    })
}

fn bind_unix(source: &Source, config: &Config) -> Result<BoundSource, AppError> {
    let Source::Unix { path, mode } = source else { unreachable!("only Unix sources are not UDP") };
    let refused = |cause: io::Error| {
        let remedy = bind_remedy(&cause);
        system(format!("--source {source}"), cause, remedy)
    };
    let in_use = bind::unix::in_use(path, socket2::Type::DGRAM);
    if in_use && config.exclusive {
        return Err(refused(io::ErrorKind::AddrInUse.into()));
    }
    let (socket, file) = bind::unix::bind(path, socket2::Type::DGRAM, *mode).map_err(refused)?;
    let buffer = bind::receive_buffer(&socket, 0);
    let listening =
        Listening { address: Bound::Unix(path.clone()), buffer: ReceiveBuffer { asked: 0, ..buffer }, shared: in_use };
    Ok(BoundSource { listening, listeners: vec![socket.into()], file: Some(file) })
}

fn bind_pipe(name: String) -> Result<BoundSource, AppError> {
    let (listener, buffer) = bind::pipe(&name).map_err(|cause| {
        let remedy = match cause.kind() {
            io::ErrorKind::PermissionDenied => {
                "another process has a pipe of this name (a Datadog agent, say): stop that one or choose another name"
            }
            _ => "the system refused it",
        };
        system(format!("--source {name}"), cause, remedy)
    })?;
    let listening = Listening { address: Bound::Pipe(name), buffer, shared: false };
    Ok(BoundSource { listening, listeners: vec![listener], file: None })
}

fn bind_admins(config: &Config) -> Result<Vec<admin::Listener>, AppError> {
    let bind = |address: &Admin| {
        admin::bind(address, config.exclusive).map_err(|cause| {
            let remedy = bind_remedy(&cause);
            system(format!("--admin {address}"), cause, remedy)
        })
    };
    config.admin.iter().map(bind).collect()
}

/// Deals the listeners to the shards: each UDP source gives every shard one, others go round.
fn deal(bound: &mut [BoundSource], shards: usize) -> Vec<Vec<(usize, Listener)>> {
    let mut dealt: Vec<Vec<(usize, Listener)>> = (0..shards).map(|_| Vec::new()).collect();
    for (number, source) in bound.iter_mut().enumerate() {
        let alone = source.listeners.len() == 1;
        for (i, listener) in source.listeners.drain(..).enumerate() {
            dealt[if alone { number % shards } else { i }].push((number, listener));
        }
    }
    dealt
}

fn bind_remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has it (of another user, or one that does not share it): stop that one or choose another address"
        }
        io::ErrorKind::PermissionDenied if !bind::SHARES_PORTS => {
            "not permitted: another process has it for itself, or the system keeps it (netsh int ipv4 show excludedportrange udp): choose another address"
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted: choose a port from 1024 up, grant CAP_NET_BIND_SERVICE, or make the socket's directory writable"
        }
        io::ErrorKind::AddrNotAvailable => "the host has no such address: give one of its own, or :PORT for all",
        io::ErrorKind::NotFound => "the directory does not exist: create it or choose another path",
        io::ErrorKind::AlreadyExists => "remove it or choose another path",
        io::ErrorKind::NotADirectory => "a part of the path is no directory: choose another path",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: mount a writable directory there",
        _ => "the system refused it",
    }
}

fn system(what: String, cause: io::Error, remedy: &'static str) -> AppError {
    AppError::System { what, cause, remedy }
}
