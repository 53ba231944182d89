//! The lists: talks, the queue, closings and feeders. Reads what an address asks for, and shows it as a page.

use super::Site;
use super::page::lists::{closings, feeders, queue, talks};
use super::page::{self, Content, Frame, Section};
use super::query::{Query, unknown_value};
use super::screen;
use crate::clock::UnixSeconds;
use crate::language::Message;
use crate::store::lists::closings::{ClosingQuery, OutcomeFilter};
use crate::store::lists::queue::QueueFilter;
use crate::store::lists::talks::{Search, TalkFilter, TalkQuery};
use crate::store::lists::{
    LAST_PAGE, closings as stored_closings, names, queue as stored_queue, talks as stored_talks, within,
};
use crate::store::local_time::{self, LocalDay};
use crate::store::{Connection, SqlError, counts, feeds};
use crate::talk::TalkId;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;

/// A list that takes longer is not shown.
const LONGEST: Duration = Duration::from_secs(3);
/// So many channels are offered as a filter. A search finds the others by name.
const MOST_CHANNELS: usize = 12;

/// `/talks`
pub(super) async fn talks(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let (query, number) = match talk_query(&request) {
        Ok(asked) => asked,
        Err(refusal) => return refused(&site, &request, Section::Talks, &refusal),
    };
    let read = move |connection: &Connection, now: UnixSeconds| {
        Ok(talks::TalkList {
            counts: stored_talks::counts(connection)?,
            channels: stored_talks::channels(connection, MOST_CHANNELS)?,
            has_contacts: stored_talks::has_contacts(connection)?,
            page: within(connection, LONGEST, || stored_talks::page(connection, &query, number, now))?,
            query,
        })
    };
    answer(&site, &request, Section::Talks, read, |frame, list| talks::content(frame, &list)).await
}

fn talk_query(request: &Parts) -> Result<(TalkQuery, usize), Message> {
    let query = Query::parse(&request.uri, &["q", "state", "channel", "page"])?;
    let search = query.get("q").and_then(Search::parse);
    let filter = match query.get("state") {
        None => TalkFilter::default(),
        Some(name) => TalkFilter::parse(name)
            .ok_or_else(|| unknown_value("state", name, &TalkFilter::ALL.map(TalkFilter::as_str)))?,
    };
    // Whoever has the number of a talk does not know its state.
    let has_id = search.as_ref().is_some_and(Search::has_id);
    let filter = if has_id { TalkFilter::All } else { filter };
    let channel = query.get("channel").map(str::to_owned);
    Ok((TalkQuery { filter, search, channel }, page_number(&query)?))
}

/// `/queue`
pub(super) async fn queue(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let (filter, number) = match queue_query(&request) {
        Ok(asked) => asked,
        Err(refusal) => return refused(&site, &request, Section::Queue, &refusal),
    };
    let read = move |connection: &Connection, now| {
        Ok(queue::QueueList {
            filter,
            counts: counts::queue(connection, now)?,
            page: within(connection, LONGEST, || stored_queue::page(connection, filter, number, now))?,
        })
    };
    answer(&site, &request, Section::Queue, read, |frame, list| queue::content(frame, &list)).await
}

fn queue_query(request: &Parts) -> Result<(QueueFilter, usize), Message> {
    let query = Query::parse(&request.uri, &["state", "page"])?;
    let filter = match query.get("state") {
        None => QueueFilter::Due,
        Some(name) => QueueFilter::parse(name)
            .ok_or_else(|| unknown_value("state", name, &QueueFilter::ALL.map(QueueFilter::as_str)))?,
    };
    Ok((filter, page_number(&query)?))
}

/// `/closings`
pub(super) async fn closings(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let (query, number) = match closing_query(&request) {
        Ok(asked) => asked,
        Err(refusal) => return refused(&site, &request, Section::Closings, &refusal),
    };
    let read = move |connection: &Connection, now| {
        Ok(closings::ClosingList {
            query,
            today: local_time::day(connection, now)?,
            found: within(connection, LONGEST, || stored_closings::page(connection, &query, number))?,
        })
    };
    answer(&site, &request, Section::Closings, read, |frame, list| closings::content(frame, &list)).await
}

fn closing_query(request: &Parts) -> Result<(ClosingQuery, usize), Message> {
    let query = Query::parse(&request.uri, &["outcome", "day", "talk", "page"])?;
    let outcome = match query.get("outcome") {
        None => None,
        Some(name) => Some(OutcomeFilter::parse(name).ok_or_else(|| {
            let known: Vec<&str> = OutcomeFilter::all().map(OutcomeFilter::as_str).collect();
            unknown_value("outcome", name, &known)
        })?),
    };
    let day = match query.get("day") {
        None => None,
        Some(text) => Some(
            LocalDay::parse(text)
                .ok_or_else(|| Message::new("query-no-day").with("key", "day").with("value", text))?,
        ),
    };
    let talk = match query.get("talk") {
        None => None,
        Some(text) => Some(text.parse::<TalkId>().map_err(|_| no_number("talk", text))?),
    };
    Ok((ClosingQuery { outcome, day, talk }, page_number(&query)?))
}

/// `/feeders`
pub(super) async fn feeders(State(site): State<Arc<Site>>, request: Parts) -> Response {
    if let Err(refusal) = Query::parse(&request.uri, &[]) {
        return refused(&site, &request, Section::Feeders, &refusal);
    }
    let read = |connection: &Connection, _| -> Result<_, SqlError> {
        Ok(feeders::FeederList {
            feeders: feeds::rows(connection)?,
            backfill: feeds::backfill(connection)?,
            past_events: feeds::past_events(connection)?,
            names: within(connection, LONGEST, || names::counts(connection))?,
        })
    };
    answer(&site, &request, Section::Feeders, read, |frame, list| feeders::content(frame, &list)).await
}

/// Answers with a list, after those before it.
async fn answer<T: Send + 'static>(
    site: &Site,
    request: &Parts,
    section: Section,
    read: impl FnOnce(&Connection, UnixSeconds) -> Result<T, SqlError> + Send + 'static,
    content: impl FnOnce(&Frame<'_>, T) -> Content,
) -> Response {
    let _turn = site.lists.acquire().await;
    screen::answer(site, request, section, read, content).await
}

/// The number of the page of a list.
fn page_number(query: &Query) -> Result<usize, Message> {
    let Some(text) = query.get("page") else { return Ok(1) };
    let number = text.parse().ok().filter(|number| (1..=LAST_PAGE).contains(number));
    number.ok_or_else(|| {
        Message::new("query-no-page").with("key", "page").with("value", text).with("most", LAST_PAGE)
    })
}

fn no_number(key: &str, value: &str) -> Message {
    Message::new("query-no-number").with("key", key).with("value", value)
}

fn refused(site: &Site, request: &Parts, section: Section, refusal: &Message) -> Response {
    let frame: Frame<'_> = site.frame(request, Some(section));
    page::answer(&frame, &Content::bad_request(frame.language, refusal))
}
