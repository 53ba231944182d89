//! `demo`: runs a simulated account on loopback, mirrors it and closes its stale talks with the code of `run`. The
//! first talks are queued by plain SQL, as an analyst would. Later changes are found in the account's events.

mod page;
mod publishing;
mod summary;

pub(super) use publishing::Target;

use super::progress::{Counted, ProgressDisplay, eprint_line};
use super::run::runtime;
use crate::clock;
use crate::config::{Config, Needs};
use crate::daemon;
use crate::store;
use crate::store::{Connection, SqlError};
use crate::talk::TalkId;
use crate::worker::Counters;
use anyhow::{Context, Result, ensure};
use std::cell::{Cell, RefCell};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use talkmirror_simulator::{Account, Fault, Simulator, TOKEN, Talk};

/// How many talks exist when the demo begins.
const TALK_COUNT: i64 = 36;
const RUN_TIME: Duration = Duration::from_secs(20);
/// Then nothing more happens in the account, so that in the end all of it is mirrored, with its names.
const LIVELY_TIME: Duration = Duration::from_secs(11);
/// Between two looks at the progress.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// With `--serve`, the account lives on after the course, for a second in each of these.
const LATER_LIFE_INTERVAL_SECS: u64 = 30;

/// How the demo runs.
#[derive(Debug)]
pub(super) struct DemoArguments<'a> {
    /// The folder for its files. A new temporary folder if none is given.
    pub dir: Option<&'a Path>,
    /// Where it publishes to.
    pub publish: Option<Target>,
    /// Keep running after the course, with the status page.
    pub serve: bool,
    /// Do not open the page.
    pub no_open: bool,
}

/// What a demo works with.
struct Course<'a> {
    simulator: &'a Simulator,
    mirror: Connection,
    database: PathBuf,
    publish: Option<&'a Target>,
    began: Instant,
}

/// Runs the demo. It ends within 24 s, or with `--serve` on a signal.
pub(super) fn demo(arguments: &DemoArguments<'_>) -> Result<ExitCode> {
    let publish = arguments.publish.as_ref();
    let mut account = account();
    if let Some(target) = publish {
        target.prepare()?;
        // A server accepts an account from one mirror alone, and an earlier demo was another mirror.
        account.renumber(fastrand::i64(1_000_000..100_000_000));
    }
    let dir = folder(arguments.dir)?;
    let simulator = Simulator::start(account).context("cannot start the simulated account")?;
    let page = arguments.serve.then(page::free_address).transpose()?;
    let config = configure(&dir, &simulator, publish, page)?;
    eprint_line(
        "This is a simulated account, on this machine alone. Clients write to it, managers answer, and some talks were forgotten.",
    );
    eprint_line(&format!(
        "For {} seconds talkmirror mirrors every talk, follows what happens, and closes what nobody answered for a day.",
        RUN_TIME.as_secs()
    ));
    if let Some(page) = page {
        eprint_line(&format!("Its status page: http://{page}/"));
    }
    eprint_line("");

    let mirror = store::open(&config.database, false)?;
    insert(&mirror, (1..=TALK_COUNT).map(TalkId::new).collect())?;
    let database = config.database.clone();
    let course = Course { simulator: &simulator, mirror, database, publish, began: clock::mono() };
    let progress = RefCell::new(Some(ProgressDisplay::new(RUN_TIME.as_secs(), Counted::Seconds)));
    let latest = Cell::new(Counters::default());
    let mut page_to_open = page.filter(|_| !arguments.no_open);
    let mut printed = None;
    let ending = async {
        tokio::time::sleep(RUN_TIME).await;
        if let Some(page) = page {
            drop(progress.take());
            let shown = print(&course, &latest.get()).await;
            let goes_on = shown.is_ok();
            printed = Some(shown);
            if goes_on {
                eprint_line("");
                eprint_line(&format!(
                    "The account lives on, and the daemon follows it: http://{page}/ shows it. Ctrl-C ends the demo."
                ));
                std::future::pending::<()>().await;
            }
        }
    };
    let runtime = runtime()?;
    let counters = runtime.block_on(daemon::run_until(
        &config,
        &|_| {},
        ending,
        (LOOK_INTERVAL, |worker| {
            latest.set(worker.counters());
            if let Some(page) = page_to_open.take() {
                page::open(page);
            }
            course.look(&mut progress.borrow_mut(), &latest.get());
        }),
    ))?;
    drop(progress);
    match printed {
        Some(printed) => printed?,
        None => runtime.block_on(print(&course, &counters))?,
    }
    if arguments.serve {
        eprint_line("");
        eprint_line("The demo has ended. Its database stays.");
    }
    Ok(ExitCode::SUCCESS)
}

async fn print(course: &Course<'_>, counters: &Counters) -> Result<()> {
    let seconds = clock::since(course.began).as_secs().min(RUN_TIME.as_secs());
    summary::print(course, counters, seconds).await
}

impl Course<'_> {
    /// Lets the account live, and shows the progress.
    fn look(&self, progress: &mut Option<ProgressDisplay>, counters: &Counters) {
        let passed = clock::since(self.began);
        let mut account = self.simulator.account();
        account.alive = match passed > RUN_TIME {
            true => passed.as_secs().is_multiple_of(LATER_LIFE_INTERVAL_SECS),
            false => passed < LIVELY_TIME,
        };
        if passed > RUN_TIME {
            // It would grow without end.
            account.keep_log = false;
        }
        let event = account.last_event.clone();
        drop(account);
        if let Some(progress) = progress {
            let note = format!("{} talks, {} closed; {event}", counters.new, counters.closures.closed);
            progress.set(passed.min(RUN_TIME).as_secs(), RUN_TIME.as_secs(), note.trim_end_matches("; "));
        }
    }
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
fn configure(
    dir: &Path,
    simulator: &Simulator,
    publish: Option<&Target>,
    page: Option<SocketAddr>,
) -> Result<Config> {
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
             [directory]\ninterval = \"2s\"\n\n[report]\nwork_hours = \"Mon-Fri 09:00-18:00\"\n{}{}",
            simulator.base_url(),
            page.map_or(String::new(), |page| format!("\n[http]\nlisten = \"{page}\"\n")),
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
