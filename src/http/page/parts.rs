//! The parts that pages are made of.

use crate::clock::{UnixSeconds, iso};
use crate::language::Language;
use crate::text::brief;
use maud::{Markup, html};
use url::form_urlencoded;

/// How long ago something was, with the exact time on hover.
pub(super) fn when(language: Language, at: UnixSeconds, now: UnixSeconds) -> Markup {
    html! {
        time datetime=(iso(at)) title={ (language.timestamp(at)) " UTC" } { (language.ago(at, now)) }
    }
}

/// A text of the API or of another program, truncated to leave room for the rest of the page.
pub(super) fn outside(text: &str) -> String {
    brief(text, 300)
}

/// The maximum width of a sentence. It may quote the API or other programs.
const MAX_SENTENCE_WIDTH: usize = 400;

/// A sentence that may quote the API or other programs, truncated.
pub(super) fn sentence(text: &str) -> String {
    brief(text, MAX_SENTENCE_WIDTH)
}

/// Formats `commands` in a text.
pub(super) fn marked(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A section with a table of names and values.
pub(super) fn facts(title: &str, id: &str, caption: &str, rows: &[(String, Markup)]) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            (facts_table(caption, rows))
        }
    }
}

/// A table of names and values.
pub(super) fn facts_table(caption: &str, rows: &[(String, Markup)]) -> Markup {
    html! {
        div.wide {
            table.facts {
                caption { (caption) }
                tbody {
                    @for (name, value) in rows {
                        tr { th scope="row" { (name) } td { (value) } }
                    }
                }
            }
        }
    }
}

/// A folded part of a page. Its title is always shown, with the most important of its content in one line.
pub(super) fn fold(id: &str, title: &str, line: &str, content: &Markup) -> Markup {
    html! {
        details.fold id=(id) {
            summary { h2 { (title) } span { (line) } }
            (content)
        }
    }
}

/// A count, and a remark beside it.
pub(super) fn counted(language: Language, number: i64, more: Option<String>) -> Markup {
    html! {
        b { (language.count(number)) }
        @if let Some(more) = more { small { (more) } }
    }
}

/// A count that links to the list of what it counts, and a remark beside it.
pub(super) fn linked(language: Language, number: i64, address: &str, more: Option<String>) -> Markup {
    html! {
        a href=(address) { b { (language.count(number)) } }
        @if let Some(more) = more { small { (more) } }
    }
}

/// What stands in place of a list without entries.
pub(super) fn empty(text: &str) -> Markup {
    html! { p.note { (text) } }
}

/// A link into the account. The address is stored in the database, where other programs may write.
pub(super) fn account_link(address: Option<&str>, text: &str) -> Markup {
    match address.filter(|address| address.starts_with("https://") || address.starts_with("http://")) {
        Some(address) => html! { a href=(address) { (text) } },
        None => html! { (text) },
    }
}

/// An address with a query: `talks?state=missed&page=2`. Empty values are left out.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        text.append_pair(key, value);
    }
    match text.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// A choice among links.
#[derive(Debug)]
pub(super) struct Choice {
    pub text: String,
    pub address: String,
    pub is_current: bool,
}

/// A row of links, one of which is the current one. `label` names the choice.
pub(super) fn choices(label: &str, choices: &[Choice]) -> Markup {
    html! {
        nav.choices aria-label=(label) {
            span aria-hidden="true" { (label) }
            ul {
                @for one in choices {
                    li { a href=(one.address) aria-current=[one.is_current.then_some("true")] { (one.text) } }
                }
            }
        }
    }
}

/// Links to the page before and after this one of a list. Nothing if it is the only one. Pages begin at 1.
pub(super) fn pagination(
    language: Language,
    page: i64,
    has_more: bool,
    address: impl Fn(i64) -> String,
) -> Markup {
    if page <= 1 && !has_more {
        return html! {};
    }
    let number = crate::language::Message::new("page-number").with("number", page);
    html! {
        nav.pagination aria-label=(language.text("pages")) {
            @if page > 1 { a rel="prev" href=(address(page - 1)) { (language.text("page-before")) } }
            span aria-current="page" { (number.to(language)) }
            @if has_more { a rel="next" href=(address(page + 1)) { (language.text("page-after")) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_encodes_its_values_and_leaves_out_empty_ones() {
        assert_eq!(address("talks", &[("state", ""), ("q", "")]), "talks");
        let query = [("state", "missed"), ("channel", "a&b=ц"), ("q", "")];
        assert_eq!(address("talks", &query), "talks?state=missed&channel=a%26b%3D%D1%86");
    }

    #[test]
    fn a_list_of_one_page_has_no_links_to_others() {
        let of = |page, has_more| {
            pagination(Language::English, page, has_more, |page| format!("talks?page={page}")).into_string()
        };
        assert_eq!(of(1, false), "");
        assert!(of(1, true).contains("talks?page=2") && !of(1, true).contains("page=0"));
        assert!(of(3, false).contains("talks?page=2") && !of(3, false).contains("page=4"));
    }
}
