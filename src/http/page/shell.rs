//! What all pages have around their content: the head, the links between the pages, and the footer.

use super::parts::{marked, sentence};
use crate::clock::UnixSeconds;
use crate::language::{Language, Message};
use crate::text::shown;
use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

/// How often a page reloads, in seconds. `page.js` has the same value in milliseconds.
pub(super) const RELOAD_INTERVAL_SECS: u32 = 15;

/// A page that the others link to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Talks,
    Queue,
    Closings,
    Feeders,
}

impl Section {
    const ALL: [Section; 5] =
        [Section::Overview, Section::Talks, Section::Queue, Section::Closings, Section::Feeders];

    /// Its address, relative to the front page.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Section::Overview => "./",
            Section::Talks => "talks",
            Section::Queue => "queue",
            Section::Closings => "closings",
            Section::Feeders => "feeders",
        }
    }

    /// Its name in the links between the pages, and its title.
    pub(crate) fn name(self, language: Language) -> String {
        match self {
            Section::Overview => language.text("section-overview"),
            Section::Talks => language.text("section-talks"),
            Section::Queue => language.text("section-queue"),
            Section::Closings => language.text("section-closings"),
            Section::Feeders => language.text("section-feeders"),
        }
    }
}

/// What all pages show besides their content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub language: Language,
    /// The account's host.
    pub account: &'a str,
    pub now: UnixSeconds,
    /// `report.timezone`, if the database could be read.
    pub timezone: Option<&'a str>,
    /// Where the page belongs.
    pub section: Option<Section>,
    /// The way to the front page: empty, or `../` for each folder. The pages may be served below a prefix.
    pub root: &'a str,
}

/// A page without its frame.
#[derive(Debug)]
pub(crate) struct Content {
    pub status: StatusCode,
    /// The first part of the title of the browser tab.
    pub title: String,
    pub main: Markup,
    /// There is a field to type into.
    pub has_field: bool,
}

impl Content {
    pub(crate) fn new(title: impl Into<String>, main: Markup) -> Content {
        Content { status: StatusCode::OK, title: title.into(), main, has_field: false }
    }

    /// What was asked for does not exist. `what` is a whole sentence.
    pub(crate) fn not_found(language: Language, what: &Message) -> Content {
        let title = language.text("not-found");
        Content { status: StatusCode::NOT_FOUND, ..Content::refusal(title, &what.to(language)) }
    }

    /// The address has a value that the page does not know. `what` is a whole sentence.
    pub(crate) fn bad_request(language: Language, what: &Message) -> Content {
        let title = language.text("bad-request");
        Content { status: StatusCode::BAD_REQUEST, ..Content::refusal(title, &what.to(language)) }
    }

    fn refusal(title: String, what: &str) -> Content {
        let main = html! {
            h1 { (title) }
            p { (marked(&sentence(what))) }
        };
        Content::new(title, main)
    }
}

/// The whole page.
pub(super) fn shell(frame: &Frame<'_>, content: &Content) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let Frame { language, root, account, .. } = *frame;
    let page = html! {
        (DOCTYPE)
        html lang=(language.tag()) data-version=(version) {
            head {
                meta charset="utf-8";
                title { (content.title) " – talkmirror " (account) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                link rel="icon" type="image/svg+xml" href={ (root) "page.svg" };
                link rel="stylesheet" href={ (root) "page.css" };
                script src={ (root) "page.js" } defer {}
                // A reload by the browser would lose what somebody types. `page.js` waits for that.
                @if !content.has_field {
                    noscript { meta http-equiv="refresh" content=(RELOAD_INTERVAL_SECS); }
                }
            }
            body {
                a.skip href="#main" { (language.text("skip-to-content")) }
                header {
                    p { strong { "talkmirror" } " " span { (account) } }
                    (sections(frame))
                }
                p.heard id="heard" role="status" {}
                p id="lost" role="alert" data-text=(Message::new("not-reached-since").with("time", "{}").to(language))
                    data-title=(language.text("title-not-reached")) {}
                main id="main" tabindex="-1" { (content.main) (as_of(frame)) }
                footer {
                    p {
                        (Message::new("footer-refreshes").with("seconds", i64::from(RELOAD_INTERVAL_SECS)).to(language))
                        @if let Some(zone) = frame.timezone { " " (zone_note(language, zone)) }
                    }
                    p { "talkmirror " (version) ". " (language.text("footer-programs")) " "
                        a href={ (root) "metrics" } { (language.text("footer-metrics")) } ", "
                        a href={ (root) "readyz" } { (language.text("footer-readiness")) } ", "
                        a href={ (root) "healthz" } { (language.text("footer-health")) } "." }
                }
            }
        }
    };
    // Escapes the whole page at once, so that no text is missed. The templates contain nothing that this changes.
    shown(&page.into_string()).into_owned()
}

/// The links between the pages.
fn sections(frame: &Frame<'_>) -> Markup {
    let Frame { language, root, .. } = *frame;
    // A page below a section's own is in it, but is not it.
    let current = if root.is_empty() { "page" } else { "true" };
    html! {
        nav aria-label=(language.text("sections")) {
            ul {
                @for section in Section::ALL {
                    li {
                        a href={ (root) (section.path()) }
                            aria-current=[(frame.section == Some(section)).then_some(current)] {
                            (section.name(language))
                        }
                    }
                }
            }
        }
    }
}

fn zone_note(language: Language, zone: &str) -> String {
    match zone {
        "UTC" => language.text("footer-all-utc"),
        zone => Message::new("footer-zone").with("zone", zone).to(language),
    }
}

fn as_of(frame: &Frame<'_>) -> Markup {
    let time = format!("{} UTC", frame.language.timestamp(frame.now));
    html! {
        p.note id="as-of" data-time=(time) { (Message::new("as-of").with("time", &*time).to(frame.language)) }
    }
}
