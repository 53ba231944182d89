//! `/talks`: who waits, for how long, and whose client it is.

use super::super::parts::{Choice, account_link, address, choices, outside, when};
use super::super::shell::{Content, Frame};
use super::{exact, heads, listed, page_value, remark, talk_name};
use crate::language::{Language, Message};
use crate::store::lists::Page;
use crate::store::lists::talks::{Listed, ListedTalk, NO_CHANNEL, TalkFilter, TalkListCounts, TalkQuery};
use maud::{Markup, html};

/// What was asked for, and what was found.
#[derive(Debug, Clone)]
pub(crate) struct TalkList {
    pub query: TalkQuery,
    /// `None` if that took too long.
    pub page: Option<Page<ListedTalk>>,
    pub counts: TalkListCounts,
    /// The channels to choose from.
    pub channels: Vec<String>,
    /// Whether the names of clients are stored.
    pub has_contacts: bool,
}

/// A longer value is refused in an address.
const MAX_CHANNEL_BYTES: usize = 200;
/// An address of the account is shorter.
const MAX_SEARCH_LETTERS: &str = "100";

/// The page.
pub(crate) fn content(frame: &Frame<'_>, list: &TalkList) -> Content {
    let language = frame.language;
    let title = language.text("section-talks");
    let main = html! {
        h1 { (title) }
        p { (waiting(frame, &list.counts)) }
        (search(language, &list.query))
        (states(language, list))
        (channels(language, list))
        (listed(language, list.page.as_ref(), &none(language, list), |talks| table(frame, &list.query, talks),
                |number| list_address(&list.query, list.query.filter, number)))
        @if list.query.filter == TalkFilter::All && list.query.search.as_ref().is_some_and(|search| !search.has_id()) {
            (remark(&language.text("talks-search-of-all")))
        }
    };
    Content { has_field: true, ..Content::new(title, main) }
}

/// The answer to the first question: does anybody wait?
fn waiting(frame: &Frame<'_>, counts: &TalkListCounts) -> String {
    match (counts.of(TalkFilter::Waiting), counts.waiting_since) {
        (number @ 1.., Some(since)) => Message::new("talks-waiting")
            .with("number", number)
            .with("lasting", frame.language.lasting(since, frame.now))
            .to(frame.language),
        _ => frame.language.text("talks-nobody-waits"),
    }
}

/// The address of this list, or of one with another filter.
fn list_address(query: &TalkQuery, filter: TalkFilter, number: usize) -> String {
    let typed = query.search.as_ref().map_or("", |search| &search.text);
    let channel = query.channel.as_deref().unwrap_or_default();
    let page = page_value(number);
    address("talks", &[("q", typed), ("state", filter.as_str()), ("channel", channel), ("page", &page)])
}

fn search(language: Language, query: &TalkQuery) -> Markup {
    let typed = query.search.as_ref().map(|search| &*search.text);
    html! {
        form role="search" action="talks" method="get" {
            label for="q" { (language.text("talks-search")) }
            input id="q" name="q" type="search" value=[typed] maxlength=(MAX_SEARCH_LETTERS) autocomplete="off"
                spellcheck="false";
            input type="hidden" name="state" value=(query.filter.as_str());
            @if let Some(channel) = &query.channel { input type="hidden" name="channel" value=(channel); }
            button type="submit" { (language.text("talks-search-button")) }
            @if typed.is_some() {
                a href=(list_address(&TalkQuery { search: None, ..query.clone() }, query.filter, 1)) {
                    (language.text("talks-search-end"))
                }
            }
        }
    }
}

fn filter_name(language: Language, filter: TalkFilter) -> String {
    match filter {
        TalkFilter::Open => language.text("talks-open"),
        TalkFilter::Waiting => language.text("talks-filter-waiting"),
        TalkFilter::Missed => language.text("talks-missed"),
        TalkFilter::Failed => language.text("talks-failed"),
        TalkFilter::Gone => language.text("talks-gone"),
        TalkFilter::All => language.text("talks-all"),
    }
}

