//! Whose talk it is: what the directory knows of its contact and its lead, and where amoCRM shows them.

use crate::talk::TalkId;
use rusqlite::{Connection, OptionalExtension};

/// The names around a talk. Each is `None` if the directory does not know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct TalkNames {
    pub contact_id: Option<i64>,
    pub contact: Option<String>,
    /// In amoCRM, as are the other addresses.
    pub contact_url: Option<String>,
    pub lead_id: Option<i64>,
    pub lead: Option<String>,
    pub lead_url: Option<String>,
    pub responsible_user_id: Option<i64>,
    pub responsible_user: Option<String>,
    pub pipeline_id: Option<i64>,
    pub pipeline: Option<String>,
    pub lead_status_id: Option<i64>,
    pub lead_status: Option<String>,
    pub customer_id: Option<i64>,
    pub customer_url: Option<String>,
    /// The talk itself. It needs a lead.
    pub chat_url: Option<String>,
}

/// Reads the names around a mirrored talk. Nothing is known of another.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn names(connection: &Connection, talk_id: TalkId) -> rusqlite::Result<TalkNames> {
    // The columns and addresses of the view open_talks, which has open talks alone. `entity_id` names what the talk is
    // about if `_embedded` was not readable.
    let names = connection
        .prepare_cached(
            "WITH of_talk AS (
                 SELECT talk_id, contact_id,
                        coalesce(lead_id, iif(entity_type = 'lead', entity_id, NULL)) AS lead_id,
                        coalesce(customer_id, iif(entity_type = 'customer', entity_id, NULL)) AS customer_id
                   FROM talks WHERE talk_id = ?1)
             SELECT of_talk.contact_id, contacts.name AS contact,
                    account.value || '/contacts/detail/' || of_talk.contact_id AS contact_url,
                    of_talk.lead_id, leads.name AS lead,
                    account.value || '/leads/detail/' || of_talk.lead_id AS lead_url,
                    responsible_user_id, users.name AS responsible_user,
                    leads.pipeline_id, pipelines.name AS pipeline,
                    leads.status_id AS lead_status_id, statuses.name AS lead_status,
                    customer_id, account.value || '/customers/detail/' || customer_id AS customer_url,
                    account.value || '/chats/' || talk_id || '/leads/detail/' || of_talk.lead_id AS chat_url
               FROM of_talk
               LEFT JOIN leads ON leads.lead_id = of_talk.lead_id
               LEFT JOIN users ON users.user_id = leads.responsible_user_id
               LEFT JOIN pipelines ON pipelines.pipeline_id = leads.pipeline_id
               LEFT JOIN statuses ON statuses.pipeline_id = leads.pipeline_id AND statuses.status_id = leads.status_id
               LEFT JOIN contacts ON contacts.contact_id = of_talk.contact_id
               LEFT JOIN mirror_info AS account ON account.key = 'account_url'",
        )?
        .query_row([talk_id], |row| {
            Ok(TalkNames {
                contact_id: row.get("contact_id")?,
                contact: row.get("contact")?,
                contact_url: row.get("contact_url")?,
                lead_id: row.get("lead_id")?,
                lead: row.get("lead")?,
                lead_url: row.get("lead_url")?,
                responsible_user_id: row.get("responsible_user_id")?,
                responsible_user: row.get("responsible_user")?,
                pipeline_id: row.get("pipeline_id")?,
                pipeline: row.get("pipeline")?,
                lead_status_id: row.get("lead_status_id")?,
                lead_status: row.get("lead_status")?,
                customer_id: row.get("customer_id")?,
                customer_url: row.get("customer_url")?,
                chat_url: row.get("chat_url")?,
            })
        })
        .optional()?;
    Ok(names.unwrap_or_default())
}
