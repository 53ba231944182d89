//! `/talks/ID`: all that is known of one talk, for people.

use crate::closing::LIVE;
use crate::harness::{Mirror, account, unix_now};
use crate::http::shown;
use crate::snapshots::assert_said;
use std::io::{Read, Write};
use std::net::TcpStream;

const HOSTILE: &str = "</pre></td><script>alert(1)</script>\u{202e}\u{2028}\" onload=\"x";

/// What differs from run to run, in Russian.
const RUSSIAN: [(&str, &str); 2] = [(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", "[time]"), (r"\b\d+ с\b", "[n] с")];

impl Mirror {
    /// A page in a language: the status, and its main part.
    fn page(&self, port: u16, path: &str, language: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Language: {language}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let main = answer.split_once("<main").map_or("", |(_, rest)| rest);
        (status, main.split_once("</main>").map_or("", |(main, _)| main).to_owned())
    }
}

/// What people read of a piece of a page, in one line.
fn read(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        match part.split_once('>') {
            Some((_, rest)) => text = text + " " + rest,
            None => text += part,
        }
    }
    for (escaped, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")] {
        text = text.replace(escaped, letter);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The heading and the state.
fn headline(page: &str) -> String {
    read(&page[page.find("<h1").unwrap()..page.find("<div").unwrap()])
}

/// The facts with these names, a line each.
fn facts(page: &str, names: &[&str]) -> String {
    let rows = page.split("<tr>").filter_map(|row| row.strip_prefix("<th scope=\"row\">"));
    let of = |name: &&str| {
        let row = rows.clone().find(|row| row.starts_with(&format!("{name}</th>")));
        read(row.unwrap_or_else(|| panic!("no {name} in {page}")).split("</tr>").next().unwrap())
    };
    names.iter().map(of).collect::<Vec<_>>().join("\n")
}

fn timeline(page: &str) -> String {
    let list = page.split_once("<ol class=\"timeline\">").unwrap().1.split_once("</ol>").unwrap().0;
    list.split("</li>").map(read).collect::<Vec<_>>().join("\n")
}

/// Talk 1 is closed, 2 is exempt, 3 is gone, 4 is exempt and its row has failed, 5 is exempt and hostile.
fn told() -> (Mirror, u16) {
    let mut account = account(0);
    for _ in 1..=5 {
        let talk_id = account.create_missed(10 * 86_400);
        let talk = account.talk(talk_id);
        (talk.contact_id, talk.lead_id) = (Some(70 + talk_id), Some(80 + talk_id));
        (talk.chat_id, talk.origin) = (Some(format!("chat-{talk_id}")), Some("telegram".into()));
    }
    let talk = account.talk(5);
    (talk.origin, talk.chat_id, talk.entity_type) =
        (Some(HOSTILE.into()), Some(HOSTILE.into()), Some(HOSTILE.into()));
    let (mirror, port) = shown(account, LIVE);
    mirror.ends(0, &["sync", "--no-close", "1..5"]);
    mirror.simulator.account().talks.remove(&3);
    mirror.ends(0, &["sync", "--no-close", "3"]);
    mirror.execute(
        "INSERT INTO users (user_id, name, is_active, fetched_at) VALUES (501, 'Anna Ivanova', 1, 0);
         INSERT INTO pipelines (pipeline_id, name, sort, is_main, is_archive, fetched_at) VALUES (7, 'Sales', 1, 1, 0, 0);
         INSERT INTO statuses (pipeline_id, status_id, name, sort, fetched_at) VALUES (7, 9, 'Contract', 1, 0);
         INSERT INTO contacts (contact_id, name, fetched_at) VALUES (71, 'Olga', 0);
         INSERT INTO leads (lead_id, name, responsible_user_id, pipeline_id, status_id, fetched_at)
         VALUES (81, 'Order', 501, 7, 9, unixepoch());
         INSERT INTO close_exemptions (talk_id, reason) VALUES (2, 'VIP'), (4, NULL);
         INSERT INTO talk_queue (talk_id, attempts, last_error, failed_at)
         VALUES (4, 8, 'HTTP 500', unixepoch() - 7300);",
    );
    let connection = mirror.connect();
    for sql in [
        "INSERT INTO contacts (contact_id, name, fetched_at) VALUES (75, ?1, 0)",
        "INSERT INTO leads (lead_id, name, fetched_at) VALUES (85, ?1, 0)",
        "INSERT INTO close_exemptions (talk_id, reason) VALUES (5, ?1)",
        "INSERT INTO talk_events (event_id, talk_id, type, at) VALUES ('x', 5, ?1, unixepoch())",
        "INSERT INTO talk_queue (talk_id, reason, last_error, failed_at) VALUES (5, ?1, ?1, 1)",
        "INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at, outcome,
                               attempts, error)
         VALUES (5, 'live', 1, 1, ?1, 1, 1, 'withdrawn', 0, ?1)",
    ] {
        connection.execute(sql, [HOSTILE]).unwrap();
    }
    (mirror, port)
}

#[test]
fn the_page_of_a_talk_has_its_story_and_what_comes_next() {
    let (mirror, port) = told();
    let daemon = mirror.running_daemon();
    mirror.wait_outcome(1, "closed");
    let page = |talk_id: i64, language: &str| {
        let (status, page) = mirror.page(port, &format!("/talks/{talk_id}"), language);
        assert_eq!(status, 200, "{page}");
        page
    };

    let closed = page(1, "en");
    assert_said!(headline(&closed), @"Talk 1 Closed, seen closed [n] s ago, missed 10 d ago, not read. Open in amoCRM");
    let names =
        ["Next", "Queue", "Auto-close", "Contact", "Lead", "Stage", "Responsible user", "Channel", "Chat"];
    assert_said!(facts(&closed, &names), @"
    Next Nothing is planned; talkmirror enqueue 1 queues it
    Queue Not queued
    Auto-close Kept: already closed
    Contact Olga 71 all talks of this contact
    Lead Order 81
    Stage Sales → Contract
    Responsible user Anna Ivanova 501
    Channel telegram
    Chat chat-1
    ");
    assert_said!(timeline(&closed), @"
    Opened [time] , 10 d ago
    Missed: nobody answered in time [time] , 10 d ago
    talkmirror decided to close it: stale: missed 10 d ago, unchanged for 10 d [time] , [n] s ago
    Closed by talkmirror [time] , [n] s ago · seen by a fetch
    ");
    for link in ["/chats/1/leads/detail/81", "/leads/detail/81", "/contacts/detail/71"] {
        assert!(
            closed.contains(&format!("href=\"{}{link}\"", mirror.simulator.base_url())),
            "{link}: {closed}"
        );
    }
    let closing = closed.split("<table class=\"cards\">").nth(1).unwrap().split("</table>").next().unwrap();
    assert_said!(read(closing), @"Each decision with its reason and what came of it, oldest first. Decided Outcome Why Last request [time] Closed seen closed [time] stale: missed 10 d ago, unchanged for 10 d [time] HTTP 202");
    let payload = closed.split_once("<pre").unwrap().1;
    assert!(payload.contains("<br>  &quot;talk_id&quot;: 1,<br>"), "{payload}");

    assert_said!(facts(&page(2, "en"), &["Auto-close", "Exempt"]), @"
    Auto-close Kept: exempt by row 1 of close_exemptions (talk 2): VIP
    Exempt Exempt by row 1 of close_exemptions (talk 2): VIP
    ");
    assert_said!(headline(&page(3, "en")), @"Talk 3 Open, missed 10 d ago, not read, gone: the API has reported since [n] s ago that it does not exist. Open in amoCRM");
    assert_said!(facts(&page(4, "en"), &["Next", "Queue"]), @"
    Next Nothing: it failed 2 h ago; talkmirror queue retry 4 retries it
    Queue Waits for [n] s (reason sql, priority 0), 8 of 8 attempts failed, the last: HTTP 500
    ");

    // The same in other languages, with a reason that is stored in English.
    let russian = page(1, "ru");
    assert_said!(headline(&russian), RUSSIAN, @"Беседа 1 Закрыта, закрытие замечено [n] с назад, пропущена 10 дн. назад, не прочитана. Открыть в amoCRM");
    assert_said!(facts(&russian, &["Дальше", "Автозакрытие", "Менеджер"]), RUSSIAN, @"
    Дальше Ничего не запланировано; talkmirror enqueue 1 поставит её в очередь
    Автозакрытие Не закрывается: уже закрыта
    Менеджер Anna Ivanova 501
    ");
    assert_said!(timeline(&russian), RUSSIAN, @"
    Начата [time] , 10 дн. назад
    Пропущена: никто не ответил вовремя [time] , 10 дн. назад
    talkmirror решил закрыть её: просрочена: пропущена 10 дн. назад, без изменений 10 дн. [time] , [n] с назад
    Закрыта talkmirror [time] , [n] с назад · замечено при получении
    ");
    assert_said!(facts(&page(4, "pt-BR"), &["A seguir", "Fila", "Fechamento automático"]), @"
    A seguir Nada: as tentativas acabaram há 2 h; talkmirror queue retry 4 as recomeça
    Fila Espera há [n] s (motivo sql, prioridade 0), 8 de 8 tentativas falharam, o último erro: HTTP 500
    Fechamento automático Não é fechada: isenta pela linha 2 de close_exemptions (conversa 4)
    ");
    daemon.stop();
}

#[test]
fn texts_from_outside_stay_texts_on_the_page_of_a_talk() {
    let (mirror, port) = told();
    let daemon = mirror.running_daemon();
    mirror.wait("the page is served", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    for language in ["en", "ru"] {
        let (_, page) = mirror.page(port, "/talks/5", language);
        for odd in ["<script", "</pre></td>", "\u{202e}", "\u{2028}", "\" onload"] {
            assert!(!page.contains(odd), "{odd:?}: {page}");
        }
        // The names, origin, chat, exemption, event, queue row (twice), closing (three times) and payload (three times).
        assert!(page.matches("&lt;script&gt;").count() >= 12, "{page}");
    }

    // A long story is cut, and the page says where the rest is.
    let yesterday = unix_now() - 86_400;
    mirror.execute(&format!(
        "UPDATE talks SET version = 252, changed_at = {yesterday} + 251, payload = '\"' || printf('%.*c', 900000, 'x') || '\"'
          WHERE talk_id = 2;
         INSERT INTO talk_history
           WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <= 250)
           SELECT talk_id, n, {yesterday} + n - 1, {yesterday} + n, created_at, updated_at, rate, contact_id, chat_id,
                  entity_id, entity_type, is_in_work, n % 2, origin, missed_at, account_id, status, source_id, lead_id,
                  customer_id
             FROM talks, n WHERE talk_id = 2;"
    ));
    let (_, page) = mirror.page(port, "/talks/2", "en");
    assert!(page.len() < 200_000, "{}", page.len());
    let text = read(&page);
    for part in [
        "52 earlier states are not shown: SELECT * FROM talk_versions WHERE talk_id = 2 ORDER BY version .",
        "earlier entries are not shown: SELECT time, what FROM talk_timeline WHERE talk_id = 2 ORDER BY at",
        "Only the first 20,000 characters are shown. All of it: SELECT payload FROM talks WHERE talk_id = 2",
    ] {
        assert!(text.contains(part), "{part}: {}", &text[..5000]);
    }
    let (out, _) = mirror.ends(0, &["why", "2"]);
    assert!(out.ends_with(
        "52 earlier states are not shown: `SELECT * FROM talk_versions WHERE talk_id = 2 ORDER BY version`\n"
    ));
    daemon.stop();
}

#[test]
fn a_talk_that_is_not_mirrored_is_not_found_and_the_page_says_whether_it_is_queued() {
    let (mirror, port) = told();
    mirror.execute("INSERT INTO talk_queue (talk_id, due_at) VALUES (98, unixepoch() + 958)");
    mirror.execute("INSERT INTO talk_queue (talk_id) VALUES (97)");
    let daemon = mirror.running_daemon();
    mirror.wait_sql("it is gone", "SELECT count(*) FROM tombstones WHERE talk_id = 97", 1);
    let missing = |path: &str| {
        let (status, page) = mirror.page(port, path, "en");
        assert_eq!(status, 404, "{page}");
        page
    };
    assert_said!(headline(&missing("/talks/97")), @"Talk 97 Does not exist, as the API reported [time] ([n] s ago).");
    assert_said!(facts(&missing("/talks/98"), &["Next", "Queue", "Auto-close"]), @"
    Next Fetched in 15 min ([time])
    Queue Waits for [n] s (reason sql, priority 0)
    Auto-close Only mirrored talks are considered
    ");
    assert_said!(facts(&missing("/talks/99"), &["Next", "Queue"]), @"
    Next Nothing is planned; talkmirror enqueue 99 queues it
    Queue Not queued
    ");
    for odd in ["abc", "0", "-1", "1.5", "99999999999999999999", "%FF", "%3Cscript%3E"] {
        let page = read(&missing(&format!("/talks/{odd}")));
        assert!(
            page.contains(&format!("There is no talk {odd} : the id of a talk is a whole number")),
            "{page}"
        );
    }
    assert_eq!(mirror.page(port, "/talks/1?x=1", "en").0, 400);
    daemon.stop();
}
