//! What the demo prints at its end: the figures, the closings, the story of one talk, and queries to try.

use super::Course;
use super::publishing::shell;
use crate::cli::print::Out;
use crate::cli::table::{Table, Text};
use crate::clock::{UnixSeconds, unix_now, written};
use crate::report::humanize;
use crate::store::{Connection, SqlError};
use crate::talk::TalkId;
use crate::worker::Counters;
use anyhow::Result;
use std::io::Write;
use std::path::Path;

/// Prints it. `seconds` is how long the course took.
pub(super) async fn print(course: &Course<'_>, counters: &Counters, seconds: u64) -> Result<()> {
    let (mirror, mut out) = (&course.mirror, Out::new());
    let (requests, busiest, allowed, account_id) = {
        let account = course.simulator.account();
        (account.log.len(), account.most_in_a_second(), account.limit, account.account_id)
    };
    out.line("")?;
    out.line(format!(
        "{requests} requests in {seconds} s, {busiest} in the busiest second as the account counted ({allowed} allowed).",
    ))?;
    out.line(format!(
        "{} talks new, {} changed, {} gone, {} retried after an error.",
        counters.new, counters.changed, counters.gone, counters.retried,
    ))?;
    out.line("")?;
    out.table(&by_origin(mirror)?)?;
    out.line("")?;
    out.line("Talks that nobody had answered for a day:")?;
    out.table(&closings(mirror)?)?;
    let told = story_of(mirror)?;
    if let Some(talk_id) = told {
        out.line("")?;
        out.line(format!("The story of talk {talk_id} (times are UTC):"))?;
        out.table(&story(mirror, talk_id)?)?;
    }
    if let Some(target) = course.publish {
        target.show(&mut out, mirror, account_id).await?;
    }
    queries(&mut out, &course.database, told)?;
    out.done()?;
    Ok(())
}

fn by_origin(mirror: &Connection) -> Result<Table, SqlError> {
    let mut table = Table::headed(["ORIGIN", "TALKS", "OPEN", "MISSED", "CLOSED"]);
    let mut statement = mirror.prepare(
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
fn closings(mirror: &Connection) -> Result<Table, SqlError> {
    let mut table = Table::headed(["TALK", "OUTCOME", "WHY"]);
    let mut statement =
        mirror.prepare("SELECT talk_id, outcome, reason FROM closures ORDER BY closure_id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        table.row([row.get::<_, TalkId>(0)?.to_string(), row.get(1)?, row.get(2)?].map(Text::from));
    }
    Ok(table)
}

/// The talk whose story is told: the one that was answered just before it would have been closed, else one that was
/// closed.
fn story_of(mirror: &Connection) -> Result<Option<TalkId>, SqlError> {
    let mut statement = mirror.prepare(
        "SELECT talk_id FROM closures
          ORDER BY outcome = 'withdrawn' DESC, outcome = 'closed' DESC, closure_id LIMIT 1",
    )?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

/// What happened to a talk, oldest first.
fn story(mirror: &Connection, talk_id: TalkId) -> Result<Table, SqlError> {
    let mut table = Table::new();
    let mut statement =
        mirror.prepare("SELECT at, what FROM talk_timeline WHERE talk_id = ?1 ORDER BY at")?;
    let mut rows = statement.query([talk_id])?;
    let now = unix_now();
    while let Some(row) = rows.next()? {
        let at: UnixSeconds = row.get(0)?;
        table.row([readable(at, now), row.get(1)?].map(Text::from));
    }
    Ok(table)
}

/// `30 Nov 20:04, 12 s ago`
fn readable(at: UnixSeconds, now: UnixSeconds) -> String {
    format!("{}, {}", written(at, "%-d %b %H:%M"), humanize::ago(at, now))
}

fn queries(out: &mut Out<impl Write>, database: &Path, told: Option<TalkId>) -> Result<()> {
    let talk_id = told.unwrap_or(TalkId::new(1));
    out.line("")?;
    out.line(format!("The database: {}", database.display()))?;
    out.line("")?;
    out.line("Try:")?;
    let quoted = |path: &Path| shell(&path.display().to_string());
    let (config, database) = (quoted(&database.with_file_name("config.toml")), quoted(database));
    for sql in [
        "SELECT * FROM missed_by_day ORDER BY day DESC LIMIT 7",
        "SELECT talk_id, outcome, reason, datetime(decided_at, 'unixepoch') AS decided FROM closures",
        &format!("SELECT time, what FROM talk_timeline WHERE talk_id = {talk_id} ORDER BY at"),
    ] {
        out.unbroken(&format!("  sqlite3 -box {database} \"{sql}\""))?;
    }
    out.line("or, without SQL:")?;
    for command in ["status".to_owned(), format!("why {talk_id}")] {
        out.unbroken(&format!("  talkmirror --config {config} {command}"))?;
    }
    Ok(())
}
