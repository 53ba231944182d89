//! Whatever fails on the server, the mirror works on, says why once, and publishes everything after the repair.

use crate::compare::assert_same;
use crate::harness::{Daemon, Mirror, SmallDisk, account};
use crate::postgres::{Database, Server};
use nix::sys::signal::Signal;
use std::fs;

/// How many talks are mirrored while something fails.
const TALKS: i64 = 5;

/// A running mirror that publishes to a database.
struct Published {
    mirror: Mirror,
    database: Database,
    daemon: Daemon,
    talks: i64,
}

impl Published {
    fn new(database: Database) -> Published {
        Published::with_config(database, "")
    }

    fn with_config(database: Database, more: &str) -> Published {
        let mirror = Mirror::new(account(200));
        mirror.configure(&format!("{}{more}", database.config()));
        let daemon = mirror.daemon();
        let mut published = Published { mirror, database, daemon, talks: 0 };
        published.mirror_more();
        published.database.wait_until_published(&published.mirror);
        published
    }

    /// The mirror works, and its lists of ids grow.
    fn mirror_more(&mut self) {
        let first = self.talks + 1;
        self.talks += TALKS;
        self.mirror.ends(0, &["enqueue", &format!("{first}..{}", self.talks)]);
        self.mirror.wait_sql("more is mirrored", "SELECT count(*) FROM talks", self.talks);
    }

