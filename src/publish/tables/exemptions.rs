//! Talks that are never closed.

use crate::publish::table::{Kind, OnConflict, Table, optional, required};

pub(super) const TABLE: Table = Table {
    name: "close_exemptions",
    comment: "Talks that auto-close never closes. Each row names one talk, client, chat, user or pipeline.",
    columns: &[
        required("id", Kind::Integer, "of the row"),
        optional("talk_id", Kind::Integer, "this talk"),
        optional("contact_id", Kind::Integer, "all talks of this client"),
        optional("chat_id", Kind::Text, "all talks of this chat"),
        optional("user_id", Kind::Integer, "all talks of leads that this user is responsible for"),
        optional("pipeline_id", Kind::Integer, "all talks of leads in this pipeline"),
        optional("reason", Kind::Text, "why"),
        optional("until", Kind::Time, "when it no longer counts; NULL: for good"),
        required("created_at", Kind::Time, "when the row was inserted"),
    ],
    key: &["id"],
    select: "SELECT id, talk_id, contact_id, chat_id, user_id, pipeline_id, reason, until, created_at FROM close_exemptions",
    on_conflict: OnConflict::Replace,
};
