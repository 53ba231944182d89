//! A restore that is killed at each step: the database is the old or the new one, and intact.

use crate::backup::{assert_whole, names};
use crate::harness::{Mirror, account};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rusqlite::Connection;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command and kills it before its first thread completes its `last`th system call. Returns the number of
/// calls if it ended before.
#[expect(clippy::zombie_processes, reason = "the tracer waits for it, by its process id")]
fn killed_at(command: &mut Command, last: usize) -> Option<usize> {
    // SAFETY: ptrace is a system call without a lock.
    #[expect(unsafe_code, reason = "before the command is executed")]
    unsafe {
        command.pre_exec(|| ptrace::traceme().map_err(std::io::Error::from));
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    let mut made = 0;
    let mut entering = false;
    let mut pass_on = None;
    assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
    loop {
        ptrace::syscall(pid, pass_on.take()).unwrap();
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                entering = !entering;
                made += usize::from(entering);
                if made == last {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    return None;
                }
            }
            WaitStatus::Stopped(_, signal) => pass_on = Some(signal),
            WaitStatus::Exited(_, code) => {
                assert_eq!(code, 0);
                return Some(made);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The files before each attempt: a database whose newest rows are only in its WAL.
fn set_up(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir(to).unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn reasons(database: &Path) -> String {
    let connection = Connection::open(database).unwrap();
    assert_eq!(
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(),
        "ok"
    );
    connection
        .query_row(
            "SELECT (SELECT count(*) FROM talks) || ' ' || coalesce((SELECT max(reason) FROM talk_queue), '-')",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn a_kill_at_each_step_leaves_the_old_database_or_the_new_one_and_never_a_mixture() {
    let mirror = Mirror::new(account(12));
    mirror.ends(0, &["sync", "1..5"]);
    let backup = mirror.back_up("good.db");
    mirror.ends(0, &["sync", "6..9"]);
    let before = mirror.path("before");
    fs::create_dir(&before).unwrap();
    {
        let other_process = mirror.connect();
        other_process
            .execute_batch("INSERT INTO talk_queue (talk_id, reason) VALUES (12, 'in the log')")
            .unwrap();
        for name in ["talks.db", "talks.db-wal", "talks.db-shm"] {
            fs::copy(mirror.path(name), before.join(name)).unwrap();
        }
    }
    mirror.configure("database.path = \"state/talks.db\"\n");
    let state = mirror.path("state");
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_talkmirror"));
        command.arg("--config").arg(mirror.path("config.toml"));
        command.args(["backup", "--yes", "--restore"]).arg(&backup);
        command
    };
    set_up(&before, &state);
    let Some(all) = killed_at(&mut command(), usize::MAX) else { panic!("it was not killed") };
    let database = state.join("talks.db");
    // The row in the WAL was taken over. Later talks are queued.
    assert_eq!(reasons(&database), "5 restore");
    let (mut old, mut new, mut twice_named) = (0, 0, 0);
    let mut last_before = 0;
    // Earlier steps only read and make the copy. Every tenth of them is tried.
    let calls = (1..all).filter(|call| *call > all.saturating_sub(260) || call % 10 == 0);
    for call in calls {
        set_up(&before, &state);
        if killed_at(&mut command(), call).is_some() {
            // It took fewer steps this time.
            continue;
        }
        let kept: Vec<PathBuf> = names(&state)
            .into_iter()
            .filter(|name| name.contains(".before-restore-"))
            .map(|name| state.join(name))
            .collect();
        match reasons(&database).as_str() {
            "9 in the log" => {
                old += 1;
                last_before = call;
                if !kept.is_empty() {
                    twice_named += 1;
                    assert!(command().stdout(Stdio::null()).status().unwrap().success(), "call {call}");
                    assert_eq!(reasons(&database), "5 restore", "call {call}");
                    let kept = |name: &&String| name.contains(".before-restore-");
                    assert_eq!(names(&state).iter().filter(kept).count(), 1, "call {call}");
                }
            }
            "5 restore" => {
                new += 1;
                assert_eq!(kept.len(), 1, "call {call}: {kept:?}");
                assert_whole(&kept[0]);
                assert_eq!(reasons(&kept[0]), "9 in the log", "call {call}");
            }
            other => panic!("call {call} of {all}: {other}, {:?}", names(&state)),
        }
        for kept in &kept {
            assert!(kept.to_str().unwrap().ends_with('Z'), "call {call}: {kept:?}");
        }
    }
    assert!(old > 20 && new > 2, "killed before and after: {old}, {new} of {all}");
    assert!(twice_named > 0, "killed between the second name and the new file");
    // The next restore cleans up after a kill.
    set_up(&before, &state);
    assert_eq!(killed_at(&mut command(), last_before - 5), None);
    assert!(names(&state).iter().any(|name| name.starts_with(".talkmirror-copy-")), "{:?}", names(&state));
    assert!(killed_at(&mut command(), usize::MAX).is_some());
    assert!(!names(&state).iter().any(|name| name.starts_with(".talkmirror-copy-")), "{:?}", names(&state));
}
