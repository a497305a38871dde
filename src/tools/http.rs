//! One question to a proxy's admin server.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::config::Admin;
use crate::sys::bind;

/// The largest answer that is read: far above any `/status`.
const LARGEST: usize = 4 << 20;

/// Asks `path` of the admin server at `admin`: status code and body.
///
/// # Errors
/// One line that names the address and says why there was no answer.
pub async fn get(admin: &Admin, path: &str, timeout: Duration) -> Result<(u16, String), String> {
    let asked = async {
        match admin {
            Admin::Tcp(address) => {
                let address: SocketAddr = bind::reachable(*address);
                let stream = tokio::net::TcpStream::connect(address).await.map_err(|e| e.to_string())?;
                ask(stream, path).await
            }
            #[cfg(unix)]
            Admin::Unix(socket) => {
                let stream = tokio::net::UnixStream::connect(socket).await.map_err(|e| e.to_string())?;
                ask(stream, path).await
            }
            #[cfg(not(unix))]
            Admin::Unix(_) => Err("this platform has no Unix sockets".to_owned()),
        }
    };
    let answer = tokio::time::timeout(timeout, asked).await;
    let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} ms", timeout.as_millis())));
    answer.map_err(|why| format!("{admin}{path}: {why}"))
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> Result<(u16, String), String> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Ends with the answer; what it would report shows in the request's own result.
    let connection = tokio::spawn(connection);
    let request =
        Request::get(path).header("host", "udp-proxy").header("connection", "close").body(Empty::<Bytes>::new());
    let response = sender.send_request(request.map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|e| e.to_string())?;
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}
