//! All that is known of one talk, and what happens to it next: for `why` and the page of a talk.
//!
//! It reads the database alone. What the API would answer now decides.

mod closing;
mod next;
mod reason;
mod timeline;

pub(crate) use reason::reason;
pub(crate) use timeline::what;

use crate::amocrm;
use crate::clock::UnixSeconds;
use crate::config::Config;
use crate::language::{Message, ago, lasting};
use crate::policy::closing::CloseMode;
use crate::policy::refresh::RefreshRules;
use crate::policy::stale::{StaleRules, Verdict};
use crate::store::closures::HeldBack;
use crate::store::status::DaemonStatus;
use crate::store::story::{self, MirroredTalk, Story, TalkNames, Timeline};
use crate::store::{Connection, SqlError};
use crate::talk::TalkId;
use crate::text::brief;

/// The maximum width of quoted text in a sentence.
const MAX_QUOTE_WIDTH: usize = 200;

/// The configuration that decides what happens to a talk next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TalkRules {
    pub close_mode: CloseMode,
    pub stale: StaleRules,
    /// `auto_close.schedule`
    pub sweeps: String,
    /// `[refresh]`. `None`: off.
    pub refresh: Option<RefreshRules>,
    /// Whether the listing and the events both watch the talks.
    pub is_watched: bool,
    /// `queue.max_attempts`
    pub max_attempts: u32,
    /// `api.requests_per_second`
    pub requests_per_second: u32,
}

impl TalkRules {
    pub(crate) fn new(config: &Config) -> TalkRules {
        TalkRules {
            close_mode: config.auto_close.rules.mode,
            stale: config.auto_close.rules.stale.clone(),
            sweeps: config.auto_close.schedule.clone(),
            refresh: config.refresh.clone(),
            is_watched: config.listing.is_some() && config.events.is_some(),
            max_attempts: config.queue.retry.max_attempts,
            requests_per_second: config.api.requests_per_second,
        }
    }
}

/// Who would work the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Worker<'a> {
    /// Nobody does now.
    None,
    /// The process that wrote the stored status does.
    AsStored,
    /// This process does, with this state.
    Own(Option<&'a DaemonStatus>),
}

/// All that is known of one talk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TalkReport {
    pub talk_id: TalkId,
    pub story: Story,
    pub names: TalkNames,
    pub timeline: Timeline,
    /// Optional fields with a value of a shape that the API does not document.
    pub odd_fields: Vec<&'static str>,
    /// The parts of a sentence: `open`, `missed 3 h ago`, `not read`.
    pub state: Vec<Message>,
    /// How it waits in the queue. The parts of a sentence too.
    pub queue: Vec<Message>,
    /// What happens to it next, and when.
    pub next: Message,
    /// The verdict on the mirrored state. `None` if the talk is not mirrored.
    pub verdict: Option<Verdict>,
    /// What of the earlier decisions keeps it from being closed.
    pub held_back: Option<HeldBack>,
    /// Whether and when auto-close would close it.
    pub closing: Message,
}

/// Reads what is known of a talk at `now`. The caller's transaction makes it one moment.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn talk(
    connection: &Connection,
    talk_id: TalkId,
    rules: &TalkRules,
    worker: Worker<'_>,
    now: UnixSeconds,
) -> Result<TalkReport, SqlError> {
    let mut story = story::story(connection, talk_id, now)?;
    if let Worker::Own(status) = worker {
        // The process's own state is newer than its stored state.
        story.daemon = status.cloned();
    }
    let runs = !matches!(worker, Worker::None);
    let mirrored = story.mirrored.as_ref();
    let (verdict, held_back) = (closing::verdict(&story, rules, now), closing::held(&story, rules, now));
    let decided = (verdict.as_ref(), held_back);
    Ok(TalkReport {
        talk_id,
        names: story::names(connection, talk_id)?,
        timeline: story::timeline(connection, talk_id)?,
        odd_fields: mirrored.map_or(Vec::new(), |mirrored| amocrm::odd_fields(&mirrored.payload)),
        state: state(&story, now),
        queue: queue(&story, rules, now),
        next: next::next(&story, talk_id, rules, runs, now),
        closing: closing::closing((&story, talk_id), decided, rules, runs, now),
        verdict,
        held_back,
        story,
    })
}

