//! A mirror, its publisher and a server, as a model in memory around the real SQL and the real decisions.

use super::super::claim::{Claim, Claimant, Decision, ServerRow, decide, identity};
use super::super::table::{OnConflict, Table};
use super::super::tables;
use crate::clock::UnixSeconds;
use crate::store::Connection;
use crate::store::changes::import::{ImportStep, ImportedRows, ImportedTalks};
use crate::store::changes::{self, Cell, ChangesRequest, Identity, Wanted};
use crate::store::record::tests::{fetched, record};
use crate::store::record::{Outcome, Record};
use crate::store::schema::migrations::tests::in_memory;
use crate::talk::tests::open_talk;
use crate::talk::{Talk, TalkId};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Ids of the talks.
pub(super) const TALKS: i64 = 5;
pub(super) const HERE: &str = "here:/talks.db";
pub(super) const THERE: &str = "there:/talks.db";

pub(super) type Row = Vec<Cell>;

/// The account's row on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    claim: Claim,
    publisher: &'static str,
}

/// What the server has committed.
#[derive(Debug, Clone, Default)]
pub(super) struct Server {
    account: Option<Account>,
    /// By the values of their keys.
    tables: [BTreeMap<String, Row>; tables::BY_TALK.len()],
}

/// A batch on its way.
pub(super) struct Batch {
    claim: Claim,
    last: i64,
    rows: Vec<Vec<Row>>,
}

/// What becomes of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Committed,
    /// It is committed, and the publisher does not learn of it.
    AnswerLost,
    /// It is lost with its sender.
    Lost,
    /// Its sender dies. The server may still commit it, whenever.
    Late,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Fetch(i64, u8),
    Gone(i64),
    Denied(i64),
    Close(i64),
    Turn(usize, Fate),
    LateBatch,
    Kill,
    /// The process dies after it has noted a claim, and before the server has it.
    KillInClaim,
    /// The server is as it was so many commits ago.
    Rewind(usize),
    SendAll,
    SwitchOff,
    /// This host is gone for a while. Another one, with a new file, takes the account over, sees these changes, publishes
    /// so many batches, and is gone for good.
    OtherHost(Vec<(i64, u8)>, usize),
}

pub(super) struct World {
    host: &'static str,
    pub(super) mirror: Connection,
    server: Server,
    past: Vec<Server>,
    session: Option<Claim>,
    late: Option<Batch>,
    now: i64,
}

impl World {
    pub(super) fn new() -> World {
        World {
            host: HERE,
            mirror: in_memory(),
            server: Server::default(),
            past: Vec::new(),
            session: None,
            late: None,
            now: 1000,
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        self.now += 10;
        let now = UnixSeconds::new(self.now);
        match *step {
            Step::Fetch(talk_id, rate) => self.fetch(talk_id, |talk| talk.rate = Some(rate.into())),
            Step::Gone(talk_id) => self.record(talk_id, Outcome::Gone),
            Step::Denied(talk_id) => {
                self.record(talk_id, Outcome::Denied { due_at: now, error: "HTTP 403".into() });
            }
            Step::Close(talk_id) => {
                self.mirror
                    .execute(
                        "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at,
                                               requested_at, outcome, attempts)
                         VALUES (?1, 'live', 1, 'missed', 1, ?2, ?2, 'accepted', 1)",
                        (talk_id, self.now),
                    )
                    .unwrap();
                self.fetch(talk_id, |talk| talk.is_in_work = false);
            }
            Step::Turn(limit, fate) => self.turn(limit, fate),
            Step::LateBatch => {
                if let Some(batch) = self.late.take() {
                    self.commit(&batch);
                }
            }
            Step::Kill => self.session = None,
            Step::KillInClaim => {
                self.session = None;
                self.decided();
            }
            Step::Rewind(commits) => {
                let kept = self.past.len().saturating_sub(commits);
                if let Some(server) = self.past.drain(kept..).next() {
                    self.server = server;
                }
                (self.session, self.late) = (None, None);
            }
            Step::SendAll => changes::mark_all(&mut self.mirror).unwrap(),
            Step::SwitchOff => {
                self.session = None;
                while self.ask(&ChangesRequest::SwitchOff) == changes::CaptureStep::More {}
            }
            Step::OtherHost(ref seen, batches) => self.other_host(seen, batches),
        }
    }

    fn other_host(&mut self, seen: &[(i64, u8)], batches: usize) {
        if self.server.account.is_none() {
            return;
        }
        let mut other = World { host: THERE, now: self.now, ..World::new() };
        std::mem::swap(&mut self.server, &mut other.server);
        std::mem::swap(&mut self.past, &mut other.past);
        other.turn(3, Fate::Committed);
        for (talk_id, rate) in seen {
            other.take(&match rate {
                0 => Step::Gone(*talk_id),
                1 => Step::Close(*talk_id),
                _ => Step::Fetch(*talk_id, *rate),
            });
        }
        for _ in 0..batches {
            other.turn(3, Fate::Committed);
        }
        self.now = other.now;
        self.session = None;
        (self.server, self.past) = (other.server, other.past);
    }