    fn logged(&self, text: &str) -> usize {
        self.mirror.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Breaks something, checks what is said of it, and repairs it. `words` are those of the reason and the remedy.
    fn survives(
        &mut self,
        what: &str,
        break_it: impl FnOnce(&Database),
        words: &[&str],
        repair: impl FnOnce(&Database),
    ) {
        let (troubles, ends) = (self.logged("nothing is published"), self.logged("works again"));
        break_it(&self.database);
        self.mirror_more();
        let said = |text: &str| words.iter().all(|word| text.contains(word));
        self.mirror.wait(&format!("{what}: the log says {words:?}"), || {
            self.mirror.log().lines().any(|line| line.contains("nothing is published") && said(line))
        });
        let trouble =
            || self.mirror.try_sql::<String>("SELECT value FROM mirror_info WHERE key = 'publish.state'");
        self.mirror.wait(&format!("{what}: the state says {words:?}"), || {
            trouble().is_some_and(|state| said(&state))
        });
        let (out, _) = self.mirror.ends(1, &["publish", "status"]);
        assert!(said(&out), "{what}: {out}");
        assert!(out.contains("failing "), "{what}: {out}");
        // Once, however often it was retried meanwhile.
        assert_eq!(self.logged("nothing is published"), troubles + 1, "{what}: {}", self.mirror.log());
        repair(&self.database);
        // What needs a person is retried each minute, and by a reload at once.
        self.daemon.signal(Signal::SIGHUP);
        self.database.wait_until_published(&self.mirror);
        self.mirror.wait(&format!("{what}: its end is known"), || self.logged("works again") == ends + 1);
        assert_same(&self.mirror, &self.database);
        self.mirror.ends(0, &["publish", "status"]);
    }
}

#[test]
fn what_the_schema_lacks_is_named_and_init_brings_it_back() {
    let Some(server) = Server::shared() else { return };
    let mut published = Published::new(server.database());
    let init = |database: &Database| {
        let mirror = tempfile::tempdir().unwrap();
        let made = assert_cmd::Command::new(env!("CARGO_BIN_EXE_talkmirror"))
            .current_dir(&mirror)
            .args(["publish", "init", "--server", &database.address_of("postgres")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let config = published.mirror.path("config.toml");
    let init_and_all = |database: &Database| {
        init(database);
        let mut all = assert_cmd::Command::new(env!("CARGO_BIN_EXE_talkmirror"));
        all.arg("--config").arg(&config).args(["publish", "all"]).assert().success();
    };
    published.survives(
        "a dropped column",
        |database| drop(database.sql("ALTER TABLE talkmirror.talk_versions DROP COLUMN origin CASCADE")),
        &["SQLSTATE 42703", "origin", "talkmirror publish init", "talkmirror publish all"],
        init_and_all,
    );
    published.survives(
        "a dropped table",
        |database| drop(database.sql("DROP TABLE talkmirror.closures, talkmirror.talks CASCADE")),
        &["SQLSTATE 42P01", "talkmirror publish init", "talkmirror publish all"],
        init_and_all,
    );
    published.survives(
        "a dropped schema",
        |database| drop(database.sql("DROP SCHEMA talkmirror CASCADE")),
        &["SQLSTATE 42P01", "talkmirror publish init"],
        init,
    );
    let version = |version: i32, least: i32| {
        move |database: &Database| {
            database.sql(&format!(
                "UPDATE talkmirror.schema_info SET version = {version}, min_publisher = {least}"
            ));
            database.end_sessions();
        }
    };
    published.survives(
        "an older schema",
        version(0, 0),
        &["version 0", "publishes version 3", "run `talkmirror publish init`", "The changes wait meanwhile"],
        init,
    );
    published.survives(
        "a schema for later publishers",
        version(7, 5),
        &["takes publishers of version 5 and later", "upgrade talkmirror"],
        version(7, 1),
    );
    published.daemon.stop();
}

#[test]
fn a_role_that_may_not_is_told_what_it_lacks() {
    let Some(server) = Server::shared() else { return };
    let mut published = Published::new(server.database().with_own_role());
    let role = published.database.role.clone();
    let sql = |text: String| {
        move |database: &Database| {
            database.sql(&text);
            database.end_sessions();
        }
    };
    published.survives(
        "a missing right",
        sql("REVOKE UPDATE ON talkmirror.talks FROM talkmirror_publisher".into()),
        &["GRANT talkmirror_publisher TO"],
        sql("GRANT UPDATE ON talkmirror.talks TO talkmirror_publisher".into()),
    );
    published.survives(
        "no rights",
        sql(format!("REVOKE talkmirror_publisher FROM {role}")),
        &["SQLSTATE 42501", "GRANT talkmirror_publisher TO"],
        sql(format!("GRANT talkmirror_publisher TO {role}")),
    );
    published.survives(
        "no login",
        sql(format!("ALTER ROLE {role} NOLOGIN")),
        &["SQLSTATE 28000", &role, "ALTER ROLE … LOGIN"],
        sql(format!("ALTER ROLE {role} LOGIN")),
    );
    published.survives(
        "a missing role",
        sql(format!("DROP ROLE {role}")),
        &["SQLSTATE 28000", &role, "CREATE ROLE"],
        sql(format!("CREATE ROLE {role} LOGIN; GRANT talkmirror_publisher TO {role}")),
    );
    let rename = |from: String, to: String| {
        move |database: &Database| {
            let end =
                format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'");
            let rename = format!("ALTER DATABASE {from} RENAME TO {to}");
            // The publisher connects again in between.
            while database.server.psql("postgres", &end).is_err()
                || database.server.psql("postgres", &rename).is_err()
            {}
        }
    };
    let (name, other) = (published.database.name.clone(), format!("{}_elsewhere", published.database.name));
    published.survives(
        "no such database",
        rename(name.clone(), other.clone()),
        &["SQLSTATE 3D000", &name, "name a database that exists in publish.server"],
        rename(other, name.clone()),
    );
    published.daemon.stop();
}

#[test]
fn a_server_that_is_down_full_frozen_or_takes_no_writes_is_waited_for() {
    if Server::shared().is_none() {
        return;
    }
    let server: &'static Server =
        Box::leak(Box::new(Server::start("max_connections = 10\nsuperuser_reserved_connections = 3")));
    let mut published = Published::new(server.database());
    let set = |setting: &'static str| {
        move |database: &Database| {
            database.sql(&format!("ALTER SYSTEM SET {setting}"));
            database.sql("SELECT pg_reload_conf()");
        }
    };
    published.survives(
        "a killed server",
        |database| database.server.stop("immediate"),
        &["error connecting to server"],
        |database| database.server.run(),
    );
    published.survives(
        "a server that takes no writes",
        set("default_transaction_read_only = on"),
        &["name the primary in publish.server"],
        set("default_transaction_read_only = off"),
    );
    let mut sessions = Vec::new();
    published.survives(
        "too many connections",
        |database| {
            let mut sleep = || {
                let mut psql = crate::postgres::program("psql");
                psql.args([
                    "-X",
                    "-q",
                    "-h",
                    "127.0.0.1",
                    "-U",
                    "talkmirror",
                    "-p",
                    &server.port.to_string(),
                ]);
                psql.args(["-d", &database.name, "-c", "SELECT pg_sleep(600)"]);
                psql.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null());
                sessions.push(psql.spawn().unwrap());
            };
            while database.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'talkmirror'") != "7" {
                database.end_sessions();
                sleep();
            }
        },
        &["SQLSTATE 53300", "raise max_connections"],
        |database| {
            drop(
                database.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'talkmirror'",
                ),
            );
        },
    );
    for mut session in sessions {
        let _ = session.kill();
        session.wait().unwrap();
    }
    published.survives(
        "a frozen server",
        |database| database.server.signal(Signal::SIGSTOP),
        &["did not answer in time"],
        |database| database.server.signal(Signal::SIGCONT),
    );
    published.daemon.stop();
}

