//! `http.listen`: receives webhooks, and shows the state of the mirror to programs and people.
//!
//! Nothing here changes anything, except that webhooks queue talks. No response contains a secret. Frequent
//! requests cost the daemon little: the database is read at most once a second, by an ordinary reader.
//!
//! Uses `clock`, `config`, `feed`, `gate`, `language`, `number`, `policy`, `report`, `sqlite`, `store`, `talk`, `telemetry`, `text`.

mod courses;
mod front;
mod hosts;
mod lists;
mod metrics;
mod page;
mod query;
mod screen;
mod talk;

use crate::clock::{self, UnixSeconds, unix_now};
use crate::feed::webhook::Webhooks;
use crate::language::{Language, Message};
use crate::report::health::{self, Complaint, Live};
use crate::report::humanize::causes;
use crate::report::talk::TalkRules;
use crate::report::{self, Overview};
use crate::store::figures::{self, Figures};
use crate::store::status::Liveness;
use crate::store::{self, StoreError};
use crate::text::shown;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use front::FrontState;
use hosts::Hosts;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The maximum number of connections. Further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// A connection that sends no request head in this time is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A request head is a few lines.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// A connection is closed after the response under way at this age, …
const CONNECTION_LIFETIME: Duration = Duration::from_secs(30);
/// … or this much later in the middle of it, so that a client that does not read cannot keep a place.
const LAST_RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often connections that cannot be accepted are logged.
const ACCEPT_WARN_INTERVAL: Duration = Duration::from_secs(60);
/// So many lists are read at once, because a search takes a processor for a moment. Further requests wait.
const MAX_LISTS: usize = 2;
/// The database is read again if the last read is older than this.
const MAX_SNAPSHOT_AGE: Duration = Duration::from_secs(1);

/// A header of health responses: the id of the serving process. `check` uses it to recognise its daemon.
pub(crate) const PROCESS_HEADER: &str = "x-talkmirror-process";

/// What the server shows, and where it reads it.
#[derive(Debug)]
pub(crate) struct Site {
    database: PathBuf,
    live: watch::Receiver<Live>,
    /// The receiver of webhooks, if enabled.
    webhooks: watch::Receiver<Option<Arc<Webhooks>>>,
    metrics: PrometheusHandle,
    /// Which host names are accepted.
    hosts: Hosts,
    /// `http.language`. `None`: that of the reader's browser.
    language: watch::Receiver<Option<Language>>,
    /// What decides about a talk.
    talk_rules: watch::Receiver<Arc<TalkRules>>,
    read: Mutex<Option<(Instant, SnapshotResult)>>,
    /// Of [`MAX_LISTS`].
    lists: Semaphore,
    /// The account's host.
    account: String,
    /// The course of the talks, which only the front page shows.
    courses: courses::Courses,
}

/// What a [`Site`] is made of. The daemon updates the receivers.
#[derive(Debug)]
pub(crate) struct SiteSettings {
    pub database: PathBuf,
    /// The account's host.
    pub account: String,
    pub live: watch::Receiver<Live>,
    /// The receiver of webhooks, if enabled.
    pub webhooks: watch::Receiver<Option<Arc<Webhooks>>>,
    /// The names of `http.hosts`.
    pub hosts: watch::Receiver<Vec<String>>,
    /// `http.language`.
    pub language: watch::Receiver<Option<Language>>,
    /// What decides about a talk.
    pub talk_rules: watch::Receiver<Arc<TalkRules>>,
    /// The process's metrics.
    pub metrics: PrometheusHandle,
}

/// The result of reading the database.
type SnapshotResult = Result<Arc<Snapshot>, Arc<StoreError>>;

/// What was last read from the database.
#[derive(Debug)]
struct Snapshot {
    overview: Overview,
    figures: Figures,
    front: FrontState,
}

/// The current state of the mirror.
#[derive(Debug)]
struct MirrorState {
    live: Live,
    overview: Overview,
    figures: Figures,
    front: FrontState,
    complaints: Vec<Complaint>,
    /// Why the daemon cannot work. Empty if it can.
    obstacles: Vec<Message>,
    now: UnixSeconds,
}

impl Site {
    pub(crate) fn new(settings: SiteSettings) -> Site {
        let SiteSettings { database, account, live, webhooks, hosts, language, talk_rules, metrics } =
            settings;
        let (hosts, courses) = (Hosts::new(hosts), courses::Courses::default());
        let (read, lists) = (Mutex::new(None), Semaphore::new(MAX_LISTS));
        Site { database, live, webhooks, metrics, hosts, language, talk_rules, read, lists, account, courses }
    }

