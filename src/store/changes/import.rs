//! Takes over what the server has: the talks with their versions, the closings, the events, the exemptions and the names.
//!
//! A talk that this file does not have, or has in an earlier state, becomes as it is on the server. States that this
//! file saw later are recorded again after those of the server, under new numbers. Each step is a transaction, and the
//! whole may be repeated: an import that a kill interrupts begins again.

mod others;

use super::{CAPTURE, Capture, Cell, FIRST, IDENTITY, Identity, local, top};
use crate::clock::UnixSeconds;
use crate::policy::lanes::Lane;
use crate::store::record::{FetchedTalk, Outcome, Record, Recorder, stored_talk, talk_in};
use crate::store::{account, closures, feeds};
use crate::talk::{Talk, TalkId};
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params_from_iter};
use std::collections::HashMap;

/// The reason of the queue rows for talks that are to be fetched after an import.
const REASON: &str = "adopt";

/// Rows of a table, with the names of their columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportedRows {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
}

/// Some talks, all with all of their versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportedTalks {
    /// The first column is `talk_id`, and one is `seq`.
    pub talks: ImportedRows,
    /// The first columns are `talk_id`, `version`, `valid_from` and `valid_to`. The current ones are among them.
    pub versions: ImportedRows,
}

/// One step of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImportStep {
    /// Begins it: this file publishes under that claim from now on, once the import has ended. What the server has not
    /// confirmed gets numbers above `position`, the server's. What it has confirmed above `above` is marked again.
    Begin {
        identity: Identity,
        account_id: i64,
        position: i64,
        above: i64,
    },
    Talks(ImportedTalks),
    /// The first columns are `closure_id` and `talk_id`.
    Closures(ImportedRows),
    /// Columns of `talk_events`.
    Events(ImportedRows),
    /// Exemptions, or names.
    Table {
        name: &'static str,
        rows: ImportedRows,
    },
    /// Ends it: up to this position, this file has what the server has.
    End {
        position: i64,
    },
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Cell::Null => Ok(rusqlite::types::Null.into()),
            Cell::Integer(number) => Ok((*number).into()),
            Cell::Text(text) => Ok(text.as_str().into()),
        }
    }
}

/// Does one step, in one transaction.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn import(connection: &mut Connection, step: &ImportStep) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    match step {
        ImportStep::Begin { identity, account_id, position, above } => {
            account::note_id(&tx, *account_id)?;
            begin(&tx, identity, *position, *above)?;
        }
        ImportStep::Talks(imported) => talks(&tx, imported)?,
        ImportStep::Closures(imported) => import_closures(&tx, imported)?,
        ImportStep::End { position } => {
            if let Some(identity) = IDENTITY.get(&tx)? {
                IDENTITY.set(&tx, &Identity { seen: *position, importing: false, ..identity })?;
            }
            closures::requeue_open(&tx)?;
            feeds::begin_events(&tx)?;
        }
        ImportStep::Events(imported) => events(&tx, imported)?,
        ImportStep::Table { name, rows } => others::import(&tx, name, rows)?,
    }
    tx.commit()
}

fn begin(tx: &Transaction<'_>, identity: &Identity, position: i64, above: i64) -> rusqlite::Result<()> {
    let confirmed = local(tx)?.identity.map_or(above, |identity| identity.seen.max(above));
    IDENTITY.set(tx, &Identity { importing: true, ..identity.clone() })?;
    // The server may have lost these, and given their numbers to others.
    tx.execute("DELETE FROM changes WHERE seq > ?1 AND seq <= ?2", (above, confirmed))?;
    let by = position.saturating_sub(confirmed).max(0);
    // By way of negative numbers, so that no number occurs twice at any moment.
    tx.execute("UPDATE changes SET seq = -(seq + ?2) WHERE seq > ?1", (confirmed, by))?;
    tx.execute("UPDATE changes SET seq = -seq WHERE seq < 0", [])?;
    // What changed while publishing was off has no mark.
    let has_talks = tx.prepare_cached("SELECT 1 FROM talks")?.exists([])?;
    let marked_to = has_talks.then_some(FIRST);
    let capture = CAPTURE.get(tx)?.unwrap_or(Capture { floor: 0, marked_to, sends_all: false });
    // What was confirmed from there on is published again.
    let marked_to = if confirmed > above { Some(FIRST) } else { capture.marked_to };
    CAPTURE.set(tx, &Capture { floor: capture.floor.max(position).max(top(tx)?), marked_to, ..capture })
}

