//! `[webhook]`: receives the account's webhooks about changed talks.
//!
//! A webhook is acknowledged after its talks are in the queue, so that a crash loses none. The response comes
//! within two seconds, because the vendor disables slow receivers. If the database is busy for longer the response
//! is 503, and the vendor sends the webhook again. A webhook's content is not trusted: the talk is fetched.

use super::WARN_INTERVAL;
use crate::clock::{self, UnixSeconds, unix_now};
use crate::config::MAX_SECRET_BYTES;
use crate::store::feeds::{Fed, FeedRequest, Feeder, FeederRow, Note};
use crate::store::writer::Writer;
use crate::talk::{InvalidTalkId, TalkId};
use crate::text::shown;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::{timeout, timeout_at};

/// No webhook comes near this size.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The time from the request's head to the response. The vendor waits for two seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1500);
/// One action of a person sends several webhooks, so a talk is fetched this long after the first.
const GATHER: Duration = Duration::from_secs(2);
/// At most this many webhooks wait for the database. Further ones get 503 at once.
const MAX_WAITING: usize = 4096;
/// An error is recorded at most this often.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Webhooks {
    secret: SecretString,
    writer: Writer,
    slots: Arc<Semaphore>,
    /// When an error was last recorded, and last logged.
    recorded: Mutex<(UnixSeconds, UnixSeconds)>,
}

impl Webhooks {
    /// `before` is the stored row of this feeder.
    pub(crate) fn new(secret: SecretString, writer: Writer, before: Option<&FeederRow>) -> Webhooks {
        let slots = Arc::new(Semaphore::new(MAX_WAITING));
        let warned_at = before.and_then(|row| row.warned_at).unwrap_or(UnixSeconds::EPOCH);
        Webhooks { secret, writer, slots, recorded: Mutex::new((UnixSeconds::EPOCH, warned_at)) }
    }

