//! What the feeder of names knows of its round and of lists that fail: its cursor in `feeders`.

use crate::clock::UnixSeconds;
use crate::directory::NameList;
use crate::feed::{FIRST_REST, ListError, MAX_REST};
use crate::store::feeds::FeederRow;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A list that the token may not read is asked for again after so long.
const DAILY_REST: Duration = Duration::from_secs(24 * 60 * 60);

/// Users and pipelines that a lead names and that are not known are asked for at most this often.
const READ_AGAIN_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// See the module documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct DirectoryState {
    /// When the last round began, …
    began_at: Option<UnixSeconds>,
    /// … and when it ended. `None`: it runs.
    ended_at: Option<UnixSeconds>,
    /// When each whole list was last read, by name.
    read_at: BTreeMap<String, UnixSeconds>,
    /// The lists that fail, by name.
    failing: BTreeMap<String, Failing>,
}

/// A list that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failing {
    /// What failed, and what to do.
    why: String,
    /// It is asked for again once a day, not at growing intervals.
    daily: bool,
    /// Failures in a row.
    failures: u32,
    /// It is asked for again then. `None`: it is being asked for.
    until: Option<UnixSeconds>,
}

/// When the last round began, by the feeder's stored row.
pub(crate) fn began_at(row: Option<&FeederRow>) -> Option<UnixSeconds> {
    stored(row)?.began_at
}

fn stored(row: Option<&FeederRow>) -> Option<DirectoryState> {
    serde_json::from_value(row?.cursor.clone()?).ok()
}

impl DirectoryState {
    /// The stored one. A round that began in the future, by a wrong clock, counts as none.
    pub(super) fn of(row: Option<&FeederRow>, now: UnixSeconds) -> DirectoryState {
        let state = stored(row).unwrap_or_default();
        match state.began_at {
            Some(began_at) if began_at > now => DirectoryState { failing: state.failing, ..Self::default() },
            _ => state,
        }
    }

    pub(super) fn cursor(&self) -> Value {
        json!(self)
    }

    pub(super) fn began_at(&self) -> Option<UnixSeconds> {
        self.began_at
    }

    /// Whether a round runs.
    pub(super) fn runs(&self) -> bool {
        self.began_at.is_some() && self.ended_at.is_none()
    }

    pub(super) fn begin(&mut self, now: UnixSeconds) {
        (self.began_at, self.ended_at) = (Some(now), None);
    }

    pub(super) fn end(&mut self, now: UnixSeconds) {
        self.ended_at = Some(now);
    }

    /// The whole lists that the round has yet to read; the last comes first.
    pub(super) fn lists_left(&self, now: UnixSeconds) -> Vec<NameList> {
        let began_at = self.began_at.unwrap_or(now);
        let is_left = |list: &NameList| !self.has_read_since(*list, began_at, now);
        [NameList::Pipelines, NameList::Users].into_iter().filter(is_left).collect()
    }

    /// Whether a whole list is worth another read, because a lead names what it did not show. A user who is removed is in
    /// no list, so this is not done again and again.
    pub(super) fn may_read_again(&self, list: NameList, now: UnixSeconds) -> bool {
        !self.is_resting(list, now) && !self.has_read_since(list, now - READ_AGAIN_INTERVAL, now)
    }

    fn has_read_since(&self, list: NameList, since: UnixSeconds, now: UnixSeconds) -> bool {
        // A time in the future comes from a wrong clock.
        self.read_at.get(list.as_str()).is_some_and(|at| (since..=now).contains(at))
    }

    /// A whole list was read.
    pub(super) fn has_read(&mut self, list: NameList, now: UnixSeconds) {
        self.read_at.insert(list.as_str().to_owned(), now);
        self.works(list);
    }

    /// A list was read.
    pub(super) fn works(&mut self, list: NameList) {
        self.failing.remove(list.as_str());
    }

    /// A list could not be read.
    pub(super) fn fail(&mut self, list: NameList, list_error: &ListError, now: UnixSeconds) {
        match (list_error, list) {
            (ListError::Refused(why), NameList::Users) => {
                self.fail_for_a_day(list, format!("{why}; only an administrator's token reads them"), now);
            }
            (ListError::Refused(why), _) => {
                self.fail_for_a_day(
                    list,
                    format!("{why}; the token's user needs the right to see them"),
                    now,
                );
            }
            (ListError::NotServed(why) | ListError::Failed(why), _) => {
                let before = self.failing.get(list.as_str()).map_or(0, |before| before.failures);
                // 1min, 2min, 4min, … 1h
                let rest = (FIRST_REST * (1 << before.min(10))).min(MAX_REST);
                self.rest(list, (why.clone(), false), before.saturating_add(1), now + rest);
            }
        }
    }

    /// A list cannot be read, and soon it will be no different. `why` says what to do.
    pub(super) fn fail_for_a_day(&mut self, list: NameList, why: String, now: UnixSeconds) {
        self.rest(list, (why, true), 1, now + DAILY_REST);
    }

    fn rest(&mut self, list: NameList, (why, daily): (String, bool), failures: u32, until: UnixSeconds) {
        let failing = Failing { why, daily, failures, until: Some(until) };
        self.failing.insert(list.as_str().to_owned(), failing);
    }

