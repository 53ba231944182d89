//! The SQLite database: opening it safely, and all SQL.
//!
//! It promises that a database of something else, of a newer version or that
//! cannot be written is refused in words before anything is touched; that what is
//! recorded together is durable together; and that readers are never in the way.
//! The daemon's writes all go through one thread ([`writer`]); commands open
//! connections of their own.

pub mod account;
pub mod backup;
pub mod checkpoint;
pub mod chores;
pub mod closures;
pub mod feeds;
pub mod guests;
pub mod lock;
pub mod odd;
pub mod owner;
pub mod patience;
pub mod queue;
pub mod record;
pub mod report;
pub mod restore;
pub mod resume;
pub mod retention;
pub mod schema;
pub mod sizes;
pub mod status;
pub mod sweep;
pub mod tokens;
pub mod trial;
#[cfg(test)]
mod views;
pub mod writer;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi};
use rusqlite_migration::{M, Migrations};
use std::ffi::c_int;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// In order; `user_version` counts how many a database has had.
static MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);
const STEPS: &[M<'_>] = &[
    M::up(SCRIPTS[0]),
    M::up(SCRIPTS[1]),
    M::up(SCRIPTS[2]),
    M::up(SCRIPTS[3]),
    M::up(SCRIPTS[4]),
    M::up(SCRIPTS[5]),
];
const SCRIPTS: [&str; SCHEMA_VERSION as usize] = [
    include_str!("store/migrations/001-mirror.sql"),
    include_str!("store/migrations/002-closures.sql"),
    include_str!("store/migrations/003-feeders.sql"),
    include_str!("store/migrations/004-service.sql"),
    include_str!("store/migrations/005-analysts.sql"),
    include_str!("store/migrations/006-tolerance.sql"),
];

/// The schema version that this program knows.
pub const SCHEMA_VERSION: i64 = 6;

/// As the first migration sets it: "tlkm".
const APPLICATION_ID: i64 = 0x746c_6b6d;

/// How long a statement waits for another process's write to end.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a long migration tells that it goes on, and after how many steps of SQLite's machine it looks
/// at the clock: some milliseconds.
const PROGRESS: Duration = Duration::from_millis(500);
const PROGRESS_STEPS: c_int = 100_000;

