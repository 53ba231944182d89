//! The leads of published talks.

use crate::publish::table::{Kind, OnConflict, Table, optional, required};

pub(in crate::publish) const TABLE: Table = Table {
    name: "leads",
    comment: "The leads of talks. A removed one stays as it last was.",
    columns: &[
        required("lead_id", Kind::Integer, "the id in the API"),
        optional("name", Kind::Text, "as the account shows it"),
        optional("price", Kind::Integer, "the budget, in the currency of the account"),
        optional("responsible_user_id", Kind::Integer, "who is responsible for it"),
        optional("pipeline_id", Kind::Integer, "the pipeline that it is in"),
        optional("status_id", Kind::Integer, "its stage there"),
        optional("closed_at", Kind::Time, "when it was won or lost; NULL: it is open"),
        optional("gone_at", Kind::Time, "the first answer without it; NULL: it exists"),
    ],
    key: &["lead_id"],
    // Several talks of a batch may have the same lead.
    select: "SELECT DISTINCT leads.lead_id, name, price, responsible_user_id, pipeline_id, leads.status_id, leads.closed_at,
                    leads.gone_at
               FROM json_each(?1) AS wanted
               JOIN talks ON talk_id = wanted.value ->> 0 JOIN leads ON leads.lead_id = talks.lead_id",
    on_conflict: OnConflict::Replace,
};
