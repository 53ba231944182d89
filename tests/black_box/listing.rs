//! The listing: what is found in it, however it is shown.

use crate::feeders::{LISTING, assert_changes_are_found, change, mirror_of, runs_on, trouble};
use crate::harness::{Mirror, account, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, part};
use talkmirror_simulator::{Fault, PageHook};

#[test]
fn the_listing_alone_finds_new_talks_changes_and_closings() {
    let mirror = mirror_of(account(12), LISTING);
    let daemon = mirror.running_daemon();
    runs_on(&mirror, "listing");
    let fetches = || {
        let account = mirror.simulator.account();
        account.requests() - account.list_requests()
    };
    assert_eq!(fetches(), 12, "nothing differs");
    let new = mirror.simulator.account().create_talk();
    change(&mirror);
    assert_changes_are_found(&mirror);
    mirror.wait_sql("a new talk", &format!("SELECT count(*) FROM talks WHERE talk_id = {new}"), 1);
    runs_on(&mirror, "listing");
    daemon.stop();
    assert_eq!(fetches(), 12 + 4, "nothing else is fetched");
}

#[test]
fn a_row_of_the_list_is_never_stored() {
    let mirror = mirror_of(account(3), LISTING);
    let new = mirror.simulator.account().create_talk();
    mirror.simulator.account().script(new, std::iter::repeat_n(Fault::Problem(403), 50));
    let daemon = mirror.running_daemon();
    mirror.wait_sql(
        "it is denied",
        &format!("SELECT last_error IS NOT NULL FROM talk_queue WHERE talk_id = {new}"),
        1,
    );
    runs_on(&mirror, "listing");
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM talks"), 3);
    // The first refusal is doubted until the account is confirmed.
    let requests = mirror.simulator.account().requests_of(new);
    assert!(requests <= 2, "{requests}: it is asked for again in a day, list or no list");
}

#[test]
fn pages_that_shift_while_they_are_read_lose_nothing_for_longer_than_a_pass() {
    let mirror = mirror_of(account(900), LISTING);
    {
        let mut account = mirror.simulator.account();
        // Newest first: closing talks of page 1 moves others up past the reader, a new talk moves all down.
        let mut shifts = 0;
        account.after_page = Some(PageHook(Box::new(move |account, page| {
            if shifts < 40 {
                shifts += 1;
                let now = unix_now();
                let newest: Vec<i64> = account
                    .talks
                    .values()
                    .rev()
                    .filter(|talk| talk.is_in_work && talk.talk_id <= 900)
                    .map(|talk| talk.talk_id)
                    .take(7)
                    .collect();
                for talk_id in newest {
                    account.talk(talk_id).is_in_work = false;
                    account.talk(talk_id).updated_at = now;
                }
                if page % 2 == 0 {
                    account.create_talk();
                }
                let oldest = account
                    .talks
                    .values()
                    .find(|talk| talk.is_in_work && talk.is_read == Some(false))
                    .map(|talk| talk.talk_id);
                if let Some(talk_id) = oldest {
                    account.talk(talk_id).is_read = Some(true);
                    account.talk(talk_id).updated_at = now;
                }
            }
        })));
    }
    let daemon = mirror.running_daemon();
    mirror.wait("the shifting ends", || mirror.simulator.account().list_requests() >= 45);
    let passed = unix_now();
    mirror.wait_sql(
        "two more passes",
        &format!("SELECT max(ran_at) > {} FROM feeders WHERE feeder = 'listing'", passed + 2),
        1,
    );
    mirror.wait_sql("the queue is worked", "SELECT count(*) FROM talk_queue", 0);
    daemon.stop();
    mirror.assert_mirrors_the_account();
}

#[test]
fn a_long_list_that_ignores_the_filter_is_noticed_and_read_once_a_day() {
    let mut account = account(2600);
    account.ignores_filter = true;
    let mirror = Mirror::new(account);
    mirror.configure(LISTING);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("all talks are found", "SELECT count(*) FROM talks", 2600);
    runs_on(&mirror, "listing");
    runs_on(&mirror, "listing");
    let pages = mirror.simulator.account().list_requests();
    // Nine pages show it. The whole list has eleven, and a tick may repeat one request.
    assert!((20..30).contains(&pages), "{pages}");
    assert_said!(trouble(&mirror, "listing").unwrap(), @"the list of talks ignores filter[only_in_work]: it is long, so it is read once a day, as a whole");
    assert_eq!(mirror.logged(journal::LISTING_TROUBLE).len(), 1);
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Listing"), [("2,6[0-9]{2} ", "2,6[n] ")], @"Listing  last [n] s ago: 0 talks queued (2,6[n] in all); error for [n] s: the list of talks ignores filter[only_in_work]: it is long, so it is read once a day, as a whole");
    daemon.stop();
}

