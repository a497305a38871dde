//! What is answered to which request.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::shape;
use crate::control::export::Prometheus;
use crate::control::{State, health};
use crate::lifecycle::Phase;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// Prometheus' text exposition format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers one request; never waits.
pub(super) fn answer(
    request: &Request<Incoming>,
    state: &State,
    metrics: Option<&Prometheus>,
) -> Response<Full<Bytes>> {
    let (status, kind, body) = route(request.method(), request.uri().path(), state, metrics);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if state.lifecycle.phase() >= Phase::Leaving {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn route(
    method: &Method,
    path: &str,
    state: &State,
    metrics: Option<&Prometheus>,
) -> (StatusCode, &'static str, String) {
    let known = matches!(path, "/" | "/livez" | "/readyz" | "/healthz" | "/status" | "/metrics");
    if !known {
        let routes = "unknown path: there are /livez /readyz /healthz /status /metrics\n";
        return (StatusCode::NOT_FOUND, TEXT, routes.into());
    }
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered\n".into());
    }
    match path {
        "/livez" => probe("live", health::live(state, &state.snapshot())),
        "/readyz" => probe("ready", health::ready(state, &state.snapshot())),
        "/healthz" => {
            let health = shape::Health::of(state);
            let status = if health.ready && health.live { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, JSON, json(&health))
        }
        "/status" => (StatusCode::OK, JSON, json(&shape::Status::of(state))),
        "/" => (StatusCode::OK, HTML, include_str!("../status.html").into()),
        _ => match metrics {
            Some(metrics) => (StatusCode::OK, METRICS, metrics.render(state)),
            None => (StatusCode::NOT_FOUND, TEXT, "self-metrics are off (--no-metrics)\n".into()),
        },
    }
}

fn probe(what: &str, answer: Result<(), String>) -> (StatusCode, &'static str, String) {
    match answer {
        Ok(()) => (StatusCode::OK, TEXT, format!("{what}\n")),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not {what}: {why}\n")),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    text.push('\n');
    text
}
