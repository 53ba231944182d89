//! The reasons of decisions, which the table `closures` keeps in English, in other languages.

use crate::language::{Message, MessageValue};

/// Why it was decided, for people. A reason that is not known here stays as it is stored.
pub(crate) fn reason(stored: &str) -> Message {
    stale(stored).or_else(|| kept(stored)).unwrap_or_else(|| Message::verbatim(stored))
}

/// `stale: missed 2 d ago (9 h of work), unchanged for 2 d`
fn stale(stored: &str) -> Option<Message> {
    let (missed, quiet) = stored.strip_prefix("stale: missed ")?.split_once(", unchanged for ")?;
    Some(Message::new("verdict-stale").with("missed", missed_for(missed)?).with("quiet", span(quiet)?))
}

fn missed_for(text: &str) -> Option<Message> {
    let ago = |text: &str| Some(Message::new("time-ago").with("span", span(text.strip_suffix(" ago")?)?));
    match text.split_once(" (") {
        None => ago(text),
        Some((text, work)) => {
            let work = span(work.strip_suffix(" of work)")?)?;
            Some(Message::new("ago-of-work").with("ago", ago(text)?).with("work", work))
        }
    }
}

fn kept(stored: &str) -> Option<Message> {
    Some(match stored {
        "the API reports that it does not exist" => Message::new("kept-gone"),
        "the API refuses it to this token" => Message::new("kept-denied"),
        "already closed" => Message::new("kept-closed"),
        "not missed" => Message::new("kept-not-missed"),
        _ => {
            let (first, wanted) = stored.strip_suffix(" yet")?.split_once(": not over ")?;
            let wanted = span(wanted)?;
            match first.strip_prefix("missed ") {
                Some(missed) => Message::new("kept-missed-lately").with("missed", missed_for(missed)?),
                None => {
                    let quiet = span(first.strip_prefix("changed ")?.strip_suffix(" ago")?)?;
                    Message::new("kept-changed-lately").with("quiet", quiet)
                }
            }
            .with("wanted", wanted)
        }
    })
}

/// `47 h`, in seconds.
fn span(text: &str) -> Option<MessageValue> {
    let (number, unit) = text.split_once(' ')?;
    let unit = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(MessageValue::Duration(number.parse::<i64>().ok()?.checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::policy::stale::{KeptReason, MissedFor, Verdict};

    #[test]
    fn what_is_stored_is_read_back_and_has_another_text_in_russian() {
        let missed_for = MissedFor { seconds: 200_000, work_seconds: None };
        let of_work = MissedFor { seconds: 200_000, work_seconds: Some(40_000) };
        let verdicts = [
            Verdict::Stale { missed_for, quiet_for: 1000 },
            Verdict::Stale { missed_for: of_work, quiet_for: 59 },
            Verdict::Kept(KeptReason::Gone),
            Verdict::Kept(KeptReason::Denied),
            Verdict::Kept(KeptReason::Closed),
            Verdict::Kept(KeptReason::NotMissed),
            Verdict::Kept(KeptReason::MissedLately { missed_for: of_work, stale_after: 86_400 }),
            Verdict::Kept(KeptReason::ChangedLately { quiet_for: 5000, wanted: 900 }),
        ];
        for verdict in verdicts {
            let stored = verdict.to_string();
            let read = reason(&stored);
            assert_eq!(read.to_string(), stored);
            assert_eq!(read.to(Language::Russian), verdict.message().to(Language::Russian), "{stored}");
            assert_ne!(read.to(Language::Russian), stored);
        }
    }

    #[test]
    fn any_other_reason_stays_as_it_is() {
        for odd in [
            "",
            "stale: missed 3 y ago, unchanged for 2 d",
            "its status is x",
            "missed 1 d ago: not over x yet",
        ] {
            assert_eq!(reason(odd).to(Language::Russian), odd);
        }
        assert_eq!(
            reason("stale: missed 9999999999999999 d ago, unchanged for 2 d").to(Language::Russian),
            "stale: missed 9999999999999999 d ago, unchanged for 2 d"
        );
    }
}