#[test]
fn a_short_list_that_ignores_the_filter_is_noticed_and_used_all_the_same() {
    let mut account = account(8);
    account.ignores_filter = true;
    let mirror = Mirror::new(account);
    mirror.configure(LISTING);
    let daemon = mirror.running_daemon();
    assert_said!(mirror.wait_logged(journal::LISTING_TROUBLE), @r#"WARN the list of talks ignores filter[only_in_work]: it is short, so it is read as a whole each time feeder="listing""#);
    let new = mirror.simulator.account().create_talk();
    mirror.wait_sql("a new talk", &format!("SELECT count(*) FROM talks WHERE talk_id = {new}"), 1);
    daemon.stop();
    assert_eq!(mirror.logged(journal::LISTING_TROUBLE).len(), 1);
}

#[test]
fn the_daily_pass_over_all_talks_holds_no_other_up_and_goes_on_after_a_kill() {
    let mut account = account(12_000);
    for talk in account.talks.values_mut() {
        talk.is_in_work = talk.talk_id > 11_990;
    }
    let mirror = Mirror::new(account);
    mirror.configure(&format!("{LISTING}api.requests_per_second = 12\n"));
    let page = "SELECT coalesce(max(cursor ->> 'whole_page'), 0) >= ? FROM feeders WHERE feeder = 'listing'";
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it is on its way", &page.replace('?', "3"), 1);
    let new = mirror.simulator.account().create_talk();
    mirror.wait_sql("a new talk", &format!("SELECT count(*) FROM talks WHERE talk_id = {new}"), 1);
    assert!(mirror.sql::<bool>(&page.replace('?', "3")), "found while the long pass goes on");
    daemon.kill_hard();
    let before = mirror.simulator.account().log.len();
    // A slow machine was further when it was killed.
    let reached: i64 = mirror.sql("SELECT cursor ->> 'whole_page' FROM feeders WHERE feeder = 'listing'");
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it goes on", &page.replace('?', &(reached + 3).to_string()), 1);
    daemon.stop();
    let account = mirror.simulator.account();
    let whole = account.log[before..].iter().map(|request| &request.path);
    let whole = whole.filter(|path| path.starts_with("/api/v4/talks?") && !path.contains("only_in_work"));
    let pages: Vec<u32> = whole.map(|path| path.split("page=").nth(1).unwrap().parse().unwrap()).collect();
    assert!(
        !pages.is_empty() && pages.iter().all(|page| i64::from(*page) >= reached),
        "not begun anew: {pages:?}"
    );
}

#[test]
fn a_list_that_always_shows_the_same_page_is_noticed() {
    let mut account = account(600);
    account.ignores_page = true;
    account.talks.values_mut().for_each(|talk| talk.is_in_work = true);
    let mirror = Mirror::new(account);
    mirror.configure(LISTING);
    let daemon = mirror.running_daemon();
    assert_said!(mirror.wait_logged(journal::LISTING_TROUBLE), @r#"WARN listing: this account does not offer it (each page shows the same talks); talkmirror retries at growing intervals, at most once an hour feeder="listing""#);
    daemon.stop();
    assert_eq!(mirror.simulator.account().list_requests(), 2);
}

#[test]
fn a_list_that_always_differs_is_followed_once() {
    let mirror = mirror_of(account(3), LISTING);
    {
        let mut account = mirror.simulator.account();
        // The list says so, but a fetch does not.
        let as_fetched = mirror.sql::<String>("SELECT payload FROM talks WHERE talk_id = 1").into_bytes();
        let headers = vec![("content-type", "application/hal+json")];
        account.script(1, std::iter::repeat_n(Fault::Answer { status: 200, headers, body: as_fetched }, 500));
        account.talk(1).updated_at = unix_now();
    }
    let daemon = mirror.running_daemon();
    mirror.wait("it is fetched", || mirror.simulator.account().requests_of(1) >= 2);
    for _ in 0..3 {
        runs_on(&mirror, "listing");
    }
    daemon.stop();
    let requests = mirror.simulator.account().requests_of(1);
    assert!(requests <= 5, "{requests}: twice at once, and perhaps again with the pass over all talks");
}

#[test]
fn a_page_with_nothing_in_it_is_not_the_end_of_the_list() {
    let mut account = account(300);
    account.scripted_list.extend([Fault::Empty, Fault::Empty]);
    let mirror = mirror_of(account, LISTING);
    let daemon = mirror.running_daemon();
    runs_on(&mirror, "listing");
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!(account.requests() - account.list_requests(), 300, "no talk was thought to be unseen");
}

#[test]
fn a_talk_that_a_shifting_page_passed_over_and_that_closes_is_found_by_the_next_pass() {
    let mirror = mirror_of(account(600), LISTING);
    {
        let mut account = mirror.simulator.account();
        let mut passed = 0;
        account.after_page = Some(PageHook(Box::new(move |account, page| {
            passed += u32::from(page == 1);
            // The newest close just after page 1 showed them. The first of page 2 move up, unseen.
            if passed == 2 && page == 1 {
                for talk_id in 596..=600 {
                    account.talk(talk_id).is_in_work = false;
                    account.talk(talk_id).updated_at = unix_now();
                }
            }
        })));
    }
    let daemon = mirror.running_daemon();
    // Listed newest first, 250 per page: 600 to 351, then 350 and down. 350 to 346 moved up.
    mirror.wait("the talk that moved up is fetched", || mirror.simulator.account().requests_of(348) >= 2);
    {
        let mut account = mirror.simulator.account();
        account.talk(348).is_in_work = false;
        account.talk(348).updated_at = unix_now();
    }
    mirror.wait_sql("its closing is found", "SELECT is_in_work FROM talks WHERE talk_id = 348", 0);
    daemon.stop();
}
