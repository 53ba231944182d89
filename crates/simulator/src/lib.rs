//! A simulated account on loopback: a real HTTP server with the endpoints of talks, the listing, the events, the
//! account, its names and the tokens, with the limits and errors of the real one. The demo and the tests share it.
//!
//! It records each request with its time, how often the rate limit was exceeded, and whether a talk was requested
//! twice at once. Tests script the faults (see [`Fault`]).

#![allow(clippy::disallowed_methods, reason = "it is the account, on the same clock as its client")]

mod clock;
mod fault;
mod life;
mod lists;
mod names;
mod oauth;
mod reply;
mod server;
mod talk;
#[cfg(test)]
mod tests;

pub use fault::{Fault, Storm};
pub use lists::{PageHook, TalkEvent};
pub use names::{Lead, NameList, Pipeline, User};
pub use oauth::OAuth;

pub use talk::Talk;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The simulated account's number.
pub const ACCOUNT_ID: i64 = 17_029_541;
/// The one token that the simulator accepts.
pub const TOKEN: &str = "simulated-token";

const LIST: &str = "/api/v4/talks";
const EVENTS: &str = "/api/v4/events";
const ACCOUNT: &str = "/api/v4/account";
const TOKENS: &str = "/oauth2/access_token";

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    account: Arc<Mutex<Account>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts on a free loopback port, in its own thread.
    ///
    /// # Errors
    /// If the system gives no port or no thread.
    pub fn start(account: Account) -> io::Result<Simulator> {
        Simulator::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), account)
    }

    /// Starts at an address, as after an outage.
    ///
    /// # Errors
    /// If the address is in use.
    pub fn start_at(address: SocketAddr, account: Account) -> io::Result<Simulator> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let account = Arc::new(Mutex::new(account));
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = server::serve(listener, Arc::clone(&account), stop.clone());
        let thread = std::thread::Builder::new().name("simulator".into()).spawn(move || {
            if let Err(error) = runtime.block_on(serving) {
                tracing::error!("the simulator ended: {error}");
            }
        })?;
        Ok(Simulator { address, account, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for `api.base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account, to inspect or change.
    pub fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it arrived.
    pub at: Instant,
    /// Of HTTP.
    pub method: String,
    /// Path and query as received.
    pub path: String,
    /// 0 for lists, the account and tokens.
    pub talk_id: i64,
    /// The response's status. 0 if the connection was dropped or is still open.
    pub status: u16,
    /// The header `User-Agent`.
    pub user_agent: String,
    /// The header `Accept-Encoding`.
    pub accept_encoding: String,
}

/// A request to close a talk, as the server saw it.
#[derive(Debug, Clone)]
pub struct CloseRequest {
    /// When it arrived.
    pub at: Instant,
    /// The talk's id in the API.
    pub talk_id: i64,
    /// Whether the talk is closed without waiting for the NPS bot.
    pub force_close: bool,
    /// The talk at the time of the request, if it exists.
    pub talk: Option<Talk>,
    /// When the talk was last shown, and its state then.
    pub shown: Option<(Instant, Talk)>,
    /// Whether it closed the talk or started the NPS bot.
    pub effective: bool,
}

/// The state of the account, and the planned faults.
#[derive(Debug)]
pub struct Account {
    /// The account's id in the API.
    pub account_id: i64,
    /// The name in `GET /api/v4/account`.
    pub name: String,
    /// By id.
    pub talks: BTreeMap<i64, Talk>,
    /// The accepted token.
    pub token: String,
    /// The access tokens of an integration, which are accepted too.
    pub oauth: OAuth,
    /// How many requests are answered in any second. Further ones get 429.
    pub limit: usize,
    /// After this many 429s everything gets 403, until a person lifts the block.
    pub block_after: u64,
    /// How long a response takes.
    pub latency: Duration,
    /// Happens to every request while it is set.
    pub always: Option<Fault>,
    /// What happens to the next requests of a talk, in order.
    pub scripted: HashMap<i64, VecDeque<Fault>>,
    /// What happens to the next close requests of a talk, in order.
    pub scripted_close: HashMap<i64, VecDeque<Fault>>,
    /// The events, in any order: the endpoint sorts them by time.
    pub events: Vec<TalkEvent>,
    /// Happens to every request of the listing while it is set.
    pub list_fault: Option<Fault>,
    /// Happens to every request of the events while it is set.
    pub events_fault: Option<Fault>,
    /// The users, by id.
    pub users: BTreeMap<i64, User>,
    /// The pipelines, by id.
    pub pipelines: BTreeMap<i64, Pipeline>,
    /// The leads of the talks, by id.
    pub leads: BTreeMap<i64, Lead>,
    /// The names of the contacts, by id.
    pub contacts: BTreeMap<i64, String>,
    /// Happens to every request of a list of names while it is set.
    pub name_faults: HashMap<NameList, Fault>,
    /// A request that names one of these leads or contacts gets a web page.
    pub spoilt: HashSet<i64>,
    /// What happens to the next requests of a list of names, in order.
    pub scripted_names: HashMap<NameList, VecDeque<Fault>>,
    /// Happens to every request of the account while it is set.
    pub account_fault: Option<Fault>,
    /// What happens to the next requests of the listing, in order.
    pub scripted_list: VecDeque<Fault>,
    /// What happens to the next requests of the events, in order.
    pub scripted_events: VecDeque<Fault>,
    /// The listing also shows closed talks, the events also show older ones, and the leads and contacts all others.
    pub ignores_filter: bool,
    /// Later pages of the events are refused with a 400.
    pub last_events_page: Option<u64>,
    /// The listing and the users always show their first page, and name a next one.
    pub ignores_page: bool,
    /// Called after each page of the listing, so that tests can change talks while it is read.
    pub after_page: Option<PageHook>,
    /// Random faults.
    pub storm: Option<Storm>,
    /// Talks come, are missed and are answered on their own.
    pub alive: bool,
    /// The last event in an account that is alive.
    pub last_event: String,
    /// Each request in order of arrival. Only kept with [`Account::keep_log`].
    pub log: Vec<Request>,
    /// Whether requests are kept for tests to read.
    pub keep_log: bool,
    /// How many 429s were sent for exceeding [`Account::limit`].
    pub violations: u64,
    /// How often a talk, the listing or the events were requested while they were being answered.
    pub overlaps: u64,
    /// The maximum number of concurrent requests.
    pub most_in_flight: usize,
    /// Each accepted request to close a talk, in order.
    pub closes: Vec<CloseRequest>,
    /// Without `force_close` the NPS bot starts, and the talk stays open.
    pub nps_bot: bool,
    /// How far the server's clock is ahead of the real time, in seconds.
    pub clock_ahead: i64,
    shown: HashMap<i64, (Instant, Talk)>,
    recent: VecDeque<Instant>,
    in_flight: HashMap<server::Endpoint, usize>,
    emitted: u64,
    pub(crate) rng: fastrand::Rng,
}

impl Account {
    /// An account with the talks 1 to `talks` of all kinds, the same each time.
    pub fn with_talks(talks: i64) -> Account {
        let mut account = Account {
            account_id: ACCOUNT_ID,
            name: "Simulated".into(),
            talks: BTreeMap::new(),
            token: TOKEN.into(),
            oauth: OAuth::default(),
            limit: 7,
            block_after: 1000,
            latency: Duration::ZERO,
            always: None,
            scripted: HashMap::new(),
            scripted_close: HashMap::new(),
            events: Vec::new(),
            list_fault: None,
            events_fault: None,
            users: names::users(),
            pipelines: names::pipelines(),
            leads: BTreeMap::new(),
            contacts: BTreeMap::new(),
            name_faults: HashMap::new(),
            spoilt: HashSet::new(),
            scripted_names: HashMap::new(),
            account_fault: None,
            scripted_list: VecDeque::new(),
            scripted_events: VecDeque::new(),
            ignores_filter: false,
            last_events_page: None,
            ignores_page: false,
            after_page: None,
            storm: None,
            alive: false,
            last_event: String::new(),
            log: Vec::new(),
            keep_log: true,
            violations: 0,
            overlaps: 0,
            most_in_flight: 0,
            closes: Vec::new(),
            nps_bot: false,
            clock_ahead: 0,
            shown: HashMap::new(),
            recent: VecDeque::new(),
            in_flight: HashMap::new(),
            emitted: 0,
            rng: fastrand::Rng::with_seed(7),
        };
        for _ in 0..talks {
            account.create_past_talk();
        }
        account
    }

    /// Makes it another account, with the same talks.
    pub fn renumber(&mut self, account_id: i64) {
        self.account_id = account_id;
        self.talks.values_mut().for_each(|talk| talk.account_id = account_id);
    }

    /// Sets another random seed.
    pub fn reseed(&mut self, seed: u64) {
        self.rng = fastrand::Rng::with_seed(seed);
    }

    /// Sets the faults of the next requests of a talk.
    pub fn script(&mut self, talk_id: i64, faults: impl IntoIterator<Item = Fault>) {
        self.scripted.entry(talk_id).or_default().extend(faults);
    }

    /// Sets the faults of the next close requests of a talk.
    pub fn script_close(&mut self, talk_id: i64, faults: impl IntoIterator<Item = Fault>) {
        self.scripted_close.entry(talk_id).or_default().extend(faults);
    }

    /// Adds a talk that was missed `missed_ago` seconds ago and has not changed since. Returns its id.
    pub fn create_missed(&mut self, missed_ago: i64) -> i64 {
        let talk_id = self.create_talk();
        let at = clock::unix_now() - missed_ago;
        let talk = self.talk(talk_id);
        (talk.created_at, talk.updated_at, talk.missed_at) = (at - 60, at, Some(at));
        talk_id
    }

    /// How many close requests there were for a talk, and how many of them had an effect.
    pub fn closes_of(&self, talk_id: i64) -> (usize, usize) {
        let of: Vec<_> = self.closes.iter().filter(|close| close.talk_id == talk_id).collect();
        (of.len(), of.iter().filter(|close| close.effective).count())
    }

    /// The talk, which must exist.
    pub fn talk(&mut self, talk_id: i64) -> &mut Talk {
        self.talks.get_mut(&talk_id).expect("the talk is simulated")
    }

    /// Requests for a talk so far.
    pub fn requests_of(&self, talk_id: i64) -> usize {
        self.log.iter().filter(|request| request.talk_id == talk_id).count()
    }

    /// Requests for the listing so far.
    pub fn list_requests(&self) -> usize {
        self.requests_at(LIST)
    }

    /// Requests for the events so far.
    pub fn events_requests(&self) -> usize {
        self.requests_at(EVENTS)
    }

    /// Requests for a list of names so far.
    pub fn name_requests(&self, list: NameList) -> usize {
        self.requests_at(list.path())
    }

    /// Requests so far, without those for the account, which each process makes.
    pub fn requests(&self) -> usize {
        self.log.len() - self.account_requests()
    }

    /// Requests for the account so far.
    pub fn account_requests(&self) -> usize {
        self.requests_at(ACCOUNT)
    }

    fn requests_at(&self, path: &str) -> usize {
        self.log.iter().filter(|request| request.path.split('?').next() == Some(path)).count()
    }

    /// The maximum number of requests in any second so far.
    pub fn most_in_a_second(&self) -> usize {
        let times: Vec<Instant> = self.log.iter().map(|request| request.at).collect();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in times.iter().enumerate() {
            while at.duration_since(times[first]) >= Duration::from_secs(1) {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }
}
