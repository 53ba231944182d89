//! The simulator's HTTP side.

use super::clock::{http_date, unix_now};
use super::life::manager_of;
use super::lists::Query;
use super::names::NameList;
use super::reply::{Reply, cut_off, html, json, ok, problem, reply};
use super::{ACCOUNT, Account, CloseRequest, EVENTS, Fault, LIST, Request, TOKENS, lock};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// The interval between two events of an account that is alive.
const LIFE_EVENT_INTERVAL: Duration = Duration::from_millis(150);

/// A longer path and query is refused, as nginx does by default: the whole line may have 8 KiB.
const MAX_LINE_BYTES: usize = 8100;

/// Serves until `stop`.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    account: Arc<Mutex<Account>>,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut heartbeat = tokio::time::interval(LIFE_EVENT_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                tokio::spawn(connection(stream, Arc::clone(&account)));
            }
            _ = heartbeat.tick() => {
                let mut account = lock(&account);
                if account.alive {
                    account.last_event = account.live();
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, account: Arc<Mutex<Account>>) {
    // A second handle to the socket, to reset it without hyper.
    let Ok(handle) = stream.as_fd().try_clone_to_owned() else { return };
    let service = service_fn(|request: hyper::Request<Incoming>| answer(request, &account, handle.as_fd()));
    // A client may disconnect at any time.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Receives a request, applies its fault, and responds.
async fn answer(
    request: hyper::Request<Incoming>,
    account: &Mutex<Account>,
    socket: std::os::fd::BorrowedFd<'_>,
) -> io::Result<Reply> {
    let method = request.method().clone();
    let path = request.uri().path();
    let close = path.ends_with("/close");
    let Some(endpoint) = Endpoint::at(path) else {
        return Ok(problem(404));
    };
    if request.uri().path_and_query().is_some_and(|line| line.as_str().len() > MAX_LINE_BYTES) {
        return Ok(html(414));
    }
    if method != (if close || endpoint == Endpoint::Tokens { Method::POST } else { Method::GET }) {
        return Ok(problem(405));
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (latency, verdict, logged) = {
        let mut account = lock(account);
        let token = header(header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
        let authorized =
            endpoint == Endpoint::Tokens || token == account.token || account.oauth.accepts(token);
        let verdict = account.admit(endpoint, close, authorized);
        let logged = account.keep_log.then(|| {
            account.log.push(Request {
                at: Instant::now(),
                method: method.to_string(),
                path: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
                talk_id: endpoint.talk_id(),
                status: 0,
                user_agent: header(header::USER_AGENT).to_owned(),
                accept_encoding: header(header::ACCEPT_ENCODING).to_owned(),
            });
            account.log.len() - 1
        });
        (account.latency, verdict, logged)
    };
    // Also released if the client disconnects and hyper drops this future.
    let _in_flight = InFlight { account, endpoint };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let requested = match endpoint {
        Endpoint::Talk(talk_id) if close => {
            let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
            let force_close = serde_json::from_slice::<Value>(&body)
                .ok()
                .and_then(|body| body.get("force_close")?.as_bool())
                .unwrap_or(false);
            Requested::Close(talk_id, force_close)
        }
        Endpoint::Talk(talk_id) => Requested::Show(talk_id),
        Endpoint::List => Requested::List(Query::read(header(header::HOST), request.uri())),
        Endpoint::Events => Requested::Events(Query::read(header(header::HOST), request.uri())),
        Endpoint::Names(list) => Requested::Names(list, Query::read(header(header::HOST), request.uri())),
        Endpoint::Account => Requested::Account,
        Endpoint::Tokens => {
            Requested::Tokens(request.into_body().collect().await.map_err(io::Error::other)?.to_bytes())
        }
    };
    let mut reply = match verdict {
        Some(fault) => fail(fault, requested, account, socket).await?,
        None => lock(account).act(&requested),
    };
    let clock_ahead = lock(account).clock_ahead;
    if clock_ahead != 0 {
        let date = http_date(unix_now() + clock_ahead);
        let date = HeaderValue::try_from(date).map_err(io::Error::other)?;
        reply.headers_mut().insert(header::DATE, date);
    }
    if let Some(logged) = logged {
        lock(account).log[logged].status = reply.status().as_u16();
    }
    Ok(reply)
}

struct InFlight<'a> {
    account: &'a Mutex<Account>,
    endpoint: Endpoint,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut account = lock(self.account);
        if let Some(count) = account.in_flight.get_mut(&self.endpoint) {
            *count -= 1;
            if *count == 0 {
                account.in_flight.remove(&self.endpoint);
            }
        }
    }
}

impl Account {
    /// Counts a request and chooses its fault.
    fn admit(&mut self, endpoint: Endpoint, close: bool, authorized: bool) -> Option<Fault> {
        let now = Instant::now();
        let count = self.in_flight.entry(endpoint).or_default();
        *count += 1;
        let overlaps = u64::from(*count > 1);
        self.overlaps += overlaps;
        if endpoint == Endpoint::Tokens {
            self.oauth.overlaps += overlaps;
        }
        self.most_in_flight = self.most_in_flight.max(self.in_flight.values().sum());
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if self.violations >= self.block_after {
            return Some(Fault::Html(403));
        }
        if self.recent.len() > self.limit {
            self.violations += 1;
            return Some(Fault::TooMany { header: None, body: Some(300) });
        }
        if let Some(fault) = &self.always {
            return Some(fault.clone());
        }
        let (constant, scripted) = match endpoint {
            Endpoint::Talk(talk_id) if close => (None, self.scripted_close.get_mut(&talk_id)),
            Endpoint::Talk(talk_id) => (None, self.scripted.get_mut(&talk_id)),
            Endpoint::List => (self.list_fault.clone(), Some(&mut self.scripted_list)),
            Endpoint::Events => (self.events_fault.clone(), Some(&mut self.scripted_events)),
            Endpoint::Names(list) => {
                (self.name_faults.get(&list).cloned(), self.scripted_names.get_mut(&list))
            }
            Endpoint::Account => (self.account_fault.clone(), None),
            Endpoint::Tokens => (self.oauth.fault.clone(), Some(&mut self.oauth.scripted)),
        };
        if let Some(fault) = constant.or_else(|| scripted?.pop_front()) {
            return Some(fault);
        }
        if !authorized {
            return Some(Fault::Problem(401));
        }
        let storm = self.storm.as_ref()?;
        if self.rng.f64() < storm.share {
            return self.rng.choice(storm.faults.iter().cloned());
        }
        None
    }

    fn act(&mut self, requested: &Requested) -> Reply {
        let page = match requested {
            Requested::Show(talk_id) => return self.show(*talk_id),
            Requested::Close(talk_id, force_close) => return self.close(*talk_id, *force_close),
            Requested::List(query) => self.list_page(query),
            Requested::Events(query) if self.refuses_page(query) => return problem(400),
            Requested::Events(query) => self.events_page(query),
            Requested::Names(_, query) if query.ids.iter().any(|id| self.spoilt.contains(id)) => {
                return html(200);
            }
            Requested::Names(list, query) => self.names_page(*list, query),
            Requested::Account => return ok(self.described().to_string()),
            Requested::Tokens(body) => return self.oauth.answer(body),
        };
        page.map_or_else(|| reply(204, &[], Bytes::new()), |page| ok(page.to_string()))
    }

    /// The JSON of a response. Empty if there would be none.
    fn response_json(&mut self, requested: &Requested) -> Value {
        let response_json = match requested {
            Requested::Show(talk_id) | Requested::Close(talk_id, _) => self.talks.get(talk_id).map(json),
            Requested::List(query) => self.list_page(query),
            Requested::Events(query) => self.events_page(query),
            Requested::Names(list, query) => self.names_page(*list, query),
            Requested::Account => Some(self.described()),
            Requested::Tokens(_) => None,
        };
        response_json.unwrap_or(json!({}))
    }

    /// The account as the API describes it.
    fn described(&self) -> Value {
        json!({"id": self.account_id, "name": self.name, "subdomain": "example"})
    }

    fn show(&mut self, talk_id: i64) -> Reply {
        let Some(talk) = self.talks.get(&talk_id) else { return problem(404) };
        if self.keep_log {
            self.shown.insert(talk_id, (Instant::now(), talk.clone()));
        }
        ok(json(talk).to_string())
    }

    fn close(&mut self, talk_id: i64, force_close: bool) -> Reply {
        let talk = self.talks.get(&talk_id).cloned();
        let effective = talk.as_ref().is_some_and(|talk| {
            talk.is_in_work && !talk.status.as_deref().is_some_and(|status| status.starts_with("nps_"))
        });
        let exists = talk.is_some();
        let shown = self.shown.get(&talk_id).cloned();
        self.closes.push(CloseRequest { at: Instant::now(), talk_id, force_close, talk, shown, effective });
        match (exists, effective) {
            (false, _) => problem(404),
            (true, false) => problem(422),
            (true, true) => {
                let bot = self.nps_bot && !force_close;
                let talk = self.talk(talk_id);
                talk.updated_at = unix_now();
                match bot {
                    true => talk.status = Some("nps_in_progress".into()),
                    false => {
                        talk.is_in_work = false;
                        self.emit_by(super::life::INTEGRATION, "talk_closed", talk_id);
                    }
                }
                reply(202, &[], Bytes::new())
            }
        }
    }

    /// A manager answers the client.
    fn answer_client(&mut self, talk_id: i64) {
        if let Some(talk) = self.talks.get_mut(&talk_id) {
            talk.missed_at = None;
            talk.is_read = Some(true);
            talk.updated_at = unix_now();
            self.emit_by(manager_of(talk_id), "conversation_answered", talk_id);
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    Talk(i64),
    List,
    Events,
    Names(NameList),
    Account,
    Tokens,
}

impl Endpoint {
    fn at(path: &str) -> Option<Endpoint> {
        match path {
            LIST => Some(Endpoint::List),
            EVENTS => Some(Endpoint::Events),
            ACCOUNT => Some(Endpoint::Account),
            TOKENS => Some(Endpoint::Tokens),
            _ if NameList::at(path).is_some() => NameList::at(path).map(Endpoint::Names),
            _ => {
                let talk_id = path.strip_prefix("/api/v4/talks/")?.trim_end_matches("/close");
                talk_id.parse().ok().map(Endpoint::Talk)
            }
        }
    }

    fn talk_id(self) -> i64 {
        match self {
            Endpoint::Talk(talk_id) => talk_id,
            Endpoint::List | Endpoint::Events | Endpoint::Names(_) | Endpoint::Account | Endpoint::Tokens => {
                0
            }
        }
    }
}

/// What is requested.
#[derive(Debug)]
enum Requested {
    Show(i64),
    Close(i64, bool),
    List(Query),
    Events(Query),
    Names(NameList, Query),
    Account,
    Tokens(Bytes),
}

async fn fail(
    fault: Fault,
    requested: Requested,
    account: &Mutex<Account>,
    socket: std::os::fd::BorrowedFd<'_>,
) -> io::Result<Reply> {
    let (talk_id, fault) = match requested {
        Requested::Show(talk_id) => (talk_id, fault),
        Requested::Close(talk_id, _) => {
            // A failure after the server has acted looks the same to the client.
            let lost = matches!(
                fault,
                Fault::Html(502 | 504) | Fault::CutOff | Fault::Reset | Fault::Hang(_) | Fault::Problem(500)
            );
            let mut account = lock(account);
            let scripted = account.storm.is_none();
            if lost && !scripted && account.rng.bool() {
                let _ = account.act(&requested);
            }
            (talk_id, fault)
        }
        _ if fault.needs_talk() => (0, Fault::Nothing),
        _ => (0, fault),
    };
    // The response with an error in it.
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let mut response_json = lock(account).response_json(&requested);
        spoil(&mut response_json);
        response_json.to_string()
    };
    Ok(match fault {
        Fault::Problem(status) => problem(status),
        Fault::Html(status) => html(status),
        Fault::TooMany { header, body } => {
            let mut reply = match body {
                Some(seconds) => reply(
                    429,
                    &[(CONTENT_TYPE, "application/problem+json")],
                    json!({"status": 429, "retry_after": seconds}).to_string().into(),
                ),
                None => html(429),
            };
            if let Some(seconds) = header {
                reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            reply
        }
        Fault::Redirect(address) => reply(302, &[(LOCATION, &address)], Bytes::new()),
        Fault::NoContent => reply(204, &[], Bytes::new()),
        Fault::Answer { status, headers, body } => {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), *value)).collect();
            reply(status, &headers, body.into())
        }
        Fault::Empty => ok(""),
        Fault::NotJson => html(200),
        Fault::WrongId => ok(spoilt(&|talk| talk["talk_id"] = json!(talk_id + 1))),
        Fault::OtherAccount => ok(spoilt(&|talk| talk["account_id"] = json!(1))),
        Fault::Missing(field) => ok(spoilt(&|talk| {
            talk.as_object_mut().and_then(|talk| talk.remove(field));
        })),
        Fault::Truncated => {
            let whole = Bytes::from(spoilt(&|_| {}));
            ok(whole.slice(..whole.len() / 2))
        }
        Fault::TooLarge => {
            ok(spoilt(&|response_json| response_json["_padding"] = json!("x".repeat(1024 * 1024))))
        }
        Fault::CutOff => cut_off(spoilt(&|_| {})),
        Fault::Reset => {
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Fault::Hang(time) => {
            tokio::time::sleep(time).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Fault::Slow(time) => {
            tokio::time::sleep(time).await;
            lock(account).act(&requested)
        }
        Fault::Nothing => lock(account).act(&requested),
        Fault::Answered => {
            let mut account = lock(account);
            account.answer_client(talk_id);
            account.act(&requested)
        }
        Fault::ActAndReset => {
            let _ = lock(account).act(&requested);
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Fault::ActAndHang(time) => {
            let _ = lock(account).act(&requested);
            tokio::time::sleep(time).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Fault::TakenInVain => reply(202, &[], Bytes::new()),
    })
}
