//! The entries of `talk_timeline` for people. The view describes each in English, as do these messages.

use crate::language::Message;
use crate::store::story::TimelineEntry;

/// What happened, for people. A description that is not known here stays as the view has it.
pub(crate) fn what(entry: &TimelineEntry) -> Message {
    known(entry).unwrap_or_else(|| Message::verbatim(&*entry.what))
}

fn known(entry: &TimelineEntry) -> Option<Message> {
    let what = entry.what.as_str();
    Some(match entry.event.as_str() {
        "opened" => Message::new("event-opened"),
        "trimmed" => match what.ends_with("closed by then") {
            true => Message::new("event-trimmed-closed"),
            false => Message::new("event-trimmed"),
        },
        "missed" => Message::new("event-missed"),
        "answered" => match what.strip_prefix("answered by ") {
            Some(by) => Message::new("event-answered-by").with("user", user(entry, by)),
            None if what == "answered" => Message::new("event-answered"),
            None => Message::new("event-no-longer-missed"),
        },
        "read" => Message::new("event-read"),
        "unread" => Message::new("event-unread"),
        "rated" => {
            let rate = what.strip_prefix("rated ")?.strip_suffix(" by the client")?;
            Message::new("event-rated").with("rate", rate)
        }
        "closed" => match what.strip_prefix("closed by ") {
            Some("talkmirror") => Message::new("event-closed-by-talkmirror"),
            Some(by) => Message::new("event-closed-by").with("user", user(entry, by)),
            None => Message::new("event-closed-in-the-account"),
        },
        "reopened" => Message::new("event-reopened"),
        "changed" => Message::new("event-changed"),
        "gone" => Message::new("event-gone"),
        "denied" => Message::new("event-denied"),
        "auto-close" => auto_close(what)?,
        _ => return None,
    })
}

/// Who did it: a name, or an id.
fn user(entry: &TimelineEntry, by: &str) -> Message {
    match (&entry.user, entry.user_id) {
        (None, Some(id)) => Message::new("user-without-name").with("id", id.to_string()),
        _ => Message::verbatim(by),
    }
}

/// A decision, with its reason.
fn auto_close(what: &str) -> Option<Message> {
    let (decision, reason) = what.split_once(": ")?;
    let message = match decision {
        "talkmirror would close it (dry-run)" => Message::new("event-would-close"),
        "talkmirror did not close it" => Message::new("event-not-closed"),
        "talkmirror was refused to close it" => Message::new("event-refused"),
        "talkmirror could not close it" => Message::new("event-not-closable"),
        "talkmirror decided to close it" => Message::new("event-decided"),
        _ => return None,
    };
    Some(message.with("reason", super::reason(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixSeconds;
    use crate::language::Language;

    fn entry(event: &str, what: &str, user: Option<&str>) -> TimelineEntry {
        let (event, what, source) = (event.to_owned(), what.to_owned(), "event".to_owned());
        TimelineEntry {
            at: UnixSeconds::EPOCH,
            event,
            what,
            source,
            user_id: Some(31),
            user: user.map(str::to_owned),
        }
    }

    #[test]
    fn the_english_text_of_an_entry_is_the_view_s_and_each_has_another_in_russian() {
        let told = [
            ("opened", "opened"),
            ("trimmed", "what was before is no longer kept"),
            ("trimmed", "what was before is no longer kept; closed by then"),
            ("missed", "missed: nobody answered in time"),
            ("answered", "no longer missed: answered"),
            ("answered", "answered"),
            ("answered", "answered by user 31"),
            ("read", "read"),
            ("unread", "unread: the client wrote"),
            ("rated", "rated 9 by the client"),
            ("reopened", "opened again"),
            ("changed", "changed, otherwise than in the above"),
            ("closed", "closed by talkmirror"),
            ("closed", "closed in the account"),
            ("closed", "closed by user 31"),
            ("auto-close", "talkmirror would close it (dry-run): stale: missed"),
            ("auto-close", "talkmirror did not close it: not missed"),
            ("auto-close", "talkmirror was refused to close it: stale"),
            ("auto-close", "talkmirror could not close it: stale"),
            ("auto-close", "talkmirror decided to close it: stale"),
            ("gone", "gone: the API no longer knows it"),
            ("denied", "denied: the API refuses it to this token"),
        ];
        for (event, text) in told {
            let message = what(&entry(event, text, None));
            assert_eq!(message.to_string(), text);
            assert_ne!(message.to(Language::Russian), text);
        }
    }

    #[test]
    fn a_name_is_shown_as_it_is_and_what_the_api_adds_one_day_too() {
        let closed = what(&entry("closed", "closed by user 31", Some("user 31")));
        assert_eq!(closed.to(Language::Russian), "закрыта: user 31");
        for unknown in ["talk_merged", "closed by then"] {
            assert_eq!(what(&entry("talk_merged", unknown, None)).to(Language::Russian), unknown);
        }
        assert_eq!(what(&entry("auto-close", "odd", None)).to(Language::Russian), "odd");
    }
}
