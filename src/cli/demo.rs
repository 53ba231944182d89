//! `demo`: runs a simulated account on loopback, mirrors it and closes its stale talks with the code of `run`. The
//! first talks are queued by plain SQL, as an analyst would. Later changes are found in the account's events.

mod publishing;

pub(super) use publishing::Target;

use super::print::Out;
use super::progress::{ProgressDisplay, eprint_line};
use super::run::runtime;
use super::table::{Table, Text};
use crate::clock;
use crate::config::{Config, Needs};
use crate::daemon;
use crate::report::humanize;
use crate::store;
use crate::store::{Connection, SqlError};
use crate::talk::TalkId;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use talkmirror_simulator::{Account, Fault, Simulator, TOKEN, Talk};

/// How many talks exist when the demo begins.
const TALK_COUNT: i64 = 36;
const RUN_TIME: Duration = Duration::from_secs(20);
/// Then nothing more happens in the account, so that in the end all of it is mirrored, with its names.
const LIVELY_TIME: Duration = Duration::from_secs(11);

/// Runs the demo; ends within 24 s.
pub(super) fn demo(dir: Option<&Path>, publish: Option<&Target>) -> Result<ExitCode> {
    let mut account = account();
    if let Some(target) = publish {
        target.prepare()?;
        // A server accepts an account from one mirror alone, and an earlier demo was another mirror.
        account.renumber(fastrand::i64(1_000_000..100_000_000));
    }
    let account_id = account.account_id;
    let dir = folder(dir)?;
    let simulator = Simulator::start(account).context("cannot start the simulated account")?;
    let config = configure(&dir, &simulator, publish)?;
    eprint_line(&format!(
        "A simulated account answers at {}: talks begin there, are missed and answered, and some were forgotten.",
        simulator.base_url()
    ));
    eprint_line(&format!(
        "Mirroring it into {}, following its events and closing what is stale, at most {} requests a second…",
        config.database.display(),
        config.api.requests_per_second,
    ));

    let connection = store::open(&config.database, false)?;
    insert(&connection, (1..=TALK_COUNT).map(TalkId::new).collect())?;
    let mut progress = ProgressDisplay::new(TALK_COUNT as u64);
    let runtime = runtime()?;
    let began = clock::mono();
    let counters = runtime.block_on(daemon::run_until(
        &config,
        &|_| {},
        async { tokio::time::sleep(RUN_TIME).await },
        (Duration::from_millis(200), |worker| {
            let counters = worker.counters();
            let mut account = simulator.account();
            account.alive = clock::since(began) < LIVELY_TIME;
            let event = account.last_event.clone();
            drop(account);
            let note = format!(
                "{} new, {} changed, {} closed, {} kept; in the account, {event}",
                counters.new, counters.changed, counters.closures.closed, counters.closures.withdrawn
            );
            progress.set(counters.done(), counters.done().max(TALK_COUNT as u64), &note);
        }),
    ))?;
    drop(progress);

    let account = simulator.account();
    let mut out = Out::new();
    out.line("")?;
    out.line(format!(
        "{} requests in {} s, {} in the busiest second as the account counted ({} allowed); \
         {} talks new, {} changed, {} gone, {} retries after an error.",
        account.log.len(),
        RUN_TIME.as_secs(),
        account.most_in_a_second(),
        account.limit,
        counters.new,
        counters.changed,
        counters.gone,
        counters.retried,
    ))?;
    out.line("")?;
    out.table(&by_origin(&connection)?)?;
    out.line("")?;
    out.line("Talks that nobody had answered for a day:")?;
    out.table(&closings(&connection)?)?;
    if let Some(target) = publish {
        target.show(&mut out, &connection, account_id)?;
    }
    for line in queries(&config.database, &dir).lines() {
        out.line(line)?;
    }
    out.done()
}

