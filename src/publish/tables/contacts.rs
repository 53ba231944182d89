//! The names of clients.

use crate::publish::table::{Kind, OnConflict, Table, optional, required};

pub(in crate::publish) const TABLE: Table = Table {
    name: "contacts",
    comment: "The clients of talks, if directory.contacts is on. A removed one stays, with the last name.",
    columns: &[
        required("contact_id", Kind::Integer, "the id in the API"),
        optional("name", Kind::Text, "as the account shows it"),
        optional("gone_at", Kind::Time, "the first answer without it; NULL: it exists"),
    ],
    key: &["contact_id"],
    // Several talks of a batch may have the same client.
    select: "SELECT DISTINCT contacts.contact_id, name, contacts.gone_at
               FROM json_each(?1) AS wanted
               JOIN talks ON talk_id = wanted.value ->> 0 JOIN contacts ON contacts.contact_id = talks.contact_id",
    on_conflict: OnConflict::Replace,
};
