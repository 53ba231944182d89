//! Changes, turns, kills and servers that lose what they had, in any order, on the real SQL of the mirror and the real
//! decisions of a claim. The server is a model in memory.

use super::claim::{Claim, Claimant, Decision, ServerRow, decide};
use super::table::OnConflict;
use super::tables;
use crate::clock::UnixSeconds;
use crate::store::Connection;
use crate::store::changes::{self, Cell, ChangesRequest, Identity, Wanted};
use crate::store::record::tests::{fetched, record};
use crate::store::record::{Outcome, Record};
use crate::store::schema::migrations::tests::in_memory;
use crate::talk::tests::open_talk;
use crate::talk::{Talk, TalkId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Ids of the talks.
const TALKS: i64 = 5;
const HERE: &str = "here:/talks.db";

type Row = Vec<Cell>;

/// What the server has committed.
#[derive(Debug, Clone, Default)]
struct Server {
    account: Option<(String, i64, i64)>,
    /// By the values of their keys.
    tables: [BTreeMap<String, Row>; tables::ALL.len()],
}

/// A batch on its way.
struct Batch {
    claim: Claim,
    last: i64,
    rows: Vec<Vec<Row>>,
}

/// What becomes of a batch.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Committed,
    /// It is committed, and the publisher does not learn of it.
    AnswerLost,
    /// It is lost with its sender.
    Lost,
    /// Its sender dies. The server may still commit it, whenever.
    Late,
}

#[derive(Debug, Clone)]
enum Step {
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
}

struct World {
    mirror: Connection,
    server: Server,
    past: Vec<Server>,
    session: Option<Claim>,
    late: Option<Batch>,
    now: i64,
}

impl World {
    fn new() -> World {
        World {
            mirror: in_memory(),
            server: Server::default(),
            past: Vec::new(),
            session: None,
            late: None,
            now: 1000,
        }
    }

    fn take(&mut self, step: &Step) {
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
        }
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

    /// Decides on a claim, and notes it in the mirror.
    fn decided(&mut self) -> Claim {
        let local = changes::local(&self.mirror).unwrap();
        let claimant = Claimant {
            account_id: 1,
            base_url: String::new(),
            publisher: HERE.into(),
            hold: Duration::from_secs(300),
            adopt: false,
            has_rival: false,
        };
        let server = self.server.account.clone().map(|(mirror, position, epoch)| ServerRow {
            mirror,
            position,
            epoch,
            publisher: HERE.into(),
            published_at: SystemTime::UNIX_EPOCH,
            is_held: true,
        });
        let own_epoch = local.identity.as_ref().map_or(0, |identity| identity.epoch);
        let (position, epoch) = match decide(server.as_ref(), &local, &claimant) {
            Decision::Begin => (0, own_epoch + 1),
            Decision::Continue { position, epoch } => (position, epoch),
            other => panic!("{other:?}: {server:?} {local:?}"),
        };
        let mirror = local.identity.map_or_else(|| "a".into(), |identity| identity.mirror);
        let identity = Identity { mirror: mirror.clone(), epoch, seen: position, importing: false };
        self.ask(&ChangesRequest::Identity(identity));
        Claim { account_id: 1, mirror, epoch, position }
    }

