use super::*;
use crate::store::migrations::tests::{NEXT, in_memory, upgrade, upgrade_views};
use crate::store::{SCHEMA_VERSION, open, open_patiently, open_read_only};

/// A talk of account 1.
const TALK: &str =
    "INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, missed_at,
                                       account_id, payload, first_fetched_at, fetched_at, changed_at)
                    VALUES (1, 1, 1, 1, 1, 0, 1, 1, '{}', 1, 1, 1);
                    INSERT INTO mirror_info VALUES ('account_id', '1');";

fn found(connection: &Connection) -> (Vec<String>, Vec<String>, Vec<String>) {
    let Differences { repairable, broken, foreign, .. } = compare(connection).unwrap();
    let repairable = repairable.iter().map(ToString::to_string).collect();
    (repairable, broken.iter().map(ToString::to_string).collect(), foreign)
}

fn nothing() -> (Vec<String>, Vec<String>, Vec<String>) {
    Default::default()
}

/// A database of this version with data, in a file.
fn in_a_file(change: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talks.db");
    let connection = open_patiently(&path, |_| {}).unwrap();
    connection.execute_batch(TALK).unwrap();
    connection
        .execute_batch(
            "INSERT INTO talk_queue (talk_id) VALUES (7); INSERT INTO tombstones VALUES (9, 90); ANALYZE;",
        )
        .unwrap();
    connection.execute_batch(change).unwrap();
    (folder, path)
}

fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn the_next_migration_keeps_the_data_and_the_views_of_others_also_those_that_are_broken() {
    let (_folder, path) = in_a_file(
        "CREATE VIEW ours AS SELECT gone_at FROM tombstones; CREATE VIEW broken AS SELECT * FROM no_such_table;",
    );
    upgrade();
    for opened in [open(&path, false), open_read_only(&path)] {
        assert!(
            matches!(opened, Err(StoreError::Older { found: SCHEMA_VERSION, .. })),
            "a command migrates nothing: {opened:?}"
        );
    }
    let connection = open_patiently(&path, |_| {}).unwrap();
    assert_eq!(found(&connection), nothing(), "it is as one made anew");
    let kept =
        "SELECT (user_version - ?V) || ' ' || (SELECT gone_at FROM ours) || ' ' || (SELECT talk_id FROM talk_queue)
                       || ' ' || (SELECT max(talk_id) FROM contact_talks JOIN talks USING (contact_id))
                  FROM pragma_user_version";
    assert_eq!(text(&connection, &kept.replace("?V", &SCHEMA_VERSION.to_string())), "1 90 7 1");
    let views =
        "SELECT group_concat(name) FROM sqlite_schema WHERE name IN ('chat_talks', 'tagged_talks', 'broken')";
    assert_eq!(text(&connection, views), "broken,tagged_talks", "a view of ours that is no more is removed");
    open(&path, false).unwrap();
    open_read_only(&path).unwrap();
}

#[test]
fn a_database_in_which_somebody_dropped_or_added_things_is_migrated() {
    for change in [
        "DROP VIEW stale_talks; DROP VIEW talks_iso; DROP VIEW chat_talks; DROP VIEW contact_talks; DROP VIEW open_talks",
        "DROP INDEX talks_origin; DROP INDEX talks_contact; DROP INDEX talks_chat; DROP INDEX closures_decided",
        "DROP TRIGGER talk_queue_again; DROP INDEX talks_open; DELETE FROM mirror_info WHERE key LIKE 'auto_close.%'",
        "ALTER TABLE tombstones ADD COLUMN note TEXT",
        "CREATE TABLE notes (text); CREATE VIEW mine AS SELECT * FROM talks; CREATE INDEX talks_mine ON talks (rate)",
    ] {
        let (_folder, path) = in_a_file(change);
        upgrade();
        let connection = open_patiently(&path, |_| {}).unwrap();
        assert_eq!(found(&connection), nothing(), "{change}");
        assert_eq!(text(&connection, "SELECT talk_id || ' ' || gone_at FROM tombstones"), "9 90", "{change}");
        NEXT.set(None);
    }
}

