//! The names of users, pipelines and their stages.

use crate::publish::table::{Column, Kind, OnConflict, Table, optional, required};

const NAME: Column = optional("name", Kind::Text, "as the account shows it");
const GONE_AT: Column =
    optional("gone_at", Kind::Time, "the first answer that no longer had it; NULL: it exists");

pub(super) const USERS: Table = Table {
    name: "users",
    comment: "The users of the account. A removed one stays, with the last name.",
    columns: &[
        required("user_id", Kind::Integer, "the id in the API"),
        NAME,
        optional("is_active", Kind::Flag, "true: may log in"),
        GONE_AT,
    ],
    key: &["user_id"],
    select: "SELECT user_id, name, is_active, gone_at FROM users",
    on_conflict: OnConflict::Replace,
};

pub(super) const PIPELINES: Table = Table {
    name: "pipelines",
    comment: "The pipelines of leads. A removed one stays, with the last name.",
    columns: &[
        required("pipeline_id", Kind::Integer, "the id in the API"),
        NAME,
        optional("sort", Kind::Integer, "its place among them"),
        optional("is_main", Kind::Flag, "true: new leads go there"),
        optional("is_archive", Kind::Flag, "true: archived"),
        GONE_AT,
    ],
    key: &["pipeline_id"],
    select: "SELECT pipeline_id, name, sort, is_main, is_archive, gone_at FROM pipelines",
    on_conflict: OnConflict::Replace,
};

pub(super) const STATUSES: Table = Table {
    name: "statuses",
    comment: "The stages of pipelines. Each pipeline has 142 (won) and 143 (lost).",
    columns: &[
        required("pipeline_id", Kind::Integer, "the pipeline"),
        required("status_id", Kind::Integer, "the id in the API; 142 and 143 occur in each pipeline"),
        NAME,
        optional("sort", Kind::Integer, "its place in the pipeline"),
        GONE_AT,
    ],
    key: &["pipeline_id", "status_id"],
    select: "SELECT pipeline_id, status_id, name, sort, gone_at FROM statuses",
    on_conflict: OnConflict::Replace,
};
