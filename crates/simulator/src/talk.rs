//! A talk as the account has it.

/// The state of one talk, with the API's field names. Times are Unix seconds, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// The talk's id in the API.
    pub talk_id: i64,
    /// When it was created, in Unix seconds.
    pub created_at: i64,
    /// When it last changed, as the API says, in Unix seconds.
    pub updated_at: i64,
    /// The client's rating, from the NPS bot.
    pub rate: Option<i64>,
    /// The contact who writes.
    pub contact_id: Option<i64>,
    /// The chat that the talk is in: a UUID. A chat may have several talks.
    pub chat_id: Option<String>,
    /// The lead or customer that it belongs to.
    pub entity_id: Option<i64>,
    /// `lead` or `customer`.
    pub entity_type: Option<String>,
    /// Whether the talk is open.
    pub is_in_work: bool,
    /// Whether somebody of the account has read it.
    pub is_read: Option<bool>,
    /// The channel; free text.
    pub origin: Option<String>,
    /// When it was missed: unanswered for the time set in the account.
    pub missed_at: Option<i64>,
    /// The account's id in the API.
    pub account_id: i64,
    /// Only some accounts send it: `in_work`, `closed`, `with_error`, `nps_scheduled`, `nps_in_progress`.
    pub status: Option<String>,
    /// Only some accounts send it. A number or a string, kept as text.
    pub source_id: Option<String>,
    /// `_embedded.leads[0].id`.
    pub lead_id: Option<i64>,
    /// `_embedded.customers[0].id`.
    pub customer_id: Option<i64>,
}