    fn claim(&mut self) -> Claim {
        let claim = self.decided();
        self.past.push(self.server.clone());
        self.server.account = Some((claim.mirror.clone(), claim.position, claim.epoch));
        if !changes::local(&self.mirror).unwrap().is_captured {
            self.ask(&ChangesRequest::SwitchOn { floor: claim.position });
        }
        claim
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
    fn read(&self, wanted: &[Wanted]) -> Vec<Vec<Vec<Cell>>> {
        let mut rows = vec![Vec::new(); tables::ALL.len()];
        let selects = tables::ALL.map(|table| table.select);
        changes::read(&self.mirror, &selects, wanted, |place, row| rows[place].push(row)).unwrap();
        rows
    }

    /// The versions of a talk that the server has.
    fn versions(&self, talk_id: i64) -> impl Iterator<Item = i64> {
        let place = tables::ALL.iter().position(|table| table.name == "talk_versions").unwrap();
        self.server.tables[place].values().filter_map(move |row| match row[..] {
            [Cell::Integer(of), Cell::Integer(version), ..] if of == talk_id => Some(version),
            _ => None,
        })
    }

    /// Commits a batch, unless the account was claimed since or its position has moved.
    fn commit(&mut self, batch: &Batch) -> bool {
        let Batch { claim, last, rows } = batch;
        let mine = Some((claim.mirror.clone(), claim.position, claim.epoch));
        if self.server.account != mine {
            return false;
        }
        self.past.push(self.server.clone());
        self.server.account = Some((claim.mirror.clone(), *last, claim.epoch));
        for ((table, there), rows) in tables::ALL.iter().zip(&mut self.server.tables).zip(rows) {
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
    fn assert_drains(&mut self) {
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
        for ((table, there), here) in tables::ALL.iter().zip(&self.server.tables).zip(here) {
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

fn place(table: &super::table::Table, column: &str) -> usize {
    table.columns.iter().position(|found| found.name == column).unwrap()
}

fn key(table: &super::table::Table, row: &Row) -> String {
    table.key.iter().map(|column| format!("{:?} ", row[place(table, column)])).collect()
}

fn seq(table: &super::table::Table, row: &Row) -> i64 {
    match row[place(table, "seq")] {
        Cell::Integer(seq) => seq,
        _ => 0,
    }
}

/// Without the time of the last fetch: one that found nothing new is not published.
fn compared(table: &super::table::Table, mut row: Row) -> Row {
    if table.name == "talks" {
        row[place(table, "fetched_at")] = Cell::Null;
    }
    row
}

fn step() -> impl Strategy<Value = Step> {
    let talk = || 1..=TALKS;
    let fate = prop_oneof![
        6 => Just(Fate::Committed),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Lost),
        2 => Just(Fate::Late),
    ];
    prop_oneof![
        10 => (talk(), any::<u8>()).prop_map(|(talk, rate)| Step::Fetch(talk, rate)),
        1 => talk().prop_map(Step::Gone),
        1 => talk().prop_map(Step::Denied),
        2 => talk().prop_map(Step::Close),
        10 => (1usize..4, fate).prop_map(|(limit, fate)| Step::Turn(limit, fate)),
        2 => Just(Step::LateBatch),
        2 => Just(Step::Kill),
        1 => Just(Step::KillInClaim),
        2 => (0usize..6).prop_map(Step::Rewind),
        1 => Just(Step::SendAll),
        1 => Just(Step::SwitchOff),
    ]
}

#[test]
fn a_talk_that_changes_while_its_batch_is_read_has_the_batch_s_number_on_the_server() {
    let mut world = World::new();
    world.take(&Step::Turn(1, Fate::Committed));
    world.take(&Step::Fetch(1, 1));
    let list = changes::since(&world.mirror, 0, 1, u64::MAX).unwrap().list;
    let changes::Change { talk_id, seq: number } = list[0];
    world.take(&Step::Fetch(1, 2));
    let rows = world.read(&[Wanted { talk_id, from_version: 0, seq: number }]);
    let talks = tables::ALL.iter().position(|table| table.name == "talks").unwrap();
    assert_eq!(seq(tables::ALL[talks], &rows[talks][0]), number);
    let rate = rows[talks][0][place(tables::ALL[talks], "rate")].clone();
    assert_eq!(rate, Cell::Integer(2), "as it is by then");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_dies_and_whatever_the_server_loses_it_is_as_the_mirror_in_the_end(
        steps in proptest::collection::vec(step(), 1..60),
        lost in 0usize..20,
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.assert_drains();
        world.take(&Step::Rewind(lost));
        world.assert_drains();
    }
}