    fn fetch(&mut self, talk_id: i64, change: impl FnOnce(&mut Talk)) {
        let mut talk =
            Talk { updated_at: UnixSeconds::new(self.now), ..open_talk(talk_id, UnixSeconds::new(1)) };
        change(&mut talk);
        fetched(&self.mirror, talk, UnixSeconds::new(self.now));
    }

    fn record(&mut self, talk_id: i64, outcome: Outcome) {
        let (talk_id, at) = (TalkId::new(talk_id), UnixSeconds::new(self.now));
        record(&self.mirror, &Record { talk_id, ticket: None, at, outcome, close_context: None });
    }

    fn ask(&mut self, wanted: &ChangesRequest) -> changes::CaptureStep {
        changes::work(&mut self.mirror, wanted).unwrap()
    }

    /// Decides on a claim, and notes it in the mirror, unless that must first take over what is above a position.
    fn decided(&mut self) -> (Claim, Option<i64>) {
        let local = changes::local(&self.mirror).unwrap();
        let claimant = Claimant {
            account_id: 1,
            base_url: String::new(),
            publisher: self.host.into(),
            hold: Duration::from_secs(300),
            adopt: true,
            has_rival: false,
        };
        let server = self.server.account.clone().map(|Account { claim, publisher }| ServerRow {
            mirror: claim.mirror,
            position: claim.position,
            epoch: claim.epoch,
            publisher: publisher.into(),
            published_at: SystemTime::UNIX_EPOCH,
            is_held: publisher == self.host,
        });
        let own_epoch = local.identity.as_ref().map_or(0, |identity| identity.epoch);
        let next_epoch = own_epoch.max(server.as_ref().map_or(0, |server| server.epoch)) + 1;
        let there = server.as_ref().map_or(0, |server| server.position);
        let (position, epoch, above) = match decide(server.as_ref(), &local, &claimant) {
            Decision::Begin => (0, own_epoch + 1, None),
            Decision::Continue { position, epoch } => (position, epoch, None),
            Decision::CatchUp { above } => (there, next_epoch, Some(above)),
            Decision::Adopt => (there, next_epoch, Some(0)),
            other => panic!("{other:?}: {server:?} {local:?}"),
        };
        let claim = Claim { account_id: 1, mirror: "a".into(), epoch, position };
        if above.is_none() {
            self.ask(&ChangesRequest::Identity(identity(&claim)));
        }
        (claim, above)
    }

    fn claim(&mut self) -> Claim {
        let (claim, above) = self.decided();
        self.past.push(self.server.clone());
        self.server.account = Some(Account { claim: claim.clone(), publisher: self.host });
        if let Some(above) = above {
            self.pull(&claim, above);
        }
        self.ask(&ChangesRequest::Identity(identity(&claim)));
        if !changes::local(&self.mirror).unwrap().is_captured {
            self.ask(&ChangesRequest::SwitchOn { floor: claim.position });
        }
        claim
    }

    /// Takes over what the server has above a position, as `pull` does.
    fn pull(&mut self, claim: &Claim, above: i64) {
        let [talks, versions, closures] = ["talks", "talk_versions", "closures"].map(|name| {
            let place = tables::BY_TALK.iter().position(|table| table.name == name).unwrap();
            let columns = tables::BY_TALK[place].columns.iter().map(|column| column.name).collect();
            let mut rows: Vec<Row> = self.server.tables[place].values().cloned().collect();
            rows.sort_by_key(|row| [number(&row[0]), number(&row[1])]);
            ImportedRows { columns, rows }
        });
        let mut talks = talks;
        talks.rows.retain(|row| number(row.last().unwrap()) > above);
        let identity = Identity { seen: above, ..identity(claim) };
        for step in [
            ImportStep::Begin { identity, account_id: 1, position: claim.position, above },
            ImportStep::Talks(ImportedTalks { talks, versions }),
            ImportStep::Closures(closures),
            ImportStep::End { position: claim.position },
        ] {
            self.ask(&ChangesRequest::Import(Box::new(step)));
        }
    }

    fn turn(&mut self, limit: usize, fate: Fate) {
        let mut claim = match self.session.take() {
            Some(claim) => claim,
            None => self.claim(),
        };
        let Some(batch) = self.batch(&claim, limit) else {
            if changes::is_marking(&self.mirror).unwrap() {
                self.ask(&ChangesRequest::SwitchOn { floor: claim.position });
            } else if changes::is_sending_all(&self.mirror).unwrap() {
                self.ask(&ChangesRequest::AllSent);
            }
            self.session = Some(claim);
            return;
        };
        match fate {
            Fate::Committed => {
                if self.commit(&batch) {
                    claim.position = batch.last;
                    self.session = Some(claim);
                }
            }
            Fate::AnswerLost => drop(self.commit(&batch)),
            Fate::Lost => {}
            Fate::Late => self.late = Some(batch),
        }
    }

