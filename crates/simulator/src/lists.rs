//! The paged lists: the listing of talks, and the events.

use super::clock::unix_now;
use super::reply::json;
use super::{Account, EVENTS};
use hyper::Uri;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::fmt;
use url::form_urlencoded;

/// Rows per page if the request does not specify it.
const DEFAULT_LIMIT: usize = 50;
/// The maximum number of talks, users, leads and contacts per page. A higher limit counts as this.
const MAX_ROWS_PER_PAGE: usize = 250;
/// The maximum number of events per page.
const MAX_EVENTS_PER_PAGE: usize = 100;

/// An event of a talk, as the events endpoint returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkEvent {
    /// Unique per event. A ULID in the real API.
    pub id: String,
    /// `talk_created`, `talk_closed`, `talk_missed_event` or `conversation_answered`.
    pub kind: String,
    /// The talk's id in the API.
    pub talk_id: i64,
    /// When it was created, in Unix seconds.
    pub created_at: i64,
    /// The user who did it; 0: no user did.
    pub created_by: i64,
}

/// Called with the account and the page number, after that page of the listing was made (also the empty last one)
/// and before it is sent.
pub struct PageHook(pub Box<Hook>);

type Hook = dyn FnMut(&mut Account, u64) + Send;

impl fmt::Debug for PageHook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PageHook")
    }
}

/// The parameters of a request for a page.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) page: u64,
    limit: usize,
    only_in_work: bool,
    /// The wanted types of events. `None` means all.
    kinds: Option<Vec<String>>,
    from: Option<i64>,
    to: Option<i64>,
    /// The wanted ids. Empty means all.
    pub(super) ids: Vec<i64>,
    /// The requested address, for the links to other pages.
    address: String,
    /// All parameters except the page.
    others: Vec<(String, String)>,
}

impl Query {
    /// Reads the parameters tolerantly: invalid ones count as missing.
    pub(super) fn read(host: &str, uri: &Uri) -> Query {
        let most = if uri.path() == EVENTS { MAX_EVENTS_PER_PAGE } else { MAX_ROWS_PER_PAGE };
        let mut query = Query {
            page: 1,
            limit: DEFAULT_LIMIT,
            only_in_work: false,
            kinds: None,
            from: None,
            to: None,
            ids: Vec::new(),
            address: format!("http://{host}{}", uri.path()),
            others: Vec::new(),
        };
        for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned() {
            match key.as_str() {
                "page" => {
                    query.page = value.parse().map_or(1, |page: u64| page.max(1));
                    continue;
                }
                "limit" => {
                    query.limit = value.parse().map_or(DEFAULT_LIMIT, |limit: usize| limit.clamp(1, most));
                }
                key if key.starts_with("filter[id]") => query.ids.extend(value.parse::<i64>()),
                "filter[only_in_work]" => query.only_in_work = value == "1",
                "filter[type]" => query.kinds = Some(value.split(',').map(str::to_owned).collect()),
                "filter[created_at][from]" => query.from = value.parse().ok(),
                "filter[created_at][to]" => query.to = value.parse().ok(),
                _ => {}
            }
            query.others.push((key, value));
        }
        query
    }

    /// The rows of a page, and whether there are more.
    pub(super) fn cut<T>(&self, page: u64, rows: impl Iterator<Item = T>) -> (Vec<T>, bool) {
        let before = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(self.limit);
        let mut rows: Vec<T> = rows.skip(before).take(self.limit + 1).collect();
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        (rows, more)
    }

    /// A page as the API writes it. `None` if it would be empty.
    #[expect(clippy::needless_pass_by_value, reason = "json! takes the rows")]
    pub(super) fn render(&self, page: u64, name: &str, rows: Vec<Value>, more: bool) -> Option<Value> {
        if rows.is_empty() {
            return None;
        }
        let mut links = json!({"self": {"href": self.href(page)}});
        if more {
            links["next"] = json!({"href": self.href(page + 1)});
        }
        Some(json!({"_page": page, "_links": links, "_embedded": {name: rows}}))
    }

    fn href(&self, page: u64) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("page", &page.to_string()).extend_pairs(&self.others);
        format!("{}?{}", self.address, pairs.finish())
    }
}

impl Account {
    /// Adds an event of this type that happens now, and that no user did.
    pub fn emit(&mut self, kind: &str, talk_id: i64) {
        self.emit_by(0, kind, talk_id);
    }

    /// Adds an event of this type that this user did now.
    pub fn emit_by(&mut self, created_by: i64, kind: &str, talk_id: i64) {
        self.emit_at(unix_now(), created_by, kind, talk_id);
    }

    /// Adds an event of this type that this user did then.
    pub(super) fn emit_at(&mut self, created_at: i64, created_by: i64, kind: &str, talk_id: i64) {
        self.emitted += 1;
        let id = ulid(created_at, self.emitted);
        self.events.push(TalkEvent { id, kind: kind.to_owned(), talk_id, created_at, created_by });
    }

    /// A page of talks, newest first.
    pub(super) fn list_page(&mut self, query: &Query) -> Option<Value> {
        let page = if self.ignores_page { 1 } else { query.page };
        let only_in_work = query.only_in_work && !self.ignores_filter;
        let talks = self.talks.values().rev().filter(|talk| talk.is_in_work || !only_in_work);
        let (talks, more) = query.cut(page, talks);
        let rows = talks.into_iter().map(|talk| {
            let mut row = json(talk);
            row.as_object_mut().and_then(|row| row.remove("missed_at"));
            row
        });
        let rendered = query.render(page, "talks", rows.collect(), more || self.ignores_page);
        // Taken out during the call, because it gets the whole account and may set another hook.
        if let Some(mut hook) = self.after_page.take() {
            (hook.0)(self, query.page);
            self.after_page.get_or_insert(hook);
        }
        rendered
    }

    /// Whether a page of events is later than the account serves.
    pub(super) fn refuses_page(&self, query: &Query) -> bool {
        self.last_events_page.is_some_and(|last| query.page > last)
    }

    /// A page of events, newest first.
    pub(super) fn events_page(&self, query: &Query) -> Option<Value> {
        let wanted = |event: &&TalkEvent| {
            query.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
                && query.from.is_none_or(|from| self.ignores_filter || event.created_at >= from)
                && query.to.is_none_or(|to| self.ignores_filter || event.created_at <= to)
        };
        // Within a second the last comes first: the sort is stable.
        let mut events: Vec<&TalkEvent> = self.events.iter().rev().filter(wanted).collect();
        events.sort_by_key(|event| Reverse(event.created_at));
        let (events, more) = query.cut(query.page, events.into_iter());
        let rows = events.into_iter().map(|event| {
            json!({
                "id": event.id,
                "type": event.kind,
                "entity_type": "talk",
                "entity_id": event.talk_id,
                "created_by": event.created_by,
                "created_at": event.created_at,
            })
        });
        query.render(query.page, "events", rows.collect(), more)
    }
}

/// An id like those of real events: the time and a unique part. Not random, so that the account stays reproducible.
fn ulid(at: i64, nth: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let value = (u128::from(at.unsigned_abs() * 1000) << 80) | u128::from(nth);
    (0..26).rev().map(|digit| char::from(DIGITS[((value >> (digit * 5)) & 31) as usize])).collect()
}
