//! The table about publishing.

use super::Screen;
use super::parts::{counted, facts, outside, when};
use crate::language::Language;
use crate::number;
use crate::report::health::publish::trouble;
use crate::report::humanize::{capitalised, duration, lasting};
use maud::{Markup, html};

/// How publishing goes. Nothing while it is off.
pub(super) fn table(screen: &Screen, language: Language) -> Markup {
    let (overview, now) = (&screen.overview, screen.now);
    let Some(state) = &overview.publish else { return html! {} };
    let lag = state.lag(now);
    let error = match trouble(overview) {
        None => html! { "none" },
        Some(trouble) if trouble.stands_by => html! {
            "standing by"
            small { (outside(&trouble.error)) }
        },
        Some(trouble) => html! {
            (capitalised(&lasting(trouble.since, now)))
            small.bad { (outside(&trouble.error)) }
        },
    };
    let left_out = state.set_aside.last().map(|last| {
        format!("the server refuses them; the last, talk {}: {}", last.talk_id, outside(&last.error))
    });
    facts(
        "Publishing".into(),
        "publishing",
        "What the PostgreSQL server has of this mirror",
        &[
            ("Server".into(), html! { (state.server) }),
            (
                "Talks that wait".into(),
                counted(
                    language,
                    number::whole(state.backlog),
                    (lag > 0).then(|| format!("for up to {}", duration(lag))),
                ),
            ),
            (
                "Last confirmed".into(),
                state.confirmed_at.map_or(html! { "nothing yet" }, |at| when(language, at, now)),
            ),
            ("Error".into(), error),
            ("Talks left out".into(), counted(language, number::whole(state.set_aside.len()), left_out)),
        ],
    )
}
