//! The worker on given times: no process, no network and no database. A test decides which request is answered how, and
//! when, and reads what the writer was asked for.

mod account;
mod closing;
mod pauses;
mod retries;
mod tokens;

use super::next_request::{Leaves, Request};
use super::responses::{Completed, Response};
use super::{Account, Mode, WorkError, Worker, WorkerConfig};
use crate::amocrm::tests::fetched;
use crate::amocrm::{
    AccountInfo as Described, Client, ClientConfig, Failure, FetchError, Kind, Token, TokenSource,
};
use crate::clock::{self, Deadline, Now, UnixSeconds};
use crate::gate::{Gate, Permit};
use crate::policy::RetryRules;
use crate::policy::closing::{CloseMode, CloseRules, FetchReason};
use crate::policy::lanes::Lane;
use crate::policy::stale::tests::{just_stale, rules};
use crate::store::account::AccountName;
use crate::store::queue::{DueBatch, DueRow, Repair, Ticket};
use crate::store::record::{Effect, Outcome, Record, Recorded};
use crate::store::writer::{Asked, Event, Sent, Writer, Written};
use crate::talk::{Talk, TalkId};
use secrecy::SecretString;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The mirror's account.
const ACCOUNT_ID: i64 = 1;
const START: UnixSeconds = UnixSeconds::new(1_700_000_000);
/// In seconds: between two requests that leave one after the other.
const MOST_PACE: f64 = 0.5;

/// A worker, what it asked of its writer, and the time.
struct World {
    worker: Worker,
    inbox: mpsc::Receiver<Sent>,
    _events: UnboundedSender<Event>,
    now: Now,
}

fn config() -> WorkerConfig {
    WorkerConfig {
        mode: Mode::Run,
        base_url: "https://example.amocrm.ru".into(),
        requests_per_second: 6,
        max_in_flight: 10,
        request_timeout: Duration::from_secs(30),
        poll_interval: Duration::from_secs(1),
        retry: RetryRules { max_attempts: 3, base: Duration::from_secs(10), max: Duration::from_secs(600) },
        close: CloseRules {
            mode: CloseMode::Live,
            stale: rules(),
            force_close: true,
            max_per_sweep: 10,
            max_share: 1.0,
        },
        retention: None,
        no_close: false,
        seed: 1,
    }
}

fn client_config() -> ClientConfig {
    ClientConfig {
        base_url: "http://127.0.0.1:9".parse().unwrap(),
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        max_in_flight: 1,
    }
}

fn world_with(source: TokenSource, known: &[i64]) -> World {
    let now = Now { mono: clock::mono(), unix: START.get() as f64 };
    let token = Token::read(source).unwrap();
    let client = Client::new(&client_config(), &token).unwrap();
    let (writer, inbox) = Writer::detached();
    let (sender, events) = unbounded_channel();
    let name = AccountName { account_id: ACCOUNT_ID, ..AccountName::default() };
    let account = Account {
        name: Some(name),
        known: known.iter().copied().map(TalkId::new).collect(),
        ..Account::default()
    };
    let gate = Gate::new(6, false, now.mono);
    let worker = Worker::new(config(), token, client, gate, (writer, events), account, now);
    World { worker, inbox, _events: sender, now }
}

/// A world in which these stored talks are known, and nothing is confirmed.
fn unconfirmed(known: &[i64]) -> World {
    world_with(TokenSource::Environment(SecretString::from("token")), known)
}

/// A world in which the mirror's account has answered.
fn world() -> World {
    confirm(unconfirmed(&[]))
}

fn confirm(mut world: World) -> World {
    let (request, permit) = world.leaves();
    assert!(matches!(request, Request::Account), "{request:?}");
    world.answer(permit, Response::Account(Ok(described(ACCOUNT_ID)))).unwrap();
    world.written();
    world
}

fn described(account_id: i64) -> Described {
    Described { account_id, name: None, subdomain: None }
}

/// A row that waits to be mirrored.
fn row(talk_id: i64) -> DueRow {
    let ticket = Some(Ticket::of(talk_id));
    DueRow {
        talk_id: TalkId::new(talk_id),
        ticket,
        attempts: 0,
        reason: FetchReason::Mirror,
        lane: Lane::Hints,
    }
}

fn talk(talk_id: i64) -> Talk {
    Talk { talk_id: TalkId::new(talk_id), account_id: ACCOUNT_ID, ..just_stale(START) }
}

fn failure(kind: Kind) -> Failure {
    Failure::new(kind, format!("{kind:?}"))
}

