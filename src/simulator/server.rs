//! The simulator's HTTP side.

use super::{Account, CloseRequest, Fault, Request, lock};
use crate::talk::Talk;
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Between two events of an account that lives.
const HEARTBEAT: Duration = Duration::from_millis(150);

type Reply = Response<Either<Full<Bytes>, CutOff>>;

/// Serves until told to stop.
pub async fn serve(
    listener: std::net::TcpListener,
    account: Arc<Mutex<Account>>,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
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
    // A second handle to the socket, to reset it under hyper's feet.
    let Ok(handle) = stream.as_fd().try_clone_to_owned() else { return };
    let service = service_fn(|request: hyper::Request<Incoming>| answer(request, &account, handle.as_fd()));
    // A client that goes away in the middle is its own business.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Takes a request in, lets happen to it what is to happen, and answers.
async fn answer(
    request: hyper::Request<Incoming>,
    account: &Mutex<Account>,
    socket: std::os::fd::BorrowedFd<'_>,
) -> io::Result<Reply> {
    let method = request.method().clone();
    let path = request.uri().path();
    let close = path.ends_with("/close");
    let talk_id = path
        .strip_prefix("/api/v4/talks/")
        .and_then(|rest| rest.trim_end_matches("/close").parse::<i64>().ok());
    let Some(talk_id) = talk_id else {
        return Ok(problem(404));
    };
    if method != (if close { Method::POST } else { Method::GET }) {
        return Ok(problem(405));
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (latency, verdict, logged) = {
        let mut account = lock(account);
        let authorized = header(header::AUTHORIZATION).strip_prefix("Bearer ") == Some(&account.token);
        let verdict = account.admit(talk_id, close, authorized);
        let logged = account.keep_log.then(|| {
            account.log.push(Request {
                at: Instant::now(),
                method: method.to_string(),
                talk_id,
                status: 0,
                user_agent: header(header::USER_AGENT).to_owned(),
                accept_encoding: header(header::ACCEPT_ENCODING).to_owned(),
            });
            account.log.len() - 1
        });
        (account.latency, verdict, logged)
    };
    // Given back also when the client goes away and hyper drops this future.
    let _in_flight = InFlight { account, talk_id };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let asked = if close {
        let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        let force_close = serde_json::from_slice::<Value>(&body)
            .ok()
            .and_then(|body| body.get("force_close")?.as_bool())
            .unwrap_or(false);
        Asked::Close(talk_id, force_close)
    } else {
        Asked::Show(talk_id)
    };
    let mut reply = match verdict {
        Some(fault) => fail(fault, asked, account, socket).await?,
        None => lock(account).act(asked),
    };
    let clock_ahead = lock(account).clock_ahead;
    if clock_ahead != 0 {
        let at =
            jiff::Timestamp::from_second(crate::clock::unix_now() + clock_ahead).map_err(io::Error::other)?;
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
        let date = HeaderValue::try_from(date.map_err(io::Error::other)?).map_err(io::Error::other)?;
        reply.headers_mut().insert(header::DATE, date);
    }
    if let Some(logged) = logged {
        lock(account).log[logged].status = reply.status().as_u16();
    }
    Ok(reply)
}

struct InFlight<'a> {
    account: &'a Mutex<Account>,
    talk_id: i64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut account = lock(self.account);
        if let Some(count) = account.in_flight.get_mut(&self.talk_id) {
            *count -= 1;
            if *count == 0 {
                account.in_flight.remove(&self.talk_id);
            }
        }
    }
}

impl Account {
    /// Counts a request, and decides what happens to it.
    fn admit(&mut self, talk_id: i64, close: bool, authorized: bool) -> Option<Fault> {
        let now = Instant::now();
        let count = self.in_flight.entry(talk_id).or_default();
        *count += 1;
        self.overlaps += u64::from(*count > 1);
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
        let scripted = if close { &mut self.scripted_close } else { &mut self.scripted };
        if let Some(fault) = scripted.get_mut(&talk_id).and_then(|faults| faults.pop_front()) {
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

    fn act(&mut self, asked: Asked) -> Reply {
        match asked {
            Asked::Show(talk_id) => self.show(talk_id),
            Asked::Close(talk_id, force_close) => self.close(talk_id, force_close),
        }
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
                talk.updated_at = crate::clock::unix_now();
                match bot {
                    true => talk.status = Some("nps_in_progress".into()),
                    false => talk.is_in_work = false,
                }
                reply(202, &[], Bytes::new())
            }
        }
    }

