//! Decides whether a talk is stale, so that it may be closed. One pure function, with a reason either way.

use super::exemption::Exempting;
use super::hours::ReportRules;
use super::origin::{origin_key, same_origin};
use crate::clock::UnixSeconds;
use crate::language::Message;
use crate::language::MessageValue::Duration as Seconds;
use crate::talk::Talk;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What makes a talk stale (`[auto_close]` in the configuration).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleRules {
    /// Missed for longer than this …
    pub stale_after: Duration,
    /// … and unchanged for longer than this.
    pub quiet_for: Duration,
    /// Only talks of these origins, if any are named; see [`same_origin`].
    pub only_origins: Vec<String>,
    /// No talk of these origins; see [`same_origin`].
    pub except_origins: Vec<String>,
    /// Only the working time of these counts for `stale_after`. `None`: all time does.
    pub work_time: Option<Arc<ReportRules>>,
}

/// What the API reported about a talk besides its state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// The talk does not exist.
    pub gone: bool,
    /// This token may not read the talk.
    pub denied: bool,
}

/// Whether a talk is stale, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Missed and unchanged for so long.
    Stale {
        /// For how long it has been missed.
        missed_for: MissedFor,
        /// In seconds.
        quiet_for: i64,
    },
    /// Not stale.
    Kept(KeptReason),
}

/// Why a talk is not stale; the first reason that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptReason {
    /// The API has no such talk.
    Gone,
    /// This token may not read it.
    Denied,
    /// It is closed already.
    Closed,
    /// It is open, but its status says otherwise.
    Status(String),
    /// No message of the client waits for longer than the account allows.
    NotMissed,
    /// It was missed, but not for long enough.
    MissedLately {
        /// For how long it has been missed.
        missed_for: MissedFor,
        /// How many seconds make it stale.
        stale_after: i64,
    },
    /// It changed not long enough ago.
    ChangedLately {
        /// How many seconds ago.
        quiet_for: i64,
        /// How many seconds make it stale.
        wanted: i64,
    },
    /// Its origin is excluded, or not among those named.
    Origin(Option<String>),
    /// A person exempted it. Only the store finds that out: see [`Verdict::with_exemption`].
    Exempt(Box<Exempting>),
}

/// For how long a talk has been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedFor {
    /// In seconds; negative if it was missed in the future.
    pub seconds: i64,
    /// The working time in it, if that is what counts.
    pub work_seconds: Option<i64>,
}

impl MissedFor {
    /// The seconds that count for [`StaleRules::stale_after`].
    fn counted(self) -> i64 {
        self.work_seconds.unwrap_or(self.seconds)
    }

    /// `3 d ago`, or `3 d ago (9 h of work)`
    fn message(self) -> Message {
        let ago = Message::new("time-ago").with("span", Seconds(self.seconds));
        match self.work_seconds {
            Some(work) => Message::new("ago-of-work").with("ago", ago).with("work", Seconds(work)),
            None => ago,
        }
    }
}

/// Statuses of an open talk that is not already being closed.
const OPEN_STATUSES: [&str; 3] = ["", "in_work", "with_error"];

/// Decides about a talk at `now`.
pub fn stale(talk: &Talk, reach: Reach, now: UnixSeconds, rules: &StaleRules) -> Verdict {
    let kept = |why| Verdict::Kept(why);
    if reach.gone {
        return kept(KeptReason::Gone);
    }
    if reach.denied {
        return kept(KeptReason::Denied);
    }
    if !talk.is_in_work {
        return kept(KeptReason::Closed);
    }
    if let Some(status) = talk.status.as_deref().filter(|status| !OPEN_STATUSES.contains(status)) {
        return kept(KeptReason::Status(status.to_owned()));
    }
    let Some(missed_at) = talk.missed_at else {
        return kept(KeptReason::NotMissed);
    };
    let origin = talk.origin.as_deref().map(origin_key);
    let origin_is_in = |list: &[String]| list.iter().any(|named| origin.as_ref() == Some(&origin_key(named)));
    let named = rules.only_origins.is_empty() || origin_is_in(&rules.only_origins);
    if !named || origin_is_in(&rules.except_origins) {
        return kept(KeptReason::Origin(talk.origin.clone()));
    }
    // "Longer than" excludes equality. A time in the future has no age.
    let missed_for = rules.missed_for(missed_at, now);
    let stale_after = rules.stale_after_seconds();
    if missed_for.counted() <= stale_after {
        return kept(KeptReason::MissedLately { missed_for, stale_after });
    }
    let quiet_for = now.seconds_since(talk.updated_at);
    let wanted = rules.quiet_for_seconds();
    if quiet_for <= wanted {
        return kept(KeptReason::ChangedLately { quiet_for, wanted });
    }
    Verdict::Stale { missed_for, quiet_for }
}

/// Whole seconds, rounded up so that it is never too early.
fn seconds(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}

impl Verdict {
    /// Whether it may be closed.
    pub fn is_stale(&self) -> bool {
        matches!(self, Verdict::Stale { .. })
    }

    /// The verdict for people.
    pub(crate) fn message(&self) -> Message {
        match self {
            Verdict::Stale { missed_for, quiet_for } => Message::new("verdict-stale")
                .with("missed", missed_for.message())
                .with("quiet", Seconds(*quiet_for)),
            Verdict::Kept(kept) => kept.message(),
        }
    }

