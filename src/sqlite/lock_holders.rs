//! Which other processes have the database open, by their locks in `/proc/locks`.
//!
//! SQLite locks bytes of the file `-shm` beside a database in WAL mode (see "WAL-mode File Format" in its
//! documentation). This module never opens that file: if a process closes any handle of it, it loses all its locks.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The byte that a writer locks, …
const WRITE_LOCK_BYTE: u64 = 120;
/// … and those of readers.
const READ_LOCK_BYTES: std::ops::RangeInclusive<u64> = 123..=127;

/// Another process that has the database open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockHolder {
    pub pid: u32,
}

/// Which processes read the database now, in transactions. `None` if unknown.
pub(crate) fn readers(database: &Path) -> Option<Vec<LockHolder>> {
    holders(database, |lock| READ_LOCK_BYTES.clone().any(|byte| lock.covers(byte)))
}

/// Which process holds the write lock now. `None` if there is none, or it is unknown.
pub(crate) fn writer(database: &Path) -> Option<LockHolder> {
    holders(database, |lock| lock.write && lock.covers(WRITE_LOCK_BYTE))?.pop()
}

/// The talkmirror processes that have the database open, under any name.
pub(crate) fn talkmirrors(database: &Path) -> Vec<LockHolder> {
    let named = |holder: &LockHolder| {
        fs::read_to_string(format!("/proc/{}/comm", holder.pid)).is_ok_and(|name| name.trim() == "talkmirror")
    };
    let mut holders = holders_of(database, |_| true).unwrap_or_default();
    holders.retain(named);
    holders
}

/// For people: `sqlite3 (process 4711, user ann)`. `None` if there are none.
pub(crate) fn named(holders: &[LockHolder]) -> Option<String> {
    let names: Vec<String> = holders.iter().map(LockHolder::named).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

impl LockHolder {
    /// For people. The kernel may hide all but the number of other users' processes.
    pub(crate) fn named(&self) -> String {
        let pid = self.pid;
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let user = fs::metadata(&folder).ok().map(|metadata| format!(", user {}", user(metadata.uid())));
        let Ok(name) = fs::read_to_string(folder.join("comm")) else { return format!("process {pid}") };
        // A program can choose its own name.
        let name: String = name.trim().chars().filter(|letter| !letter.is_control()).collect();
        format!("{name} (process {pid}{})", user.unwrap_or_default())
    }
}

/// The name of a user, else the number. Only local users are looked up: a network directory may be slow.
fn user(uid: u32) -> String {
    let named = fs::read_to_string("/etc/passwd").ok().and_then(|users| {
        let of = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
        };
        users.lines().find_map(of)
    });
    named.unwrap_or_else(|| uid.to_string())
}

/// A lock of a process.
#[derive(Debug, PartialEq, Eq)]
struct Lock {
    write: bool,
    pid: u32,
    /// The device's major and minor number.
    device: (u64, u64),
    inode: u64,
    first: u64,
    /// `None`: to the end.
    last: Option<u64>,
}

impl Lock {
    fn covers(&self, byte: u64) -> bool {
        self.first <= byte && self.last.is_none_or(|last| byte <= last)
    }
}

fn holders(database: &Path, wanted: impl Fn(&Lock) -> bool) -> Option<Vec<LockHolder>> {
    let mut shm = OsString::from(database.canonicalize().ok()?);
    shm.push("-shm");
    holders_of(Path::new(&shm), wanted)
}

fn holders_of(file: &Path, wanted: impl Fn(&Lock) -> bool) -> Option<Vec<LockHolder>> {
    let file = fs::metadata(file).ok()?;
    // The kernel lists locks page by page. Between two pages it may skip a held lock while others come and go.
    let locks = list()? + &list()?;
    Some(others(&locks, (device(file.dev()), file.ino()), std::process::id(), wanted))
}

/// The kernel's list of locks. Only one read call is consistent, so each call reads much. With small reads a held
/// lock was missing once in sixty times on a busy machine.
fn list() -> Option<String> {
    let mut file = fs::File::open("/proc/locks").ok()?;
    let mut read = vec![0; 64 * 1024];
    let mut list = Vec::new();
    loop {
        match file.read(&mut read).ok()? {
            0 => return String::from_utf8(list).ok(),
            length => list.extend_from_slice(&read[..length]),
        }
    }
}

/// The processes in a list that hold such a lock of a file, except the process `own`.
fn others(
    locks: &str,
    (device, inode): ((u64, u64), u64),
    own: u32,
    wanted: impl Fn(&Lock) -> bool,
) -> Vec<LockHolder> {
    let mut locks: Vec<Lock> = locks.lines().filter_map(parse).filter(|lock| lock.inode == inode).collect();
    // Some file systems (overlays) list another device here than for their files.
    if locks.iter().any(|lock| lock.device == device) {
        locks.retain(|lock| lock.device == device);
    }
    let mut holders: Vec<LockHolder> = locks
        .iter()
        .filter(|lock| lock.pid != own && wanted(lock))
        .map(|lock| LockHolder { pid: lock.pid })
        .collect();
    holders.sort_by_key(|holder| holder.pid);
    holders.dedup();
    holders
}