impl World {
    fn pass(&mut self, seconds: f64) {
        self.now.mono += Duration::from_secs_f64(seconds);
        self.now.unix += seconds;
    }

    /// What the queue holds.
    fn due(&mut self, rows: &[DueRow]) {
        self.worker.dispatch.on_read(DueBatch { due: rows.to_vec(), ..DueBatch::default() });
    }

    /// The request that leaves now, as soon as the pace allows; else when to look again, in seconds.
    fn try_leaves(&mut self) -> Result<(Request, Permit), f64> {
        let mut wait = 0.0;
        for _ in 0..20 {
            match self.worker.next_to_leave(self.now) {
                Leaves::Request { request, permit } => return Ok((request, permit)),
                Leaves::NothingBefore(at) => {
                    wait = at.saturating_duration_since(self.now.mono).as_secs_f64();
                    if wait > MOST_PACE {
                        return Err(wait);
                    }
                    self.pass(wait + 0.001);
                }
            }
        }
        Err(wait)
    }

    fn leaves(&mut self) -> (Request, Permit) {
        self.try_leaves().unwrap_or_else(|wait| panic!("nothing leaves for {wait} s"))
    }

    /// The talk whose fetch leaves now.
    fn fetches(&mut self) -> (DueRow, Permit) {
        match self.leaves() {
            (Request::Fetch(row), permit) => (row, permit),
            (other, _) => panic!("{other:?} leaves, and no fetch"),
        }
    }

    /// The response comes, a tenth of a second later.
    fn answer(&mut self, permit: Permit, response: Response) -> Result<(), WorkError> {
        let (sent, token_epoch) = (self.now, self.worker.tokens.epoch());
        self.pass(0.1);
        self.worker.handle_response(Completed { response, permit, sent, token_epoch }, self.now)
    }

    fn shows(&mut self, row: DueRow, permit: Permit) {
        let result = Ok(fetched(talk(row.talk_id.get()), self.now.secs()));
        self.answer(permit, Response::Fetched { row, result }).unwrap();
    }

    fn fails(&mut self, row: DueRow, permit: Permit, failure: Failure) {
        let result = Err(FetchError { failure, other_account: None });
        self.answer(permit, Response::Fetched { row, result }).unwrap();
    }

    /// What the writer was asked to write since the last call.
    fn written(&mut self) -> Vec<Written> {
        self.inbox
            .try_iter()
            .filter_map(|sent| match sent {
                Sent::Write(write) => Some(write),
                Sent::Query(_) => None,
            })
            .collect()
    }

    fn records(&mut self) -> Vec<Record> {
        let records = self.written().into_iter().filter_map(|write| match write {
            Written::Record(record) => Some(record),
            _ => None,
        });
        records.collect()
    }

    /// The one record that the writer was asked for.
    fn record(&mut self) -> Record {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    fn repairs(&mut self) -> Vec<Repair> {
        let repairs = self.written().into_iter().filter_map(|write| match write {
            Written::Repair(repair) => Some(repair),
            _ => None,
        });
        repairs.collect()
    }

    /// A record is committed.
    fn recorded(&mut self, talk_id: i64, effect: Effect) {
        let recorded = Recorded { talk_id: TalkId::new(talk_id), effect, requeued: false, stepped: None };
        self.worker.handle_recorded(&recorded, self.now);
    }

    /// A fetch leaves, shows its talk, and is recorded.
    fn mirror(&mut self, talk_id: i64) {
        self.due(&[row(talk_id)]);
        let (row, permit) = self.fetches();
        assert_eq!(row.talk_id.get(), talk_id);
        self.shows(row, permit);
        self.recorded(talk_id, Effect::Same);
        self.written();
    }
}

fn retry(outcome: &Outcome) -> (UnixSeconds, bool) {
    match outcome {
        Outcome::Retry { due_at, spent, .. } => (*due_at, *spent),
        other => panic!("{other:?} is no retry"),
    }
}

#[test]
fn nothing_leaves_after_the_deadline_although_nobody_has_looked_at_it_since() {
    let mut world = world();
    world.due(&[row(1), row(2), row(3)]);
    let lasts = Duration::from_secs(4);
    world.worker.stand_by(Ok(Some(Deadline { since: world.now, lasts })), world.now);
    drop(world.fetches());
    world.pass(4.0);
    assert!(world.try_leaves().is_err(), "it is over");
    world.worker.stand_by(Ok(Some(Deadline { since: world.now, lasts })), world.now);
    drop(world.fetches());
    world.now.unix += 60.0;
    assert!(world.try_leaves().is_err(), "the machine slept");
    world.worker.stand_by(Ok(None), world.now);
    drop(world.fetches());
}