    /// The next changes, as `turn` reads them.
    fn batch(&self, claim: &Claim, limit: usize) -> Option<Batch> {
        let list = changes::since(&self.mirror, claim.position, limit, u64::MAX).unwrap().list;
        let last = list.last()?.seq;
        let sends_all = changes::is_sending_all(&self.mirror).unwrap();
        let wanted: Vec<Wanted> = list
            .iter()
            .map(|change| {
                let there = self.versions(change.talk_id.get());
                let from_version = if sends_all { 0 } else { there.max().unwrap_or(0) };
                Wanted { talk_id: change.talk_id, from_version, seq: change.seq }
            })
            .collect();
        let rows = self.read(&wanted);
        Some(Batch { claim: claim.clone(), last, rows })
    }

    /// The rows of these talks in the mirror, by table.
    pub(super) fn read(&self, wanted: &[Wanted]) -> Vec<Vec<Vec<Cell>>> {
        let mut rows = vec![Vec::new(); tables::BY_TALK.len()];
        let selects = tables::BY_TALK.map(|table| table.select);
        changes::read(&self.mirror, &selects, wanted, |place, row| rows[place].push(row)).unwrap();
        rows
    }

    /// The versions of a talk that the server has.
    fn versions(&self, talk_id: i64) -> impl Iterator<Item = i64> {
        let place = tables::BY_TALK.iter().position(|table| table.name == "talk_versions").unwrap();
        self.server.tables[place].values().filter_map(move |row| match row[..] {
            [Cell::Integer(of), Cell::Integer(version), ..] if of == talk_id => Some(version),
            _ => None,
        })
    }

    /// Commits a batch, unless the account was claimed since or its position has moved.
    fn commit(&mut self, batch: &Batch) -> bool {
        let Batch { claim, last, rows } = batch;
        let Some(account) = self.server.account.clone().filter(|account| account.claim == *claim) else {
            return false;
        };
        self.past.push(self.server.clone());
        self.server.account = Some(Account { claim: Claim { position: *last, ..claim.clone() }, ..account });
        for ((table, there), rows) in tables::BY_TALK.iter().zip(&mut self.server.tables).zip(rows) {
            for row in rows {
                let kept = there.get(&key(table, row)).is_some_and(|old| {
                    table.on_conflict == OnConflict::Newest && seq(table, old) > seq(table, row)
                });
                if !kept {
                    there.insert(key(table, row), row.clone());
                }
            }
        }
        true
    }

    /// Publishes all that is left, and compares.
    pub(super) fn assert_drains(&mut self) {
        if let Some(batch) = self.late.take() {
            self.commit(&batch);
        }
        for _ in 0..1000 {
            self.turn(3, Fate::Committed);
            let Some(claim) = self.session.clone() else { continue };
            let is_done = self.batch(&claim, 1).is_none()
                && !changes::is_marking(&self.mirror).unwrap()
                && !changes::is_sending_all(&self.mirror).unwrap();
            if is_done {
                break;
            }
        }
        let marked = changes::since(&self.mirror, 0, usize::MAX, u64::MAX).unwrap().list;
        let wanted: Vec<Wanted> = marked
            .iter()
            .map(|change| Wanted { talk_id: change.talk_id, from_version: 0, seq: change.seq })
            .collect();
        let here = self.read(&wanted);
        for ((table, there), here) in tables::BY_TALK.iter().zip(&self.server.tables).zip(here) {
            let here: BTreeMap<String, Row> =
                here.into_iter().map(|row| (key(table, &row), compared(table, row))).collect();
            let there: BTreeMap<String, Row> = there
                .iter()
                // A talk that turned up has its tombstone on the server still.
                .filter(|(key, _)| table.name != "tombstones" || here.contains_key(*key))
                .map(|(key, row)| (key.clone(), compared(table, row.clone())))
                .collect();
            assert_eq!(there, here, "{}", table.name);
        }
    }
}

pub(super) fn place(table: &Table, column: &str) -> usize {
    table.columns.iter().position(|found| found.name == column).unwrap()
}

fn key(table: &Table, row: &Row) -> String {
    table.key.iter().map(|column| format!("{:?} ", row[place(table, column)])).collect()
}

pub(super) fn seq(table: &Table, row: &Row) -> i64 {
    number(&row[place(table, "seq")])
}

fn number(cell: &Cell) -> i64 {
    match cell {
        Cell::Integer(number) => *number,
        _ => 0,
    }
}

/// Without the time of the last fetch: one that found nothing new is not published.
fn compared(table: &Table, mut row: Row) -> Row {
    if table.name == "talks" {
        row[place(table, "fetched_at")] = Cell::Null;
    }
    row
}
