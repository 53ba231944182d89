//! The lists for people: talks, the queue, closings and feeders.

use crate::harness::{Mirror, account, unix_now};
use crate::http::shown;
use crate::page::Shown;
use std::io::{Read, Write};
use std::net::TcpStream;

const HOSTILE: &str = "</td><script>alert(1)</script>\"'&\u{202e}\u{200b}";

/// A mirror of five talks, rows of the queue and closings, whose names and errors are hostile.
fn mirror() -> (Mirror, u16) {
    let (mirror, port) = shown(account(0), "");
    {
        let mut account = mirror.simulator.account();
        let talks =
            [("telegram", 3 * 3600), (HOSTILE, 2 * 86_400), ("viber", 60), ("viber", 60), ("viber", 60)];
        for (origin, waited) in talks {
            let talk_id = account.create_talk();
            let (talk, at) = (account.talk(talk_id), unix_now() - waited);
            (talk.created_at, talk.updated_at) = (at - 60, at);
            (talk.contact_id, talk.lead_id) = (Some(40 + talk_id), Some(600 + talk_id));
            (talk.is_in_work, talk.is_read) = (talk_id != 5, Some(talk_id > 2));
            (talk.origin, talk.missed_at) = (Some(origin.into()), (talk_id == 2).then_some(at));
        }
    }
    mirror.ends(0, &["sync", "1..5"]);
    let hostile = format!("'{}'", HOSTILE.replace('\'', "''"));
    mirror.execute(&format!(
        "INSERT INTO contacts (contact_id, name, fetched_at) VALUES (41, 'Пётр Семёнов', 1), (42, {hostile}, 1);
         INSERT INTO users (user_id, name, fetched_at) VALUES (500, 'Anna', 1), (501, {hostile}, 1);
         INSERT INTO leads (lead_id, name, responsible_user_id, fetched_at)
         VALUES (601, 'Шкаф', 500, 1), (602, {hostile}, 501, 1);
         INSERT INTO talk_queue (talk_id, reason, due_at)
         WITH RECURSIVE ids (id) AS (VALUES (1001) UNION ALL SELECT id + 1 FROM ids LIMIT 60)
         SELECT id, {hostile}, unixepoch() + 86400 + id FROM ids;
         INSERT INTO talk_queue (talk_id, reason, last_error, attempts, failed_at)
         VALUES (2, 'ann', {hostile}, 8, 1), (99, 'cli', 'HTTP 400', 8, 2);
         INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome, attempts,
                               http_status, error)
         VALUES (5, 'live', 1, 'missed', 1, 86400, 'closed', 1, 202, NULL),
                (4, 'live', 1, {hostile}, 1, 172800, 'refused', 2, 403, {hostile});"
    ));
    (mirror, port)
}

