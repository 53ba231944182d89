//! Tests of the views: each is documented, means what it says, and answers from an index with millions of rows.

mod days;
mod missed;
mod responses;
mod states;
mod talks;
mod timeline;

use super::migrations::tests::in_memory;
use crate::clock::UnixSeconds;
use crate::policy::hours::{ReportRules, WorkHours};
use crate::store::local_time;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params};

/// All views, each with a typical question.
const VIEWS: [(&str, &str); 17] = [
    ("talk_versions", "SELECT * FROM talk_versions WHERE talk_id = 707000"),
    ("talks_iso", "SELECT * FROM talks_iso WHERE talk_id = 707000"),
    ("open_talks", "SELECT * FROM open_talks"),
    ("stale_talks", "SELECT * FROM stale_talks"),
    ("missed_by_day", "SELECT * FROM missed_by_day"),
    ("missed_by_origin", "SELECT * FROM missed_by_origin"),
    ("responses", "SELECT * FROM responses"),
    ("response_sla", "SELECT * FROM response_sla"),
    ("missed_by_user", "SELECT * FROM missed_by_user"),
    ("missed_by_pipeline", "SELECT * FROM missed_by_pipeline"),
    ("open_by_day", "SELECT * FROM open_by_day"),
    ("talk_timeline", "SELECT * FROM talk_timeline WHERE talk_id = 707000 ORDER BY at"),
    ("closures_by_day", "SELECT * FROM closures_by_day"),
    ("ratings", "SELECT * FROM ratings"),
    ("contact_talks", "SELECT * FROM contact_talks"),
    ("chat_talks", "SELECT * FROM chat_talks"),
    ("mirror_freshness", "SELECT * FROM mirror_freshness"),
];

/// 2023-11-14 22:13:20 UTC.
const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

fn one<T: FromSql>(connection: &Connection, sql: &str, params: impl Params) -> T {
    connection.query_row(sql, params, |row| row.get(0)).unwrap()
}

/// Rows as text with `|` between columns, as the sqlite3 shell shows them.
fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns)
            .map(|column| {
                use rusqlite::types::ValueRef::*;
                Ok(match row.get_ref(column)? {
                    Null => String::new(),
                    Integer(number) => number.to_string(),
                    Real(number) => number.to_string(),
                    Text(text) | Blob(text) => String::from_utf8_lossy(text).into_owned(),
                })
            })
            .collect::<rusqlite::Result<Vec<_>>>()
            .map(|values| values.join("|"))
    };
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_view_asks_its_question_and_every_column_of_it_has_its_comment() {
    let connection = in_memory();
    let known = rows(&connection, "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid");
    assert_eq!(known.len(), VIEWS.len(), "{known:?}");
    for (view, _) in VIEWS {
        let sql: String = one(&connection, "SELECT sql FROM sqlite_schema WHERE name = ?1", [view]);
        let question = sql.lines().nth(1).unwrap();
        assert!(question.starts_with("-- ") && question.contains('?'), "{view}: {question}");
        // Below the last SELECT at the left edge.
        let body = &sql[sql.rfind("\nSELECT ").unwrap()..];
        for column in rows(&connection, &format!("SELECT name FROM pragma_table_info('{view}')")) {
            let named = |line: &&str| {
                let code = line.split("--").next().unwrap().trim().trim_start_matches("SELECT ");
                let code = code.trim_end_matches(',').trim_end();
                code == column || code.ends_with(&format!(" AS {column}"))
            };
            let line =
                body.lines().find(named).unwrap_or_else(|| panic!("{view}.{column} has a line of its own"));
            assert!(line.contains("-- "), "{view}.{column} has no comment");
        }
    }
}

