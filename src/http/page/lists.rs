//! The pages of lists: talks, the queue, closings and feeders. What they share is here.

pub(crate) mod closings;
pub(crate) mod feeders;
pub(crate) mod queue;
pub(crate) mod talks;

use super::parts::{empty, marked, pagination};
use crate::clock::{UnixSeconds, iso};
use crate::language::{Language, Message};
use crate::number;
use crate::store::lists::{LAST_PAGE, PAGE_ROWS, Page};
use crate::talk::TalkId;
use maud::{Markup, html};

/// The rows of a page in a table, and the links to the pages around it. `none` stands in place of a list without rows,
/// and `address` is that of a page by its number.
fn listed<T>(
    language: Language,
    page: Option<&Page<T>>,
    none: &Markup,
    table: impl FnOnce(&[T]) -> Markup,
    address: impl Fn(usize) -> String,
) -> Markup {
    let Some(page) = page else { return empty(&language.text("list-too-slow")) };
    let is_last = page.number == LAST_PAGE && page.has_more;
    html! {
        @if page.rows.is_empty() && page.number > 1 {
            p.note { a href=(address(1)) { (language.text("list-is-shorter")) } }
        } @else if page.rows.is_empty() {
            (none)
        } @else {
            div.wide { (table(&page.rows)) }
            (pagination(language, number::whole(page.number), page.has_more && !is_last, |number| address(number::size(number))))
            @if is_last {
                p.note {
                    (Message::new("list-ends-here").with("rows", LAST_PAGE * PAGE_ROWS).to(language))
                }
            }
        }
    }
}

/// The heads of the columns of a table, which are also beside each value on a narrow screen.
fn heads(names: &[String]) -> Markup {
    html! { thead { tr { @for name in names { th scope="col" { (name) } } } } }
}

/// The number of a page in an address. The first needs none.
fn page_value(number: usize) -> String {
    if number > 1 { number.to_string() } else { String::new() }
}

/// A link to the page of a talk.
fn talk_link(language: Language, talk_id: TalkId) -> Markup {
    html! { a href={ "talks/" (talk_id) } { (talk_name(language, talk_id)) } }
}

fn talk_name(language: Language, talk_id: TalkId) -> String {
    Message::new("list-talk").with("id", talk_id.to_string()).to(language)
}

/// A time to the second.
fn exact(language: Language, at: UnixSeconds) -> Markup {
    html! { time datetime=(iso(at)) { (language.timestamp(at)) " UTC" } }
}

/// A remark with commands.
fn remark(text: &str) -> Markup {
    html! { p.note { (marked(text)) } }
}