/// The folder for the demo's files. A new temporary folder if none is given.
fn folder(dir: Option<&Path>) -> Result<PathBuf> {
    let Some(dir) = dir else {
        let dir = tempfile::Builder::new().prefix("talkmirror-demo-").tempdir();
        return Ok(dir.context("cannot create a temporary folder")?.keep());
    };
    fs::create_dir_all(dir).with_context(|| format!("cannot create the folder {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    ensure!(
        !dir.join("talks.db").exists(),
        "{} already holds a talks.db: name another folder, or remove it",
        dir.display()
    );
    Ok(dir)
}

/// An account with occasional faults.
fn account() -> Account {
    let mut account = Account::with_talks(TALK_COUNT);
    account.alive = true;
    account.latency = Duration::from_millis(40);
    account.script(3, [Fault::Html(502)]);
    account.script(11, [Fault::Reset]);
    account.talks.remove(&20);
    account.add_past_events();
    // The longest missed talk is mirrored as missed, then answered just before it would be closed.
    let missed = |talk: &&Talk| talk.is_in_work && talk.missed_at.is_some();
    let longest = account.talks.values().filter(missed).min_by_key(|talk| talk.missed_at);
    if let Some(talk_id) = longest.map(|talk| talk.talk_id) {
        account.script(talk_id, [Fault::Nothing, Fault::Answered]);
    }
    account
}

/// Writes a configuration as a person would, and loads it.
fn configure(dir: &Path, simulator: &Simulator, publish: Option<&Target>) -> Result<Config> {
    let write = |name: &str, text: String| {
        fs::write(dir.join(name), text).with_context(|| format!("cannot write {name} in {}", dir.display()))
    };
    write("token", TOKEN.into())?;
    fs::set_permissions(dir.join("token"), fs::Permissions::from_mode(0o600))?;
    write(
        "config.toml",
        format!(
            "# Written by `talkmirror demo`; the simulated account ends with it.\n\
             [api]\nbase_url = \"{}\"\ntoken_file = \"token\"\n\n[queue]\nretry_base = \"2s\"\n\n\
             [auto_close]\nmode = \"live\"\nschedule = \"*/4 * * * * *\"\nmax_per_sweep = 3\n\n\
             [events]\nschedule = \"*/2 * * * * *\"\nsince = \"31d\"\n\n\
             [directory]\ninterval = \"2s\"\n\n[report]\nwork_hours = \"Mon-Fri 09:00-18:00\"\n{}",
            simulator.base_url(),
            publish.map_or(String::new(), Target::lines)
        ),
    )?;
    Ok(Config::load(&dir.join("config.toml"), Needs::Api)?)
}

/// What any program with write access can do.
fn insert(connection: &Connection, ids: Vec<TalkId>) -> Result<(), SqlError> {
    for talk_id in ids {
        connection.execute("INSERT INTO talk_queue (talk_id) VALUES (?1)", [talk_id])?;
    }
    Ok(())
}

fn by_origin(connection: &Connection) -> Result<Table, SqlError> {
    let mut table = Table::headed(["ORIGIN", "TALKS", "OPEN", "MISSED", "CLOSED"]);
    let mut statement = connection.prepare(
        "SELECT origin, count(*), sum(is_in_work), count(missed_at), sum(NOT is_in_work)
           FROM talks GROUP BY origin ORDER BY 2 DESC",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let count = |column| row.get::<_, i64>(column).map(humanize::count);
        table.row([row.get(0)?, count(1)?, count(2)?, count(3)?, count(4)?].map(Text::from));
    }
    table.align_counts(1);
    Ok(table)
}

/// The closings, as any reader can query them.
fn closings(connection: &Connection) -> Result<Table, SqlError> {
    let mut table = Table::headed(["TALK", "OUTCOME", "WHY"]);
    let mut statement =
        connection.prepare("SELECT talk_id, outcome, reason FROM closures ORDER BY closure_id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        table.row([row.get::<_, TalkId>(0)?.to_string(), row.get(1)?, row.get(2)?].map(Text::from));
    }
    Ok(table)
}

fn queries(database: &Path, dir: &Path) -> String {
    let database = database.display();
    format!(
        "\nThe database: {database}\n\nTry:\n\
         \x20 sqlite3 -box {database} \"SELECT * FROM missed_by_day ORDER BY day DESC LIMIT 7\"\n\
         \x20 sqlite3 -box {database} \"SELECT talk_id, count(*) AS states FROM talk_versions GROUP BY talk_id ORDER BY states DESC LIMIT 7\"\n\
         \x20 sqlite3 -box {database} \"SELECT talk_id, outcome, reason, requested_at, http_status, verified_at FROM closures\"\n\
         or, without SQL:\n\
         \x20 talkmirror --config {}/config.toml status\n",
        dir.display()
    )
}