#[test]
fn every_view_answers_from_an_index_in_a_mirror_of_a_million_talks() {
    let folder = tempfile::tempdir().unwrap();
    let connection = super::open(&folder.path().join("talks.db"), true).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
    connection.execute_batch(include_str!("../../tests/million.sql")).unwrap();
    connection.execute_batch("CREATE TEMP VIEW told AS SELECT * FROM t WHERE talk_id % 50 < 2").unwrap();
    connection.execute_batch(include_str!("../../tests/million_events.sql")).unwrap();
    connection.execute_batch(include_str!("../../tests/million_names.sql")).unwrap();
    let zone = ReportRules::zone("Europe/Berlin").unwrap();
    let work_hours = Some(WorkHours::parse("Mon-Fri 09:00-18:00").unwrap());
    connection.execute_batch("COMMIT").unwrap();
    local_time::store(&connection, &ReportRules { zone, work_hours }).unwrap();
    for table in ["talks", "talk_history", "closures"] {
        let count: i64 = one(&connection, &format!("SELECT count(*) FROM {table}"), []);
        assert!(count >= 1_000_000, "{table}: {count}");
    }
    // Before the statistics are first collected, and after it, as the daemon does.
    for statistics in ["", "PRAGMA optimize = 0x10002"] {
        connection.execute_batch(statistics).unwrap();
        for (view, question) in VIEWS {
            let plan = plan(&connection, question);
            let mut reads = plan.iter().filter(|step| is_of_a_table(step)).peekable();
            assert!(reads.peek().is_some(), "{view}: {plan:#?}");
            for read in reads {
                assert!(read.contains(" USING "), "{view}: {read}: {plan:#?}");
                assert!(!read.contains("AUTOMATIC"), "{view}: {read}: {plan:#?}");
            }
        }
    }
    // A question about one talk, client or chat is looked up and reads no more.
    for question in [
        "SELECT * FROM talk_timeline WHERE talk_id = 707000 ORDER BY at",
        "SELECT * FROM responses WHERE talk_id = 707000",
        "SELECT * FROM talks_iso WHERE talk_id = 707000",
        "SELECT * FROM contact_talks WHERE contact_id = 3000001",
        "SELECT * FROM chat_talks WHERE chat_id = 'x'",
        "SELECT * FROM missed_by_day WHERE day = '2026-01-01'",
    ] {
        let plan = plan(&connection, question);
        let scans = plan.iter().filter(|step| is_of_a_table(step) && step.starts_with("SCAN"));
        let allowed = usize::from(question.contains("missed_by_day"));
        assert!(scans.count() <= allowed, "{question}: {plan:#?}");
    }
}

fn plan(connection: &Connection, question: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
    statement.query_map([], |row| row.get("detail")).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Whether a step of a plan reads a table of the mirror, not the result of another step.
fn is_of_a_table(step: &str) -> bool {
    // People insert the rows of close_exemptions: there are few, and they may be read.
    let tables = [
        "talks",
        "talk_history",
        "talk_events",
        "closures",
        "now",
        "before",
        "event",
        "told",
        "mirror_info",
        "leads",
        "users",
        "utc_offsets",
        "work_time",
    ];
    let mut words = step.split(' ');
    matches!(words.next(), Some("SCAN" | "SEARCH")) && words.next().is_some_and(|name| tables.contains(&name))
}

/// A mirror whose talks were fetched as they changed.
struct Mirror(Connection);

/// What differs between states of a talk. Times are seconds after [`NOW`].
#[derive(Debug, Clone, Copy)]
struct TalkState {
    seen: i64,
    missed: Option<i64>,
    read: bool,
    open: bool,
    rate: Option<i64>,
}

const NEW: TalkState = TalkState { seen: 0, missed: None, read: false, open: true, rate: None };

impl Mirror {
    fn new() -> Mirror {
        Mirror(in_memory())
    }

    /// Records a talk's states with the code that records fetches.
    fn talk(&self, talk_id: i64, origin: Option<&str>, states: &[TalkState]) {
        states.iter().for_each(|state| self.record(talk_id, origin, state, state.seen));
    }

    /// Records a talk's states, each at that time of our clock after [`NOW`].
    fn talk_seen(&self, talk_id: i64, states: &[(TalkState, i64)]) {
        states.iter().for_each(|(state, at)| self.record(talk_id, None, state, *at));
    }

    fn record(&self, talk_id: i64, origin: Option<&str>, state: &TalkState, after: i64) {
        let talk = crate::talk::Talk {
            updated_at: NOW + state.seen,
            rate: state.rate,
            contact_id: Some(30 + talk_id % 2),
            chat_id: (talk_id < 10).then(|| format!("chat {}", talk_id % 3)),
            is_in_work: state.open,
            is_read: Some(state.read),
            origin: origin.map(str::to_owned),
            missed_at: state.missed.map(|at| NOW + at),
            ..crate::talk::tests::open_talk(talk_id, NOW - 60)
        };
        crate::store::record::tests::fetched(&self.0, talk, NOW + after);
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.0, sql)
    }
}

