//! One transaction of what arrived together.

mod apart;

use super::message::Write;
use super::write_error::is_one_row_s;
use crate::clock;
use crate::store::changes::Marker;
use crate::store::feeds::{self, Candidates, Fed};
use crate::store::record::{Outcome, Record, Recorded, Recorder};
use crate::store::{account, changes, odd, queue, resume};
use crate::telemetry;
use rusqlite::{Connection, Transaction};

/// What a commit did.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub recorded: Vec<Recorded>,
    /// What came of the feeders' orders, one for each.
    pub fed: Vec<Fed>,
    /// Whether anything is to be published that was not before.
    pub is_news: bool,
    /// What could not be written though the rest could, in words.
    pub refused: Vec<String>,
}

/// Commits what of a batch is to be written, in one transaction. If one of the writes cannot be done, the others are.
pub(super) fn commit(
    connection: &mut Connection,
    batch: &[Write],
    candidates: &mut Candidates,
) -> rusqlite::Result<Done> {
    for order in batch.iter().filter_map(Write::order) {
        candidates.prepare(connection, order)?;
    }
    let began = clock::mono();
    let done = match together(connection, batch, candidates) {
        Err(error) if is_one_row_s(&error) => apart::commit(connection, batch, candidates)?,
        done => done?,
    };
    telemetry::commit(done.recorded.len(), clock::since(began));
    let records = batch.iter().filter_map(|write| match write {
        Write::Record(record) => Some(record),
        _ => None,
    });
    records.zip(&done.recorded).for_each(|(record, done)| candidates.recorded(record, done.effect));
    batch.iter().filter_map(Write::order).zip(&done.fed).for_each(|(order, fed)| candidates.fed(order, fed));
    Ok(done)
}

fn together(connection: &mut Connection, batch: &[Write], candidates: &Candidates) -> rusqlite::Result<Done> {
    let tx = connection.transaction()?;
    let mut done = Done { recorded: Vec::with_capacity(batch.len()), ..Done::default() };
    let mut recorder = Recorder::new(&tx)?;
    for wanted in batch {
        match wanted {
            Write::Record(record) => done.recorded.push(recorder.record(record)?),
            other => done.fed.extend(write(&tx, other, candidates, recorder.marker())?),
        }
    }
    done.is_news = recorder.has_marked();
    drop(recorder);
    note_account(&tx, batch)?;
    tx.commit()?;
    Ok(done)
}

/// Writes what is no record; returns what came of a feeder's order. A transaction has one marker at a time, because it
/// knows the next number.
pub(super) fn write(
    tx: &Transaction<'_>,
    wanted: &Write,
    candidates: &Candidates,
    marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<Option<Fed>> {
    match wanted {
        Write::Status(status) => status.write(tx)?,
        Write::Resumed => resume::done(tx)?,
        Write::OddReported(field, at) => odd::note_reported(tx, field, *at)?,
        Write::Token(status) => status.write(tx)?,
        Write::Backup(state) => state.write(tx)?,
        Write::Publish(state) => changes::state::write(tx, state.as_deref())?,
        Write::Repair(repair) => {
            queue::repair(tx, repair, marker)?;
        }
        Write::Account(Ok(name), now) => account::confirm(tx, name, *now)?,
        Write::Account(Err(why), _) => account::doubt(tx, Some(why))?,
        Write::Feed { order, .. } => return feeds::work(tx, order, candidates, marker).map(Some),
        // By a recorder, which several of them share.
        Write::Record(_) => {}
    }
    Ok(None)
}

/// The first talk that is stored names the account of the mirror.
pub(super) fn note_account(tx: &Transaction<'_>, batch: &[Write]) -> rusqlite::Result<()> {
    let arrived = batch.iter().find_map(|message| match message {
        Write::Record(Record { outcome: Outcome::Talk(arrived), .. }) => Some(arrived),
        _ => None,
    });
    arrived.map_or(Ok(()), |arrived| account::note_id(tx, arrived.talk.account_id))
}
