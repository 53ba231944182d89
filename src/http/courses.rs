//! The course of the talks, counted for the front page at most once a minute for each choice of its readers.

use super::page::Course;
use super::query::{Query, unknown_value};
use super::screen::run_blocking;
use crate::clock::{self, unix_now};
use crate::language::Message;
use crate::store::course::{self, Period, Range};
use crate::store::{self, StoreError};
use axum::http::Uri;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A course is counted again if its last count is older than this. With a million talks a count takes some tenths of
/// a second.
const MAX_COURSE_AGE: Duration = Duration::from_secs(60);
/// Courses that are kept: the ranges of all channels, and some of single channels.
const MAX_COURSES: usize = 16;

/// The last counts.
#[derive(Debug, Default)]
pub(super) struct Courses(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    channels: Option<(Instant, Arc<Vec<String>>)>,
    courses: Vec<CachedCourse>,
}

#[derive(Debug)]
struct CachedCourse {
    range: Range,
    channel: Option<String>,
    read_at: Instant,
    periods: Arc<Vec<Period>>,
}

fn is_fresh(read_at: Instant) -> bool {
    clock::since(read_at) < MAX_COURSE_AGE
}

/// What the reader asks the front page for.
#[derive(Debug)]
pub(super) struct Choice {
    pub range: Range,
    pub channel: Option<String>,
}

impl Choice {
    /// Reads the query of an address.
    ///
    /// # Errors
    /// A sentence for people.
    pub(super) fn parse(uri: &Uri) -> Result<Choice, Message> {
        let query = Query::parse(uri, &["range", "channel"])?;
        let range = match query.get("range") {
            None => Range::Month,
            Some(range) => Range::parse(range)
                .ok_or_else(|| unknown_value("range", range, &Range::ALL.map(Range::as_str)))?,
        };
        Ok(Choice { range, channel: query.get("channel").map(str::to_owned) })
    }
}

impl Courses {
    /// What was chosen, and the channels to choose from. `None` if no talk has this channel.
    pub(super) async fn course(
        &self,
        database: PathBuf,
        choice: Choice,
    ) -> Result<Option<Course>, StoreError> {
        // Locked during the count, so that concurrent requests share its result.
        let mut cache = self.0.lock().await;
        let channels = match cache.channels.take().filter(|(read_at, _)| is_fresh(*read_at)) {
            Some(channels) => channels,
            None => {
                let database = database.clone();
                let read = move || Ok(course::channels(&store::open_read_only(&database)?)?);
                (clock::mono(), Arc::new(run_blocking(read).await?))
            }
        };
        let channels = Arc::clone(&cache.channels.insert(channels).1);
        let Choice { range, channel } = choice;
        if channel.as_ref().is_some_and(|channel| !channels.contains(channel)) {
            return Ok(None);
        }
        cache.courses.retain(|course| is_fresh(course.read_at));
        let known = cache.courses.iter().find(|course| course.range == range && course.channel == channel);
        let periods = match known {
            Some(course) => Arc::clone(&course.periods),
            None => {
                let of = channel.clone();
                let periods = run_blocking(move || {
                    let connection = store::open_read_only(&database)?;
                    Ok(Arc::new(course::course(&connection, range, of.as_deref(), unix_now())?))
                })
                .await?;
                // The oldest is first.
                if cache.courses.len() == MAX_COURSES {
                    cache.courses.remove(0);
                }
                let (read_at, shared) = (clock::mono(), Arc::clone(&periods));
                cache.courses.push(CachedCourse {
                    range,
                    channel: channel.clone(),
                    read_at,
                    periods: shared,
                });
                periods
            }
        };
        Ok(Some(Course { range, channel, periods, channels }))
    }
}