/// The status and the page of a path, in the first language of the reader.
fn get_in(language: &str, port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!("Host: localhost\r\nConnection: close\r\nAccept-Language: {language}\r\n");
    write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The talks that a list links to, in its order.
fn listed(page: &str) -> Vec<i64> {
    let table = page.split_once("<tbody>").map_or("", |(_, table)| table);
    let links = table.split("href=\"talks/").skip(1);
    links.map(|link| link.split('"').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn lists_find_filter_and_leaf_through_and_no_text_from_outside_is_more_than_text() {
    let (mirror, port) = mirror();
    let daemon = mirror.running_daemon();
    mirror.wait("the pages are served", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let page = |path: &str| {
        let (status, page) = mirror.get(port, path);
        assert_eq!(status, 200, "{path}: {page}");
        assert_eq!(page.matches("<script").count(), 1, "{path}: our own");
        assert!(!page.contains(['\u{202e}', '\u{200b}']) && page.matches("<h1").count() == 1, "{path}");
        page
    };
    let refused = |path: &str, why: &str| {
        let (status, page) = mirror.get(port, path);
        assert!(
            status == 400 && page.contains(why) && page.matches("<script").count() == 1,
            "{path}: {page}"
        );
    };

    // Who waits, for how long, and whose client is it?
    let open = page("/talks");
    assert_eq!(listed(&open), [2, 1, 4, 3], "the longest waiting first");
    assert!(open.contains("2 clients wait for an answer, the longest for 2 d."), "{open}");
    assert!(open.contains("Пётр Семёнов") && open.contains("Anna") && open.contains("Шкаф"), "{open}");
    assert!(
        open.contains("&lt;script&gt;alert(1)") && open.contains(r"\u{202e}\u{200b}"),
        "it is shown: {open}"
    );
    assert!(open.contains("/chats/1/leads/detail/601\""), "{open}");
    for (query, talks) in [
        ("state=waiting", &[2, 1][..]),
        ("state=missed", &[2]),
        ("state=failed", &[99, 2]),
        ("state=gone", &[]),
        ("state=all", &[5, 4, 3, 2, 1]),
        ("channel=viber", &[4, 3]),
        ("state=all&channel=viber", &[5, 4, 3]),
        ("q=5", &[5]),
        ("q=601&state=gone", &[1]),
        ("q=https%3A%2F%2Fexample.amocrm.ru%2Fchats%2F5%2Fleads%2Fdetail%2F605", &[5]),
        ("q=%D1%81%D0%B5%D0%BC%D0%B5%D0%BD%D0%BE%D0%B2", &[1]),
        ("q=anna&state=waiting&channel=", &[1]),
        ("q=%3Cscript%3E&state=all", &[2]),
        ("q=nobody", &[]),
    ] {
        assert_eq!(listed(&page(&format!("/talks?{query}"))), talks, "{query}");
    }
    // The channel with the hostile name is a link that finds its talk.
    let (_, link) = open.split_once("channel=%3C").unwrap();
    let path = format!("/talks?channel=%3C{}", link.split('"').next().unwrap());
    assert_eq!(listed(&page(&path)), [2]);

    // The queue: what is due later is on two pages.
    let first = page("/queue?state=later");
    assert!(listed(&first).len() == 50 && first.contains("queue?state=later&amp;page=2"), "{first}");
    assert_eq!(listed(&page("/queue?state=later&page=2")), (1051..=1060).collect::<Vec<_>>());
    assert!(page("/queue?state=later&page=3").contains("href=\"queue?state=later\""), "back to the first");
    assert_eq!(listed(&page("/queue")), [] as [i64; 0]);
    let failed = page("/queue?state=failed");
    assert_eq!(listed(&failed), [99, 2]);
    assert!(
        failed.contains("<code>talkmirror queue retry 99</code>")
            && failed.contains("&lt;script&gt;alert(1)")
    );

    // Closings by outcome, day and talk.
    let closings = page("/closings");
    assert_eq!(listed(&closings), [4, 5]);
    assert!(closings.contains("HTTP 403") && closings.contains("2 requests"), "{closings}");
    for (query, talks) in [
        ("outcome=refused", &[4][..]),
        ("outcome=under_way", &[]),
        ("day=1970-01-02", &[5]),
        ("talk=4", &[4]),
        ("talk=4&outcome=closed", &[]),
    ] {
        assert_eq!(listed(&page(&format!("/closings?{query}"))), talks, "{query}");
    }
    assert!(page("/feeders").contains("reads new events of the account"));

    for (path, why) in [
        ("/talks?state=old", "can be <code>open</code>, <code>waiting</code>"),
        ("/talks?page=0", "Pages go from 1 to 200"),
        ("/talks?page=201", "Pages go from 1 to 200"),
        ("/talks?sort=%3Cscript%3E", "is unknown here"),
        ("/queue?state=%3Cscript%3E", "can be <code>due</code>"),
        ("/closings?outcome=gone", "<code>under_way</code>, <code>would_close</code>"),
        ("/closings?day=2027-02-29", "A day is written <code>2027-01-31</code>"),
        ("/closings?talk=-1", "It is the number of a talk"),
        ("/feeders?x=1", "is unknown here"),
    ] {
        refused(path, why);
    }

    let (_, russian) = get_in("ru", port, "/talks?state=waiting");
    assert!(russian.contains("2 клиента ждут ответа, дольше всех — уже 2 дн."), "{russian}");
    assert!(russian.contains("<html lang=\"ru\"") && russian.contains("пропущена"), "{russian}");
    let (_, portuguese) = get_in("pt", port, "/talks?state=waiting");
    assert!(portuguese.contains("2 clientes esperam resposta"), "{portuguese}");
    daemon.stop();
}

#[test]
fn lists_fit_a_phone_and_are_searched_by_keyboard() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let long = "x".repeat(3000);
    shown
        .mirror
        .connect()
        .execute_batch(&format!(
            "UPDATE talks SET origin = '{long}', is_in_work = 1 WHERE talk_id = 7;
             INSERT INTO contacts (contact_id, name, fetched_at) SELECT contact_id, '{long}', 1 FROM talks WHERE talk_id = 7;
             INSERT INTO talk_queue (talk_id, reason, last_error, failed_at) VALUES (7, '{long}', '{long}', 1);
             INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome, attempts,
                                   error)
             VALUES (7, 'live', 1, '{long}', 1, 1, 'failed', 1, '{long}');"
        ))
        .unwrap();
    let Some(page) = shown.open(|_| {}) else { return };
    let go = |path: &str| {
        page.tab.navigate_to(&format!("http://127.0.0.1:{}/{path}", shown.port)).unwrap();
        page.tab.wait_until_navigated().unwrap();
    };
    for width in [320, 1280] {
        page.width(width);
        for path in ["talks?q=7", "queue?state=failed", "closings", "feeders"] {
            go(path);
            let wider = "[document.documentElement, ...document.querySelectorAll('body, nav, form, .wide, td')]
                .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200)).join()";
            assert_eq!(page.value(wider), "", "nothing is scrolled sideways: {path} at {width} px");
        }
    }
    page.width(390);
    go("talks");
    // What somebody types outlives a refresh, and Enter finds it.
    page.value("document.querySelector('#q').focus(); window.before = document.querySelector('main')");
    page.tab.type_str("1").unwrap();
    page.hurry();
    page.tab.type_str("1").unwrap();
    assert_eq!(page.value("window.before.isConnected + document.querySelector('#q').value"), "true11");
    page.tab.press_key("Enter").unwrap();
    shown.mirror.wait("it is found", || {
        page.value("document.readyState + document.querySelectorAll('tbody tr').length") == "complete1"
    });
    assert_eq!(page.value("document.querySelector('tbody a').getAttribute('href')"), "talks/11");
    assert_eq!(page.value("new URLSearchParams(location.search).get('q')"), "11");
    page.assert_nothing_to_complain_of();
    daemon.stop();
}
