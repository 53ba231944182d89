//! A database file, and nothing about talks: how to open it safely, the lock of its owner process, other processes
//! that use it, checkpoints of its WAL (the write-ahead log), and copies.
//!
//! Uses `clock`, `files`, `number`, `text`. Alone knows `rusqlite`, with `store`.

pub(crate) mod backup;
pub(crate) mod busy_wait;
pub(crate) mod checkpoint;
pub(crate) mod error;
pub(crate) mod hold;
pub(crate) mod limit;
pub(crate) mod lock;
pub(crate) mod lock_holders;
pub(crate) mod owner;
pub(crate) mod place;

pub(crate) use error::{StoreError, causes};

use crate::clock;
use crate::files;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::ffi::c_int;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The schema version that this program knows: `user_version` of a database.
pub const SCHEMA_VERSION: i64 = 4;

/// Set by the baseline schema: "tlkm".
const APPLICATION_ID: i64 = 0x746c_6b6d;

/// How long a statement waits for another process's write.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The suffixes of the files beside a database that belong to it.
pub(crate) const SIDE_FILE_SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Checks that a database could be at this path. SQLite reports a directory as a disk error, and blocks on a pipe.
///
/// # Errors
/// If the path, or that of a file beside it, is not a regular file.
pub(crate) fn require_file(path: &Path) -> Result<(), StoreError> {
    if let Some(kind) = files::special(path) {
        return Err(StoreError::NotAFile { path: path.to_owned(), kind });
    }
    let beside = SIDE_FILE_SUFFIXES.map(|suffix| beside(&lock::file_of(path), suffix));
    match beside.into_iter().find_map(|path| Some((files::special(&path)?, path))) {
        Some((kind, path)) => Err(StoreError::NotAFileBeside { path, kind }),
        None => Ok(()),
    }
}

/// Opens a file with these flags. A statement waits for at most [`BUSY_TIMEOUT`].
///
/// # Errors
/// If no database could be there, or SQLite cannot open it.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    require_file(path)?;
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|source| StoreError::Open { step: "open", path: path.to_owned(), source })?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The file with this suffix beside a database.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The schema version, 0 for an empty database.
///
/// # Errors
/// If it belongs to another program, or cannot be read.
pub(crate) fn identify(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
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
    Ok(version)
}

/// Whether the file has other hard links.
pub(crate) fn has_other_names(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.nlink() > 1)
}

/// A process has its WAL beside the name that it uses. Under another name its recent writes are not visible, and
/// writes are lost or damage the file.
pub(crate) fn refuse_other_name(path: &Path) -> Result<(), StoreError> {
    match has_other_names(path) && !beside(&lock::file_of(path), "-wal").exists() {
        true => Err(StoreError::OtherName(path.to_owned())),
        false => Ok(()),
    }
}

/// Switches a database to WAL mode and returns the resulting mode. Another process may do the same, and SQLite does
/// not wait for that.
pub(crate) fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    let began = clock::mono();
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error) if busy_wait::is_locked(&error) && clock::since(began) < BUSY_TIMEOUT => {
                thread::sleep(Duration::from_millis(20));
            }
            switched => return switched,
        }
    }
}

/// Keeps the `-wal` and `-shm` files when the last connection closes. A reader that may not write the folder cannot
/// create them, and fails without them. rusqlite 0.40 has no call for it.
pub(crate) fn persist_wal(connection: &Connection) {
    let mut on: c_int = 1;
    // SAFETY: the handle is open, the name is a C string, and the opcode takes an int.
    #[expect(unsafe_code, reason = "rusqlite has no call for it")]
    unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut on).cast(),
        );
    }
}
