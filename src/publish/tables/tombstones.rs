//! Requested ids that the API reports as missing.

use crate::publish::table::{Kind, OnConflict, Table, required};

pub(super) const TABLE: Table = Table {
    name: "tombstones",
    // Nothing is deleted on the server, so a tombstone stays there when its talk turns up.
    comment: "Requested ids that the API reports as missing. An id with a row in talks turned up later.",
    columns: &[
        required("talk_id", Kind::Integer, "the requested id"),
        required("gone_at", Kind::Time, "when the API last reported that"),
    ],
    key: &["talk_id"],
    select: "SELECT talk_id, gone_at FROM json_each(?1) AS wanted JOIN tombstones ON talk_id = wanted.value ->> 0",
    on_conflict: OnConflict::Replace,
};
