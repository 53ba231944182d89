//! What happened to talks.

use crate::publish::table::{Kind, OnConflict, Table, optional, required};

pub(in crate::publish) const TABLE: Table = Table {
    name: "talk_events",
    comment: "What happened to talks, from the list of events of the API. Nothing is removed.",
    columns: &[
        required("talk_id", Kind::Integer, "the talk, mirrored or not"),
        required("event_id", Kind::Text, "the id of the event in the API"),
        required(
            "type",
            Kind::Text,
            "talk_created, talk_closed, talk_missed_event, conversation_answered, or another of the API",
        ),
        required("at", Kind::Time, "when it happened"),
        optional(
            "created_by",
            Kind::Integer,
            "the user who did it; NULL: no user did it, or it is not known",
        ),
    ],
    // Views look events up by their talk.
    key: &["talk_id", "event_id"],
    select: "SELECT talk_id, event_id, talk_events.type, at, created_by
               FROM json_each(?1) AS wanted JOIN talk_events ON talk_id = wanted.value ->> 0",
    on_conflict: OnConflict::Keep,
};