fn talks(tx: &Transaction<'_>, imported: &ImportedTalks) -> rusqlite::Result<()> {
    let ImportedTalks { talks, versions } = imported;
    let place = |name: &str| talks.columns.iter().position(|column| *column == name);
    let places = ["seq", "gone_at", "denied_at", "version", "changed_at"].map(place);
    let [Some(seq), Some(gone_at), Some(denied_at), Some(version), Some(changed_at)] = places else {
        return Ok(());
    };
    let mut of_talk: HashMap<i64, Vec<&[Cell]>> = HashMap::new();
    for version in &versions.rows {
        of_talk.entry(number(&version[0])).or_default().push(version);
    }
    let mut writing = Writing::new(tx, imported, [seq, gone_at, denied_at, version])?;
    let mut later = Vec::new();
    for row in &talks.rows {
        let talk_id = TalkId::new(number(&row[0]));
        let versions = of_talk.get(&number(&row[0])).map_or(&[][..], Vec::as_slice);
        if !writing.has_current(versions)? {
            later.push((talk_id, seen_after(tx, talk_id, UnixSeconds::new(number(&row[changed_at])))?));
            writing.replace(row, Some(versions))?;
        } else if !writing.is_same(row)? {
            // Only what makes no version differs, and this file has not changed it since.
            writing.replace(row, None)?;
        }
        writing.mark(row)?;
    }
    drop(writing);
    let mut recorder = Recorder::new(tx)?;
    for (talk_id, (states, payload)) in later {
        for (talk, at) in states {
            let outcome = Outcome::Talk(Box::new(FetchedTalk::new(talk, payload.as_str())));
            recorder.record(&Record { talk_id, ticket: None, at, outcome, close_context: None })?;
        }
    }
    Ok(())
}

/// The statements for the talks of a step.
struct Writing<'tx> {
    /// Places among the columns of a talk.
    seq: usize,
    gone_at: usize,
    denied_at: usize,
    version_place: usize,
    account: Cell,
    current: CachedStatement<'tx>,
    same: CachedStatement<'tx>,
    forget: CachedStatement<'tx>,
    version: CachedStatement<'tx>,
    talk: CachedStatement<'tx>,
    mark: CachedStatement<'tx>,
    queue: CachedStatement<'tx>,
}

impl<'tx> Writing<'tx> {
    fn new(
        tx: &'tx Transaction<'tx>,
        imported: &ImportedTalks,
        [seq, gone_at, denied_at, version]: [usize; 4],
    ) -> rusqlite::Result<Writing<'tx>> {
        let ImportedTalks { talks, versions } = imported;
        let columns: Vec<&str> = talks.columns.iter().copied().filter(|column| *column != "seq").collect();
        let same: Vec<String> = versions
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| **column != "valid_to")
            .map(|(place, column)| format!("{column} IS ?{}", place + 1))
            .collect();
        let same = same.join(" AND ");
        Ok(Writing {
            seq,
            gone_at,
            denied_at,
            version_place: version,
            account: Cell::Integer(crate::store::account_id(tx)?.unwrap_or_default()),
            current: tx
                .prepare_cached(&format!("SELECT 1 FROM talk_versions WHERE ?4 IS NULL AND {same}"))?,
            same: tx.prepare_cached(
                "SELECT 1 FROM talks WHERE talk_id = ?1
                    AND (gone_at IS ?2 AND denied_at IS ?3 OR version > ?5
                         OR EXISTS (SELECT 1 FROM changes WHERE changes.talk_id = ?1 AND seq > ?4))",
            )?,
            forget: tx.prepare_cached("DELETE FROM talk_history WHERE talk_id = ?1")?,
            version: tx.prepare_cached(&insert_sql("talk_history", &versions.columns, true))?,
            talk: tx.prepare_cached(&insert_sql("talks", &columns, true))?,
            mark: tx.prepare_cached(
                "INSERT INTO changes (talk_id, seq)
                 SELECT ?1, CASE WHEN EXISTS (SELECT 1 FROM changes WHERE seq = ?2 AND talk_id <> ?1)
                                 THEN (SELECT max(seq) FROM changes) + 1 ELSE ?2 END
                  WHERE true
                 ON CONFLICT (talk_id) DO UPDATE SET seq = excluded.seq WHERE changes.seq < excluded.seq",
            )?,
            queue: tx.prepare_cached(
                "INSERT INTO talk_queue (talk_id, reason, priority)
                 SELECT talk_id, ?2, ?3 FROM talks WHERE talk_id = ?1 AND is_in_work = 1 AND gone_at IS NULL",
            )?,
        })
    }

    /// Whether this file has the server's current version of a talk: then it has all that the server has of it.
    fn has_current(&mut self, versions: &[&[Cell]]) -> rusqlite::Result<bool> {
        match versions.last() {
            Some(version) => self.current.exists(params_from_iter(*version)),
            None => Ok(false),
        }
    }

    /// Whether a talk of which this file has the current version is as on the server in the rest, or newer.
    fn is_same(&mut self, row: &[Cell]) -> rusqlite::Result<bool> {
        let places = [0, self.gone_at, self.denied_at, self.seq, self.version_place];
        self.same.exists(places.map(|place| &row[place]))
    }

    /// What is published has the server's number. What changed here since has a number above. Should another talk have
    /// the number, this one gets the next free one: at worst it is published again.
    fn mark(&mut self, row: &[Cell]) -> rusqlite::Result<()> {
        self.mark.execute([&row[0], &row[self.seq]])?;
        Ok(())
    }

    /// Makes a talk as it is on the server, and its versions, if given. It is fetched next, if it is open.
    fn replace(&mut self, row: &[Cell], versions: Option<&[&[Cell]]>) -> rusqlite::Result<()> {
        if let Some(versions) = versions {
            self.forget.execute([&row[0]])?;
            for version in versions.iter().filter(|version| version[3] != Cell::Null) {
                self.version.execute(params_from_iter(version.iter().chain([&self.account])))?;
            }
        }
        let values = row.iter().enumerate().filter(|(place, _)| *place != self.seq).map(|(_, cell)| cell);
        self.talk.execute(params_from_iter(values.chain([&self.account])))?;
        self.queue.execute((&row[0], REASON, Lane::Hints.priority() - 1))?;
        Ok(())
    }
}