#[test]
fn a_name_that_the_next_version_gives_and_somebody_s_object_has_is_told_before_anything_is_changed() {
    let cases = [
        (
            "CREATE VIEW tagged_talks AS SELECT 1",
            "the view tagged_talks is not talkmirror's, and this version creates one",
        ),
        ("CREATE TABLE Tags (a)", "rename it: `ALTER TABLE \"Tags\" RENAME TO \"other_Tags\"`"),
        ("CREATE INDEX tags_tag ON talks (rate)", "drop it: `DROP INDEX \"tags_tag\"`"),
        (
            "CREATE TABLE tagged_talks (a)",
            "the table tagged_talks is not talkmirror's, and this version creates one",
        ),
        ("DROP TABLE closures", "the table closures is missing"),
        ("DELETE FROM mirror_info WHERE key = 'account_id'", "mirror_info has no account_id"),
    ];
    for (change, expected) in cases {
        let (_folder, path) = in_a_file(change);
        let state = || -> (i64, String) {
            let state =
                "SELECT user_version, (SELECT group_concat(sql) FROM sqlite_schema) FROM pragma_user_version";
            let connection = Connection::open(&path).unwrap();
            connection.query_row(state, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let before = state();
        upgrade();
        let error = open_patiently(&path, |_| {}).unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{change}: {error}");
        assert!(error.to_string().contains(expected), "{change}: {error}");
        assert_eq!(state(), before, "{change}");
        let told = older::look(&path, SCHEMA_VERSION).unwrap();
        assert!(told.iter().any(|told| told.to_string().contains(expected)), "{change}: {told:?}");
        NEXT.set(None);
    }
}

#[test]
fn views_of_another_version_s_script_are_brought_to_this_one_s_comments_too() {
    let (_folder, path) = in_a_file("CREATE VIEW mine AS SELECT * FROM chat_talks");
    upgrade_views();
    let wrong = found(&open_read_only(&path).unwrap()).0;
    assert_eq!(
        wrong,
        [
            "the view contact_talks was changed",
            "the view tagged_talks is missing",
            "the view chat_talks is of another version"
        ]
    );
    let connection = open_patiently(&path, |_| {}).unwrap();
    assert_eq!(found(&connection), nothing());
    let about = "SELECT sql FROM sqlite_schema WHERE name = 'contact_talks'";
    assert!(text(&connection, about).contains("-- Which clients are ours"));
    assert_eq!(text(&connection, "SELECT count(*) || '' FROM tagged_talks"), "0");
    let names = "SELECT group_concat(name) FROM sqlite_schema WHERE name IN ('chat_talks', 'mine')";
    assert_eq!(text(&connection, names), "mine", "others' own views stay");
    // By the names that are noted it knows what is not its own.
    drop(connection);
    NEXT.set(None);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE VIEW chat_talks AS SELECT 1").unwrap();
    let error = open_patiently(&path, |_| {}).unwrap_err();
    assert!(error.to_string().contains("the view chat_talks is not talkmirror's"), "{error}");
    assert_eq!(text(&connection, "SELECT sql FROM sqlite_schema WHERE name = 'chat_talks'").len(), 34);
}

#[test]
fn what_holds_no_data_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talks.db");
    let connection = open(&path, true).unwrap();
    connection
        .execute_batch(
            "DROP VIEW stale_talks; DROP TRIGGER talk_queue_again; DROP INDEX talks_open_missed;
             DROP VIEW open_talks; CREATE VIEW Open_Talks AS SELECT talk_id FROM talks;
             DROP INDEX talks_chat; CREATE INDEX talks_chat ON talks (chat_id);
             INSERT INTO mirror_info VALUES ('auto_close.last_sweep', '{'), ('note', '{'),
                 ('retention.last', '5'), ('api.token_expires_at', '5'), ('api.oauth', '{}');",
        )
        .unwrap();
    let (repairable, broken, foreign) = found(&connection);
    assert_eq!((broken, foreign), (vec![], vec![]));
    assert_eq!(
        repairable,
        [
            "the view open_talks was changed",
            "the view stale_talks is missing",
            "the index talks_chat was changed",
            "the index talks_open_missed is missing",
            "the trigger talk_queue_again is missing",
            "the value of auto_close.last_sweep in mirror_info cannot be read",
            "the value of retention.last in mirror_info cannot be read",
        ]
    );
    drop(connection);
    // Commands beside a daemon leave it alone.
    assert_eq!(found(&open(&path, false).unwrap()).0.len(), 7);
    let connection = open_patiently(&path, |_| {}).unwrap();
    assert_eq!(found(&connection), nothing());
    let note: String = connection
        .query_row("SELECT value FROM mirror_info WHERE key = 'note'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(note, "{", "not ours");
}

#[test]
fn tables_and_columns_that_are_missing_or_altered_are_named() {
    let cases = [
        ("DROP TABLE tombstones", "the table tombstones is missing: restore a backup"),
        ("ALTER TABLE talk_queue DROP COLUMN last_error", "the column last_error of talk_queue is missing"),
        (
            "ALTER TABLE tombstones RENAME COLUMN gone_at TO went_at",
            "the column gone_at of tombstones is missing",
        ),
        ("DROP TABLE lanes; CREATE VIEW lanes AS SELECT 1", "the table lanes is missing"),
        (
            "DROP TABLE tombstones; CREATE TABLE tombstones (talk_id INTEGER PRIMARY KEY, gone_at TEXT NOT NULL) STRICT",
            "the column gone_at of tombstones was changed",
        ),
        (
            "DROP TABLE tombstones; CREATE TABLE tombstones (talk_id INTEGER PRIMARY KEY, gone_at INTEGER NOT NULL)",
            "the table tombstones was changed",
        ),
        (
            "DROP VIEW open_talks; CREATE TABLE open_talks (talk_id)",
            "a table has the name open_talks, which a view needs: rename it: `ALTER TABLE open_talks RENAME TO",
        ),
    ];
    for (sql, expected) in cases {
        let connection = in_memory();
        connection.execute_batch("PRAGMA legacy_alter_table = ON").unwrap();
        connection.execute_batch(sql).unwrap();
        let (_, broken, _) = found(&connection);
        assert_eq!(broken.len(), 1, "{sql}: {broken:?}");
        assert!(broken[0].starts_with(expected), "{sql}: {broken:?}");
    }
}

#[test]
fn what_others_added_is_told_only_where_it_takes_part_in_the_daemon_s_transactions() {
    let connection = in_memory();
    connection
        .execute_batch(
            "CREATE TABLE report (day TEXT, talks INTEGER); CREATE UNIQUE INDEX report_day ON report (day);
             CREATE VIEW mine AS SELECT * FROM talks; CREATE INDEX talks_rate ON talks (rate);
             CREATE TRIGGER report_new AFTER INSERT ON report BEGIN DELETE FROM report; END;",
        )
        .unwrap();
    assert_eq!(found(&connection), nothing());
    connection
        .execute_batch(
            "CREATE TRIGGER talks AFTER UPDATE ON talks BEGIN INSERT INTO report VALUES ('x', 1); END;
             CREATE UNIQUE INDEX talks_one ON Talks (contact_id);
             ALTER TABLE talks ADD COLUMN note TEXT;",
        )
        .unwrap();
    let (repairable, broken, foreign) = found(&connection);
    assert_eq!((repairable, broken), (vec![], vec![]));
    assert_eq!(foreign.len(), 3, "{foreign:?}");
    assert!(foreign[0].starts_with("talks has columns that are not talkmirror's (note)"), "{foreign:?}");
    assert!(foreign[1].starts_with("the unique index talks_one on "), "{foreign:?}");
    assert!(foreign[2].starts_with("the trigger talks on talks is not talkmirror's"), "{foreign:?}");
}

#[test]
fn what_needs_another_program_s_collation_or_function_is_named() {
    let connection = in_memory();
    // As a program makes it that has them.
    connection
        .execute_batch(
            "CREATE TABLE report (day TEXT PRIMARY KEY);
             ALTER TABLE talks ADD COLUMN note TEXT;
             CREATE INDEX talks_note ON talks (lower(note));
             CREATE INDEX talks_mine ON talks (origin);
             CREATE INDEX queue_mine ON talk_queue (reason);
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, 'TEXT', 'TEXT COLLATE mine') WHERE name = 'report';
             UPDATE sqlite_schema SET sql = replace(sql, '(origin)', '(origin COLLATE mine)') WHERE name = 'talks_mine';
             UPDATE sqlite_schema SET sql = replace(sql, '(reason)', '(mine(reason))') WHERE name = 'queue_mine';
             PRAGMA writable_schema = RESET;",
        )
        .unwrap();
    let (repairable, broken, foreign) = found(&connection);
    assert!(repairable.is_empty(), "{repairable:?}");
    let [queue, talks] = &broken[..] else { panic!("{broken:?}") };
    assert!(queue.contains("queue_mine") && queue.contains("(unknown function: mine())"), "{queue}");
    assert!(
        queue.contains("no row of talk_queue can be written: drop it: `DROP INDEX \"queue_mine\"`"),
        "{queue}"
    );
    assert!(talks.contains("talks_mine") && talks.contains("(no such collation sequence: mine)"), "{talks}");
    assert!(foreign[0].starts_with("talks has columns"), "{foreign:?}");
    assert!(
        foreign[1].starts_with("the table report is not") && foreign[1].ends_with("no backup can be made"),
        "{foreign:?}"
    );
    assert_eq!(foreign.len(), 2, "{foreign:?}");
}

#[test]
fn a_table_that_only_another_program_can_copy_is_named_whatever_part_of_it_needs_that() {
    for table in [
        "(a TEXT COLLATE nocase PRIMARY KEY)",
        "(a TEXT COLLATE nocase)",
        "(a TEXT, b AS (lower(a)))",
        "(a TEXT CHECK (lower(a) = a))",
        "(a TEXT DEFAULT (lower('A')), b TEXT)",
    ] {
        let connection = in_memory();
        let theirs = format!(
            "CREATE TABLE report {table}; PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(replace(sql, 'nocase', 'mine'), 'lower', 'mine') WHERE name = 'report';
             PRAGMA writable_schema = RESET;"
        );
        connection.execute_batch(&theirs).unwrap();
        let (repairable, broken, foreign) = found(&connection);
        assert_eq!((repairable, broken), (vec![], vec![]), "{table}");
        assert_eq!(foreign.len(), 1, "{table}: {foreign:?}");
        assert!(
            foreign[0].starts_with(
                "the table report is not talkmirror's, and uses something that only another program has "
            ),
            "{table}: {foreign:?}"
        );
    }
}

#[test]
fn a_trigger_on_a_table_of_ours_that_needs_another_program_s_function_stops_a_start() {
    for (event, body) in [
        ("INSERT ON talks", "SELECT mine(new.origin)"),
        ("UPDATE OF origin ON Talks", "SELECT mine(new.origin)"),
        ("DELETE ON talks", "INSERT INTO report VALUES (mine(old.talk_id))"),
    ] {
        let connection = in_memory();
        let theirs = format!(
            "CREATE TABLE report (talk_id INTEGER);
             CREATE TRIGGER \"see talks\" AFTER {event} BEGIN {body}; END;
             CREATE TRIGGER see_report AFTER INSERT ON report BEGIN SELECT mine(1); END;"
        );
        connection.execute_batch(&theirs).unwrap();
        let (repairable, broken, foreign) = found(&connection);
        assert!(repairable.is_empty(), "{repairable:?}");
        let [broken] = &broken[..] else { panic!("{event}: {broken:?}") };
        assert!(
            broken.contains("no such function: mine")
                && broken.ends_with("drop it: `DROP TRIGGER \"see talks\"`"),
            "{event}: {broken}"
        );
        assert_eq!(foreign.len(), 1, "{event}: {foreign:?}");
        assert_eq!(connection.query_row("SELECT count(*) FROM report", [], |row| row.get(0)), Ok(0));
    }
    let connection = in_memory();
    connection
        .execute_batch("CREATE TRIGGER see AFTER UPDATE ON talks BEGIN SELECT lower(new.origin); END")
        .unwrap();
    assert_eq!(found(&connection).1, [""; 0], "SQLite has that");
}

#[test]
fn an_account_that_is_not_the_talks_own_is_named_with_the_sql_that_repairs_it() {
    let connection = in_memory();
    connection.execute_batch("INSERT INTO mirror_info VALUES ('account_id', '5')").unwrap();
    assert_eq!(found(&connection), nothing(), "no talk says otherwise");
    connection.execute_batch("DELETE FROM mirror_info WHERE key = 'account_id'").unwrap();
    connection.execute_batch(TALK).unwrap();
    assert_eq!(found(&connection), nothing());
    for change in [
        "UPDATE mirror_info SET value = '2' WHERE key = 'account_id'",
        "UPDATE mirror_info SET value = 'one' WHERE key = 'account_id'",
        "UPDATE mirror_info SET value = '01' WHERE key = 'account_id'",
        "DELETE FROM mirror_info WHERE key = 'account_id'",
    ] {
        connection.execute_batch(change).unwrap();
        let (_, broken, _) = found(&connection);
        let sql = broken[0].split('`').nth(1).unwrap();
        assert_eq!(connection.execute(sql, []), Ok(1), "{change}: {broken:?}");
        assert_eq!(found(&connection), nothing(), "{change}");
    }
    connection.execute_batch("INSERT INTO talks SELECT 2, 1, 1, NULL, 1, NULL, NULL, NULL, 1, 0, NULL, NULL, 9, NULL, NULL, NULL, NULL, '{}', 1, 1, 1, 1, NULL, NULL, NULL").unwrap();
    let (_, broken, _) = found(&connection);
    assert_eq!(broken, ["the talks are of several accounts (1, 9): restore a backup"]);
}