impl TalkReport {
    /// What is to be said of states that are not shown: how many older ones there are, and how many were removed.
    pub(crate) fn notes_on_versions(&self) -> Vec<Message> {
        let Story { versions, earlier_versions, kept_from, .. } = &self.story;
        let (Some(first), Some(kept_from)) = (versions.first(), kept_from) else { return Vec::new() };
        let removed = first.version - 1 - earlier_versions;
        let mut notes = Vec::new();
        if removed > 0 {
            notes.push(Message::new("states-removed").with("number", removed).with("time", *kept_from));
        }
        if *earlier_versions > 0 {
            let sql =
                format!("SELECT * FROM talk_versions WHERE talk_id = {} ORDER BY version", self.talk_id);
            notes.push(Message::new("states-earlier").with("number", *earlier_versions).with("sql", sql));
        }
        notes
    }

    /// How many entries of the timeline are not shown, if any are not.
    pub(crate) fn note_on_timeline(&self) -> Option<Message> {
        let sql =
            format!("SELECT time, what FROM talk_timeline WHERE talk_id = {} ORDER BY at", self.talk_id);
        let earlier = self.timeline.earlier;
        (earlier > 0).then(|| Message::new("events-earlier").with("number", earlier).with("sql", sql))
    }
}

/// The English sentence of these parts.
pub(crate) fn sentence(parts: &[Message]) -> String {
    parts.iter().map(Message::to_string).collect::<Vec<_>>().join(", ")
}

/// A text from outside, as a part of a sentence.
fn quoted(text: &str) -> String {
    brief(text, MAX_QUOTE_WIDTH)
}

fn state(story: &Story, now: UnixSeconds) -> Vec<Message> {
    match (&story.mirrored, story.tombstone) {
        (Some(mirrored), _) => mirrored_state(mirrored, now),
        (None, Some(gone_at)) => {
            vec![Message::new("talk-does-not-exist").with("time", gone_at).with("ago", ago(gone_at, now))]
        }
        (None, None) => vec![Message::new("talk-not-mirrored")],
    }
}

fn mirrored_state(mirrored: &MirroredTalk, now: UnixSeconds) -> Vec<Message> {
    let talk = &mirrored.talk;
    let mut state = vec![Message::new(if talk.is_in_work { "talk-open" } else { "talk-closed" })];
    if let Some(closed_at) = mirrored.closed_at {
        state.push(Message::new("talk-seen-closed").with("ago", ago(closed_at, now)));
    }
    if let Some(missed_at) = talk.missed_at {
        state.push(Message::new("talk-missed").with("ago", ago(missed_at, now)));
    }
    if let Some(is_read) = talk.is_read {
        state.push(Message::new(if is_read { "talk-read" } else { "talk-not-read" }));
    }
    if let Some(status) = &talk.status {
        state.push(Message::new("talk-status").with("status", quoted(status)));
    }
    if let Some(gone_at) = mirrored.gone_at {
        state.push(Message::new("talk-gone").with("ago", ago(gone_at, now)));
    }
    if let Some(denied_at) = mirrored.denied_at {
        state.push(Message::new("talk-denied").with("ago", ago(denied_at, now)));
    }
    state
}

fn queue(story: &Story, rules: &TalkRules, now: UnixSeconds) -> Vec<Message> {
    let Some(row) = &story.queued else {
        return vec![Message::new("talk-not-queued")];
    };
    let waits = Message::new("talk-waits")
        .with("lasting", lasting(row.enqueued_at, now))
        .with("reason", quoted(&row.reason))
        .with("priority", row.priority.to_string());
    let mut queue = vec![waits];
    if row.attempts > 0 {
        let attempts = Message::new("talk-attempts-failed")
            .with("failed", row.attempts.to_string())
            .with("most", i64::from(rules.max_attempts));
        queue.push(attempts);
    }
    if let Some(error) = &row.last_error {
        queue.push(Message::new("talk-last-error").with("error", quoted(error)));
    }
    queue
}
