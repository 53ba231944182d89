//! Whether and when auto-close would close a talk.

use super::TalkRules;
use crate::clock::UnixSeconds;
use crate::config::next_tick;
use crate::language::{Message, in_time};
use crate::policy::closing::CloseMode;
use crate::policy::stale::{Reach, Verdict, stale};
use crate::store::closures::{Closure, HeldBack, held_back};
use crate::store::story::Story;
use crate::talk::TalkId;

/// The verdict on the mirrored state. `None` if the talk is not mirrored.
pub(super) fn verdict(story: &Story, rules: &TalkRules, now: UnixSeconds) -> Option<Verdict> {
    let mirrored = story.mirrored.as_ref()?;
    let reach = Reach { gone: mirrored.gone_at.is_some(), denied: mirrored.denied_at.is_some() };
    Some(stale(&mirrored.talk, reach, now, &rules.stale).with_exemption(story.exempting.clone()))
}

/// What of the earlier decisions keeps it from being closed.
pub(super) fn held(story: &Story, rules: &TalkRules, now: UnixSeconds) -> Option<HeldBack> {
    let missed_at = story.mirrored.as_ref().and_then(|mirrored| mirrored.talk.missed_at);
    held_back(&story.closures, rules.close_mode, missed_at, now)
}

/// Whether and when auto-close would close the talk. `runs` means that a process works the queue.
pub(super) fn closing(
    (story, talk_id): (&Story, TalkId),
    (verdict, held): (Option<&Verdict>, Option<HeldBack>),
    rules: &TalkRules,
    runs: bool,
    now: UnixSeconds,
) -> Message {
    let Some(verdict) = verdict else { return Message::new("closing-only-mirrored") };
    // A started closing continues whatever the mirror shows now.
    if let Some(held) = held.filter(|_| story.closures.iter().any(Closure::is_under_way)) {
        return held.message();
    }
    let message = match verdict.is_stale() {
        false => Message::new("closing-kept"),
        true => of_stale(story, talk_id, rules, runs, now, held.map(HeldBack::message)),
    };
    message.with("verdict", verdict.message())
}

/// What becomes of a stale talk.
fn of_stale(
    story: &Story,
    talk_id: TalkId,
    rules: &TalkRules,
    runs: bool,
    now: UnixSeconds,
    held: Option<Message>,
) -> Message {
    if rules.close_mode == CloseMode::Off {
        return Message::new("closing-off");
    }
    if story.sweeps.stopped.is_some() {
        return Message::new("closing-stopped");
    }
    if let Some(obstacle) = story.daemon.as_ref().and_then(|daemon| daemon.not_closing.as_ref()) {
        return Message::new("closing-obstacle").with("obstacle", obstacle.as_str());
    }
    if let Some(held) = held {
        return Message::new("closing-held").with("held", held);
    }
    let is_dry_run = rules.close_mode == CloseMode::DryRun;
    match next_tick(&rules.sweeps, now).filter(|_| runs) {
        Some(at) => {
            let id = if is_dry_run { "closing-recorded-at-sweep" } else { "closing-at-sweep" };
            Message::new(id).with("in", in_time(at, now))
        }
        None => {
            let id = if is_dry_run { "closing-recorded-once-running" } else { "closing-once-running" };
            Message::new(id).with("id", talk_id.to_string())
        }
    }
}
