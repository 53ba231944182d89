//! Talks that auto-close never closes: what a row of `close_exemptions` says, in words.
//!
//! Which row counts for a talk is looked up by the store, because it knows the talks' leads.

use crate::clock::UnixSeconds;
use crate::language::Message;
use crate::talk::TalkId;
use std::fmt;

/// Which talks a row exempts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum ExemptionTarget {
    /// This talk.
    #[serde(rename = "talk_id")]
    Talk(TalkId),
    /// The talks of this client.
    #[serde(rename = "contact_id")]
    Contact(i64),
    /// The talks of this chat.
    #[serde(rename = "chat_id")]
    Chat(String),
    /// The talks whose lead this user is responsible for.
    #[serde(rename = "user_id")]
    User(i64),
    /// The talks whose lead is in this pipeline.
    #[serde(rename = "pipeline_id")]
    Pipeline(i64),
}

/// A row of `close_exemptions`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exemption {
    /// The row.
    pub id: i64,
    /// Which talks.
    #[serde(flatten)]
    pub target: ExemptionTarget,
    /// Why, in the words of whoever inserted it. They may be long, and drive a terminal.
    pub reason: Option<String>,
    /// The first second at which it no longer counts. `None`: it counts for good.
    pub until: Option<UnixSeconds>,
}

/// Why a talk is exempt now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exempting {
    /// The row that keeps it.
    #[serde(flatten)]
    pub exemption: Exemption,
    /// Whether the row certainly is about this talk. It may be if the talk's lead or contact is not known.
    pub is_certain: bool,
}

impl ExemptionTarget {
    fn message(&self) -> Message {
        match self {
            ExemptionTarget::Talk(talk_id) => Message::new("target-talk").with("id", talk_id.to_string()),
            ExemptionTarget::Contact(id) => Message::new("target-contact").with("id", id.to_string()),
            ExemptionTarget::Chat(id) => Message::new("target-chat").with("id", id.as_str()),
            ExemptionTarget::User(id) => Message::new("target-user").with("id", id.to_string()),
            ExemptionTarget::Pipeline(id) => Message::new("target-pipeline").with("id", id.to_string()),
        }
    }

    /// The talks, for people: `talk 117`, `talks of contact 42`.
    pub fn talks(&self) -> String {
        match self {
            ExemptionTarget::Talk(_) => self.to_string(),
            ExemptionTarget::Contact(_) | ExemptionTarget::Chat(_) => format!("talks of {self}"),
            ExemptionTarget::User(_) => format!("talks whose lead is {self}'s"),
            ExemptionTarget::Pipeline(_) => format!("talks whose lead is in {self}"),
        }
    }
}

impl Exempting {
    /// Why the talk is exempt, for people.
    pub(crate) fn message(&self) -> Message {
        let id = match (self.is_certain, &self.exemption.target) {
            (true, _) => "exempt-by",
            (false, ExemptionTarget::User(_) | ExemptionTarget::Pipeline(_)) => "perhaps-exempt-by-lead",
            (false, _) => "perhaps-exempt-by-contact",
        };
        Message::new(id).with("row", self.exemption.message())
    }
}

impl Exemption {
    /// The row, for people.
    fn message(&self) -> Message {
        let row = match self.until {
            None => Message::new("exemption"),
            Some(until) => Message::new("exemption-until").with("until", until),
        };
        let row = row.with("id", self.id.to_string()).with("target", self.target.message());
        match &self.reason {
            Some(reason) if !reason.is_empty() => {
                Message::new("exemption-reason").with("row", row).with("reason", reason.as_str())
            }
            _ => row,
        }
    }

    /// Whether it counts at `now`.
    pub fn counts(&self, now: UnixSeconds) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl fmt::Display for ExemptionTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl fmt::Display for Exempting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemption(target: ExemptionTarget) -> Exemption {
        Exemption { id: 3, target, reason: None, until: None }
    }

    #[test]
    fn a_row_counts_until_the_second_that_it_names() {
        let until = UnixSeconds::new(1_700_000_000);
        let one = Exemption { until: Some(until), ..exemption(ExemptionTarget::Contact(42)) };
        assert!(one.counts(until - std::time::Duration::from_secs(1)));
        assert!(!one.counts(until));
        assert!(exemption(ExemptionTarget::User(1)).counts(UnixSeconds::MAX));
    }

    #[test]
    fn the_row_is_named_with_its_end_and_reason() {
        let vip = Exemption {
            reason: Some("VIP".into()),
            until: Some(UnixSeconds::new(1_700_000_000)),
            ..exemption(ExemptionTarget::Contact(42))
        };
        let exempting = |exemption, is_certain| Exempting { exemption, is_certain }.to_string();
        assert_eq!(
            exempting(vip, true),
            "exempt by row 3 of close_exemptions (contact 42, until 2023-11-14 22:13:20 UTC): VIP"
        );
        assert_eq!(
            exempting(exemption(ExemptionTarget::Pipeline(7)), false),
            "its lead is not known, so it may be exempt by row 3 of close_exemptions (pipeline 7)"
        );
        let odd =
            Exemption { until: Some(UnixSeconds::MAX), ..exemption(ExemptionTarget::Talk(TalkId::new(1))) };
        assert_eq!(odd.to_string(), "row 3 of close_exemptions (talk 1, until 9223372036854775807 UTC)");
    }
}
