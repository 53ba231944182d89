//! Answers with pages. Each reads the database with its own reader.

use super::Site;
use super::page::{self, Content, Frame, Section};
use crate::clock::{UnixSeconds, unix_now};
use crate::language::Message;
use crate::report::humanize::causes;
use crate::store::{self, Connection, SqlError, StoreError, local_time};
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use std::sync::Arc;

/// Runs what reads the database in a thread that may block.
pub(super) async fn run_blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(read).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Any address without a page.
pub(super) async fn not_found(State(site): State<Arc<Site>>, request: Parts) -> Response {
    let content = Content::not_found(site.language(&request.headers), &Message::new("not-found-page"));
    page::answer(&site.frame(&request, None), &content)
}

/// Answers with a page of what `read` finds in the database at one moment. `content` gets the frame for its language,
/// the time of the read and the way to the other pages.
pub(super) async fn answer<T: Send + 'static>(
    site: &Site,
    request: &Parts,
    section: Section,
    read: impl FnOnce(&Connection, UnixSeconds) -> Result<T, SqlError> + Send + 'static,
    content: impl FnOnce(&Frame<'_>, T) -> Content,
) -> Response {
    let (database, frame) = (site.database.clone(), site.frame(request, Some(section)));
    let now = frame.now;
    let found = run_blocking(move || {
        let connection = store::open_read_only(&database)?;
        Ok(store::at_one_moment(&connection, |moment| {
            Ok((read(moment, now)?, local_time::zone_name(moment)?))
        })?)
    });
    match found.await {
        Ok((found, zone)) => {
            let frame = Frame { timezone: Some(&zone), ..frame };
            page::answer(&frame, &content(&frame, found))
        }
        Err(error) => page::answer(&frame, &page::unreadable(frame.language, &causes(&error))),
    }
}

impl Site {
    /// The frame of a response to a request.
    pub(super) fn frame(&self, request: &Parts, section: Option<Section>) -> Frame<'_> {
        let folders = request.uri.path().matches('/').count().saturating_sub(1);
        Frame {
            language: self.language(&request.headers),
            account: &self.account,
            now: unix_now(),
            timezone: None,
            section,
            root: &ROOT[..folders.min(MAX_FOLDERS) * "../".len()],
        }
    }
}

/// The way up from the deepest folder that is told from the others.
const ROOT: &str = "../../../../../../../../";
const MAX_FOLDERS: usize = ROOT.len() / "../".len();