#[test]
fn views_over_the_account_show_whether_all_known_talks_are_mirrored() {
    let mirror = Mirror::new();
    let rated = TalkState { rate: Some(9), missed: Some(10), seen: 20, ..NEW };
    mirror.talk(1, Some("viber"), &[rated]);
    for complete in [0, 1] {
        let status = "INSERT OR REPLACE INTO daemon_status
            (id, mode, version, pid, started_at, seen_at, requests_per_second, request_rate, complete)
            VALUES (1, 'run', '0', 1, 1, 1, 6, 0, ?1)";
        mirror.0.execute(status, [complete]).unwrap();
        for view in [
            "missed_by_day",
            "missed_by_origin",
            "response_sla",
            "missed_by_user",
            "missed_by_pipeline",
            "ratings",
            "contact_talks",
            "chat_talks",
        ] {
            let found = mirror.rows(&format!("SELECT complete FROM {view}"));
            assert_eq!(found, [complete.to_string()], "{view}");
        }
    }
}

#[test]
fn the_other_views_count_what_their_names_promise() {
    let mirror = Mirror::new();
    for (talk_id, rate) in [(1, 10), (2, 9), (3, 8), (4, 6), (5, 0)] {
        let rated = TalkState { rate: Some(rate), open: talk_id > 2, missed: Some(5), ..NEW };
        mirror.talk(talk_id, Some("viber"), &[rated]);
    }
    mirror.0.execute("UPDATE talks SET gone_at = 1 WHERE talk_id = 5", []).unwrap();
    mirror.0.execute("UPDATE talks SET created_at = created_at + 5 WHERE talk_id = 4", []).unwrap();
    assert_eq!(mirror.rows("SELECT * FROM ratings"), ["2023-11-14|viber|4|8.25|2|1|1|25|"]);
    let first = NOW - 60;
    assert_eq!(
        mirror.rows("SELECT * FROM contact_talks"),
        [format!("30|2|1|2|{first}|{}|4|", first + 5), format!("31|3|1|3|{first}|{first}|5|")]
    );
    assert_eq!(
        mirror.rows("SELECT chat_id, talks, in_work, last_talk_id FROM chat_talks"),
        ["chat 0|1|1|3", "chat 1|2|1|4", "chat 2|2|0|5"]
    );
    for (decided, outcome) in [(0, "closed"), (1, "withdrawn"), (2, "accepted"), (86_400, "failed")] {
        mirror
            .0
            .execute(
                "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome, attempts)
                 VALUES (?1, 'live', 0, '', 1, ?1 + 1700000000, ?2, 1)",
                (decided, outcome),
            )
            .unwrap();
    }
    assert_eq!(
        mirror.rows("SELECT * FROM closures_by_day"),
        ["2023-11-14|live|3|0|1|1|1|0|0", "2023-11-15|live|1|0|0|0|0|0|1"]
    );
}

#[test]
fn freshness_is_exact_in_a_small_mirror_and_close_in_a_large_one() {
    let mirror = Mirror::new();
    let fill = |from: i64, to: i64| {
        mirror
            .0
            .execute(
                "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
                 INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, origin,
                                    account_id, payload, first_fetched_at, fetched_at, changed_at)
                 SELECT i, 1, 1, 1, i % 2, 0, iif(i % 100 = 0, NULL, 'viber'), 1, '{}', 1, unixepoch() - i, 1 FROM n",
                (from, to),
            )
            .unwrap();
    };
    // The clock may advance between two readings.
    let freshness =
        || mirror.rows("SELECT origin, talks, max - p50, max - p95 FROM mirror_freshness ORDER BY origin");
    fill(1, 1000);
    assert_eq!(
        freshness(),
        ["(all)|1000|500|50", "(none)|10|500|0", "(open)|500|500|50", "viber|990|500|49"]
    );
    fill(1001, 100_000);
    for row in freshness() {
        let numbers: Vec<i64> = row.split('|').skip(1).map(|number| number.parse().unwrap()).collect();
        let [_, p50, p95] = numbers[..] else { panic!("{row}") };
        assert!((49_000..=51_000).contains(&p50) && (4_500..=5_500).contains(&p95), "{row}");
    }
}

#[test]
fn an_empty_mirror_has_no_rows_in_any_view() {
    let connection = in_memory();
    for (view, _) in VIEWS {
        assert_eq!(rows(&connection, &format!("SELECT * FROM {view}")), [""; 0], "{view}");
    }
}