/// The number in a column that is never NULL on the server.
fn number(cell: &Cell) -> i64 {
    match cell {
        Cell::Integer(number) => *number,
        _ => 0,
    }
}

/// The states of a talk that this file first saw after that time, the oldest first, and the JSON of the current one.
fn seen_after(
    tx: &Transaction<'_>,
    talk_id: TalkId,
    after: UnixSeconds,
) -> rusqlite::Result<(Vec<(Talk, UnixSeconds)>, String)> {
    let current: Option<(UnixSeconds, String)> = tx
        .prepare_cached("SELECT changed_at, payload FROM talks WHERE talk_id = ?1")?
        .query_row([talk_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((changed_at, payload)) = current.filter(|(changed_at, _)| *changed_at > after) else {
        return Ok((Vec::new(), String::new()));
    };
    let columns = crate::store::record::COLUMNS.join(", ");
    let mut states: Vec<(Talk, UnixSeconds)> = tx
        .prepare_cached(&format!(
            "SELECT {columns}, valid_from FROM talk_history WHERE talk_id = ?1 AND valid_from > ?2 ORDER BY version"
        ))?
        .query_map((talk_id, after), |row| {
            Ok((talk_in(row)?, row.get(crate::store::record::COLUMNS.len())?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    states.extend(stored_talk(tx, talk_id)?.map(|talk| (talk, changed_at)));
    Ok((states, payload))
}

/// Replaces a row of the same key. The last parameter is the account, if wanted.
fn insert_sql(table: &str, columns: &[&str], account: bool) -> String {
    let mut names = columns.to_vec();
    names.extend(account.then_some("account_id"));
    let value = |(place, name): (usize, &&str)| match *name {
        // The server may have none.
        "payload" => format!("coalesce(?{}, '{{}}')", place + 1),
        _ => format!("?{}", place + 1),
    };
    let values: Vec<String> = names.iter().enumerate().map(value).collect();
    format!("INSERT OR REPLACE INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// Events that this file does not know.
fn events(tx: &Transaction<'_>, imported: &ImportedRows) -> rusqlite::Result<()> {
    let sql = insert_sql("talk_events", &imported.columns, false).replace("OR REPLACE", "OR IGNORE");
    let mut insert = tx.prepare_cached(&sql)?;
    for row in &imported.rows {
        insert.execute(params_from_iter(row))?;
    }
    Ok(())
}

/// Takes over closings that this file does not know, or that are at least as far on the server. A closing of this file's
/// own under the same number gets another number.
fn import_closures(tx: &Transaction<'_>, imported: &ImportedRows) -> rusqlite::Result<()> {
    let place = |name: &str| imported.columns.iter().position(|column| *column == name);
    let places = ["decided_at", "mode", "outcome", "attempts"].map(place);
    let [Some(decided_at), Some(mode), Some(outcome), Some(attempts)] = places else { return Ok(()) };
    let mut own = tx.prepare_cached(
        "SELECT talk_id = ?2 AND decided_at = ?3 AND mode = ?4,
                (CASE outcome WHEN 'requested' THEN 0 WHEN 'accepted' THEN 1 ELSE 2 END, attempts)
                > (CASE ?5 WHEN 'requested' THEN 0 WHEN 'accepted' THEN 1 ELSE 2 END, ?6)
           FROM closures WHERE closure_id = ?1",
    )?;
    let mut renumber = tx.prepare_cached(
        "UPDATE closures SET closure_id = (SELECT max(closure_id) + 1000000 FROM closures) WHERE closure_id = ?1",
    )?;
    let mut remove = tx.prepare_cached("DELETE FROM closures WHERE closure_id = ?1")?;
    let sql = insert_sql("closures", &imported.columns, false);
    // If another closing of the talk is under way here, one that is under way stays on the server alone.
    let mut insert = tx.prepare_cached(&sql.replace("OR REPLACE", "OR IGNORE"))?;
    for row in &imported.rows {
        let known: Option<(bool, bool)> = own
            .query_row(
                (&row[0], &row[1], &row[decided_at], &row[mode], &row[outcome], &row[attempts]),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        match known {
            // It is further here than there.
            Some((true, true)) => continue,
            Some((true, false)) => {
                remove.execute([&row[0]])?;
            }
            Some((false, _)) => {
                renumber.execute([&row[0]])?;
            }
            None => {}
        }
        insert.execute(params_from_iter(row))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
