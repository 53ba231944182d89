//! The names of users, pipelines, leads and contacts come by themselves, stay when they are gone, and cost little.

use crate::feeders::{runs_on, trouble};
use crate::harness::{Mirror, account, response, unix_now};
use crate::journal;
use crate::snapshots::{assert_said, part};
use nix::sys::signal::Signal;
use serde_json::json;
use talkmirror_simulator::{Account, Fault, NameList};

/// A round each second.
const ROUNDS: &str = "directory.enabled = true\ndirectory.schedule = \"* * * * * *\"\n";
/// One round, and a look at new talks four times a second.
const LOOKS: &str =
    "directory.enabled = true\ndirectory.schedule = \"0 0 0 1 1 *\"\ndirectory.interval = \"250ms\"\n";
const ROUND_ENDED: &str =
    "SELECT count(*) FROM feeders WHERE feeder = 'directory' AND cursor ->> 'ended_at' > 0";

/// A mirror of open talks 1 to `talks`, each of which has a lead.
fn mirror_of(talks: i64) -> Mirror {
    let mirror = Mirror::new(with_leads(talks));
    mirror.ends(0, &["sync", &format!("1..{talks}")]);
    mirror
}

fn with_leads(talks: i64) -> Account {
    let mut account = account(0);
    for _ in 0..talks {
        create_talk_with_lead(&mut account);
    }
    account
}

fn create_talk_with_lead(account: &mut Account) -> i64 {
    loop {
        let talk_id = account.create_talk();
        if account.talk(talk_id).lead_id.is_some() {
            return talk_id;
        }
        // Its id is taken again.
        account.talks.remove(&talk_id);
    }
}

/// What is stored of a list, as JSON.
fn stored(mirror: &Mirror, columns: &str, table: &str) -> String {
    mirror.sql(&format!(
        "SELECT json_group_array(concat_ws(' ', {columns})) FROM (SELECT * FROM {table} ORDER BY 1)"
    ))
}

fn requests(mirror: &Mirror) -> [usize; 4] {
    let account = mirror.simulator.account();
    [NameList::Users, NameList::Pipelines, NameList::Leads, NameList::Contacts]
        .map(|list| account.name_requests(list))
}

