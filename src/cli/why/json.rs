//! `why --json`: the keys are those of the tables and of `stale --json`.

use super::{auto_close, next, verdict};
use crate::clock::UnixSeconds;
use crate::config::Config;
use crate::store::closures::held_back;
use crate::store::story::Story;
use crate::talk::TalkId;
use serde_json::{Value, json};

/// The story for programs. `runs`: a daemon works on the database.
pub(super) fn json(story: &Story, talk_id: TalkId, config: &Config, runs: bool, now: UnixSeconds) -> Value {
    let verdict = verdict(story, config, now);
    let missed_at = story.mirrored.as_ref().and_then(|mirrored| mirrored.talk.missed_at);
    let mut talk = json!(story.mirrored);
    if let Some(mirrored) = &story.mirrored {
        // As received. What is no JSON stays a text.
        talk["payload"] = serde_json::from_str(&mirrored.payload).unwrap_or_else(|_| json!(mirrored.payload));
    }
    let mut queue = json!(story.queued);
    if story.queued.is_some() {
        queue["ahead"] = json!(story.ahead);
    }
    json!({
        "talk_id": talk_id,
        "talk": talk,
        "versions": story.versions,
        "queue": queue,
        "closures": story.closures,
        "gone_at": story.mirrored.as_ref().map_or(story.tombstone, |mirrored| mirrored.gone_at),
        "stale": verdict.as_ref().map(|verdict| verdict.is_stale()),
        "why": verdict.as_ref().map(ToString::to_string),
        "held_back": held_back(&story.closures, config.auto_close.rules.mode, missed_at, now),
        "exemption": story.exempting,
        "next": next(story, talk_id, config, runs, now),
        "closing": auto_close(story, talk_id, config, runs, now),
        "running": runs,
        "now": now,
    })
}
