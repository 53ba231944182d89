//! Changes, turns, kills and servers that lose what they had, in any order, on the real SQL of the mirror and the real
//! decisions of a claim, by one host or by two in turn. The server is a model in memory.

use super::claim::{Claim, Claimant, Decision, ServerRow, decide, identity};
use super::table::OnConflict;
use super::tables;
use crate::clock::UnixSeconds;
use crate::store::Connection;
use crate::store::changes::import::{ImportStep, ImportedRows, ImportedTalks};
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
const THERE: &str = "there:/talks.db";

type Row = Vec<Cell>;

/// The account's row on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    claim: Claim,
    publisher: &'static str,
}

/// What the server has committed.
#[derive(Debug, Clone, Default)]
struct Server {
    account: Option<Account>,
    /// By the values of their keys.
    tables: [BTreeMap<String, Row>; tables::BY_TALK.len()],
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
    /// This host is gone for a while. Another one, with a new file, takes the account over, sees these changes, publishes
    /// so many batches, and is gone for good.
    OtherHost(Vec<(i64, u8)>, usize),
}

struct World {
    host: &'static str,
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
            host: HERE,
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
    fn read(&self, wanted: &[Wanted]) -> Vec<Vec<Vec<Cell>>> {
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

fn place(table: &super::table::Table, column: &str) -> usize {
    table.columns.iter().position(|found| found.name == column).unwrap()
}

fn key(table: &super::table::Table, row: &Row) -> String {
    table.key.iter().map(|column| format!("{:?} ", row[place(table, column)])).collect()
}

fn seq(table: &super::table::Table, row: &Row) -> i64 {
    number(&row[place(table, "seq")])
}

fn number(cell: &Cell) -> i64 {
    match cell {
        Cell::Integer(number) => *number,
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
        1 => (proptest::collection::vec((talk(), 0..9u8), 0..6), 0usize..4)
            .prop_map(|(seen, batches)| Step::OtherHost(seen, batches)),
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
    let talks = tables::BY_TALK.iter().position(|table| table.name == "talks").unwrap();
    assert_eq!(seq(tables::BY_TALK[talks], &rows[talks][0]), number);
    let rate = rows[talks][0][place(tables::BY_TALK[talks], "rate")].clone();
    assert_eq!(rate, Cell::Integer(2), "as it is by then");
}

#[test]
fn a_host_that_returns_takes_over_what_another_published_below_the_position_that_it_had_confirmed() {
    let mut world = World::new();
    world.take(&Step::Fetch(1, 10));
    world.assert_drains();
    world.take(&Step::Fetch(2, 20));
    world.assert_drains();
    world.take(&Step::Kill);
    world.assert_drains();
    // The server loses this claim and talk 2.
    world.take(&Step::Rewind(2));
    world.take(&Step::OtherHost(vec![(3, 30), (4, 40)], 2));
    world.assert_drains();
    let talks = "SELECT group_concat(talk_id || ' ' || rate) FROM (SELECT * FROM talks ORDER BY talk_id)";
    assert_eq!(
        world.mirror.query_row(talks, [], |row| row.get::<_, String>(0)).unwrap(),
        "1 10,2 20,3 30,4 40"
    );
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