#[test]
fn a_session_that_is_ended_is_made_anew_at_once_and_no_news() {
    let Some(server) = Server::shared() else { return };
    let mut published = Published::new(server.database());
    for _ in 0..3 {
        assert_eq!(published.database.end_sessions(), "1");
        published.mirror_more();
        published.database.wait_until_published(&published.mirror);
    }
    assert_same(&published.mirror, &published.database);
    assert_eq!(published.logged("nothing is published"), 0, "{}", published.mirror.log());
    published.mirror.ends(0, &["publish", "status"]);
    published.daemon.stop();
}

#[test]
fn a_full_disk_of_the_server_is_named_and_waited_for() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let Some(disk) = SmallDisk::mount(server.folder.join("small"), "2m") else { return };
    let folder = disk.0.join("space");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&disk.0, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let owner = nix::sys::stat::stat(&server.folder.join("data")).unwrap();
    nix::unistd::chown(&folder, Some(owner.st_uid.into()), Some(owner.st_gid.into())).unwrap();
    database.sql(&format!("CREATE TABLESPACE small LOCATION '{}'", folder.display()));
    database.sql("ALTER TABLE talkmirror.talks SET TABLESPACE small");
    let mut published = Published::new(database);
    let filler = disk.0.join("filler");
    published.survives(
        "a full disk",
        |database| {
            fs::write(&filler, vec![0; 4 << 20]).unwrap_err();
            // What is free in the table's own pages is used up too.
            while database.try_sql("UPDATE talkmirror.talks SET rate = rate").is_some() {}
        },
        &["SQLSTATE 53100", "free disk space on the server"],
        |_| fs::remove_file(&filler).unwrap(),
    );
    published.daemon.stop();
    published.database.sql("ALTER TABLE talkmirror.talks SET TABLESPACE pg_default");
    published.database.sql("DROP TABLESPACE small");
}

#[test]
fn what_two_sessions_do_at_once_is_tried_again() {
    let Some(server) = Server::shared() else { return };
    let mut published = Published::new(server.database());
    // As a deadlock or a serialization failure, of which there is none with one writer.
    for (code, name) in [("40001", "serialization_failure"), ("40P01", "deadlock_detected")] {
        let broken = format!(
            "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '{name}'; END $$;
             CREATE TRIGGER fails BEFORE INSERT ON talkmirror.talks EXECUTE FUNCTION fails()"
        );
        published.survives(
            name,
            |database| drop(database.sql(&broken)),
            &[&format!("SQLSTATE {code}")],
            |database| drop(database.sql("DROP FUNCTION fails CASCADE")),
        );
    }
    published.daemon.stop();
}