    /// The row that exempts the talk, if that is what keeps it.
    pub fn exempting(&self) -> Option<&Exempting> {
        match self {
            Verdict::Kept(KeptReason::Exempt(exempting)) => Some(exempting),
            _ => None,
        }
    }

    /// The verdict that remains if this row exempts the talk.
    pub fn with_exemption(self, exempting: Option<Exempting>) -> Verdict {
        match exempting {
            Some(exempting) if self.is_stale() => Verdict::Kept(KeptReason::Exempt(Box::new(exempting))),
            _ => self,
        }
    }
}

impl KeptReason {
    fn message(&self) -> Message {
        match self {
            KeptReason::Gone => Message::new("kept-gone"),
            KeptReason::Denied => Message::new("kept-denied"),
            KeptReason::Closed => Message::new("kept-closed"),
            KeptReason::Status(status) => Message::new("kept-status").with("status", status.as_str()),
            KeptReason::NotMissed => Message::new("kept-not-missed"),
            KeptReason::MissedLately { missed_for, .. } if missed_for.seconds < 0 => {
                Message::new("kept-missed-in-the-future")
            }
            KeptReason::MissedLately { missed_for, stale_after } => Message::new("kept-missed-lately")
                .with("missed", missed_for.message())
                .with("wanted", Seconds(*stale_after)),
            KeptReason::ChangedLately { quiet_for, .. } if *quiet_for < 0 => {
                Message::new("kept-changed-in-the-future")
            }
            KeptReason::ChangedLately { quiet_for, wanted } => Message::new("kept-changed-lately")
                .with("quiet", Seconds(*quiet_for))
                .with("wanted", Seconds(*wanted)),
            KeptReason::Origin(None) => Message::new("kept-without-origin"),
            KeptReason::Origin(Some(origin)) => Message::new("kept-origin").with("origin", origin.as_str()),
            KeptReason::Exempt(exempting) => exempting.message(),
        }
    }
}

impl StaleRules {
    /// How long a talk is missed before it is stale, in whole seconds.
    pub fn stale_after_seconds(&self) -> i64 {
        seconds(self.stale_after)
    }

    fn missed_for(&self, missed_at: UnixSeconds, now: UnixSeconds) -> MissedFor {
        // Without hours of work, no working time passes.
        let work = self.work_time.as_ref().map(|report| report.work_seconds(missed_at, now).unwrap_or(0));
        MissedFor { seconds: now.seconds_since(missed_at), work_seconds: work }
    }

    /// A talk that was missed before this is missed for long enough at `now`.
    pub fn missed_before(&self, now: UnixSeconds) -> UnixSeconds {
        let stale_after = self.stale_after_seconds();
        match &self.work_time {
            None => now.later_by(-stale_after),
            Some(report) => {
                let length = Duration::from_secs(crate::number::positive(stale_after));
                report.before_work_time(now, length).unwrap_or(UnixSeconds::MIN)
            }
        }
    }

    /// Which talks these rules make stale, for people; follows "talks".
    pub(crate) fn message(&self) -> Message {
        let rules = match self.work_time {
            None => Message::new("stale-rules"),
            Some(_) => Message::new("stale-rules-work"),
        };
        let mut rules = rules
            .with("missed", written(self.stale_after_seconds()))
            .with("unchanged", written(self.quiet_for_seconds()));
        if !self.only_origins.is_empty() {
            let channels = self.only_origins.join(", ");
            rules = Message::new("stale-rules-only").with("rules", rules).with("channels", channels);
        }
        if !self.except_origins.is_empty() {
            let channels = self.except_origins.join(", ");
            rules = Message::new("stale-rules-except").with("rules", rules).with("channels", channels);
        }
        rules
    }

    /// How long a talk is unchanged before it is stale, in whole seconds.
    pub fn quiet_for_seconds(&self) -> i64 {
        seconds(self.quiet_for)
    }

    /// Whether these rules may make talks stale that `before` did not.
    pub fn wider_than(&self, before: &StaleRules) -> bool {
        let has = |list: &[String], origin: &String| list.iter().any(|o| same_origin(o, origin));
        let more_named = match (self.only_origins.is_empty(), before.only_origins.is_empty()) {
            (true, was_open) => !was_open,
            (false, true) => false,
            (false, false) => self.only_origins.iter().any(|origin| !has(&before.only_origins, origin)),
        };
        let fewer_excepted = before.except_origins.iter().any(|origin| !has(&self.except_origins, origin));
        // Other hours may count more of the same time.
        let more_time = before.work_time.is_some() && self.work_time != before.work_time;
        self.stale_after < before.stale_after
            || more_time
            || self.quiet_for < before.quiet_for
            || more_named
            || fewer_excepted
    }
}

/// In English.
impl fmt::Display for StaleRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

/// The English text, which the table `closures` keeps.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

/// In English.
impl fmt::Display for KeptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

/// A duration as written in the configuration: `24h`, `15m`, `90s`.
fn written(seconds: i64) -> Message {
    let (message, number) = match seconds {
        172_800.. if seconds % 86_400 == 0 => (Message::new("exactly-days"), seconds / 86_400),
        1.. if seconds % 3600 == 0 => (Message::new("exactly-hours"), seconds / 3600),
        1.. if seconds % 60 == 0 => (Message::new("exactly-minutes"), seconds / 60),
        _ => (Message::new("exactly-seconds"), seconds),
    };
    message.with("number", number.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
