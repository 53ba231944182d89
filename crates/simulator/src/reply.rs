//! Builds responses.

use super::talk::Talk;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(super) type Reply = Response<Either<Full<Bytes>, CutOff>>;

/// A talk as the API writes it.
pub(super) fn json(talk: &Talk) -> Value {
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
            "contacts": linked("contacts", talk.contact_id),
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

pub(super) fn ok(body: impl Into<Bytes>) -> Reply {
    reply(200, &[(CONTENT_TYPE, "application/hal+json")], body.into())
}

pub(super) fn problem(status: u16) -> Reply {
    let body =
        json!({"title": "Simulated", "type": "https://httpstatus.es", "status": status, "detail": "…"});
    reply(status, &[(CONTENT_TYPE, "application/problem+json")], body.to_string().into())
}

pub(super) fn html(status: u16) -> Reply {
    let page =
        format!("<html><head><title>{status}</title></head><body><center>nginx</center></body></html>");
    reply(status, &[(CONTENT_TYPE, "text/html; charset=UTF-8")], page.into())
}

pub(super) fn reply(status: u16, headers: &[(HeaderName, &str)], body: Bytes) -> Reply {
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
pub(crate) struct CutOff {
    sent: Option<Bytes>,
    /// Whether hyper was told to wait. It then sends what it has; an error would drop that at once.
    waited: bool,
    announced: u64,
}

/// 200 with a body that ends in the middle, although its full length was announced.
pub(super) fn cut_off(whole: impl Into<Bytes>) -> Reply {
    let whole = whole.into();
    let announced = whole.len() as u64;
    let sent = Some(whole.slice(..whole.len() / 2));
    let mut reply = ok("");
    *reply.body_mut() = Either::Right(CutOff { sent, waited: false, announced });
    reply
}

impl Body for CutOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(sent) = self.sent.take() {
            return Poll::Ready(Some(Ok(Frame::data(sent))));
        }
        if !self.waited {
            self.waited = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