#[test]
fn the_names_of_users_pipelines_and_leads_appear_and_those_of_clients_do_not() {
    let mirror = mirror_of(3);
    mirror.configure(LOOKS);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the round ends", ROUND_ENDED, 1);
    daemon.stop();
    assert_said!(stored(&mirror, "user_id, name, is_active, gone_at", "users"), @r#"["500 talkmirror 1","501 Anna Ivanova 1","502 Boris Petrov 1","503 Clara Smirnova 1","504 Dmitri Volkov 1"]"#);
    assert_said!(stored(&mirror, "pipeline_id, name, sort, is_main, is_archive, gone_at", "pipelines"), @r#"["1001 Sales 1 1 0","1002 Service 2 0 0"]"#);
    assert_said!(stored(&mirror, "pipeline_id, status_id, name, sort", "statuses"), @r#"["1001 142 Closed - won 40","1001 143 Closed - lost 50","1001 10010 First contact 10","1001 10011 Negotiation 20","1001 10012 Contract 30","1002 142 Closed - won 40","1002 143 Closed - lost 50","1002 10020 Received 10","1002 10021 In repair 20","1002 10022 Ready 30"]"#);
    assert_said!(stored(&mirror, "lead_id, name, price, responsible_user_id, pipeline_id, status_id, iif(closed_at > 0, 'closed', NULL), gone_at", "leads"), @r#"["600000001 Order 1 18500 502 1001 143 closed","600000002 Order 2 37000 503 1001 10012","600000003 Order 3 55500 504 1002 10020"]"#);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM contacts"), 0);
    assert_eq!(requests(&mirror), [1, 1, 1, 0]);
    let address = b"@example.com";
    let file = std::fs::read(mirror.database()).unwrap();
    assert!(!file.windows(address.len()).any(|bytes| bytes == address), "no address is stored");
    let (out, _) = mirror.ends(0, &["status"]);
    assert_said!(part(&out, "Directory"), @"Directory  last read [n] s ago");
}

#[test]
fn what_a_new_talk_names_is_asked_for_soon_and_once_for_many_talks() {
    let mirror = mirror_of(3);
    mirror.configure(LOOKS);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the round ends", ROUND_ENDED, 1);
    let last = {
        let mut account = mirror.simulator.account();
        (0..50).map(|_| create_talk_with_lead(&mut account)).last().unwrap()
    };
    mirror.ends(0, &["enqueue", &format!("1..{last}")]);
    mirror.wait_sql("the leads come", "SELECT count(*) FROM leads WHERE name IS NOT NULL", 53);
    // A talk that changes and names the same lead costs nothing.
    mirror.simulator.account().talk(1).updated_at = unix_now() + 1;
    mirror.ends(0, &["enqueue", "1"]);
    mirror.wait_sql("it is fetched", "SELECT version FROM talks WHERE talk_id = 1", 2);
    // One that names a lead that is not there is asked for once.
    mirror.simulator.account().talk(2).lead_id = Some(7);
    mirror.simulator.account().talk(2).updated_at = unix_now() + 1;
    mirror.ends(0, &["enqueue", "2"]);
    mirror.wait_sql(
        "it is not there",
        "SELECT count(*) FROM leads WHERE lead_id = 7 AND gone_at > 0 AND name IS NULL",
        1,
    );
    let [users, pipelines, leads, contacts] = requests(&mirror);
    assert!((3..=5).contains(&leads), "{leads}: the fetches of the 50 took more than one look, or a few");
    assert_eq!([users, pipelines, contacts], [1, 1, 0]);
    let before = mirror.simulator.account().log.len();
    mirror.simulator.account().talk(3).updated_at = unix_now() + 1;
    mirror.ends(0, &["enqueue", "3"]);
    mirror.wait_sql("it is fetched", "SELECT version FROM talks WHERE talk_id = 3", 2);
    daemon.stop();
    assert_eq!(mirror.simulator.account().log.len(), before + 1, "only the talk");
}

#[test]
fn a_list_that_the_token_may_not_read_is_asked_for_once_a_day_and_the_others_come() {
    let mut said = String::new();
    for fault in [Fault::Problem(403), Fault::Problem(404), Fault::Problem(401)] {
        let mirror = mirror_of(3);
        mirror.simulator.account().name_faults.insert(NameList::Users, fault.clone());
        mirror.configure(ROUNDS);
        let daemon = mirror.running_daemon();
        mirror.wait_sql("the leads come", "SELECT count(*) FROM leads WHERE name IS NOT NULL", 3);
        mirror.wait("rounds pass", || requests(&mirror)[2] >= 3);
        daemon.stop();
        let daemon = mirror.running_daemon();
        let leads = requests(&mirror)[2];
        mirror.wait("rounds pass after a restart", || requests(&mirror)[2] >= leads + 2);
        let (out, _) = mirror.ends(0, &["status"]);
        said += &format!(
            "{}\n{}\n",
            mirror.logged(journal::DIRECTORY_TROUBLE).join("\n"),
            part(&out, "Directory")
        );
        let paused = "SELECT pause_reason IS NOT NULL FROM daemon_status";
        mirror.wait_sql("nothing pauses", paused, false);
        daemon.stop();
        // A 401 is confirmed before it is the list's own.
        let most = if fault == Fault::Problem(401) { 2 } else { 1 };
        assert!(requests(&mirror)[0] <= most, "{fault:?}: {:?}", requests(&mirror));
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM users"), 0);
        assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM pipelines"), 2);
    }
    assert_said!(said, @r#"
    WARN directory: users: HTTP 403: this token has no right to it; only an administrator's token reads them; retried once a day feeder="directory"
    Directory  last read [n] s ago; error for [n] s: users: HTTP 403: this token has no right to it; only an administrator's token reads them; retried once a day

    WARN directory: users: HTTP 404: nothing at this address; only an administrator's token reads them; retried once a day feeder="directory"
    Directory  last read [n] s ago; error for [n] s: users: HTTP 404: nothing at this address; only an administrator's token reads them; retried once a day

    WARN directory: users: HTTP 401: the token is not accepted; only an administrator's token reads them; retried once a day feeder="directory"
    Directory  last read [n] s ago; error for [n] s: users: HTTP 401: the token is not accepted; only an administrator's token reads them; retried once a day
    "#);
}

#[test]
fn a_list_that_fails_for_a_while_is_read_later() {
    let mirror = mirror_of(3);
    let gateway = vec![Fault::Html(502); 3];
    mirror.simulator.account().scripted_names.insert(NameList::Leads, gateway.into());
    mirror.configure(LOOKS);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the leads come", "SELECT count(*) FROM leads WHERE name IS NOT NULL", 3);
    daemon.stop();
    assert_eq!(trouble(&mirror, "directory"), None);
    assert_eq!(requests(&mirror), [1, 1, 4, 0]);
}

#[test]
fn a_refused_list_is_asked_for_again_after_a_day_and_one_that_cannot_be_read_after_minutes() {
    let mirror = mirror_of(3);
    {
        let mut account = mirror.simulator.account();
        account.name_faults.insert(NameList::Users, Fault::Problem(403));
        account.name_faults.insert(NameList::Leads, Fault::NotJson);
    }
    mirror.configure(LOOKS);
    let daemon = mirror.daemon_with_shifted_clock();
    mirror.wait_sql("the round ends", ROUND_ENDED, 1);
    assert_eq!(requests(&mirror), [1, 1, 1, 0]);
    mirror.simulator.account().name_faults.remove(&NameList::Leads);
    mirror.shift_clock(120);
    mirror.wait_sql("the leads come", "SELECT count(*) FROM leads WHERE name IS NOT NULL", 3);
    mirror.shift_clock(86_000);
    let later = "SELECT count(*) FROM feeders WHERE trouble LIKE 'users: %'";
    mirror.wait_sql("users are still refused", later, 1);
    assert_eq!(requests(&mirror)[0], 1, "not within a day");
    mirror.simulator.account().name_faults.clear();
    mirror.shift_clock(86_500);
    mirror.wait_sql("the users come", "SELECT count(*) FROM users WHERE name IS NOT NULL", 5);
    mirror.wait_sql("nothing is wrong", "SELECT count(*) FROM feeders WHERE trouble IS NOT NULL", 0);
    daemon.stop();
    assert_eq!(requests(&mirror)[0], 2);
}

#[test]
fn a_lead_that_spoils_each_answer_does_not_keep_the_others_from_being_read() {
    let mirror = mirror_of(12);
    {
        let mut account = mirror.simulator.account();
        let lead_id = account.talk(5).lead_id.unwrap();
        account.spoilt.insert(lead_id);
    }
    mirror.configure(LOOKS);
    let daemon = mirror.daemon_with_shifted_clock();
    let mut shift = 0;
    mirror.wait("the others are read", || {
        // The rests grow to an hour.
        shift += 3600;
        mirror.shift_clock(shift);
        let asked = requests(&mirror)[2];
        mirror.wait("it is asked for again", || requests(&mirror)[2] > asked);
        mirror.sql::<i64>("SELECT count(*) FROM leads WHERE name IS NOT NULL") == 11
    });
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM leads"), 11, "the other is not gone");
}

#[test]
fn a_new_user_whose_lead_is_read_has_a_name_before_the_next_round() {
    let mirror = mirror_of(3);
    mirror.configure(LOOKS);
    let daemon = mirror.daemon_with_shifted_clock();
    mirror.wait_sql("the round ends", ROUND_ENDED, 1);
    mirror.shift_clock(2 * 3600);
    let talk_id = {
        let mut account = mirror.simulator.account();
        let talk_id = create_talk_with_lead(&mut account);
        let lead_id = account.talk(talk_id).lead_id.unwrap();
        let user = account.users[&501].clone();
        account.users.insert(505, user);
        account.leads.get_mut(&lead_id).unwrap().responsible_user_id = 505;
        talk_id
    };
    mirror.ends(0, &["enqueue", &talk_id.to_string()]);
    mirror.wait_sql("the user comes", "SELECT count(*) FROM users WHERE user_id = 505", 1);
    daemon.stop();
    assert_eq!(requests(&mirror), [2, 1, 2, 0]);
}

#[test]
fn what_is_removed_keeps_its_last_name_and_what_is_renamed_has_the_new_one() {
    let mirror = mirror_of(3);
    let lead = mirror.simulator.account().talk(1).lead_id.unwrap();
    mirror.configure(ROUNDS);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the leads come", "SELECT count(*) FROM leads WHERE name IS NOT NULL", 3);
    let (pipeline, removed) = {
        let mut account = mirror.simulator.account();
        account.users.remove(&503);
        account.users.get_mut(&504).unwrap().name = "Dmitri Sokolov".into();
        account.users.get_mut(&501).unwrap().is_active = false;
        account.pipelines.get_mut(&1001).unwrap().statuses.remove(0);
        (account.pipelines.remove(&1002).unwrap(), account.leads.remove(&lead).unwrap())
    };
    mirror.wait_sql("it is noted", "SELECT count(*) FROM leads WHERE gone_at > 0", 1);
    mirror.wait_sql("and the others", "SELECT count(*) FROM statuses WHERE gone_at > 0", 6);
    let users = "user_id, name, is_active, iif(gone_at > 0, 'gone', NULL)";
    assert_said!(stored(&mirror, users, "users"), @r#"["500 talkmirror 1","501 Anna Ivanova 0","502 Boris Petrov 1","503 Clara Smirnova 1 gone","504 Dmitri Sokolov 1"]"#);
    let pipelines = "pipeline_id, name, iif(gone_at > 0, 'gone', NULL)";
    assert_said!(stored(&mirror, pipelines, "pipelines"), @r#"["1001 Sales","1002 Service gone"]"#);
    let name: String = mirror.sql(&format!("SELECT name FROM leads WHERE lead_id = {lead}"));
    assert_eq!(name, removed.name);
    {
        let mut account = mirror.simulator.account();
        account.pipelines.insert(1002, pipeline);
        account.leads.insert(lead, removed);
    }
    let gone = "SELECT (SELECT count(*) FROM leads WHERE gone_at > 0) + (SELECT count(*) FROM statuses WHERE gone_at > 0)";
    mirror.wait_sql("they are there again", gone, 1);
    daemon.stop();
}

#[test]
fn names_of_clients_come_only_if_they_are_switched_on() {
    let mirror = mirror_of(3);
    mirror.configure(LOOKS);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the round ends", ROUND_ENDED, 1);
    assert_eq!(requests(&mirror)[3], 0);
    mirror.configure(&format!("{LOOKS}directory.contacts = true\n"));
    daemon.signal(Signal::SIGHUP);
    let all = "SELECT count(*) FROM (SELECT contact_id FROM talks EXCEPT SELECT contact_id FROM contacts WHERE name IS NOT NULL)";
    mirror.wait_sql("they come", all, 0);
    mirror.configure(LOOKS);
    daemon.signal(Signal::SIGHUP);
    mirror.wait("it is off", || mirror.log().matches("applied the new configuration").count() == 2);
    let talk_id = create_talk_with_lead(&mut mirror.simulator.account());
    mirror.ends(0, &["enqueue", &talk_id.to_string()]);
    mirror.wait_sql("its lead comes", "SELECT count(*) FROM leads", 4);
    daemon.stop();
    assert_eq!(requests(&mirror), [1, 1, 2, 1], "the round was not begun anew");
}

#[test]
fn a_first_load_takes_a_small_share_of_the_quota_and_never_more_than_that() {
    let mirror = mirror_of(250);
    {
        let mut account = mirror.simulator.account();
        account.limit = 7;
        account.log.clear();
    }
    mirror.configure(&format!(
        "{ROUNDS}api.requests_per_second = 6\nrefresh.enabled = true\nrefresh.min_interval = \"1s\"\n"
    ));
    let daemon = mirror.running_daemon();
    mirror.wait_sql("many leads come", "SELECT count(*) >= 250 FROM leads WHERE name IS NOT NULL", true);
    daemon.stop();
    let account = mirror.simulator.account();
    assert_eq!(account.violations, 0);
    assert!(account.most_in_a_second() <= 6);
    let pages = account.log.iter().filter(|request| request.path.starts_with("/api/v4/leads?"));
    let times: Vec<_> = pages.map(|request| request.at).collect();
    assert!(times.len() >= 3, "{}", times.len());
    for pair in times.windows(2) {
        assert!(pair[1].duration_since(pair[0]).as_secs_f64() > 3.0, "a twentieth of the quota");
    }
}

#[test]
fn a_restart_reads_nothing_again_and_goes_on_where_it_was() {
    let mirror = Mirror::new(with_leads(250));
    mirror.ends(0, &["sync", "1..250"]);
    mirror.configure(LOOKS);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("some leads are there", "SELECT count(*) FROM leads", 100);
    daemon.kill_hard();
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the round ends", ROUND_ENDED, 1);
    daemon.stop();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM leads WHERE name IS NOT NULL"), 250);
    let asked = requests(&mirror);
    // One more if it was under way.
    assert!((3..=4).contains(&asked[2]), "{asked:?}");
    assert_eq!(asked[..2], [1, 1]);
    let daemon = mirror.running_daemon();
    let talk_id = create_talk_with_lead(&mut mirror.simulator.account());
    mirror.ends(0, &["enqueue", &talk_id.to_string()]);
    mirror.wait_sql("a new lead comes", "SELECT count(*) FROM leads", 251);
    daemon.stop();
    assert_eq!(requests(&mirror), [1, 1, asked[2] + 1, 0]);
}

#[test]
fn a_round_that_a_stop_of_days_interrupts_is_not_continued_but_begun_anew() {
    let mirror = mirror_of(3);
    mirror.configure(&LOOKS.replace("0 0 0 1 1 *", "0 0 0 * * *"));
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the round ends", ROUND_ENDED, 1);
    daemon.stop();
    // It did not end, but read the leads.
    mirror.execute(
        "UPDATE feeders SET cursor = json_set(cursor, '$.began_at', unixepoch() - 3 * 86400, '$.ended_at', NULL)
          WHERE feeder = 'directory';
         UPDATE leads SET name = 'Old', fetched_at = unixepoch() - 3 * 86400 + 1",
    );
    let daemon = mirror.running_daemon();
    mirror.wait_sql("they are read again", "SELECT count(*) FROM leads WHERE name <> 'Old'", 3);
    daemon.stop();
}

#[test]
fn odd_answers_are_read_and_spoil_nothing() {
    let mirror = mirror_of(3);
    let lead = mirror.simulator.account().talk(1).lead_id.unwrap();
    let users = json!({"_page": 1, "_links": [], "_embedded": {"users": {
        "0": {"id": "501", "name": null, "rights": []},
        "3": {"id": 502, "name": "\u{1b}[2JBoris", "rights": {"is_active": "1"}},
        "4": {"name": "nobody"},
    }}});
    let leads = json!({"_embedded": {"leads": {"7": {"id": lead.to_string(), "name": 5, "price": 70.0, "closed_at": false}}}});
    {
        let mut account = mirror.simulator.account();
        account.name_faults.insert(NameList::Users, response(users));
        account.name_faults.insert(NameList::Leads, response(leads));
        account.name_faults.insert(NameList::Pipelines, response("[]"));
    }
    mirror.configure(ROUNDS);
    let daemon = mirror.running_daemon();
    runs_on(&mirror, "directory");
    mirror.wait_sql("the lead comes", "SELECT count(*) FROM leads WHERE name = '5' AND price = 70", 1);
    // The others are not shown by a whole answer, so they are gone.
    mirror.wait_sql("the others are gone", "SELECT count(*) FROM leads WHERE gone_at > 0", 2);
    mirror.simulator.account().name_faults.clear();
    mirror.wait_sql(
        "they come",
        "SELECT count(*) FROM leads WHERE gone_at IS NULL AND name LIKE 'Order%'",
        3,
    );
    mirror.wait_sql("so do users", "SELECT count(*) FROM users WHERE name IS NOT NULL", 5);
    mirror.simulator.account().ignores_page = true;
    mirror.simulator.account().users.remove(&500);
    let asked = requests(&mirror)[0];
    mirror.wait("the list is read, which never ends", || requests(&mirror)[0] >= asked + 6);
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM users WHERE gone_at > 0"), 0, "others may follow");
    assert_eq!(trouble(&mirror, "directory"), None);
    daemon.stop();
}

#[test]
fn an_account_without_filters_is_not_asked_again_and_again_and_nothing_is_gone() {
    let mirror = mirror_of(3);
    {
        let mut account = mirror.simulator.account();
        account.ignores_filter = true;
        // One that was not asked for instead of one that was.
        create_talk_with_lead(&mut account);
        let lead_id = account.talk(1).lead_id.unwrap();
        account.leads.remove(&lead_id);
    }
    mirror.configure(ROUNDS);
    let daemon = mirror.running_daemon();
    mirror.wait("it is said", || trouble(&mirror, "directory").is_some());
    let users = requests(&mirror)[0];
    mirror.wait("rounds pass", || requests(&mirror)[0] >= users + 2);
    daemon.stop();
    assert_said!(trouble(&mirror, "directory").unwrap(), @"leads: the list ignores filter[id]; ask amoCRM's support to switch filters on for this account; retried once a day");
    assert_eq!(requests(&mirror)[2], 1);
    let named = "SELECT count(*) FROM leads WHERE gone_at IS NULL AND name IS NOT NULL";
    assert_eq!(mirror.sql::<i64>(named), 2, "what it showed is kept");
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM leads"), 2, "and nothing else, nor is one gone");
}

#[test]
fn a_block_pauses_everything_and_costs_no_name() {
    let mirror = mirror_of(3);
    mirror.configure(ROUNDS);
    let daemon = mirror.running_daemon();
    mirror.wait_sql("the round ends", "SELECT count(*) FROM leads", 3);
    mirror.simulator.account().always = Some(Fault::Html(403));
    mirror.wait_for_pause("blocked");
    let asked = requests(&mirror);
    mirror.simulator.account().always = None;
    mirror.ends(0, &["resume"]);
    mirror.wait("rounds go on", || requests(&mirror)[2] >= asked[2] + 2);
    daemon.stop();
    mirror.assert_sound();
    assert_eq!(mirror.sql::<i64>("SELECT count(*) FROM leads WHERE gone_at IS NULL AND name IS NOT NULL"), 3);
}

#[test]
fn the_names_of_another_account_are_not_stored() {
    let mirror = mirror_of(3);
    mirror.configure(LOOKS);
    mirror.simulator.account().renumber(5);
    let mut daemon = mirror.daemon();
    assert!(!daemon.wait().success());
    assert_eq!(requests(&mirror), [0, 0, 0, 0]);
    // Nor while nothing shows which account it is.
    mirror.simulator.account().account_fault = Some(Fault::Problem(404));
    for talk_id in 1..=3 {
        mirror.simulator.account().script(talk_id, vec![Fault::Problem(404); 100]);
    }
    let daemon = mirror.running_daemon();
    let unknown = "SELECT count(*) FROM mirror_info WHERE key = 'account_doubt'";
    mirror.wait_sql("it is not known", unknown, 1);
    let later = format!("SELECT unixepoch() >= {}", unix_now() + 3);
    mirror.wait_sql("looks pass", &later, 1);
    daemon.stop();
    assert_eq!(requests(&mirror), [0, 0, 0, 0]);
}