/// What the database can do wrong.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no database at {0} yet: `talkmirror run` or `talkmirror sync` makes it")]
    Missing(PathBuf),
    #[error(
        "{0} was removed while a talkmirror works on it: restart that, which makes a new one, or restore a backup first"
    )]
    Lost(PathBuf),
    #[error("there is no folder {0} for the database: make it, or set database.path")]
    NoFolder(PathBuf),
    #[error(
        "{0} is not a SQLite database: set database.path to another file, or move this one away and restore a backup"
    )]
    NotADatabase(PathBuf),
    #[error("{0} is a SQLite database of something else: set database.path to another file")]
    Foreign(PathBuf),
    #[error(
        "{path} was written by a newer talkmirror (schema {found}, this one knows {SCHEMA_VERSION}): upgrade talkmirror"
    )]
    Newer { path: PathBuf, found: i64 },
    #[error(
        "{path} has schema {found}, and this version {SCHEMA_VERSION}: stop an older talkmirror that runs, then start this one (`talkmirror run` or `talkmirror sync`), which migrates it"
    )]
    Older { path: PathBuf, found: i64 },
    #[error("{0} cannot be written: give this user the right to write the file and its folder")]
    ReadOnly(PathBuf),
    #[error(
        "{0} is another name (a hard link) of a database that a talkmirror works on: use the name that it goes by, as SQLite \
         keeps a log for each name"
    )]
    OtherName(PathBuf),
    #[error("cannot {step} {path}")]
    Open { step: &'static str, path: PathBuf, source: rusqlite::Error },
    #[error("{path} is not as talkmirror made it: {broken}")]
    Broken { path: PathBuf, broken: String },
    #[error("cannot make {name} again in {path}, which is missing or was changed there")]
    Mend { path: PathBuf, name: String, source: rusqlite::Error },
    #[error("cannot migrate {path}")]
    Migrate { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

/// Opens the database for the process that holds the lock, and makes again what is missing there of what holds no
/// data ([`schema`]). While an older schema is migrated, `at_work`
/// is called several times a second, by progress alone, with what is done in words; so it is while another program
/// holds the database locked, which is waited for ([`patience`]).
///
/// # Errors
/// See [`StoreError`]; nothing was changed then.
pub fn open_patiently(path: &Path, at_work: fn(&str)) -> Result<Connection, StoreError> {
    open_as(path, true, Some(at_work))
}

/// Opens the database for writing; makes it where there is none.
///
/// `owner` says that the caller holds the lock ([`lock`]): only then is an
/// older schema migrated, since a running daemon knows its own alone.
///
/// # Errors
/// See [`StoreError`]; nothing was changed then.
pub fn open(path: &Path, owner: bool) -> Result<Connection, StoreError> {
    open_as(path, owner, None)
}

fn open_as(path: &Path, owner: bool, at_work: Option<fn(&str)>) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        return Err(StoreError::NoFolder(folder.to_owned()));
    }
    // Before the database is open here.
    let held = if owner { None } else { lock::is_held(path) };
    if held == Some(true) {
        refuse_other_name(path)?;
    }
    if !path.exists() {
        // Somebody else's to make: the one that is at work has lost its file.
        if held == Some(true) {
            return Err(StoreError::Lost(path.to_owned()));
        }
        // What cannot be made is named by SQLite.
        let _ = owner::make(&lock::file_of(path), 0o644);
    }
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    if let Some(at_work) = at_work {
        patience::begin(&connection, path, at_work)?;
    }
    let version = identify(&connection, path)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    let sql = |step| {
        move |source| match source {
            rusqlite::Error::SqliteFailure(error, _)
                if matches!(error.code, ErrorCode::ReadOnly | ErrorCode::PermissionDenied) =>
            {
                StoreError::ReadOnly(path.to_owned())
            }
            source => StoreError::Open { step, path: path.to_owned(), source },
        }
    };
    if version == 0 {
        // Half as many pages to write for the random order of chat ids; only a new file takes it.
        connection.pragma_update(None, "page_size", 8192).map_err(sql("set up"))?;
    }
    let mode = switch_to_wal(&connection).map_err(sql("switch to WAL mode"))?;
    if mode != "wal" {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 8000; -- until the writer has a thread for it
             PRAGMA cache_size = -3000; -- KiB; more is faster on a full queue, and resident
             PRAGMA journal_size_limit = 67108864; -- a WAL that grew is cut back to 64 MiB",
        )
        .map_err(sql("set up"))?;
    persist_wal(&connection);
    if held == Some(true) {
        // Whoever is at work does it; here it might take as long as a grown log wants.
        connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(sql("set up"))?;
    }

    if version != 0 && version < SCHEMA_VERSION && !owner {
        return Err(StoreError::Older { path: path.to_owned(), found: version });
    }
    if (1..SCHEMA_VERSION).contains(&version) {
        schema::older::may_migrate(&connection, path, version)?;
    }
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    if let Some(at_work) = at_work {
        // Waits for whoever writes now: what is written at a start then finds nobody in its way, as a rule.
        connection.transaction()?.rollback()?;
        let mut last: Option<Instant> = None;
        let progress = move || {
            if last.is_none_or(|last| last.elapsed() >= PROGRESS) {
                last = Some(Instant::now());
                at_work("migrating the database to this version's schema");
            }
            false
        };
        connection.progress_handler(PROGRESS_STEPS, Some(progress))?;
    }
    if version == 0 {
        create(&mut connection, path)?;
    }
    migrate(&mut connection).map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
    if at_work.is_some() {
        // An index of many rows takes its time.
        schema::mend(&mut connection, path)?;
    }
    connection.progress_handler(0, None::<fn() -> bool>)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Switches a database to WAL mode; returns the mode that it has then. Another process may be doing the same, and SQLite
/// does not wait for that by itself.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    let began = Instant::now();
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error) if patience::is_locked(&error) && began.elapsed() < BUSY_TIMEOUT => {
                thread::sleep(Duration::from_millis(20));
            }
            switched => return switched,
        }
    }
}

/// Makes the schema in an empty file, in one transaction: whoever makes it at the same moment finds all of it, or none.
fn create(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Migrate { path: path.to_owned(), source };
    let tx = connection.transaction().map_err(failed)?;
    if identify(&tx, path)? == 0 {
        for script in SCRIPTS {
            tx.execute_batch(script).map_err(failed)?;
        }
        tx.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Brings a database to the schema of this version.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    // Else a rename would have views and triggers of others follow the table that is then dropped, and fail where one
    // of them is broken.
    connection.pragma_update(None, "legacy_alter_table", true)?;
    let migrated = MIGRATIONS.to_latest(connection);
    connection.pragma_update(None, "legacy_alter_table", false)?;
    migrated.map_err(schema::unscripted)
}

/// Opens the database for reading, also while a daemon writes it or none runs.
///
/// # Errors
/// See [`StoreError`].
pub fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    if has_other_names(path) && lock::is_held(path) == Some(true) {
        refuse_other_name(path)?;
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match identify(&connection, path)? {
        0 => Err(StoreError::Missing(path.to_owned())),
        found if found < SCHEMA_VERSION => Err(StoreError::Older { path: path.to_owned(), found }),
        _ => Ok(connection),
    }
}

/// Whether hard links lead to the file.
fn has_other_names(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.nlink() > 1)
}