    /// The language of the response to a request with these headers.
    fn language(&self, headers: &HeaderMap) -> Language {
        let configured = *self.language.borrow();
        configured.unwrap_or_else(|| {
            let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|accepted| accepted.to_str().ok());
            Language::accepted(accepted.unwrap_or_default())
        })
    }

    /// Reads the state of the mirror and of the process.
    async fn mirror_state(&self) -> Result<MirrorState, Arc<StoreError>> {
        let read = self.read().await?;
        let (live, now) = (self.live.borrow().clone(), unix_now());
        let mut overview = read.overview.clone();
        // The process's own state is newer than its stored state.
        overview.daemon.clone_from(&live.status);
        let alive = overview.daemon.is_some().then_some(Liveness::Running);
        let complaints = health::complaints(&overview, alive, live.closes, now);
        let obstacles = health::obstacles(&live, &overview, now);
        let (figures, front) = (read.figures.clone(), read.front.clone());
        Ok(MirrorState { live, overview, figures, front, complaints, obstacles, now })
    }

    async fn read(&self) -> SnapshotResult {
        // Locked during the read, so that concurrent requests share its result.
        let mut last = self.read.lock().await;
        if let Some((at, read)) = last.as_ref()
            && clock::since(*at) < MAX_SNAPSHOT_AGE
        {
            return read.clone();
        }
        let database = self.database.clone();
        let read = screen::run_blocking(move || {
            let connection = store::open_read_only(&database)?;
            let now = unix_now();
            let overview = report::overview(&connection, now)?;
            let figures = figures::figures(&connection, now)?;
            let front = front::read(&connection, now)?;
            Ok(Arc::new(Snapshot { overview, figures, front }))
        });
        let read = read.await.map_err(Arc::new);
        *last = Some((clock::mono(), read.clone()));
        read
    }
}

/// Serves until this future is dropped.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>) {
    let router = Router::new()
        // Each page for people: its section in page/shell.rs, its handler by `screen::answer`.
        .route("/", get(front::page))
        .route("/talks", get(lists::talks))
        .route("/talks/{id}", get(talk::talk))
        .route("/queue", get(lists::queue))
        .route("/closings", get(lists::closings))
        .route("/feeders", get(lists::feeders))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script))
        .route("/page.svg", get(page::icon))
        .route("/webhook/{secret}", post(webhook).fallback(not_found))
        // Kommo accepts no address without a slash at its end.
        .route("/webhook/{secret}/", post(webhook).fallback(not_found))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(screen::not_found)
        .with_state(Arc::clone(&site));
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut serving = tokio::task::JoinSet::new();
    let mut warned_at = None;
    loop {
        let Ok(connection) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Probably out of file descriptors. It passes as connections end.
                    if warned_at.is_none_or(|warned_at: Instant| clock::since(warned_at) >= ACCEPT_WARN_INTERVAL) {
                        warned_at = Some(clock::mono());
                        tracing::warn!("cannot accept a connection at http.listen: {error}");
                    }
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            },
            Some(_) = serving.join_next() => continue,
        };
        let Ok(local) = stream.local_addr() else { continue };
        let (router, site) = (TowerToHyperService::new(router.clone()), Arc::clone(&site));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let head = (request.version(), request.uri(), request.headers());
            let response = match site.hosts.admit(head, local.ip()) {
                Ok(()) => Ok(router.call(request)),
                Err(status) => Err(status),
            };
            async move {
                match response {
                    Ok(response) => response.await,
                    Err(status) => Ok(rejection(status)),
                }
            }
        });
        serving.spawn(async move {
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(serving);
            // Losing a slow client is safe: the vendor sends a webhook again.
            if timeout(CONNECTION_LIFETIME, serving.as_mut()).await.is_err() {
                serving.as_mut().graceful_shutdown();
                let _ = timeout(LAST_RESPONSE_TIMEOUT, serving).await;
            }
            drop(connection);
        });
    }
}

async fn not_found() -> StatusCode {
    StatusCode::NOT_FOUND
}

async fn webhook(State(site): State<Arc<Site>>, Path(secret): Path<String>, body: Body) -> StatusCode {
    let webhooks = site.webhooks.borrow().clone();
    match webhooks {
        Some(webhooks) => webhooks.receive(&secret, body).await,
        None => StatusCode::NOT_FOUND,
    }
}

/// 200 while the process makes progress.
async fn healthz(State(site): State<Arc<Site>>) -> Response {
    let stalled = site.live.borrow().stalled.clone();
    let response = match stalled {
        None => plain(StatusCode::OK, "ok\n".into()),
        Some(why) => {
            let why = format!("the daemon makes no progress: {}\n", shown(&why));
            plain(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    };
    ([(PROCESS_HEADER, std::process::id().to_string())], response).into_response()
}

/// 200 while the daemon can work, else 503 with one reason per line.
async fn readyz(State(site): State<Arc<Site>>) -> Response {
    match site.mirror_state().await {
        Ok(mirror_state) if mirror_state.obstacles.is_empty() => plain(StatusCode::OK, "ready\n".into()),
        Ok(mirror_state) => {
            let obstacles: Vec<_> = mirror_state
                .obstacles
                .iter()
                .map(|obstacle| shown(&obstacle.to_string()).into_owned())
                .collect();
            plain(StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n")
        }
        Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, unreadable(&error)),
    }
}

fn rejection(status: StatusCode) -> Response {
    let text = match status {
        StatusCode::MISDIRECTED_REQUEST => "this host is not served here: http.hosts names those that are\n",
        _ => "a request must name exactly one host\n",
    };
    plain(status, text.into())
}

fn unreadable(error: &StoreError) -> String {
    format!("the database cannot be read: {}\n", shown(&causes(error)))
}

fn plain(status: StatusCode, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}