    /// Receives a webhook. `secret` is the last part of the address.
    pub(crate) async fn receive(&self, secret: &str, body: Body) -> StatusCode {
        let deadline = clock::mono() + RESPONSE_TIMEOUT;
        if !same_secret(secret, self.secret.expose_secret()) {
            return StatusCode::NOT_FOUND;
        }
        let body = match timeout_at(deadline.into(), to_bytes(body, MAX_BODY_BYTES)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE,
            Err(_) => return StatusCode::REQUEST_TIMEOUT,
        };
        let WebhookBody { account_id, talk_ids } = match read(&body) {
            Ok(webhook) => webhook,
            Err(why) => {
                self.note(why);
                return StatusCode::BAD_REQUEST;
            }
        };
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return StatusCode::SERVICE_UNAVAILABLE;
        };
        let now = unix_now();
        let request = FeedRequest::Webhook { account_id, ids: talk_ids, due_at: now + GATHER, now };
        let writer = self.writer.clone();
        // The writer completes the request even if the response has become 503.
        let fed = tokio::spawn(async move {
            let fed = writer.feed(request).await;
            drop(slot);
            fed
        });
        match timeout(deadline.saturating_duration_since(clock::mono()), fed).await {
            Ok(Ok(Some(Fed::OtherAccount))) => {
                self.note(format!(
                    "received a webhook of account {}, which is not mirrored here",
                    account_id.unwrap_or(0)
                ));
                StatusCode::FORBIDDEN
            }
            Ok(Ok(Some(_))) => StatusCode::NO_CONTENT,
            Ok(Ok(None) | Err(_)) | Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Records an error now and then, and logs it once a day.
    fn note(&self, error: String) {
        let now = unix_now();
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if (recorded.0..recorded.0 + NOTE_INTERVAL).contains(&now) {
            return;
        }
        recorded.0 = now;
        let mut warned_at = None;
        if !(recorded.1..recorded.1 + WARN_INTERVAL).contains(&now) {
            recorded.1 = now;
            warned_at = Some(now);
            tracing::warn!(feeder = "webhook", "webhook: {}", shown(&error));
        }
        let writer = self.writer.clone();
        let (feeder, error) = (Feeder::Webhook, Some(error));
        let note = Note { feeder, ran: None, added: 0, error, warned_at, cursor: None, now };
        tokio::spawn(async move { writer.feed(FeedRequest::Note(note)).await });
    }
}

/// Takes the same time wherever the secrets differ, and however long the given one is.
fn same_secret(given: &str, secret: &str) -> bool {
    let padded = |text: &str| {
        let mut bytes = [0; MAX_SECRET_BYTES];
        let length = text.len().min(MAX_SECRET_BYTES);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        bytes
    };
    let same_length = (given.len() as u64).ct_eq(&(secret.len() as u64));
    (padded(given).ct_eq(&padded(secret)) & same_length).into()
}

/// The parts of a webhook that are used.
#[derive(Debug, Default, PartialEq, Eq)]
struct WebhookBody {
    account_id: Option<i64>,
    /// Each id once, in order.
    talk_ids: Vec<TalkId>,
}

/// Reads a webhook's form: `talk[add][0][talk_id]=191`, `message[add][0][talk_id]=191`, `account[id]=32720107`.
fn read(body: &[u8]) -> Result<WebhookBody, String> {
    let mut webhook = WebhookBody::default();
    let mut odd = None;
    for (key, value) in url::form_urlencoded::parse(body) {
        let value = value.trim();
        let Some((kind, rest)) = key.split_once('[') else { continue };
        let path: Vec<&str> = rest.trim_end_matches(']').split("][").collect();
        match (kind, path.as_slice()) {
            ("account", ["id"]) => {
                let id = value.parse().ok().filter(|id| *id > 0);
                webhook.account_id = Some(id.ok_or("received a webhook whose account[id] is not a number")?);
            }
            ("talk", [_, _, "talk_id"]) => {
                // One odd id must not lose the others, or the vendor would send all of them again.
                match value.parse() {
                    Ok(talk_id) => webhook.talk_ids.push(talk_id),
                    Err(InvalidTalkId) => odd = Some("received a webhook whose talk_id is not a talk id"),
                }
            }
            // A message may belong to no talk.
            ("message", [_, _, "talk_id"]) => webhook.talk_ids.extend(value.parse::<TalkId>().ok()),
            _ => {}
        }
    }
    if let Some(odd) = odd.filter(|_| webhook.talk_ids.is_empty()) {
        return Err(odd.into());
    }
    if webhook == WebhookBody::default() {
        return Err("received a call that is not a webhook of amoCRM".into());
    }
    webhook.talk_ids.sort_unstable();
    webhook.talk_ids.dedup();
    Ok(webhook)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutated::mutated;

    fn webhook(account_id: i64, talk_ids: &[i64]) -> Result<WebhookBody, String> {
        Ok(WebhookBody {
            account_id: Some(account_id),
            talk_ids: talk_ids.iter().copied().map(TalkId::new).collect(),
        })
    }

    #[test]
    fn talks_are_found_at_any_index_of_any_action_and_in_messages() {
        let body = b"talk%5Badd%5D%5B0%5D%5Btalk_id%5D=191&talk[update][7][talk_id]=12&talk[update][7][is_in_work]=0\
                     &message[add][3][talk_id]=13&message[add][4][talk_id]=&message[add][3][text]=talk[add][0][talk_id]\
                     &talk[update][8][talk_id]=12&account[id]=32720107&account[subdomain]=a";
        assert_eq!(read(body), webhook(32720107, &[12, 13, 191]));
    }

    #[test]
    fn an_odd_id_costs_none_of_the_others() {
        let body = b"talk[add][0][talk_id]=xx&talk[add][1][talk_id]=115&account[id]=1";
        assert_eq!(read(body), webhook(1, &[115]));
    }

    #[test]
    fn a_webhook_about_something_else_names_no_talk() {
        assert_eq!(read(b"leads[add][0][id]=5&account[id]=1"), webhook(1, &[]));
    }

    #[test]
    fn what_is_not_a_webhook_is_refused() {
        for body in [
            &b""[..],
            b"{\"talk\":{\"add\":[{\"talk_id\":1}]}}",
            b"hello",
            b"\xff\xfe\x00",
            b"talk[add][0][talk_id]=0&talk[add][1][talk_id]=x&account[id]=1",
            b"talk[add][0][talk_id]=-1&account[id]=1",
            b"talk[add][0][talk_id]=99999999999999999999&account[id]=1",
            b"talk[add][0][talk_id]=1&account[id]=one",
        ] {
            assert!(read(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn only_the_very_secret_opens() {
        let secret = "s".repeat(MAX_SECRET_BYTES);
        assert!(same_secret(&secret, &secret));
        assert!(same_secret("0123456789abcdef", "0123456789abcdef"));
        for given in ["", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF", "0123456789abcdef\0"] {
            assert!(!same_secret(given, "0123456789abcdef"), "{given:?}");
        }
        assert!(!same_secret(&"s".repeat(MAX_SECRET_BYTES + 1), &secret));
    }

    proptest::proptest! {
        #[test]
        fn a_spoilt_webhook_names_talks_or_is_none(body in mutated(&[
            "talk%5Badd%5D%5B0%5D%5Btalk_id%5D=191&talk%5Badd%5D%5B0%5D%5Bis_in_work%5D=1&account%5Bid%5D=17029541&account%5Bsubdomain%5D=example",
            "talk[update][7][talk_id]=12&talk[update][7][missed_at]=&message[add][3][talk_id]=13&message[add][3][text]=%D0%90&account[id]=17029541",
        ])) {
            if let Ok(webhook) = read(&body) {
                proptest::prop_assert!(webhook.talk_ids.iter().all(|id| id.get() > 0));
                proptest::prop_assert!(webhook.talk_ids.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