/// Whoever works on the database has its log beside the name that it goes by: by another, what it wrote lately is not
/// seen, and what is written is lost or damages it.
fn refuse_other_name(path: &Path) -> Result<(), StoreError> {
    match has_other_names(path) && !backup::beside(&lock::file_of(path), "-wal").exists() {
        true => Err(StoreError::OtherName(path.to_owned())),
        false => Ok(()),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|source| StoreError::Open { step: "open", path: path.to_owned(), source })?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The schema version, 0 for an empty database; anything that is not ours is an error.
fn identify(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    // All of it as of one moment: somebody else may be making the database.
    let moment = connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()?;
    let version = identify_now(connection, path)?;
    drop(moment);
    Ok(version)
}

fn identify_now(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).map_err(|source| {
            match source {
                rusqlite::Error::SqliteFailure(error, _) if error.code == ErrorCode::NotADatabase => {
                    StoreError::NotADatabase(path.to_owned())
                }
                source => StoreError::Open { step: "read", path: path.to_owned(), source },
            }
        })
    };
    let version = pragma("user_version")?;
    let application = pragma("application_id")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (version != 0 || tables != 0) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version });
    }
    Ok(version)
}

/// Keeps the `-wal` and `-shm` files when the last connection closes: a reader
/// without the right to write the folder cannot make them, and fails without.
/// rusqlite 0.40 has no call of its own for it.
fn persist_wal(connection: &Connection) {
    let mut on: c_int = 1;
    // SAFETY: the handle is open, the name is a C string, and the opcode takes an int.
    unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut on).cast(),
        );
    }
}

/// The value of a key in `mirror_info`.
///
/// # Errors
/// When the database cannot be read.
pub fn info(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    use rusqlite::OptionalExtension;
    connection
        .prepare_cached("SELECT value FROM mirror_info WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// The account that this database mirrors, once a talk of it was stored.
///
/// # Errors
/// When the database cannot be read.
pub fn account_id(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    Ok(info(connection, "account_id")?.and_then(|id| id.parse().ok()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A migrated database that is nowhere.
    pub(crate) fn in_memory() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        connection
    }

    /// A file as an earlier version left it.
    pub(crate) fn earlier(path: &Path, schema: usize) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        Migrations::from_slice(&STEPS[..schema]).to_latest(&mut connection).unwrap();
        connection
    }

    #[test]
    fn the_migrations_are_valid_and_all_counted() {
        MIGRATIONS.validate().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, SCHEMA_VERSION);
    }

    #[test]
    fn an_earlier_database_keeps_its_pause_and_its_talks() {
        let mut connection = Connection::open_in_memory().unwrap();
        Migrations::from_slice(&STEPS[..1]).to_latest(&mut connection).unwrap();
        connection
            .execute_batch(
                "INSERT INTO daemon_status VALUES (1, 'run', '0.1.0', 7, 1, NULL, 2, 3, 4, 'HTTP 402', 'unpaid',
                                                   'HTTP 402', 5, 900, 6.0, 0.5);
                 INSERT INTO talks (talk_id, created_at, updated_at, contact_id, is_in_work, is_read, missed_at,
                                    account_id, payload, first_fetched_at, fetched_at, changed_at)
                 VALUES (1, 1, 1, 1, 1, 0, 1, 1, '{}', 1, 1, 1);",
            )
            .unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        let status = status::DaemonStatus::read(&connection).unwrap().unwrap();
        assert_eq!(status.pause.unwrap().until, 900);
        assert_eq!((status.pid, status.request_rate, status.clock_skew), (7, 0.5, None));
        let stale = connection.query_row("SELECT talk_id FROM stale_talks", [], |row| row.get(0));
        assert_eq!(stale, Ok(1), "by the defaults, where no daemon has said its rules");
    }

    #[test]
    fn every_table_is_strict_and_every_column_has_its_comment() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("talks.db"), true).unwrap();
        let tables: Vec<(String, bool)> = connection
            .prepare("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(tables.len() >= 6, "{tables:?}");
        for (table, strict) in tables {
            assert!(strict, "{table} is not STRICT");
            let sql: String = connection
                .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [&table], |row| row.get(0))
                .unwrap();
            let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
            for column in columns.query_map([&table], |row| row.get::<_, String>(0)).unwrap() {
                let column = column.unwrap();
                let line = sql
                    .lines()
                    .find(|line| line.trim_start().starts_with(&format!("{column} ")))
                    .unwrap_or_else(|| panic!("{table}.{column} has a line of its own"));
                // talk_versions repeats the columns of talks and says so once.
                let repeated = table == "talk_versions" && column != "valid_from";
                assert!(repeated || line.contains("-- "), "{table}.{column} has no comment");
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
        assert!(matches!(open(&path, true), Err(StoreError::Foreign(_))));

        let path = folder.path().join("newer.db");
        drop(open(&path, true).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(open(&path, true), Err(StoreError::Newer { found: 999, .. })));
        assert!(matches!(open_read_only(&path), Err(StoreError::Newer { found: 999, .. })));

        let path = folder.path().join("text.db");
        std::fs::write(&path, "this is no database, whatever its name says\n".repeat(30)).unwrap();
        assert!(matches!(open(&path, true), Err(StoreError::NotADatabase(_))));
        assert!(matches!(open(&folder.path().join("no/such/talks.db"), true), Err(StoreError::NoFolder(_))));
    }

    #[test]
    fn the_wal_outlives_the_last_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("talks.db");
        drop(open(&path, true).unwrap());
        assert!(folder.path().join("talks.db-wal").exists());
        assert!(folder.path().join("talks.db-shm").exists());
    }
}
