//! `/talks/ID`: reads all that is known of one talk, and shows it as a page.

use super::Site;
use super::page::{self, Content, Section};
use super::query::Query;
use super::screen;
use crate::language::Message;
use crate::report::talk::{self, Worker};
use crate::store::Connection;
use crate::store::lists::within;
use crate::talk::TalkId;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;

/// A story that takes longer to read is not shown.
const LONGEST: Duration = Duration::from_secs(3);

/// `/talks/ID`
pub(super) async fn talk(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let frame = site.frame(&request, Some(Section::Talks));
    if let Err(refusal) = Query::parse(&request.uri, &[]) {
        return page::answer(&frame, &Content::bad_request(frame.language, &refusal));
    }
    let (_, asked) = request.uri.path().rsplit_once('/').unwrap_or_default();
    let Ok(talk_id) = asked.parse::<TalkId>() else {
        let what = Message::new("talk-id-expected").with("found", asked);
        return page::answer(&frame, &Content::not_found(frame.language, &what));
    };
    let _turn = site.lists.acquire().await;
    let (rules, status) = (site.talk_rules.borrow().clone(), site.live.borrow().status.clone());
    let read = move |connection: &Connection, now| {
        let worker = Worker::Own(status.as_ref());
        within(connection, LONGEST, || talk::talk(connection, talk_id, &rules, worker, now))
    };
    screen::answer(&site, &request, Section::Talks, read, |frame, report| match report {
        Some(report) => page::talk(frame, &report),
        None => page::talk_too_long(frame, talk_id),
    })
    .await
}
