//! The folded table about publishing.

use super::Screen;
use super::parts::{counted, facts_table, fold, outside, when};
use crate::language::{Message, MessageValue};
use crate::number;
use crate::report::health::publish::trouble;
use crate::report::humanize::capitalised;
use maud::{Markup, html};

/// How publishing goes. Nothing while it is off.
pub(super) fn table(screen: &Screen) -> Markup {
    let (language, overview, now) = (screen.language, &screen.overview, screen.now);
    let Some(state) = &overview.publish else { return html! {} };
    let name = |id| language.text(id);
    let lag = state.lag(now);
    let lasts = (lag > 0)
        .then(|| Message::new("front-for-up-to").with("span", MessageValue::Duration(lag)).to(language));
    let (line, error) = match trouble(overview) {
        None => (
            Message::new("front-publishing-line").with("number", state.backlog),
            html! { (name("front-none")) },
        ),
        Some(trouble) if trouble.stands_by => (
            Message::new("front-stands-by"),
            html! { (name("front-stands-by")) small { (outside(&trouble.error)) } },
        ),
        Some(trouble) => (
            Message::new("front-publishing-fails").with("time", crate::language::lasting(trouble.since, now)),
            html! {
                (capitalised(&language.lasting(trouble.since, now)))
                small.bad { (outside(&trouble.error)) }
            },
        ),
    };
    let left_out = state.set_aside.last().map(|last| {
        Message::new("front-left-out-why")
            .with("id", last.talk_id.to_string())
            .with("error", outside(&last.error))
            .to(language)
    });
    let confirmed = match state.confirmed_at {
        None => html! { (name("front-nothing-yet")) },
        Some(at) => when(language, at, now),
    };
    let rows = [
        (name("front-server"), html! { (state.server) }),
        (name("front-talks-that-wait"), counted(language, number::whole(state.backlog), lasts)),
        (name("front-last-confirmed"), confirmed),
        (name("front-error"), error),
        (name("front-talks-left-out"), counted(language, number::whole(state.set_aside.len()), left_out)),
    ];
    let table = facts_table(&name("front-publishing-caption"), &rows);
    fold("publishing", &name("front-publishing"), &capitalised(&line.to(language)), &table)
}
