//! A talk as the API describes it: plain data, no I/O.
//!
//! Uses `clock`.

use crate::clock::UnixSeconds;
use std::fmt;
use std::str::FromStr;

/// The id of a talk. A type of its own, so that it is never mixed up with the id of an account or a closing, a count or
/// a time.
///
/// Real ids are positive, and [`FromStr`] takes no other. [`TalkId::new`] does not check: another program may put any
/// number in the queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct TalkId(i64);

impl TalkId {
    /// The id that this number is.
    pub const fn new(number: i64) -> TalkId {
        TalkId(number)
    }

    /// The number, as the API, SQL and people write it.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for TalkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Prints the number alone.
impl fmt::Debug for TalkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is not the id of a talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a talk id: a whole number above 0")]
pub struct InvalidTalkId;

impl FromStr for TalkId {
    type Err = InvalidTalkId;

    fn from_str(text: &str) -> Result<TalkId, InvalidTalkId> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(TalkId(number)),
            _ => Err(InvalidTalkId),
        }
    }
}

/// The state of one talk, with the API's field names.
///
/// If two states differ in any of these columns, `talk_versions` gets a new row. An optional field is `None` if the
/// API sends no value, or one of another shape.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Talk {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// When it last changed, as the API says.
    pub updated_at: UnixSeconds,
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
    pub missed_at: Option<UnixSeconds>,
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

/// A row of the listing: a hint that a talk may be worth a fetch. Never stored as a talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// When it last changed. Here and below, `None` if the account does not send it.
    pub updated_at: Option<UnixSeconds>,
    /// Whether the talk is open.
    pub is_in_work: Option<bool>,
    /// Whether somebody of the account has read it.
    pub is_read: Option<bool>,
}

/// An event of a talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkEvent {
    /// The event's id in the API.
    pub event_id: String,
    /// The talk's id in the API.
    pub talk_id: TalkId,
    /// Its type in the API, such as `talk_closed`: at most 64 characters.
    pub kind: String,
    /// When it happened.
    pub created_at: UnixSeconds,
    /// The user who did it. `None`: no user did it, or it is not known.
    pub created_by: Option<i64>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{InvalidTalkId, Talk, TalkId};
    use crate::clock::UnixSeconds;

    /// An open, read talk of account 1 with a contact and nothing else, created and last changed `at` that time.
    pub(crate) fn open_talk(talk_id: i64, at: UnixSeconds) -> Talk {
        Talk {
            talk_id: TalkId::new(talk_id),
            created_at: at,
            updated_at: at,
            rate: None,
            contact_id: Some(1),
            chat_id: None,
            entity_id: None,
            entity_type: None,
            is_in_work: true,
            is_read: Some(true),
            origin: None,
            missed_at: None,
            account_id: 1,
            status: None,
            source_id: None,
            lead_id: None,
            customer_id: None,
        }
    }

    #[test]
    fn an_id_is_printed_stored_and_sent_as_its_number() {
        let talk_id = TalkId::new(191);
        assert_eq!(
            format!("{talk_id} {talk_id:?} {:?} {talk_id:>5}", Some(talk_id)),
            "191 191 Some(191)   191"
        );
        assert_eq!(serde_json::to_string(&[talk_id]).unwrap(), "[191]");
        assert_eq!(serde_json::from_str::<[TalkId; 1]>("[191]").unwrap(), [talk_id]);
    }

    #[test]
    fn a_text_is_an_id_if_it_is_a_whole_number_above_0() {
        for (text, number) in [("1", 1), ("+7", 7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(text.parse(), Ok(TalkId::new(number)), "{text}");
        }
        for text in ["", "0", "-1", " 1", "1.0", "x", "9223372036854775808"] {
            assert_eq!(text.parse::<TalkId>(), Err(InvalidTalkId), "{text}");
        }
    }
}
