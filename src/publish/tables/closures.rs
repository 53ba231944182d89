//! Every decision to close a talk.

use crate::publish::table::{Kind, OnConflict, Table, optional, required};

pub(in crate::publish) const TABLE: Table = Table {
    name: "closures",
    comment: "Every decision to close a talk. Never removed.",
    columns: &[
        required("closure_id", Kind::Integer, "in the order of the decisions"),
        required("talk_id", Kind::Integer, "the talk"),
        required("mode", Kind::Text, "auto_close.mode at the decision: dry-run or live"),
        optional("missed_at", Kind::Time, "the talk's missed_at that was decided on"),
        required("talk_updated_at", Kind::Time, "the talk's updated_at as just fetched"),
        required("reason", Kind::Text, "the reason of the decision"),
        required("force_close", Kind::Flag, "true: at once, without the NPS bot"),
        required("decided_at", Kind::Time, "when it was decided; if it was retried, the first time"),
        optional("requested_at", Kind::Time, "when the last close request was about to leave"),
        optional("http_status", Kind::Integer, "the status of the response; NULL: no response"),
        required(
            "outcome",
            Kind::Text,
            "its state: would_close, requested, accepted, closed, withdrawn, refused or failed",
        ),
        optional("verified_at", Kind::Time, "the fetch that saw it closed"),
        required("attempts", Kind::Integer, "close requests that may have left"),
        optional("error", Kind::Text, "the last error"),
    ],
    key: &["closure_id"],
    select: "SELECT closure_id, talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at, requested_at,
                    http_status, outcome, verified_at, attempts, error
               FROM json_each(?1) AS wanted JOIN closures ON talk_id = wanted.value ->> 0",
    on_conflict: OnConflict::Replace,
};
