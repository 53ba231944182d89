use super::*;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// An account without latency and talks.
fn account() -> Account {
    let mut account = Account::with_talks(0);
    account.limit = 1000;
    account
}

/// An account with the talks 1 to `talks`, all open.
fn account_with(talks: i64) -> Account {
    let mut account = account();
    for _ in 0..talks {
        account.create_talk();
    }
    account
}

/// Sends a request over its own connection. Returns the status, and the JSON if there is any.
fn get(simulator: &Simulator, path: &str) -> (u16, Value) {
    get_with(simulator, path, TOKEN)
}

fn get_with(simulator: &Simulator, path: &str, token: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(simulator.address()).unwrap();
    let host = simulator.address();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn ids(page: &Value) -> Vec<i64> {
    let talks = page["_embedded"]["talks"].as_array().unwrap();
    talks.iter().map(|talk| talk["talk_id"].as_i64().unwrap()).collect()
}

fn event_talks(page: &Value) -> Vec<i64> {
    let events = page["_embedded"]["events"].as_array().unwrap();
    events.iter().map(|event| event["entity_id"].as_i64().unwrap()).collect()
}

fn next(page: &Value) -> Option<&str> {
    page["_links"]["next"]["href"].as_str()
}

#[test]
fn the_listing_shows_the_newest_talks_first_in_pages_that_lead_on() {
    let simulator = Simulator::start(account_with(5)).unwrap();
    let (status, first) = get(&simulator, "/api/v4/talks?page=1&limit=2");
    assert_eq!((status, ids(&first), &first["_page"]), (200, vec![5, 4], &Value::from(1)));
    let base = simulator.base_url();
    assert_eq!(first["_links"]["self"]["href"], format!("{base}/api/v4/talks?page=1&limit=2"));

    let (_, second) = get(&simulator, next(&first).unwrap().strip_prefix(&base).unwrap());
    assert_eq!((ids(&second), &second["_page"]), (vec![3, 2], &Value::from(2)));
    let (_, third) = get(&simulator, next(&second).unwrap().strip_prefix(&base).unwrap());
    assert_eq!((ids(&third), next(&third)), (vec![1], None));
}

#[test]
fn a_full_last_page_has_no_next() {
    let simulator = Simulator::start(account_with(4)).unwrap();
    let (_, page) = get(&simulator, "/api/v4/talks?page=2&limit=2");
    assert_eq!((ids(&page), next(&page)), (vec![2, 1], None));
}

#[test]
fn a_page_past_the_end_is_204() {
    let mut account = account_with(3);
    account.emit("talk_closed", 1);
    let simulator = Simulator::start(account).unwrap();
    assert_eq!(get(&simulator, "/api/v4/talks?page=2"), (204, Value::Null));
    assert_eq!(get(&simulator, "/api/v4/talks?page=18446744073709551615"), (204, Value::Null));
    assert_eq!(get(&simulator, "/api/v4/events?page=2"), (204, Value::Null));
    simulator.account().events.clear();
    assert_eq!(get(&simulator, "/api/v4/events"), (204, Value::Null));
}

#[test]
fn a_page_has_50_talks_unless_told_and_250_at_most() {
    let simulator = Simulator::start(account_with(260)).unwrap();
    let rows = |path| ids(&get(&simulator, path).1).len();
    assert_eq!(rows("/api/v4/talks"), 50);
    assert_eq!(rows("/api/v4/talks?limit=250"), 250);
    assert_eq!(rows("/api/v4/talks?limit=1000"), 250);
}

#[test]
fn a_row_is_the_talk_without_missed_at() {
    let mut account = account();
    let talk_id = account.create_missed(60);
    let simulator = Simulator::start(account).unwrap();
    let (_, mut shown) = get(&simulator, &format!("/api/v4/talks/{talk_id}"));
    assert!(shown.as_object_mut().unwrap().remove("missed_at").is_some());
    let (_, page) = get(&simulator, "/api/v4/talks");
    assert_eq!(page["_embedded"]["talks"][0], shown);
}

#[test]
fn the_filter_leaves_talks_in_work_whether_its_brackets_are_encoded_or_not() {
    let mut account = account_with(4);
    account.talk(2).is_in_work = false;
    account.talk(4).is_in_work = false;
    let simulator = Simulator::start(account).unwrap();
    for filter in ["filter[only_in_work]=1", "filter%5Bonly_in_work%5D=1"] {
        let (_, page) = get(&simulator, &format!("/api/v4/talks?limit=1&{filter}"));
        assert_eq!(ids(&page), [3]);
        let next = next(&page).unwrap().strip_prefix(&simulator.base_url()).unwrap();
        assert_eq!(ids(&get(&simulator, next).1), [1], "the next page is filtered as well");
    }
    assert_eq!(ids(&get(&simulator, "/api/v4/talks").1), [4, 3, 2, 1]);
    simulator.account().ignores_filter = true;
    assert_eq!(ids(&get(&simulator, "/api/v4/talks?filter[only_in_work]=1").1), [4, 3, 2, 1]);
}

#[test]
fn an_account_that_ignores_the_page_shows_the_first_without_end() {
    let mut account = account_with(2);
    account.ignores_page = true;
    let simulator = Simulator::start(account).unwrap();
    let (_, page) = get(&simulator, "/api/v4/talks?page=7");
    assert_eq!((ids(&page), &page["_page"]), (vec![2, 1], &Value::from(1)));
    assert!(next(&page).is_some());
}

#[test]
fn talks_can_come_and_go_between_pages() {
    let mut account = account_with(4);
    account.after_page = Some(PageHook(Box::new(|account, page| {
        account.talk(5 - i64::try_from(page).unwrap()).is_in_work = false;
    })));
    let simulator = Simulator::start(account).unwrap();
    let page = |page: u64| {
        ids(&get(&simulator, &format!("/api/v4/talks?limit=2&filter[only_in_work]=1&page={page}")).1)
    };
    assert_eq!(page(1), [4, 3], "the hook comes after the page");
    assert_eq!(page(2), [1], "talk 2 has moved to the first page");
    assert!(simulator.account().after_page.is_some());
    assert!(!simulator.account().talk(3).is_in_work, "it is called each time");
}

#[test]
fn events_come_newest_first_and_of_the_types_and_the_time_asked_for() {
    let mut account = account();
    for (talk_id, kind) in [(1, "talk_created"), (2, "talk_missed_event"), (3, "talk_closed")] {
        account.emit(kind, talk_id);
    }
    let now = account.events[0].created_at;
    for (event, age) in account.events.iter_mut().zip([100, 300, 200]) {
        event.created_at = now - age;
    }
    let simulator = Simulator::start(account).unwrap();
    let events = |query: &str| event_talks(&get(&simulator, &format!("/api/v4/events?limit=100{query}")).1);
    assert_eq!(events(""), [1, 3, 2]);
    assert_eq!(events("&filter[type]=talk_missed_event,talk_created"), [1, 2]);
    assert_eq!(events("&filter%5Btype%5D=talk_missed_event%2Ctalk_created"), [1, 2]);
    assert_eq!(events(&format!("&filter[created_at][from]={}", now - 200)), [1, 3]);

    let (_, page) = get(&simulator, "/api/v4/events?filter[type]=talk_closed");
    let event = &page["_embedded"]["events"][0];
    assert_eq!(event["type"], "talk_closed");
    assert_eq!(event["entity_type"], "talk");
    assert_eq!(event["created_at"], now - 200);
    assert_eq!(event["id"], simulator.account().events[2].id);
}

#[test]
fn events_have_pages_and_ids_of_their_own() {
    let mut account = account();
    for talk_id in 1..=150 {
        account.emit("talk_created", talk_id);
        account.events.last_mut().unwrap().created_at = 1_700_000_000;
    }
    let simulator = Simulator::start(account).unwrap();
    let (_, first) = get(&simulator, "/api/v4/events?limit=1000");
    assert_eq!((event_talks(&first).len(), event_talks(&first)[0]), (100, 150), "the last of a second first");
    let path = next(&first).unwrap().strip_prefix(&simulator.base_url()).unwrap();
    let (_, second) = get(&simulator, path);
    assert_eq!((event_talks(&second).len(), next(&second)), (50, None));
    let account = simulator.account();
    let ids: std::collections::HashSet<_> = account.events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), 150);
    assert!(ids.iter().all(|id| id.len() == 26));
}

