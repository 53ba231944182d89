//! Reports how publishing goes: in the mirror, in the journal and in the metrics.

use super::claim::Claim;
use super::error::{Class, PublishError};
use super::hold::usable;
use super::rules::PublishRules;
use super::tables;
use super::turn::Turn;
use crate::clock::{self, UnixSeconds};
use crate::store;
use crate::store::changes::state::{PublishState, PublishTrouble, SetAside};
use crate::store::changes::{self, Change};
use crate::store::writer::Writer;
use crate::telemetry;
use crate::text::shown;
use std::time::{Duration, Instant};

/// How often the state in the mirror is updated while nothing goes wrong.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);
/// How often an error that lasts is logged again.
const LOG_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How many of the talks that the server refuses are named.
const MAX_SET_ASIDE: usize = 100;

/// Keeps the state, and reports it.
pub(super) struct Reporter {
    writer: Writer,
    state: PublishState,
    standby_after: Option<Duration>,
    /// How long the account stays held after a sign of life.
    hold: Duration,
    /// When the state was last stored in the mirror, …
    noted_at: Option<Instant>,
    /// … when a trouble was last logged, …
    logged_at: Option<Instant>,
    /// … and when values that the server does not take.
    converted_logged_at: Option<Instant>,
}

impl Reporter {
    pub(super) fn new(rules: &PublishRules, writer: Writer) -> Reporter {
        Reporter {
            writer,
            state: PublishState { server: rules.server.address.to_string(), ..PublishState::default() },
            standby_after: rules.standby_after,
            hold: rules.hold(),
            noted_at: None,
            logged_at: None,
            converted_logged_at: None,
        }
    }

    /// The server, as it is shown.
    pub(super) fn server(&self) -> &str {
        &self.state.server
    }

    /// Whether the last session failed.
    pub(super) fn is_troubled(&self) -> bool {
        self.state.trouble.is_some()
    }

    /// Takes over from the last process what the server has, since when changes wait, and which talks are left out.
    pub(super) fn recall(&mut self, mirror: &store::Connection) -> Result<(), PublishError> {
        if self.noted_at.is_some() {
            return Ok(());
        }
        if let Some(last) = changes::state::read(mirror)?.filter(|last| last.server == self.state.server) {
            self.state = PublishState { acts_until: None, trouble: None, ..last };
        }
        Ok(())
    }

    /// A turn went through.
    pub(super) fn note(
        &mut self,
        mirror: &store::Connection,
        claim: &Claim,
        (done, began): (&Turn, UnixSeconds),
    ) -> Result<(), PublishError> {
        let now = clock::now();
        for (table, rows) in tables::BY_TALK.iter().zip(done.rows) {
            telemetry::published(table.name, rows);
        }
        self.log_converted(done.converted);
        let at = now.secs();
        self.state.position = claim.position;
        self.state.confirmed_at = Some(at);
        self.state.acts_until = self.standby_after.map(|after| began + usable(after));
        if !done.more {
            self.state.caught_up_at = Some(at);
        }
        let has_dropped = changes::state::drop_published(mirror, &mut self.state)?;
        let recovered = self.state.trouble.take();
        if let Some(trouble) = &recovered
            && self.logged_at.take().is_some()
        {
            let lasted = clock::duration(at.seconds_since(trouble.since));
            tracing::info!("publishing to {} works again, after {lasted}", shown(&self.state.server));
        }
        let is_due =
            self.noted_at.is_none_or(|noted_at| now.mono >= noted_at + NOTE_INTERVAL.min(self.hold / 5));
        // Else a mirror in which nothing changes for long would show the backlog of its last change.
        let may_be_caught_up = !done.more && self.state.backlog > 0;
        let must_store = recovered.is_some() || has_dropped || is_due;
        if must_store || may_be_caught_up {
            // Counted only now: it reads all that waits, which after each batch of a full load would be quadratic.
            self.state.backlog = changes::backlog(mirror, claim.position)?;
            if must_store || self.state.backlog == 0 {
                self.store(now.mono);
            }
        }
        Ok(())
    }

    /// The server refuses a talk, and has the position after it.
    pub(super) fn leave_out(&mut self, change: Change, error: String) {
        let now = clock::now();
        let Change { talk_id, seq } = change;
        tracing::error!(
            %talk_id,
            "the server refuses talk {talk_id}, and it is left out until its next change: {}",
            shown(&error)
        );
        let set_aside = &mut self.state.set_aside;
        set_aside.retain(|set_aside| set_aside.talk_id != talk_id);
        set_aside.push(SetAside { talk_id, seq, at: now.secs(), error });
        let surplus = set_aside.len().saturating_sub(MAX_SET_ASIDE);
        set_aside.drain(..surplus);
        self.store(now.mono);
    }

    /// Forgets the talks that were left out after a position: the server has lost what came after it, and gets it again.
    pub(super) fn forget_left_out_after(&mut self, position: i64) {
        let count = self.state.set_aside.len();
        self.state.set_aside.retain(|set_aside| set_aside.seq <= position);
        if self.state.set_aside.len() < count {
            self.store(clock::mono());
        }
    }

    /// A session failed.
    pub(super) fn fail(&mut self, error: &PublishError) {
        let now = clock::now();
        let at = now.secs();
        let refused = error.class() == Class::Refused;
        let text = error.to_string();
        let since = self.state.trouble.as_ref().map_or(at, |trouble| trouble.since);
        let is_first = self.state.trouble.is_none();
        // The error that names the holder contains its last sign of life, which changes.
        let is_new = self.state.trouble.as_ref().is_none_or(|trouble| !is_same(&trouble.error, &text));
        let stands_by = matches!(error, PublishError::Held(_)) && self.standby_after.is_some();
        self.state.trouble = Some(PublishTrouble { since, at, error: text, refused, stands_by });
        let is_due = self.logged_at.is_none_or(|logged_at| now.mono >= logged_at + LOG_INTERVAL);
        if is_first && !refused {
            // A session that a pooler or an administrator ends is opened again at once. Only a lasting error is news.
            tracing::debug!(
                "connecting to {} anew: {}",
                shown(&self.state.server),
                shown(&error.to_string())
            );
        } else if is_due || is_new && refused {
            self.logged_at = Some(now.mono);
            let error = error.to_string();
            let (server, error) = (shown(&self.state.server), shown(&error));
            if stands_by {
                tracing::info!("standing by for {server}: {error}");
            } else if refused {
                tracing::error!("nothing is published to {server}: {error}");
            } else {
                tracing::warn!("nothing is published to {server} for now, and nothing is lost: {error}");
            }
        }
        self.store(now.mono);
    }

    fn store(&mut self, now: Instant) {
        self.noted_at = Some(now);
        self.writer.publishing(Some(self.state.clone()));
    }

    fn log_converted(&mut self, converted: usize) {
        let now = clock::mono();
        if converted == 0 || self.converted_logged_at.is_some_and(|logged_at| now < logged_at + LOG_INTERVAL)
        {
            return;
        }
        self.converted_logged_at = Some(now);
        tracing::warn!(
            converted,
            "the server does not take U+0000 in texts, nor times beyond its years: they are published as U+FFFD and \
             infinity"
        );
    }
}

/// Whether two errors are the same but for their digits, such as those of a time.
fn is_same(one: &str, other: &str) -> bool {
    let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
    words(one) == words(other)
}
