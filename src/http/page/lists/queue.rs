//! `/queue`: what is due, what backs off, and what failed.

use super::super::parts::{Choice, address, choices, outside, when};
use super::super::shell::{Content, Frame};
use super::{heads, listed, page_value, remark, talk_link};
use crate::language::{Language, Message};
use crate::store::counts::QueueCounts;
use crate::store::lists::Page;
use crate::store::lists::queue::QueueFilter;
use crate::store::queue::QueueRow;
use maud::{Markup, html};

/// What was asked for, and what was found.
#[derive(Debug, Clone)]
pub(crate) struct QueueList {
    pub filter: QueueFilter,
    pub counts: QueueCounts,
    /// `None` if that took too long.
    pub page: Option<Page<QueueRow>>,
}

/// The page.
pub(crate) fn content(frame: &Frame<'_>, list: &QueueList) -> Content {
    let language = frame.language;
    let title = language.text("section-queue");
    let of = |filter: QueueFilter, number| {
        address("queue", &[("state", filter.as_str()), ("page", &page_value(number))])
    };
    let states = QueueFilter::ALL.map(|filter| Choice {
        text: format!("{} {}", name(language, filter), language.count(count(&list.counts, filter))),
        address: of(filter, 1),
        is_current: filter == list.filter,
    });
    let main = html! {
        h1 { (title) }
        p { (language.text("queue-what")) }
        (choices(&language.text("list-state"), &states))
        @if list.filter == QueueFilter::Failed { (remark(&language.text("queue-repair"))) }
        (listed(language, list.page.as_ref(), &remark(&language.text("queue-none")),
                |rows| table(frame, list.filter, rows), |number| of(list.filter, number)))
    };
    Content::new(title, main)
}

fn name(language: Language, filter: QueueFilter) -> String {
    match filter {
        QueueFilter::Due => language.text("queue-due"),
        QueueFilter::Later => language.text("queue-later"),
        QueueFilter::Failed => language.text("queue-failed"),
    }
}

fn count(counts: &QueueCounts, filter: QueueFilter) -> i64 {
    match filter {
        QueueFilter::Due => counts.due,
        QueueFilter::Later => counts.later,
        QueueFilter::Failed => counts.failed,
    }
}

fn table(frame: &Frame<'_>, filter: QueueFilter, rows: &[QueueRow]) -> Markup {
    let language = frame.language;
    let (time, caption) = match filter {
        QueueFilter::Due => (language.text("list-column-due"), language.text("queue-due-caption")),
        QueueFilter::Later => (language.text("list-column-next"), language.text("queue-later-caption")),
        QueueFilter::Failed => (language.text("list-column-failed"), language.text("queue-failed-caption")),
    };
    let names = [
        language.text("list-column-talk"),
        time,
        language.text("list-column-attempts"),
        language.text("list-column-error"),
    ];
    let [_, time, attempts, error] = &names;
    html! {
        table.cards {
            caption { (caption) }
            (heads(&names))
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { (talk_link(language, row.talk_id)) small { code { (outside(&row.reason)) } } }
                        td data-name=(time) { (times(frame, row)) }
                        td data-name=(attempts) { (language.count(row.attempts)) }
                        td data-name=(error) { (why(language, row)) }
                    }
                }
            }
        }
    }
}

fn times(frame: &Frame<'_>, row: &QueueRow) -> Markup {
    let Frame { language, now, .. } = *frame;
    html! {
        @match row.failed_at {
            Some(failed_at) => (when(language, failed_at, now)),
            None if row.due_at > now => (language.in_time(row.due_at, now)),
            None => (language.lasting(row.due_at, now)),
        }
        small { (language.text("queue-queued")) " " (when(language, row.enqueued_at, now)) }
    }
}

fn why(language: Language, row: &QueueRow) -> Markup {
    let command = format!("talkmirror queue retry {}", row.talk_id);
    html! {
        @match &row.last_error {
            Some(error) => (outside(error)),
            None => (language.text("queue-error-none")),
        }
        @if row.failed_at.is_some() {
            small { (Message::new("queue-fetch-again").to(language)) ": " code { (command) } }
        }
    }
}
