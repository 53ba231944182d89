//! The connections to the API: the HTTP client, its errors, and which connections have worked before.

use super::ClientConfig;
use super::error::{Failure, Kind};
use super::proxy::proxy;
use crate::clock;
use crate::departure::Departure;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::{Response, redirect};
use std::collections::HashSet;
use std::error::Error;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// We close idle connections before a server does (commonly after 60 s or 75 s), so that a request seldom meets a
/// closing connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// Gateways add headers of their own. Browsers and curl set no limit, hyper sets 100.
const MAX_HEADERS: usize = 1000;
/// How many connections are remembered. Far more than are ever open.
const MAX_REMEMBERED_CONNECTIONS: usize = 1024;

/// The HTTP client for the configured host; no redirect is followed.
pub(super) fn http(config: &ClientConfig) -> Result<reqwest::Client, Failure> {
    // Every client is built here. An error only means that a provider was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("talkmirror/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .redirect(redirect::Policy::none())
        // Only the worker retries, through the gate.
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(config.max_in_flight)
        .http1_max_headers(MAX_HEADERS)
        .tcp_nodelay(true)
        .connector_layer(ConnectingLayer)
        // The library silently ignores proxy variables that it cannot use; `proxy` reports them.
        .no_proxy()
        .https_only(config.base_url.scheme() == "https");
    if config.base_url.scheme() == "http" {
        // Plain http is only allowed to a loopback address, so no certificates are needed.
        builder = builder.tls_certs_only([]);
    }
    if let Some(proxy) = proxy(&config.base_url).map_err(|why| Failure::new(Kind::NoAnswer, why))? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| Failure::new(Kind::NoAnswer, chain(&error)))
}

tokio::task_local! {
    /// The departure of the request that this task sends.
    static DEPARTURE: Departure;
}

/// Runs `request` and notes in `departure` when it leaves: at once, or when its new connection is established.
pub async fn noting_departure<F: Future>(departure: Departure, request: F) -> F::Output {
    departure.leaves(clock::now().mono);
    DEPARTURE.scope(departure, request).await
}

/// While this value lives, a connection is being made for a request.
struct Connecting(Departure);

impl Connecting {
    fn begin(departure: &Departure) -> Connecting {
        departure.connecting();
        Connecting(departure.clone())
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.0.leaves(clock::now().mono);
    }
}

/// Notes in a request's departure that its connection is being made.
#[derive(Debug, Clone)]
struct ConnectingLayer;

impl<S> Layer<S> for ConnectingLayer {
    type Service = NotedConnector<S>;

    fn layer(&self, connector: S) -> NotedConnector<S> {
        NotedConnector(connector)
    }
}

#[derive(Debug, Clone)]
struct NotedConnector<S>(S);

impl<S, R> Service<R> for NotedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let connecting = DEPARTURE.try_with(Connecting::begin).ok();
        let connected = self.0.call(to);
        Box::pin(async move {
            let connection = connected.await;
            drop(connecting);
            connection
        })
    }
}

/// The local addresses of connections that have carried a response.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<HashSet<SocketAddr>>>);

impl Connections {
    /// Remembers the connection of a response.
    pub(super) fn note(&self, response: &Response) {
        if let Some(info) = response.extensions().get::<HttpInfo>() {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MAX_REMEMBERED_CONNECTIONS {
                known.clear();
            }
            known.insert(info.local_addr());
        }
    }

    /// The failure of a request without a response.
    ///
    /// It is repeatable if a connection that worked before closed without a byte: the server closed it while the
    /// request was on its way.
    pub(super) fn failure(&self, error: &reqwest::Error) -> Failure {
        let mut failure = Failure::new(Kind::NoAnswer, transport(error));
        failure.repeatable = !error.is_connect()
            && !error.is_timeout()
            && is_closed(error)
            && connection(error)
                .is_some_and(|end| self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&end));
        failure
    }
}

/// The local address of the connection that a request failed on, if it had one.
fn connection(error: &reqwest::Error) -> Option<SocketAddr> {
    let sent = causes(error).find_map(|cause| cause.downcast_ref::<legacy::Error>())?;
    let mut extensions = hyper::http::Extensions::new();
    sent.connect_info()?.get_extras(&mut extensions);
    Some(extensions.get::<HttpInfo>()?.local_addr())
}

/// The server closed the connection before it responded.
fn is_closed(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let http = cause.downcast_ref::<hyper::Error>();
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        http.is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed())
            || matches!(
                io,
                Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
            )
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        cause.source()
    })
}

/// The transport error without the URL: the talk's id is reported elsewhere.
pub(super) fn transport(error: &reqwest::Error) -> String {
    let step = if error.is_connect() {
        "cannot connect"
    } else if error.is_timeout() {
        "no complete answer in time"
    } else if error.is_body() || error.is_decode() {
        "the answer was cut off"
    } else {
        "the request failed"
    };
    match error.source() {
        Some(source) => format!("{step}: {}", chain(source)),
        None => step.to_owned(),
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error).map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_request_has_not_left_while_its_connection_is_made() {
        // The kernel accepts the connection, but nothing answers the TLS handshake.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url: url::Url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let deadline = Duration::from_secs(20);
        let config = ClientConfig {
            base_url: base_url.clone(),
            connect_timeout: deadline,
            timeout: deadline,
            max_in_flight: 1,
        };
        let departure = Departure::at(clock::now().mono);
        let request = http(&config).unwrap().get(base_url).send();
        let sent = tokio::spawn(noting_departure(departure.clone(), request));
        let connecting = async {
            while departure.left().is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(deadline, connecting).await.expect("it waits for its connection");
        drop(listener.accept().unwrap());
        sent.await.unwrap().expect_err("the handshake failed");
        assert!(departure.left().is_some());
    }
}
