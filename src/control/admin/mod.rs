//! Admin HTTP by hyper: probes, state, metrics. Its limits protect the process from its clients.
//!
//! Always true: at most [`CONNECTIONS`] connections are open, over all addresses, a request's head must come within
//! [`HEAD_TIMEOUT`] and fit 8 KiB, and no request body is ever read. It runs on the control thread:
//! whatever its clients do, the data plane does not notice.

mod routes;
pub mod shape;

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::State;
use super::export::Prometheus;
use crate::config::Admin;
use crate::lifecycle::Phase;
use crate::sys::bind;

/// The most open connections; one more is closed at once.
pub const CONNECTIONS: usize = 256;
/// How long the head of a request may take, and how long an idle connection is kept.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes that are kept of a connection: hyper's least.
const HEAD_BYTES: usize = 8192;
/// How long one connection may live, whatever it does.
const LIFE: Duration = Duration::from_secs(300);

/// A bound admin address.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(tokio::net::TcpListener),
    /// A Unix socket, and its file.
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, bind::unix::SocketFile),
}

/// Binds an admin address, sharing it with a process that may have it already.
///
/// # Errors
/// What the kernel said.
pub fn bind(address: &Admin, exclusive: bool) -> io::Result<Listener> {
    match address {
        Admin::Tcp(address) => {
            let socket = bind::tcp(*address, !exclusive)?;
            Ok(Listener::Tcp(tokio::net::TcpListener::from_std(socket.into())?))
        }
        #[cfg(unix)]
        Admin::Unix(path) => {
            // The file mode keeps other users out; a probe runs as the proxy's own user.
            let (socket, file) = bind::unix::bind(path, socket2::Type::STREAM, 0o600)?;
            Ok(Listener::Unix(tokio::net::UnixListener::from_std(socket.into())?, file))
        }
        #[cfg(not(unix))]
        Admin::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl Listener {
    /// Where it listens: with port 0 asked for, the port that was given.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".into(), |a| a.to_string()),
            #[cfg(unix)]
            Listener::Unix(_, file) => format!("unix://{}", file.path().display()),
        }
    }
}

/// Serves every listener, each by a task. When a task is aborted its address is closed, and open connections end
/// their answer.
pub fn serve(listeners: Vec<Listener>, state: &Arc<State>) -> Vec<JoinHandle<()>> {
    let metrics = state.config.metrics.as_ref().map(|metrics| Arc::new(Prometheus::new(&metrics.prefix)));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let listeners = listeners.into_iter();
    listeners.map(|listener| tokio::spawn(accept(listener, state.clone(), metrics.clone(), places.clone()))).collect()
}

async fn accept(listener: Listener, state: Arc<State>, metrics: Option<Arc<Prometheus>>, places: Arc<Semaphore>) {
    loop {
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            #[cfg(unix)]
            Listener::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        };
        let Ok(stream) = accepted else {
            // Out of file descriptors, most likely: let some connections end before the next try.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (state, metrics) = (state.clone(), metrics.clone());
        tokio::spawn(async move {
            let serving = async {
                match stream {
                    Stream::Tcp(stream) => connection(stream, state, metrics).await,
                    #[cfg(unix)]
                    Stream::Unix(stream) => connection(stream, state, metrics).await,
                }
            };
            // A connection that outlives its time, or that hyper gives up, is just closed.
            let _ = tokio::time::timeout(LIFE, serving).await;
            drop(place);
        });
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    state: Arc<State>,
    metrics: Option<Arc<Prometheus>>,
) -> hyper::Result<()> {
    // A draining process answers, but keeps nobody: the next request must reach its successor.
    let keep_alive = state.lifecycle.phase() < Phase::Leaving;
    let service = service_fn(move |request| {
        let answer = routes::answer(&request, &state, metrics.as_deref());
        std::future::ready(Ok::<_, std::convert::Infallible>(answer))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// A lock that a panic cannot poison for others.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
