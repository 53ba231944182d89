//! The page of one talk: what it is, what happens next, and what happened to it.

mod history;
mod payload;

use super::parts::{account_link, address, facts, marked, outside, sentence, when};
use super::shell::{Content, Frame};
use crate::language::{Language, Message};
use crate::report::talk::TalkReport;
use crate::store::story::MirroredTalk;
use crate::talk::TalkId;
use crate::text::brief;
use axum::http::StatusCode;
use maud::{Markup, html};

/// The page. A talk that is not mirrored is not found, and what is known of it is shown.
pub(in crate::http) fn talk(frame: &Frame<'_>, report: &TalkReport) -> Content {
    let language = frame.language;
    let title = Message::new("talk-title").with("id", report.talk_id.to_string()).to(language);
    let state = sentence(&capitalised(&joined(&report.state, language)));
    let main = html! {
        h1 { (title) }
        p.talk-state { (state) "." }
        @if let Some(links) = links(frame, report) { p { (links) } }
        div.columns {
            (next(report, language))
            @if let Some(mirrored) = &report.story.mirrored { (about(frame, report, mirrored)) }
        }
        (history::timeline(frame, report))
        (history::closings(frame, report))
        (history::versions(frame, report))
        @if let Some(mirrored) = &report.story.mirrored { (payload::section(frame, report.talk_id, &mirrored.payload)) }
    };
    let status = if report.story.mirrored.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Content { status, ..Content::new(title, main) }
}

/// The page of a talk with so long a story that it cannot be read in time.
pub(in crate::http) fn talk_too_long(frame: &Frame<'_>, talk_id: TalkId) -> Content {
    let id = talk_id.to_string();
    let title = Message::new("talk-title").with("id", &*id).to(frame.language);
    let why = Message::new("talk-too-long").with("id", &*id).to(frame.language);
    let main = html! {
        h1 { (title) }
        p { (marked(&why)) }
    };
    Content { status: StatusCode::SERVICE_UNAVAILABLE, ..Content::new(title, main) }
}

/// A sentence of these parts.
fn joined(parts: &[Message], language: Language) -> String {
    parts.iter().map(|part| part.to(language)).collect::<Vec<_>>().join(", ")
}

/// With a capital first letter, unless it is the program's name. The rest stays, because it may be quoted.
fn capitalised(text: &str) -> String {
    if text.starts_with("talkmirror") {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// A name, truncated.
fn name(text: &str) -> String {
    brief(text, 120)
}

/// The talk in the account.
fn links(frame: &Frame<'_>, report: &TalkReport) -> Option<Markup> {
    let vendor = if frame.account.ends_with("kommo.com") { "Kommo" } else { "amoCRM" };
    let text = Message::new("talk-open-in").with("vendor", vendor).to(frame.language);
    report.names.chat_url.as_deref().map(|address| account_link(Some(address), &text))
}

/// What happens to it next, and why.
fn next(report: &TalkReport, language: Language) -> Markup {
    let told = |text: &str| marked(&sentence(&capitalised(text)));
    let mut rows = vec![
        (language.text("talk-next"), told(&report.next.to(language))),
        (language.text("talk-queue"), told(&joined(&report.queue, language))),
        (language.text("talk-closing"), told(&report.closing.to(language))),
    ];
    if let Some(exempting) = &report.story.exempting {
        rows.push((language.text("talk-exempt"), told(&exempting.message().to(language))));
    }
    facts(&language.text("talk-what-next"), "next", &language.text("talk-what-next-caption"), &rows)
}

/// What the mirror knows of it.
fn about(frame: &Frame<'_>, report: &TalkReport, mirrored: &MirroredTalk) -> Markup {
    let (language, now, names, talk) = (frame.language, frame.now, &report.names, &mirrored.talk);
    let none = || html! { (language.text("talk-none")) };
    let named = |text: &Option<String>, id: i64, address: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        html! {
            (account_link(address.as_deref(), &text.map_or_else(|| id.to_string(), name)))
            @if text.is_some() { small { (id) } }
        }
    };
    let contact = |id: i64| {
        let talks = format!("{}{}", frame.root, address("talks", &[("q", &id.to_string())]));
        html! {
            (named(&names.contact, id, &names.contact_url))
            small { a href=(talks) { (language.text("talk-of-contact")) } }
        }
    };
    let mut rows = vec![(language.text("talk-contact"), names.contact_id.map_or_else(none, contact))];
    if let Some(id) = names.lead_id {
        rows.push((language.text("talk-lead"), named(&names.lead, id, &names.lead_url)));
    }
    let stage = [&names.pipeline, &names.lead_status].map(|part| part.as_deref().map(name));
    let stage: Vec<_> = stage.into_iter().flatten().collect();
    if !stage.is_empty() {
        rows.push((language.text("talk-stage"), html! { (stage.join(" → ")) }));
    }
    if let Some(id) = names.responsible_user_id {
        rows.push((language.text("talk-responsible"), named(&names.responsible_user, id, &None)));
    }
    if let Some(id) = names.customer_id {
        rows.push((language.text("talk-customer"), named(&None, id, &names.customer_url)));
    }
    let channel = |origin: &str| {
        let talks = format!("{}{}", frame.root, address("talks", &[("channel", origin)]));
        html! { a href=(talks) { (outside(origin)) } }
    };
    rows.push((language.text("talk-channel"), talk.origin.as_deref().map_or_else(none, channel)));
    if let Some(rate) = talk.rate {
        rows.push((language.text("talk-rating"), html! { (rate) }));
    }
    rows.push((language.text("talk-began"), when(language, talk.created_at, now)));
    rows.push((language.text("talk-updated"), when(language, talk.updated_at, now)));
    rows.push((
        language.text("talk-fetched"),
        html! {
            (when(language, mirrored.fetched_at, now))
            small {
                (language.text("talk-first-fetched")) " " (when(language, mirrored.first_fetched_at, now))
            }
        },
    ));
    if let Some(chat_id) = &talk.chat_id {
        rows.push((language.text("talk-chat"), html! { (outside(chat_id)) }));
    }
    if !report.odd_fields.is_empty() {
        let fields =
            report.odd_fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
        let odd = Message::new("talk-odd-fields").with("fields", fields).to(language);
        rows.push((language.text("talk-odd"), marked(&odd)));
    }
    facts(&language.text("talk-about"), "about", &language.text("talk-about-caption"), &rows)
}