#[test]
fn what_happens_by_itself_is_an_event() {
    let mut account = account();
    for _ in 0..200 {
        let words = account.live();
        let event = account.events.last().unwrap();
        let expected = match event.kind.as_str() {
            "talk_created" => "begins",
            "talk_missed_event" => "is missed",
            "conversation_answered" => "is answered",
            "talk_closed" => "is closed",
            other => panic!("{other}"),
        };
        assert_eq!(words, format!("talk {} {expected}", event.talk_id));
    }
    assert_eq!(account.events.len(), 200);
}

#[test]
fn a_close_request_is_an_event_when_it_closes() {
    let closed = |simulator: &Simulator| {
        let mut stream = TcpStream::connect(simulator.address()).unwrap();
        write!(
            stream,
            "POST /api/v4/talks/1/close HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream.read_to_string(&mut String::new()).unwrap();
        let account = simulator.account();
        account.events.iter().filter(|event| event.kind == "talk_closed" && event.talk_id == 1).count()
    };
    let simulator = Simulator::start(account_with(1)).unwrap();
    simulator.account().nps_bot = true;
    assert_eq!(closed(&simulator), 0, "the bot is started instead");
    simulator.account().nps_bot = false;
    simulator.account().talk(1).status = None;
    assert_eq!(closed(&simulator), 1);
    assert_eq!(closed(&simulator), 1, "it was closed already");
}

#[test]
fn each_endpoint_has_faults_of_its_own() {
    let mut account = account_with(1);
    account.emit("talk_created", 1);
    let simulator = Simulator::start(account).unwrap();
    let asked = || {
        let of = |path| get(&simulator, path).0;
        (of("/api/v4/talks"), of("/api/v4/events"), of("/api/v4/talks/1"))
    };
    simulator.account().list_fault = Some(Fault::Problem(404));
    simulator.account().events_fault = Some(Fault::Html(403));
    assert_eq!(asked(), (404, 403, 200));
    assert_eq!(asked(), (404, 403, 200), "while they are set");
    simulator.account().list_fault = None;
    simulator.account().events_fault = None;
    simulator.account().scripted_list.extend([Fault::Problem(500), Fault::Nothing]);
    simulator.account().scripted_events.extend([Fault::Nothing, Fault::Html(502)]);
    assert_eq!(asked(), (500, 200, 200));
    assert_eq!(asked(), (200, 502, 200));
    assert_eq!(asked(), (200, 200, 200));
}

#[test]
fn what_goes_wrong_with_one_talk_leaves_a_page_right_and_what_spoils_any_answer_does_not() {
    let simulator = Simulator::start(account_with(1)).unwrap();
    let (_, right) = get(&simulator, "/api/v4/talks");
    for fault in [Fault::WrongId, Fault::OtherAccount, Fault::Missing("talk_id"), Fault::Answered] {
        simulator.account().scripted_list.push_back(fault);
        assert_eq!(get(&simulator, "/api/v4/talks"), (200, right.clone()));
    }
    for fault in [Fault::NotJson, Fault::Empty, Fault::Truncated] {
        simulator.account().scripted_list.push_back(fault);
        assert_eq!(get(&simulator, "/api/v4/talks"), (200, Value::Null), "it is no JSON");
    }
}

#[test]
fn pages_are_logged_and_held_to_the_token_and_the_limit_like_talks() {
    let simulator = Simulator::start(account_with(1)).unwrap();
    assert_eq!(get_with(&simulator, "/api/v4/talks", "another").0, 401);
    assert_eq!(get_with(&simulator, "/api/v4/events", "another").0, 401);
    get(&simulator, "/api/v4/talks?page=2&filter[only_in_work]=1");
    get(&simulator, "/api/v4/talks/1");
    simulator.account().limit = 0;
    assert_eq!(get(&simulator, "/api/v4/events?limit=100").0, 429);
    let account = simulator.account();
    assert_eq!((account.list_requests(), account.events_requests(), account.violations), (2, 2, 1));
    let request = &account.log[2];
    assert_eq!(request.path, "/api/v4/talks?page=2&filter[only_in_work]=1");
    assert_eq!((request.talk_id, request.status), (0, 204));
    assert_eq!((account.requests_of(0), account.requests_of(1)), (4, 1));
}

#[test]
fn a_listing_and_events_at_once_are_no_overlap_but_two_listings_are() {
    let mut account = account_with(1);
    account.latency = Duration::from_millis(500);
    let simulator = Simulator::start(account).unwrap();
    let at_once = |paths: [&str; 2]| {
        std::thread::scope(|scope| {
            for path in paths {
                let simulator = &simulator;
                scope.spawn(move || get(simulator, path));
            }
        });
        simulator.account().overlaps
    };
    assert_eq!(at_once(["/api/v4/talks", "/api/v4/events"]), 0);
    assert_eq!(simulator.account().most_in_flight, 2);
    assert_eq!(at_once(["/api/v4/talks", "/api/v4/talks"]), 1);
}

#[test]
fn names_are_listed_by_page_and_by_id_and_a_long_address_is_refused() {
    let mut account = account_with(40);
    account.leads.clear();
    account.talks.keys().copied().collect::<Vec<_>>().into_iter().for_each(|talk_id| account.name(talk_id));
    let leads: Vec<i64> = account.leads.keys().copied().collect();
    let simulator = Simulator::start(account).unwrap();
    let ids = |path: &str, name: &str| -> Vec<i64> {
        let (_, page) = get(&simulator, path);
        page["_embedded"][name]
            .as_array()
            .map_or(vec![], |rows| rows.iter().map(|row| row["id"].as_i64().unwrap()).collect())
    };
    assert_eq!(ids("/api/v4/users?limit=2&page=2", "users"), [502, 503]);
    assert_eq!(ids("/api/v4/leads/pipelines", "pipelines"), [1001, 1002]);
    assert_eq!(ids("/api/v4/leads?limit=250", "leads"), leads);
    let two =
        format!("/api/v4/leads?filter%5Bid%5D%5B%5D={}&filter[id][]=7&filter[id][]={}", leads[3], leads[0]);
    assert_eq!(ids(&two, "leads"), [leads[0], leads[3]]);
    assert_eq!(get(&simulator, "/api/v4/contacts?filter[id][]=7").0, 204);
    let long = format!("/api/v4/leads?{}", "filter[id][]=600000001&".repeat(400));
    assert_eq!(get(&simulator, &long).0, 414);
    simulator.account().name_faults.insert(NameList::Users, Fault::Problem(403));
    assert_eq!(get(&simulator, "/api/v4/users").0, 403);
    assert_eq!(get(&simulator, "/api/v4/leads").0, 200);
    assert_eq!(simulator.account().name_requests(NameList::Users), 2);
}