    /// Whether a list is not to be asked for.
    pub(super) fn is_resting(&self, list: NameList, now: UnixSeconds) -> bool {
        // A clock that was set back does not lengthen a rest.
        let rests = |until: UnixSeconds| (until - DAILY_REST..until).contains(&now);
        self.failing.get(list.as_str()).and_then(|failing| failing.until).is_some_and(rests)
    }

    /// The lists whose rest is over, each once.
    pub(super) fn rested(&mut self, now: UnixSeconds) -> Vec<NameList> {
        let over = |list: &NameList| {
            let rests = self.is_resting(*list, now);
            self.failing.get(list.as_str()).is_some_and(|failing| failing.until.is_some() && !rests)
        };
        let lists: Vec<NameList> = NameList::ALL.into_iter().filter(over).collect();
        for list in &lists {
            if let Some(failing) = self.failing.get_mut(list.as_str()) {
                failing.until = None;
            }
        }
        lists
    }

    /// What fails, with what to do. `None` if nothing does.
    pub(super) fn error(&self) -> Option<String> {
        let texts: Vec<String> = self.failing.iter().map(|(list, failing)| failing.text(list)).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

impl Failing {
    fn text(&self, list: &str) -> String {
        let retried = if self.daily { "once a day" } else { "at growing intervals, at most once an hour" };
        format!("{list}: {}; retried {retried}", self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);
    const DAY: i64 = 86_400;

    fn row(state: &DirectoryState) -> FeederRow {
        FeederRow { cursor: Some(state.cursor()), ..FeederRow::default() }
    }

    #[test]
    fn a_round_goes_on_after_a_restart_with_what_it_has_not_read() {
        let mut state = DirectoryState::of(None, NOW);
        assert!(!state.runs());
        state.begin(NOW);
        assert_eq!(state.lists_left(NOW), [NameList::Pipelines, NameList::Users]);
        state.has_read(NameList::Users, NOW + 1);
        let mut state = DirectoryState::of(Some(&row(&state)), NOW + 5);
        assert!(state.runs());
        assert_eq!((state.lists_left(NOW + 5), state.began_at()), (vec![NameList::Pipelines], Some(NOW)));
        assert!(!state.may_read_again(NameList::Users, NOW + 3600));
        assert!(state.may_read_again(NameList::Users, NOW + 3602));
        assert!(state.may_read_again(NameList::Users, NOW), "it was read by a clock that was ahead");
        state.end(NOW + 9);
        let state = DirectoryState::of(Some(&row(&state)), NOW + 10);
        assert!(!state.runs());
        assert_eq!(began_at(Some(&row(&state))), Some(NOW));
        // It began by a clock that was ahead.
        let state = DirectoryState::of(Some(&row(&state)), NOW - 5);
        assert_eq!((state.runs(), state.began_at()), (false, None));
    }

    #[test]
    fn a_damaged_cursor_begins_anew() {
        for cursor in [json!(7), json!({"began_at": "x"}), json!(null)] {
            let row = FeederRow { cursor: Some(cursor), ..FeederRow::default() };
            assert_eq!(DirectoryState::of(Some(&row), NOW), DirectoryState::default());
        }
    }

    #[test]
    fn a_refused_list_rests_for_a_day_and_another_error_for_longer_each_time() {
        let mut state = DirectoryState::default();
        let refused = ListError::Refused("HTTP 403".into());
        state.fail(NameList::Users, &refused, NOW);
        assert!(state.is_resting(NameList::Users, NOW) && state.is_resting(NameList::Users, NOW + (DAY - 1)));
        assert!(!state.is_resting(NameList::Leads, NOW));
        assert_eq!(state.rested(NOW + (DAY - 1)), []);
        assert_eq!(state.rested(NOW + DAY), [NameList::Users]);
        assert_eq!(state.rested(NOW + DAY), [], "it is being asked for");
        state.fail(NameList::Users, &refused, NOW + DAY);
        assert!(state.is_resting(NameList::Users, NOW + (DAY + 3600)));
        // A clock that was set back by years does not lengthen a rest.
        assert!(!state.is_resting(NameList::Users, NOW - 1000 * DAY));
        state.works(NameList::Users);
        assert_eq!(state.error(), None);

        let mut rests = Vec::new();
        for _ in 0..9 {
            state.fail(NameList::Leads, &ListError::Failed("HTTP 502".into()), NOW);
            let until = state.failing["leads"].until.unwrap();
            rests.push(until.seconds_since(NOW) / 60);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_error_names_each_list_that_fails_and_what_to_do() {
        let mut state = DirectoryState::default();
        state.fail(NameList::Leads, &ListError::Refused("HTTP 403: no right".into()), NOW);
        state.fail(NameList::Users, &ListError::Refused("HTTP 403: no right".into()), NOW);
        state.fail(NameList::Contacts, &ListError::Failed("HTTP 502: the server failed".into()), NOW);
        let expected = "contacts: HTTP 502: the server failed; retried at growing intervals, at most once an hour; \
                        leads: HTTP 403: no right; the token's user needs the right to see them; retried once a day; \
                        users: HTTP 403: no right; only an administrator's token reads them; retried once a day";
        assert_eq!(state.error().unwrap(), expected);
    }
}