fn states(language: Language, list: &TalkList) -> Markup {
    // A number is found in whichever state its talk is.
    let search = list.query.search.clone().filter(|search| !search.has_id());
    let query = TalkQuery { search, ..list.query.clone() };
    let states = TalkFilter::ALL.map(|filter| Choice {
        text: format!("{} {}", filter_name(language, filter), language.count(list.counts.of(filter))),
        address: list_address(&query, filter, 1),
        is_current: filter == query.filter,
    });
    choices(&language.text("list-state"), &states)
}

fn channels(language: Language, list: &TalkList) -> Markup {
    let current = list.query.channel.as_deref();
    let mut names: Vec<&str> = list.channels.iter().map(|name| &**name).collect();
    // An empty one, or one that no address can hold, cannot be chosen.
    names.retain(|name| !name.is_empty() && name.len() <= MAX_CHANNEL_BYTES);
    names.extend(current.filter(|current| !list.channels.iter().any(|name| name == current)));
    if names.len() < 2 && current.is_none() {
        return html! {};
    }
    let of = |channel: Option<&str>| {
        let query = TalkQuery { channel: channel.map(str::to_owned), ..list.query.clone() };
        list_address(&query, query.filter, 1)
    };
    let all =
        Choice { text: language.text("list-channel-all"), address: of(None), is_current: current.is_none() };
    let each = names.into_iter().map(|name| Choice {
        text: channel_name(language, Some(name)),
        address: of(Some(name)),
        is_current: current == Some(name),
    });
    choices(&language.text("list-channel"), &[all].into_iter().chain(each).collect::<Vec<_>>())
}

fn channel_name(language: Language, origin: Option<&str>) -> String {
    match origin {
        None | Some(NO_CHANNEL) => language.text("list-channel-none"),
        Some(origin) => crate::text::brief(origin, 40),
    }
}

/// What stands in place of an empty list.
fn none(language: Language, list: &TalkList) -> Markup {
    let query = &list.query;
    let Some(search) = &query.search else { return remark(&language.text("talks-none")) };
    let found = Message::new("talks-none-found").with("text", outside(&search.text));
    html! {
        p.note { (found.to(language)) }
        @if query.filter != TalkFilter::All || query.channel.is_some() {
            p.note {
                a href=(list_address(&TalkQuery { channel: None, ..query.clone() }, TalkFilter::All, 1)) {
                    (language.text("talks-search-all"))
                }
            }
        }
        @if !list.has_contacts && !search.has_id() { (remark(&language.text("talks-no-names"))) }
    }
}

fn table(frame: &Frame<'_>, query: &TalkQuery, talks: &[ListedTalk]) -> Markup {
    let language = frame.language;
    let names = [
        language.text("list-column-client"),
        language.text("list-column-waiting"),
        language.text("list-column-responsible"),
        language.text("list-column-state"),
    ];
    let [_, waiting, responsible, state] = &names;
    html! {
        table.cards {
            caption { (caption(language, query)) }
            (heads(&names))
            tbody {
                @for talk in talks {
                    @let listed = talk.mirrored.as_ref();
                    tr {
                        th scope="row" { (client(language, talk)) }
                        td data-name=(waiting) { (waits(frame, listed)) }
                        td data-name=(responsible) { (owner(language, talk)) }
                        td data-name=(state) { (state_of(frame, talk)) }
                    }
                }
            }
        }
    }
}

/// What the table has, and in which order.
fn caption(language: Language, query: &TalkQuery) -> String {
    match (query.filter, &query.search) {
        (TalkFilter::Failed | TalkFilter::Gone, _) | (TalkFilter::All, None) => {
            language.text("talks-caption-latest")
        }
        (TalkFilter::Open | TalkFilter::Waiting | TalkFilter::Missed | TalkFilter::All, _) => {
            language.text("talks-caption-waiting")
        }
    }
}

