//! `why --json`: the keys are those of the tables and of `stale --json`.

use crate::clock::UnixSeconds;
use crate::policy::stale::Verdict;
use crate::report::talk::TalkReport;
use serde_json::{Value, json};

/// What is known of a talk, for programs. `runs`: a daemon works on the database.
pub(super) fn json(report: &TalkReport, runs: bool, now: UnixSeconds) -> Value {
    let TalkReport { talk_id, story, .. } = report;
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
        "names": report.names,
        "timeline": report.timeline.entries,
        "versions": story.versions,
        "queue": queue,
        "closures": story.closures,
        "gone_at": story.mirrored.as_ref().map_or(story.tombstone, |mirrored| mirrored.gone_at),
        "stale": report.verdict.as_ref().map(Verdict::is_stale),
        "why": report.verdict.as_ref().map(ToString::to_string),
        "held_back": report.held_back.map(|held| held.to_string()),
        "exemption": story.exempting,
        "next": report.next,
        "closing": report.closing,
        "running": runs,
        "now": now,
    })
}
