//! What happens to a talk next: when it is fetched, and what it waits for.

use super::{TalkRules, quoted};
use crate::clock::UnixSeconds;
use crate::language::{Message, MessageValue, ago, in_time};
use crate::number;
use crate::policy::lanes::Lane;
use crate::policy::refresh::{Candidate, Class};
use crate::store::queue::QueueRow;
use crate::store::story::Story;
use crate::talk::TalkId;

/// What happens to the talk next, and when. `runs` means that a process works the queue.
pub(super) fn next(
    story: &Story,
    talk_id: TalkId,
    rules: &TalkRules,
    runs: bool,
    now: UnixSeconds,
) -> Message {
    let Some(row) = &story.queued else {
        return match refresh(story, rules, now) {
            Some(refresh) if runs => refresh,
            Some(_) => Message::new("next-refresh-once-running"),
            None => Message::new("next-nothing").with("id", talk_id.to_string()),
        };
    };
    if let Some(failed_at) = row.failed_at {
        return Message::new("next-failed").with("ago", ago(failed_at, now)).with("id", talk_id.to_string());
    }
    let Some(daemon) = story.daemon.as_ref().filter(|_| runs) else {
        return match row.due_at > now {
            true => at(Message::new("next-no-daemon-yet"), row.due_at, now),
            false => Message::new("next-no-daemon"),
        };
    };
    if let Some(pause) = &daemon.pause {
        return Message::new("next-paused")
            .with("detail", quoted(&pause.detail))
            .with("in", in_time(pause.until, now));
    }
    match row.due_at > now {
        true => at(Message::new("next-fetched-at"), row.due_at, now),
        false => in_turn(story, row, rules),
    }
}

fn at(message: Message, due_at: UnixSeconds, now: UnixSeconds) -> Message {
    message.with("time", due_at).with("in", in_time(due_at, now))
}

/// When it may be refreshed, if ever.
fn refresh(story: &Story, rules: &TalkRules, now: UnixSeconds) -> Option<Message> {
    let (refresh, mirrored) = (rules.refresh.as_ref()?, story.mirrored.as_ref()?);
    let (talk, fetched_at) = (&mirrored.talk, mirrored.fetched_at);
    let class = if talk.is_in_work { Class::InWork } else { Class::Closed };
    let (talk_id, updated_at) = (talk.talk_id, talk.updated_at);
    let candidate = Candidate { talk_id, updated_at, fetched_at, checked_at: None, class };
    // Only the daemon knows what the listing has shown since.
    let (rest, message) = match rules.is_watched {
        true => (refresh.recheck.max(refresh.min_interval), Message::new("next-refresh-or-sooner")),
        false => (refresh.min_interval, Message::new("next-refresh")),
    };
    let rested = now.max((fetched_at + rest).later_by(1));
    let is_there = mirrored.gone_at.is_none() && mirrored.denied_at.is_none();
    (is_there && refresh.allows(&candidate, false, rested)).then(|| message.with("in", in_time(rested, now)))
}

/// When a due row has its turn.
fn in_turn(story: &Story, row: &QueueRow, rules: &TalkRules) -> Message {
    if story.ahead == 0 {
        return Message::new("next-first");
    }
    let pace = f64::from(rules.requests_per_second);
    let by_its_lane = story.ahead_in_lane as f64 / (pace * Lane::of(row.priority).share());
    let seconds = number::truncated((story.ahead as f64 / pace).min(by_its_lane));
    Message::new("next-in-turn").with("span", MessageValue::Duration(seconds + 1)).with("number", story.ahead)
}
