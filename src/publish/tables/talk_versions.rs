//! The states in which each talk was seen.

use crate::publish::table::{Kind, OnConflict, Table, optional, required};

pub(in crate::publish) const TABLE: Table = Table {
    name: "talk_versions",
    comment: "The states in which each talk was seen. The state at time T: valid_from <= T AND (valid_to IS NULL OR \
              valid_to > T)",
    columns: &[
        required("talk_id", Kind::Integer, "the talk"),
        required("version", Kind::Integer, "1, 2, 3, … for each talk"),
        required("valid_from", Kind::Time, "the fetch that first saw this state"),
        optional("valid_to", Kind::Time, "the fetch that first saw the next; NULL: current"),
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
    ],
    key: &["talk_id", "version"],
    select: "SELECT talk_id, version, valid_from, valid_to, created_at, updated_at, rate, contact_id, chat_id, entity_id,
                    entity_type, is_in_work, is_read, origin, missed_at, status, source_id, lead_id, customer_id
               FROM json_each(?1) AS wanted
               JOIN talk_history ON talk_id = wanted.value ->> 0 AND version >= wanted.value ->> 1
             UNION ALL
             SELECT talk_id, version, changed_at, NULL, created_at, updated_at, rate, contact_id, chat_id, entity_id,
                    entity_type, is_in_work, is_read, origin, missed_at, status, source_id, lead_id, customer_id
               FROM json_each(?1) AS wanted JOIN talks ON talk_id = wanted.value ->> 0",
    // A state stays as it was seen, but for its end, which comes later. What the server lost of it is put back.
    on_conflict: OnConflict::Replace,
};
