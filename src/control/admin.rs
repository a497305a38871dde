//! Admin HTTP.
use super::State;
use std::sync::Arc;
/// Placeholder.
#[derive(Debug)]
pub struct Listener(std::net::TcpListener);
impl Listener {
    /// Where.
    pub fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }
}
/// Bind.
pub fn bind(address: &crate::config::Admin) -> std::io::Result<Listener> {
    match address {
        crate::config::Admin::Tcp(a) => Ok(Listener(std::net::TcpListener::bind(a)?)),
        _ => todo!(),
    }
}
/// Shown.
pub fn shown(address: &crate::config::Admin) -> String {
    format!("{address:?}")
}
/// Serve.
pub async fn serve(_l: Listener, _s: Arc<State>) {
    std::future::pending().await
}
