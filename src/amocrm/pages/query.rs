//! Which page is asked for, and its address.

use super::Rows;
use crate::clock::UnixSeconds;
use std::sync::Arc;
use url::Url;

/// The most talks that the API lists in a page, and the most leads and contacts.
const ROWS_PER_PAGE: u32 = 250;
/// The most events that the API lists in a page.
const EVENTS_PER_PAGE: u32 = 100;
/// The API lists up to 250, but each with all rights, for each stage of each pipeline: some 20 KiB in a large account.
const USERS_PER_PAGE: u32 = 50;
/// How many ids a request for leads or contacts names at most. Documented is no limit but that of the answer, 250. The
/// vendor's own client writes `filter[id][0]=…` with the brackets escaped: 250 ids take about 8 KiB, and a web server
/// with usual settings takes no more in a line. 100 ids take 3 KiB, and the longest numbers there are 4 KiB.
pub(crate) const IDS_PER_REQUEST: usize = 100;
/// The events that make a talk worth fetching.
pub(super) const EVENT_TYPES: &str = "talk_created,talk_closed,talk_missed_event,conversation_answered";

/// A request for a page of a list. Pages count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum PageQuery {
    /// `GET /api/v4/talks`
    Talks { page: u32, only_in_work: bool },
    /// `GET /api/v4/events`, of the events since this time, and up to `until`, if given. Both count.
    Events { page: u32, since: UnixSeconds, until: Option<UnixSeconds> },
    /// `GET /api/v4/users`. Documented: a token without an administrator's rights gets 403.
    Users { page: u32 },
    /// `GET /api/v4/leads/pipelines`. Documented: for every user, and all at once, at most 50 with 100 stages each.
    Pipelines,
    /// `GET /api/v4/leads`, of these alone. Documented: those that the token's user may see, and that filters are not
    /// available to all accounts yet. So an answer may hold any others.
    Leads { ids: Arc<[i64]>, page: u32 },
    /// `GET /api/v4/contacts`, in the same way.
    Contacts { ids: Arc<[i64]>, page: u32 },
}

impl PageQuery {
    /// What an empty page lists.
    pub(super) fn no_rows(&self) -> Rows {
        match self {
            PageQuery::Talks { .. } => Rows::Talks(Vec::new()),
            PageQuery::Events { .. } => Rows::Events(Vec::new()),
            PageQuery::Users { .. } => Rows::Users(Vec::new()),
            PageQuery::Pipelines => Rows::Pipelines(Vec::new()),
            PageQuery::Leads { .. } => Rows::Leads(Vec::new()),
            PageQuery::Contacts { .. } => Rows::Contacts(Vec::new()),
        }
    }

    /// The address, at the host of this one.
    pub(super) fn url(&self, mut url: Url) -> Url {
        match self {
            PageQuery::Talks { page, only_in_work } => {
                set(&mut url, "/api/v4/talks", ROWS_PER_PAGE, *page);
                if *only_in_work {
                    url.query_pairs_mut().append_pair("filter[only_in_work]", "1");
                }
            }
            PageQuery::Events { page, since, until } => {
                set(&mut url, "/api/v4/events", EVENTS_PER_PAGE, *page);
                let mut pairs = url.query_pairs_mut();
                pairs
                    .append_pair("filter[type]", EVENT_TYPES)
                    // Documented, as is `[to]`; which order the events come in is not: the newest first, as seen.
                    .append_pair("filter[created_at][from]", &since.to_string());
                if let Some(until) = until {
                    pairs.append_pair("filter[created_at][to]", &until.to_string());
                }
            }
            PageQuery::Users { page } => set(&mut url, "/api/v4/users", USERS_PER_PAGE, *page),
            PageQuery::Pipelines => url.set_path("/api/v4/leads/pipelines"),
            PageQuery::Leads { ids, page } => {
                set(&mut url, "/api/v4/leads", ROWS_PER_PAGE, *page);
                append_ids(&mut url, ids);
            }
            PageQuery::Contacts { ids, page } => {
                set(&mut url, "/api/v4/contacts", ROWS_PER_PAGE, *page);
                append_ids(&mut url, ids);
            }
        }
        url
    }
}

fn set(url: &mut Url, path: &str, limit: u32, page: u32) {
    url.set_path(path);
    url.query_pairs_mut().append_pair("limit", &limit.to_string()).append_pair("page", &page.to_string());
}

fn append_ids(url: &mut Url, ids: &[i64]) {
    let mut pairs = url.query_pairs_mut();
    for id in ids {
        pairs.append_pair("filter[id][]", &id.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(query: &PageQuery) -> String {
        query.url(Url::parse("https://example.amocrm.ru/api/v4/talks/").unwrap()).to_string()
    }

    #[test]
    fn each_list_has_its_address() {
        assert_eq!(
            url(&PageQuery::Users { page: 2 }),
            "https://example.amocrm.ru/api/v4/users?limit=50&page=2"
        );
        assert_eq!(url(&PageQuery::Pipelines), "https://example.amocrm.ru/api/v4/leads/pipelines");
        assert_eq!(
            url(&PageQuery::Leads { ids: [5, 7].into(), page: 1 }),
            "https://example.amocrm.ru/api/v4/leads?limit=250&page=1&filter%5Bid%5D%5B%5D=5&filter%5Bid%5D%5B%5D=7"
        );
    }

    #[test]
    fn an_address_with_the_most_and_longest_ids_fits_into_what_web_servers_take() {
        let ids: Vec<i64> = vec![i64::MAX; IDS_PER_REQUEST];
        let length = url(&PageQuery::Contacts { ids: ids.into(), page: 1 }).len();
        assert!(length < 4300, "{length}");
    }
}