/// A line like `3: POSIX  ADVISORY  READ_LOCK_BYTES 4711 fd:00:131 124 124`.
fn parse(line: &str) -> Option<Lock> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    if fields.next()? != "POSIX" {
        // `->` marks a waiting lock.
        return None;
    }
    let write = fields.nth(1)? == "WRITE";
    let pid = fields.next()?.parse().ok()?;
    let mut file = fields.next()?.split(':');
    let mut hex = || u64::from_str_radix(file.next()?, 16).ok();
    let device = (hex()?, hex()?);
    let inode = file.next()?.parse().ok()?;
    let first = fields.next()?.parse().ok()?;
    let last = fields.next()?.parse().ok();
    Some(Lock { write, pid, device, inode, first, last })
}

/// Unpacks Linux's device number.
fn device(packed: u64) -> (u64, u64) {
    (
        ((packed >> 32) & 0xffff_f000) | ((packed >> 8) & 0xfff),
        ((packed >> 12) & 0xffff_ff00) | (packed & 0xff),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    const LOCKS: &str = "1: POSIX  ADVISORY  READ 4711 fd:1f:131 124 124
2: POSIX  ADVISORY  WRITE 4712 fd:1f:131 120 120
2: -> POSIX  ADVISORY  WRITE 4713 fd:1f:131 120 120
3: POSIX  ADVISORY  READ 4714 fd:1f:131 128 128
4: FLOCK  ADVISORY  WRITE 4715 fd:1f:131 0 EOF
5: POSIX  ADVISORY  READ 4716 08:01:131 123 127
6: POSIX  ADVISORY  READ 9 fd:1f:131 123 123
7: POSIX  ADVISORY  READ 4711 fd:1f:131 126 126
8: OFDLCK ADVISORY  READ -1 fd:1f:131 124 124
";

    fn pids(device: (u64, u64), wanted: impl Fn(&Lock) -> bool) -> Vec<u32> {
        others(LOCKS, (device, 131), 9, wanted).iter().map(|holder| holder.pid).collect()
    }

    #[test]
    fn readers_and_the_writer_are_recognised_by_the_bytes_they_lock() {
        let reads = |lock: &Lock| READ_LOCK_BYTES.clone().any(|byte| lock.covers(byte));
        let writes = |lock: &Lock| lock.write && lock.covers(WRITE_LOCK_BYTE);
        assert_eq!(pids((0xfd, 0x1f), reads), [4711]);
        assert_eq!(pids((0xfd, 0x1f), writes), [4712], "not the one that waits for it");
        assert_eq!(pids((8, 1), reads), [4716]);
        assert_eq!(pids((0, 99), reads), [4711, 4716], "where the device is told otherwise");
    }

    #[test]
    fn a_lock_that_is_held_is_listed_while_others_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| fs::File::create(folder.path().join(name)).unwrap();
        let lock = |file: &fs::File, kind: libc::c_int| {
            let lock = libc::flock {
                l_type: kind as libc::c_short,
                l_whence: libc::SEEK_SET as libc::c_short,
                l_start: 124,
                l_len: 1,
                l_pid: 0,
            };
            fcntl(file, FcntlArg::F_SETLK(&lock)).unwrap();
        };
        let done = AtomicBool::new(false);
        let come_and_go = |name| {
            let file = file(name);
            while !done.load(Ordering::Relaxed) {
                lock(&file, libc::F_WRLCK);
                lock(&file, libc::F_UNLCK);
            }
        };
        let missed = thread::scope(|scope| {
            scope.spawn(|| come_and_go("one"));
            scope.spawn(|| come_and_go("two"));
            let held = file("held");
            lock(&held, libc::F_WRLCK);
            let inode = format!(":{} 124 124", held.metadata().unwrap().ino());
            let missed = (0..1000).filter(|_| !list().unwrap().contains(&inode)).count();
            done.store(true, Ordering::Relaxed);
            missed
        });
        assert_eq!(missed, 0);
    }

    #[test]
    fn a_device_is_unpacked() {
        assert_eq!(device(0xfd1f), (0xfd, 0x1f));
        assert_eq!(device(0x0010_0801), (8, 0x101));
    }

    #[test]
    fn this_process_is_named_and_one_that_is_gone_is_a_number() {
        let own = LockHolder { pid: std::process::id() }.named();
        assert!(own.contains(&format!("(process {}, user ", std::process::id())), "{own}");
        assert_eq!(LockHolder { pid: u32::MAX }.named(), format!("process {}", u32::MAX));
    }
}
