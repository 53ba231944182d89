//! The feeder's requests to the API, and what it stores of their answers.

use super::Directory;
use crate::amocrm::{IDS_PER_REQUEST, Page, PageQuery, Rows};
use crate::clock::{self, unix_now};
use crate::directory::NameList;
use crate::feed::{FeederEnded, ListError};
use crate::policy::lanes::Lane;
use crate::store::feeds::{Fed, NamesRequest};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The share of the quota that the pages take while many are needed, as the least of a lane. They are in the lane of hints:
/// a hint waits for one of them at most, and talks stay as fresh as they are. In the lane of talks never fetched, names
/// would come last in a first load.
const QUOTA_SHARE: f64 = 0.05;
/// Between two pages, however high or low the quota is.
const PAGE_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// At most this many pages of a list: 10,000 users. A list that does not end shows no user as removed.
const MAX_PAGES: u32 = 200;
impl Directory {
    /// Reads a list as a whole, and stores it.
    pub(super) async fn read_whole(&mut self, list: NameList) -> Result<(), FeederEnded> {
        let (mut users, mut pipelines) = (BTreeMap::new(), BTreeMap::new());
        let mut all = true;
        for page in 1..=MAX_PAGES {
            let query = match list {
                NameList::Users => PageQuery::Users { page },
                _ => PageQuery::Pipelines,
            };
            let Page { rows, more, unread, .. } = match self.page(query).await? {
                Ok(page) => page,
                Err(list_error) => return self.fail(list, &list_error).await,
            };
            all &= unread == 0;
            let before = users.len();
            match rows {
                Rows::Users(rows) => users.extend(rows.into_iter().map(|user| (user.user_id, user))),
                Rows::Pipelines(rows) => {
                    pipelines.extend(rows.into_iter().map(|pipeline| (pipeline.pipeline_id, pipeline)));
                }
                _ => {}
            }
            if !more {
                break;
            }
            if users.len() == before || page == MAX_PAGES {
                // Each page shows the same, or the list has a second page that is not documented.
                all = false;
                break;
            }
        }
        let now = unix_now();
        self.feed(match list {
            NameList::Users => NamesRequest::Users { users: users.into_values().collect(), all, now },
            _ => NamesRequest::Pipelines { pipelines: pipelines.into_values().collect(), all, now },
        })
        .await?;
        self.state.has_read(list, now);
        self.note().await
    }

    /// Asks for the next leads or contacts, and stores them. After an answer that could not be read, the next request names
    /// half as many, others than that one: a single row may have spoilt it, and the others are not to wait for that one.
    pub(super) async fn ask(&mut self, list: NameList) -> Result<(), FeederEnded> {
        let most = self.ids_per_request;
        let failed_at = self.failed_at;
        let needed = self.ids(list);
        let next = || match failed_at {
            None => needed.pop_last(),
            Some(id) => {
                let id = needed.range(id.saturating_add(1)..).next().or(needed.first()).copied()?;
                needed.take(&id)
            }
        };
        let asked: Arc<[i64]> = std::iter::from_fn(next).take(most).collect();
        let (mut leads, mut contacts, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        let mut all = true;
        for page in 1..=MAX_PAGES {
            let ids = Arc::clone(&asked);
            let query = match list {
                NameList::Contacts => PageQuery::Contacts { ids, page },
                _ => PageQuery::Leads { ids, page },
            };
            let Page { rows, more, unread, .. } = match self.page(query).await? {
                Ok(page) => page,
                Err(list_error) => {
                    if matches!(list_error, ListError::NotServed(_)) {
                        self.ids_per_request = (asked.len() / 2).max(1);
                        self.failed_at = asked.last().copied();
                    }
                    return self.fail(list, &list_error).await;
                }
            };
            all &= unread == 0;
            let before = seen.len();
            match rows {
                Rows::Leads(rows) => {
                    seen.extend(rows.iter().map(|lead| lead.lead_id));
                    leads.extend(rows);
                }
                Rows::Contacts(rows) => {
                    seen.extend(rows.iter().map(|contact| contact.contact_id));
                    contacts.extend(rows);
                }
                _ => {}
            }
            let ignores_filter = seen.iter().any(|id| !asked.contains(id));
            all &= !ignores_filter;
            if !more || ignores_filter {
                break;
            }
            if seen.len() == before || page == MAX_PAGES {
                all = false;
                break;
            }
        }
        let ignores_filter = seen.iter().any(|id| !asked.contains(id));
        let now = unix_now();
        let stored = self
            .feed(match list {
                NameList::Contacts => NamesRequest::Contacts { asked, contacts, all, now },
                _ => NamesRequest::Leads { asked, leads, all, now },
            })
            .await?;
        if let Fed::UnknownNames { users, pipelines } = stored {
            let named = [(NameList::Users, users), (NameList::Pipelines, pipelines)];
            let again =
                named.into_iter().filter(|(list, unknown)| *unknown && self.state.may_read_again(*list, now));
            let again: Vec<NameList> =
                again.map(|(list, _)| list).filter(|list| !self.lists.contains(list)).collect();
            self.lists.extend(again);
        }
        if ignores_filter {
            // Otherwise what it does not show would be asked for again and again.
            let why =
                "the list ignores filter[id]; ask amoCRM's support to switch filters on for this account";
            self.state.fail_for_a_day(list, why.into(), now);
            return self.drop_ids(list).await;
        }
        self.ids_per_request = (self.ids_per_request * 2).min(IDS_PER_REQUEST);
        self.failed_at = self.failed_at.filter(|_| self.ids_per_request < IDS_PER_REQUEST);
        self.state.works(list);
        self.note().await
    }

    /// A list could not be read: it rests, and the others go on.
    async fn fail(&mut self, list: NameList, list_error: &ListError) -> Result<(), FeederEnded> {
        self.state.fail(list, list_error, unix_now());
        self.drop_ids(list).await
    }

    /// What is to be asked of a list that rests is found again when it is over.
    async fn drop_ids(&mut self, list: NameList) -> Result<(), FeederEnded> {
        if matches!(list, NameList::Leads | NameList::Contacts) {
            self.ids(list).clear();
            self.walks.remove(&list);
        }
        self.note().await
    }

    /// Fetches a page when it is due.
    async fn page(&mut self, query: PageQuery) -> Result<Result<Page, ListError>, FeederEnded> {
        // Users and pipelines are a few pages a day.
        let is_of_few = matches!(query, PageQuery::Users { .. } | PageQuery::Pipelines);
        tokio::time::sleep(self.page_at.saturating_duration_since(clock::mono())).await;
        let quota = self.context.api.quota().await.ok_or(FeederEnded)?;
        let page = self.context.page(Lane::Hints, query).await?;
        let interval = match is_of_few {
            true => PAGE_INTERVAL.0,
            false => {
                let interval = Duration::try_from_secs_f64(1.0 / (quota.pace * QUOTA_SHARE));
                interval.unwrap_or(Duration::MAX).clamp(PAGE_INTERVAL.0, PAGE_INTERVAL.1)
            }
        };
        self.page_at = clock::mono() + interval;
        Ok(page)
    }
}