/// The client, who is also the link to the talk.
fn client(language: Language, talk: &ListedTalk) -> Markup {
    let listed = talk.mirrored.as_ref();
    let name = listed.and_then(|listed| listed.contact.as_deref()).filter(|name| !name.trim().is_empty());
    let contact = listed.and_then(|listed| listed.contact_id).map(|id| id.to_string());
    let channel = listed.map(|listed| channel_name(language, listed.origin.as_deref()));
    let talk_name = talk_name(language, talk.talk_id);
    let about = match (name, contact) {
        (Some(_), _) => Some(talk_name.clone()),
        (None, Some(id)) => Some(Message::new("list-contact").with("id", id).to(language)),
        (None, None) => None,
    };
    html! {
        a href={ "talks/" (talk.talk_id) } { (name.map_or(talk_name, outside)) }
        small { (about.into_iter().chain(channel).collect::<Vec<_>>().join(" · ")) }
    }
}

/// For how long the client waits, and since when.
fn waits(frame: &Frame<'_>, listed: Option<&Listed>) -> Markup {
    let language = frame.language;
    let Some((listed, since)) = listed.and_then(|listed| Some((listed, listed.waiting_since?))) else {
        return html! { (language.text("list-waits-not")) };
    };
    html! {
        b { (language.duration(frame.now.seconds_since(since))) }
        small { (language.text("list-since")) " " (exact(language, since)) }
        @if let Some(seconds) = listed.work_seconds {
            small { (Message::new("list-work-time").with("span", language.duration(seconds)).to(language)) }
        }
    }
}

/// Whose client it is: who is responsible for the lead.
fn owner(language: Language, talk: &ListedTalk) -> Markup {
    let Some(listed) = &talk.mirrored else { return html! { (language.text("list-responsible-unknown")) } };
    let user = listed
        .responsible_user_id
        .map(|id| Message::new("list-user").with("id", id.to_string()).to(language));
    let user = listed.responsible_user.as_deref().map(outside).or(user);
    let lead = listed.lead_id.map(|id| Message::new("list-lead").with("id", id.to_string()).to(language));
    let lead = listed.lead.as_deref().filter(|name| !name.trim().is_empty()).map(outside).or(lead);
    html! {
        (user.unwrap_or_else(|| match lead {
            Some(_) => language.text("list-responsible-unknown"),
            None => language.text("list-lead-none"),
        }))
        @if let Some(lead) = lead { small { (account_link(talk.lead_url.as_deref(), &lead)) } }
    }
}

fn state_of(frame: &Frame<'_>, talk: &ListedTalk) -> Markup {
    let Frame { language, now, .. } = *frame;
    let at = |at| when(language, at, now);
    html! {
        @match &talk.mirrored {
            None => (language.text("list-state-not-mirrored")),
            Some(Listed { gone_at: Some(gone_at), .. }) => { (language.text("list-state-gone")) " " (at(*gone_at)) },
            Some(Listed { denied_at: Some(denied_at), .. }) => { (language.text("list-state-denied")) " " (at(*denied_at)) },
            Some(Listed { is_in_work: false, closed_at, .. }) => {
                (language.text("list-state-closed")) @if let Some(closed_at) = closed_at { " " (at(*closed_at)) }
            },
            Some(Listed { missed_at: Some(_), .. }) => (language.text("list-state-missed")),
            Some(Listed { waiting_since: Some(_), .. }) => (language.text("list-state-unread")),
            Some(_) => (language.text("list-state-read")),
        }
        @match (talk.failed_at, talk.queued) {
            (Some(failed_at), _) => {
                small.bad {
                    (language.text("list-state-failed")) " " (at(failed_at))
                    @if let Some(error) = &talk.error { ": " (outside(error)) }
                }
            },
            (None, true) => { small { (language.text("list-state-queued")) } },
            (None, false) => {},
        }
        @if talk.chat_url.is_some() {
            small { (account_link(talk.chat_url.as_deref(), &language.text("list-open-chat"))) }
        }
    }
}
