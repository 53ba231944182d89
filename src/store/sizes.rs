//! How large the database is, how fast it grows, and when its disk is full: the table `sizes`.

use super::backup::state::BackupState;
use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::growth::{self, Sample};
use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The growth is the mean of the last week.
const GROWTH_SPAN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Days that are kept. By count: a clock that is wrong for a day must not forget the rest.
const KEPT: i64 = 400;

/// The size of the database and of what is around it, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    /// The file, once the write-ahead log is in it.
    pub database_bytes: i64,
    /// Of these, pages that hold nothing: they are used before the file grows.
    pub free_bytes: i64,
    /// The write-ahead log beside it.
    pub wal_bytes: u64,
    /// What is used of the file grew by so much a day in the last week, or since the first look; not known within
    /// the first day.
    pub growth_bytes_per_day: Option<i64>,
    /// What is free for us on the file's disk, where it is a file.
    pub disk_free_bytes: Option<u64>,
    /// When the disk is full at that pace, with that of the backups kept on it; `None` where it is not known, or never.
    pub disk_full_at: Option<UnixSeconds>,
}

/// Reads it as of now.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn read(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<Size> {
    let (database_bytes, free_bytes) = pages(connection)?;
    let week_ago = connection
        .prepare_cached(
            "SELECT day, database_bytes - free_bytes FROM sizes WHERE day >= ?1 AND day < ?2 ORDER BY day LIMIT 1",
        )?
        .query_row([now.start_of_day() - GROWTH_SPAN, now.start_of_day()], |row| {
            // The last look on a day is near its end.
            Ok(Sample { at: row.get::<_, UnixSeconds>(0)? + DAY, used: row.get(1)? })
        })
        .optional()?;
    let used_now = Sample { at: now, used: database_bytes - free_bytes };
    let growth = week_ago.and_then(|week_ago| growth::per_day(week_ago, used_now));
    let file = connection.path().filter(|path| !path.is_empty()).map(Path::new);
    let disk_free_bytes = file.and_then(disk_free);
    // As many copies as are kept grow with it.
    let copies = match file {
        Some(file) => copies_beside(&BackupState::read(connection)?, file),
        None => 0,
    };
    let full_at = |free: u64| {
        let room = free.saturating_add(number::positive(free_bytes));
        growth::full_at(room, growth?.saturating_mul(1 + copies), now)
    };
    Ok(Size {
        database_bytes,
        free_bytes,
        wal_bytes: file.map_or(0, wal_bytes),
        growth_bytes_per_day: growth,
        disk_free_bytes,
        disk_full_at: disk_free_bytes.and_then(full_at),
    })
}

/// Notes how large it is today, UTC.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn note(tx: &Transaction<'_>, now: UnixSeconds) -> rusqlite::Result<()> {
    let (database_bytes, free_bytes) = pages(tx)?;
    tx.prepare_cached("INSERT OR REPLACE INTO sizes (day, database_bytes, free_bytes) VALUES (?1, ?2, ?3)")?
        .execute((now.start_of_day(), database_bytes, free_bytes))?;
    tx.prepare_cached(
        "DELETE FROM sizes WHERE day <= (SELECT day FROM sizes ORDER BY day DESC LIMIT 1 OFFSET ?1)",
    )?
    .execute([KEPT])?;
    Ok(())
}

/// So many scheduled backups are kept on the database's own disk.
fn copies_beside(backup: &BackupState, database: &Path) -> i64 {
    let disk = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    match &backup.rules {
        Some(rules) if disk(Path::new(&rules.path)).is_some_and(|there| Some(there) == disk(database)) => {
            number::whole(rules.keep)
        }
        _ => 0,
    }
}

