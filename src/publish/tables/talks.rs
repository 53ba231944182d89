//! One row per talk, as last changed.

use crate::publish::table::{Kind, OnConflict, Table, optional, required};

pub(in crate::publish) const TABLE: Table = Table {
    name: "talks",
    comment: "One row per talk, as it last changed. A fetch that finds nothing new is not published: accounts.state \
              shows how fresh the mirror is.",
    columns: &[
        required("talk_id", Kind::Integer, "the id in the API; grows within an account"),
        required("created_at", Kind::Time, "when the talk began"),
        required("updated_at", Kind::Time, "when it last changed in the account"),
        optional("rate", Kind::Integer, "the rating by the client, from the NPS bot"),
        optional("contact_id", Kind::Integer, "the client"),
        optional("chat_id", Kind::Text, "the chat; one chat has many talks over time"),
        optional("entity_id", Kind::Integer, "what the talk is about: the id of a lead or customer"),
        optional("entity_type", Kind::Text, "lead or customer"),
        required("is_in_work", Kind::Flag, "true: open"),
        optional("is_read", Kind::Flag, "true: the last message was read"),
        optional("origin", Kind::Text, "the channel: telegram, viber, …; free text"),
        optional("missed_at", Kind::Time, "when it was missed: unanswered for the time set in the account"),
        optional("status", Kind::Text, "if sent: in_work, closed, with_error, nps_scheduled, nps_in_progress"),
        optional("source_id", Kind::Text, "if sent: the source, a number or a string in the API"),
        optional("lead_id", Kind::Integer, "_embedded.leads[0].id"),
        optional("customer_id", Kind::Integer, "_embedded.customers[0].id"),
        optional("payload", Kind::Json, "the JSON as received; NULL if publish.payload is false"),
        required("first_fetched_at", Kind::Time, "the first fetch"),
        required("fetched_at", Kind::Time, "the last fetch that found something new"),
        required("version", Kind::Integer, "the number of this state: 1, 2, 3, …"),
        required("changed_at", Kind::Time, "the first fetch that saw this state"),
        optional("closed_at", Kind::Time, "the first fetch that saw it closed"),
        optional("gone_at", Kind::Time, "the API reports that it no longer exists; the row stays"),
        optional("denied_at", Kind::Time, "the token may not read it; the row stays"),
        required("seq", Kind::Integer, "the number of its last change"),
    ],
    key: &["talk_id"],
    // The number is the batch's. A talk that has changed since has one above the position, as none on the server may be.
    select: "SELECT talk_id, created_at, updated_at, rate, contact_id, chat_id, entity_id, entity_type, is_in_work, is_read,
                    origin, missed_at, status, source_id, lead_id, customer_id, payload, first_fetched_at, fetched_at,
                    version, changed_at, closed_at, gone_at, denied_at, wanted.value ->> 2
               FROM json_each(?1) AS wanted JOIN talks ON talk_id = wanted.value ->> 0",
    on_conflict: OnConflict::Newest,
};
