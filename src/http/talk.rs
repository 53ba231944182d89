//! `/talks/ID`: reads all that is known of one talk, and shows it as a page.

use super::Site;
use super::page::{self, Content, Section};
use super::query::Query;
use super::screen;
use crate::language::Message;
use crate::report::talk::{self, Worker};
use crate::talk::TalkId;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use std::sync::Arc;

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
    let (rules, status) = (site.talk_rules.borrow().clone(), site.live.borrow().status.clone());
    let read =
        move |connection: &_, now| talk::talk(connection, talk_id, &rules, Worker::Own(status.as_ref()), now);
    screen::answer(&site, &request, Section::Talks, read, |frame, report| page::talk(frame, &report)).await
}