/// Bytes of all pages, and of those that hold nothing.
fn pages(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection
        .prepare_cached(
            "SELECT page_count * page_size, freelist_count * page_size
               FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn wal_bytes(database: &Path) -> u64 {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    Path::new(&wal).metadata().map_or(0, |metadata| metadata.len())
}

/// What is left to users who are not root; `None` where the system does not say.
fn disk_free(database: &Path) -> Option<u64> {
    let disk = statvfs(database).ok()?;
    Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const TODAY: UnixSeconds = UnixSeconds::new(19_675 * DAY);
    const NOW: UnixSeconds = TODAY.later_by(15 * 3600);

    fn noted(connection: &mut Connection, now: UnixSeconds) {
        let tx = connection.transaction().unwrap();
        note(&tx, now).unwrap();
        tx.commit().unwrap();
    }

    fn days(connection: &Connection) -> Vec<UnixSeconds> {
        let mut days = connection.prepare("SELECT day FROM sizes ORDER BY day").unwrap();
        days.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_day_has_one_row_the_last_look_at_it() {
        let mut connection = crate::store::migrations::tests::in_memory();
        noted(&mut connection, TODAY);
        let before = read(&connection, TODAY).unwrap();
        connection.execute_batch("INSERT INTO mirror_info VALUES ('x', hex(zeroblob(400000)))").unwrap();
        connection.execute_batch("DELETE FROM mirror_info WHERE key = 'x'").unwrap();
        noted(&mut connection, NOW);
        noted(&mut connection, TODAY - 1);
        assert_eq!(days(&connection), [TODAY - DAY, TODAY]);
        let row: (i64, i64) = connection
            .query_row("SELECT database_bytes, free_bytes FROM sizes ORDER BY day DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        let after = read(&connection, NOW).unwrap();
        assert_eq!(row, (after.database_bytes, after.free_bytes));
        assert!(after.free_bytes - before.free_bytes > 750_000, "{after:?}");
        let used = |size: &Size| size.database_bytes - size.free_bytes;
        assert_eq!(used(&after), used(&before), "what is free inside is not used");
    }

    #[test]
    fn the_last_400_days_are_kept_whatever_the_clock_says() {
        let mut connection = crate::store::migrations::tests::in_memory();
        for number in 0..450 {
            noted(&mut connection, TODAY + number * DAY);
        }
        let kept = days(&connection);
        assert_eq!((kept.len(), kept[0]), (400, TODAY + 50 * DAY));
        noted(&mut connection, TODAY + 100_000 * DAY);
        noted(&mut connection, TODAY + 450 * DAY);
        assert_eq!(days(&connection)[0], TODAY + 52 * DAY, "a day far ahead takes one place");
    }

    #[test]
    fn growth_is_what_the_used_pages_grew_by_in_a_week() {
        let connection = crate::store::migrations::tests::in_memory();
        let (database_bytes, free_bytes) = pages(&connection).unwrap();
        let used = database_bytes - free_bytes;
        let put = |days_ago: i64, less: i64, free: i64| {
            connection
                .execute(
                    "INSERT OR REPLACE INTO sizes VALUES (?1, ?2, ?3)",
                    (TODAY - days_ago * DAY, used - less + free, free),
                )
                .unwrap();
        };
        let growth = |now| read(&connection, now).unwrap().growth_bytes_per_day;
        assert_eq!(growth(TODAY), None);
        put(0, 0, 0);
        put(1, 0, 0);
        assert_eq!(growth(TODAY + DAY - 1), None, "of yesterday's end and now: less than a day");
        put(2, 2000, 7777);
        assert_eq!(growth(TODAY), Some(2000));
        for days_ago in 1..=7 {
            put(days_ago, (days_ago - 1) * 1000, 0);
        }
        assert_eq!(growth(TODAY), Some(1000));
        put(4, 1_000_000_000, 0);
        assert_eq!(growth(TODAY), Some(1000), "the mean is of both ends, not of what was between");
        put(8, 1_000_000_000, 0);
        put(-400, -1_000_000_000, 0);
        assert_eq!(growth(TODAY), Some(1000), "neither what was before nor what a wrong clock wrote");
    }

    #[test]
    fn backups_kept_on_the_same_disk_fill_it_with_the_database() {
        use crate::store::backup::state::BackupRules;
        let folder = tempfile::tempdir().unwrap();
        let mut connection = crate::store::open(&folder.path().join("talks.db"), true).unwrap();
        let (database_bytes, free_bytes) = pages(&connection).unwrap();
        let yesterday = (TODAY - 2 * DAY, database_bytes - (100 << 20), free_bytes);
        connection.execute("INSERT INTO sizes VALUES (?1, ?2, ?3)", yesterday).unwrap();
        let full_in = |connection: &Connection| {
            read(connection, TODAY).unwrap().disk_full_at.unwrap().seconds_since(TODAY)
        };
        let alone = full_in(&connection);
        let mut keep = |path: &str| {
            let rules = BackupRules {
                schedule: "0 0 3 * * *".into(),
                path: path.into(),
                keep: 3,
                since: UnixSeconds::EPOCH,
            };
            let tx = connection.transaction().unwrap();
            BackupState { rules: Some(rules), ..BackupState::default() }.write(&tx).unwrap();
            tx.commit().unwrap();
            full_in(&connection)
        };
        let with_copies = keep(folder.path().to_str().unwrap());
        // Others write on that disk meanwhile.
        assert!((alone * 2 / 10..alone * 3 / 10).contains(&with_copies), "{with_copies} of {alone}");
        assert!(keep("/proc") > alone / 2, "another disk's are not counted");
    }

    #[test]
    fn the_disk_and_the_log_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("talks.db");
        let connection = crate::store::open(&path, true).unwrap();
        let size = read(&connection, NOW).unwrap();
        assert!(size.disk_free_bytes.unwrap() > 0);
        assert_eq!(size.wal_bytes, std::fs::metadata(folder.path().join("talks.db-wal")).unwrap().len());
        assert!(size.wal_bytes > 0);
        let in_memory = read(&crate::store::migrations::tests::in_memory(), NOW).unwrap();
        assert_eq!((in_memory.disk_free_bytes, in_memory.wal_bytes), (None, 0));
    }
}