    /// Somebody answers the client.
    fn answer_client(&mut self, talk_id: i64) {
        if let Some(talk) = self.talks.get_mut(&talk_id) {
            talk.missed_at = None;
            talk.is_read = true;
            talk.updated_at = crate::clock::unix_now();
        }
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Show(i64),
    Close(i64, bool),
}

async fn fail(
    fault: Fault,
    asked: Asked,
    account: &Mutex<Account>,
    socket: std::os::fd::BorrowedFd<'_>,
) -> io::Result<Reply> {
    let talk_id = match asked {
        Asked::Show(talk_id) => talk_id,
        Asked::Close(talk_id, _) => {
            // What fails after the server has acted looks the same from afar.
            let lost = matches!(
                fault,
                Fault::Html(502 | 504) | Fault::CutOff | Fault::Reset | Fault::Hang(_) | Fault::Problem(500)
            );
            let mut account = lock(account);
            let scripted = account.storm.is_none();
            if lost && !scripted && account.rng.bool() {
                let _ = account.act(asked);
            }
            talk_id
        }
    };
    // A talk with something wrong in it.
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let account = lock(account);
        let mut talk = account.talks.get(&talk_id).map_or(json!({}), json);
        spoil(&mut talk);
        talk
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
        Fault::Answer { headers, body } => {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), *value)).collect();
            reply(200, &headers, body.into())
        }
        Fault::Empty => ok(""),
        Fault::NotJson => html(200),
        Fault::WrongId => ok(spoilt(&|talk| talk["talk_id"] = json!(talk_id + 1)).to_string()),
        Fault::OtherAccount => ok(spoilt(&|talk| talk["account_id"] = json!(1)).to_string()),
        Fault::Missing(field) => {
            let remove = |talk: &mut Value| {
                talk.as_object_mut().and_then(|talk| talk.remove(field));
            };
            ok(spoilt(&remove).to_string())
        }
        Fault::Truncated => {
            let talk = spoilt(&|_| {}).to_string();
            ok(talk[..talk.len() / 2].to_owned())
        }
        Fault::TooLarge => ok(spoilt(&|talk| talk["_padding"] = json!("x".repeat(1024 * 1024))).to_string()),
        Fault::CutOff => {
            let talk = spoilt(&|_| {}).to_string();
            let announced = talk.len() as u64;
            let sent = Bytes::from(talk).slice(..announced as usize / 2);
            let mut reply = ok("");
            *reply.body_mut() = Either::Right(CutOff { sent: Some(sent), announced });
            reply
        }
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
            lock(account).act(asked)
        }
        Fault::Nothing => lock(account).act(asked),
        Fault::Answered => {
            let mut account = lock(account);
            account.answer_client(talk_id);
            account.act(asked)
        }
        Fault::ActAndReset => {
            let _ = lock(account).act(asked);
            socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Fault::ActAndHang(time) => {
            let _ = lock(account).act(asked);
            tokio::time::sleep(time).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Fault::TakenInVain => reply(202, &[], Bytes::new()),
    })
}

/// A talk as the API writes it.
fn json(talk: &Talk) -> Value {
    let linked = |kind: &str, id: Option<i64>| match id {
        Some(id) => json!([{
            "id": id,
            "_links": {"self": {"href": format!("https://example.amocrm.ru/api/v4/{kind}/{id}")}},
        }]),
        None => json!([]),
    };
    let mut value = json!({
        "talk_id": talk.talk_id,
        "created_at": talk.created_at,
        "updated_at": talk.updated_at,
        "rate": talk.rate,
        "contact_id": talk.contact_id,
        "chat_id": talk.chat_id,
        "entity_id": talk.entity_id,
        "entity_type": talk.entity_type,
        "is_in_work": talk.is_in_work,
        "is_read": talk.is_read,
        "origin": talk.origin,
        "missed_at": talk.missed_at,
        "account_id": talk.account_id,
        "_links": {"self": {"href": format!("https://example.amocrm.ru/api/v4/talks/{}", talk.talk_id)}},
        "_embedded": {
            "contacts": linked("contacts", Some(talk.contact_id)),
            "leads": linked("leads", talk.lead_id),
            "customers": linked("customers", talk.customer_id),
        },
    });
    if let Some(status) = &talk.status {
        value["status"] = json!(status);
    }
    if let Some(source_id) = &talk.source_id {
        value["source_id"] = json!(source_id);
    }
    value
}

fn ok(body: impl Into<Bytes>) -> Reply {
    reply(200, &[(CONTENT_TYPE, "application/hal+json")], body.into())
}

fn problem(status: u16) -> Reply {
    let body =
        json!({"title": "Simulated", "type": "https://httpstatus.es", "status": status, "detail": "…"});
    reply(status, &[(CONTENT_TYPE, "application/problem+json")], body.to_string().into())
}

fn html(status: u16) -> Reply {
    let page =
        format!("<html><head><title>{status}</title></head><body><center>nginx</center></body></html>");
    reply(status, &[(CONTENT_TYPE, "text/html; charset=UTF-8")], page.into())
}

fn reply(status: u16, headers: &[(HeaderName, &str)], body: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = StatusCode::from_u16(status).expect("a valid status");
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).expect("a valid header");
        reply.headers_mut().insert(name, value);
    }
    reply.headers_mut().insert("x-request-id", HeaderValue::from_static("simulated"));
    reply
}

/// A body that announces more than it sends.
struct CutOff {
    sent: Option<Bytes>,
    announced: u64,
}

impl Body for CutOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(match self.sent.take() {
            Some(sent) => Ok(Frame::data(sent)),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
