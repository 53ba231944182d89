//! What `check` reports on the token, the account, and a pause.

use super::{CheckResult, Fault, Report};
use crate::amocrm::{Client, Failure, Kind, Token};
use crate::cli::resume::named;
use crate::cli::run::runtime;
use crate::clock::unix_now;
use crate::config::Config;
use crate::gate::Reason;
use crate::policy::tokens::Expiry;
use crate::report::Overview;
use crate::report::humanize;
use crate::store::account::{self, AccountName};
use crate::store::status::Liveness;
use crate::store::story;
use crate::store::{self, lock};
use crate::talk::TalkId;
use crate::worker::WorkError;
use anyhow::Result;
use tokio::runtime::Runtime;

/// What is needed to query the API.
struct ApiAccess<'a> {
    host: &'a str,
    client: Client,
    token: Token,
    /// How long the token is valid, as the end of a sentence.
    expiry: String,
    runtime: Runtime,
}

/// Facts from the database.
struct StoredFacts {
    /// The mirrored account.
    account: Option<AccountName>,
    /// Talks to fetch until one succeeds. At least one.
    talks: Vec<TalkId>,
    pause: Option<StoredPause>,
}

/// A pause stored in the database.
struct StoredPause {
    text: String,
    reason: Option<Reason>,
}

/// A request and its result: the account of the fetched talk.
struct Attempt {
    what: String,
    answer: Result<i64, Failure>,
}

impl Attempt {
    /// The API accepts this token, whatever it returned for the talk.
    fn is_answered(&self) -> bool {
        self.answer.as_ref().map_or_else(is_answer, |_| true)
    }

    /// Every other request would fail too, at least for now.
    fn affects_all(&self) -> bool {
        self.answer.as_ref().is_err_and(|failure| affects_all(failure) || failure.kind == Kind::NoAnswer)
    }
}

/// Queries the API, then reports on the account, the token, and whether the reason of a pause still holds. Returns the
/// account that answers, if it names itself.
pub(super) fn api(config: &Config, overview: Option<&Overview>, report: &mut Report) -> Result<Option<i64>> {
    let access = match prepare(config) {
        Ok(access) => access,
        Err(bad) => return report.verdict("token", Err(bad)).map(|()| None),
    };
    let reported = report_verdicts(&access, &known(config, overview), report);
    // A pending DNS lookup must not delay the exit.
    access.runtime.shutdown_background();
    reported
}

fn report_verdicts(access: &ApiAccess<'_>, known: &StoredFacts, report: &mut Report) -> Result<Option<i64>> {
    let mut answering = None;
    let attempt = match access.runtime.block_on(access.client.account()) {
        Ok(found) => {
            answering = Some(found.account_id);
            let name = AccountName {
                account_id: found.account_id,
                name: found.name,
                base_url: Some(access.host.to_owned()),
            };
            report.verdict("token", access.accepted())?;
            report.verdict("account", account(known.account.clone(), name, "by GET /api/v4/account"))?;
            None
        }
        Err(failure) if affects_all(&failure) => {
            report.verdict("token", access.refused(&failure))?;
            Some(Attempt { what: "GET /api/v4/account".into(), answer: Err(failure) })
        }
        // As in the daemon: the token's claims, or a talk that it can fetch, identify the account too.
        Err(failure) => Some(identify_by_talk(access, known, &failure, report)?),
    };
    if let Some(pause) = &known.pause {
        // The account may be served while talks are not.
        let attempt = attempt.unwrap_or_else(|| access.talk(known.talks[0]));
        report.verdict("pause", paused(pause, &attempt))?;
    }
    Ok(answering)
}

/// The API itself responds, specifically to this request.
fn is_answer(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Gone | Kind::Denied)
}

/// Every request with this token gets the same response.
fn affects_all(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited)
}

/// Identifies the account by the token's claim, else by a stored talk that can be fetched. Returns the last
/// attempt. `failure` is the account request's.
fn identify_by_talk(
    access: &ApiAccess<'_>,
    known: &StoredFacts,
    failure: &Failure,
    report: &mut Report,
) -> Result<Attempt> {
    let claimed = access.token.account_id();
    let mut answered = false;
    let mut last = access.talk(known.talks[0]);
    for talk_id in &known.talks[1..] {
        answered |= last.is_answered();
        // With a token that names its account, any response of the API is enough.
        if last.answer.is_ok() || last.affects_all() || (answered && claimed.is_some()) {
            break;
        }
        last = access.talk(*talk_id);
    }
    answered = (answered || last.is_answered()) && !last.affects_all();
    report.verdict("token", if answered { access.accepted() } else { access.unanswered(failure, &last) })?;
    let of_id = |account_id| AccountName { account_id, name: None, base_url: Some(access.host.to_owned()) };
    let shown = last.answer.as_ref().ok().copied();
    let is_ours = |account_id| known.account.as_ref().is_none_or(|known| known.account_id == account_id);
    let expected = known.account.clone();
    let verdict = match (claimed, shown) {
        (Some(account_id), _) if answered || !is_ours(account_id) => {
            account(expected, of_id(account_id), "by the token")
        }
        (None, Some(account_id)) => account(expected, of_id(account_id), &format!("by {}", last.what)),
        // Nothing responded. The token's verdict reports it.
        _ if !answered => return Ok(last),
        _ if expected.is_none() => Ok("not known yet: the first talk shows it".into()),
        _ => {
            Err("the account that answers is not confirmed: GET /api/v4/account names none, the token names \
                 none, and no stored talk was returned; until it is confirmed, the daemon ignores 404, 403 \
                 and 204"
                .to_owned()
                .into())
        }
    };
    report.verdict("account", verdict)?;
    Ok(last)
}

/// Whether the reason of a pause still holds.
fn paused(StoredPause { text, reason }: &StoredPause, Attempt { what, answer }: &Attempt) -> CheckResult {
    match answer {
        // This is the reason of the pause.
        Err(failure) if failure.kind == Kind::Gone && *reason == Some(Reason::ManyGone) => {
            Err(format!("{text}; {what}: {failure}").into())
        }
        Err(failure) if !is_answer(failure) => Err(format!("{text}; {what}: {failure}").into()),
        _ => Ok(format!("{text}; but the API answers {what}: `talkmirror resume` ends the pause")),
    }
}

/// The account found must be the mirrored one.
fn account(expected: Option<AccountName>, found: AccountName, why: &str) -> CheckResult {
    match expected {
        Some(expected) if expected.account_id != found.account_id => {
            Err(Fault::permanent(WorkError::OtherAccount { expected, found }.to_string()))
        }
        Some(_) => Ok(format!("{found} answers ({why}), as in the database")),
        None => Ok(format!("{found} answers ({why}); the database has no account yet")),
    }
}

fn prepare(config: &Config) -> Result<ApiAccess<'_>, Fault> {
    let now = unix_now();
    let host = config.api.base_url.as_str().trim_end_matches('/');
    let source = config.api.token.clone().ok_or_else(|| "none".to_owned())?;
    let token = Token::read(source)?;
    if let Some(warning) = token.warnings().first() {
        return Err(warning.clone().into());
    }
    let expiry = token.expires_at().map(|at| Expiry::of(at, now));
    if token.pair().is_some()
        && let Some(over @ Expiry::Over(_)) = expiry
    {
        let why = "the daemon renews it by itself, and so does `talkmirror sync`";
        return Err(format!("not tried: the access token {over}; {why}").into());
    }
    let by_itself = if token.pair().is_some() { " and is renewed by itself" } else { "" };
    let expiry = expiry.map_or(String::new(), |expiry| format!("; it {expiry}{by_itself}"));
    let client = Client::new(&config.api.client(), &token).map_err(|failure| failure.to_string())?;
    let runtime = runtime().map_err(|error| humanize::causes(error.as_ref()))?;
    Ok(ApiAccess { host, client, token, expiry, runtime })
}

impl ApiAccess<'_> {
    fn accepted(&self) -> CheckResult {
        Ok(format!("{} accepts it{}", self.host, self.expiry))
    }

    fn talk(&self, talk_id: TalkId) -> Attempt {
        let fetch = || self.runtime.block_on(self.client.fetch_talk(talk_id, None));
        // A connection that the server was just closing is not a failure.
        let fetched = match fetch() {
            Err(error) if error.failure.repeatable => fetch(),
            fetched => fetched,
        };
        let answer = fetched.map(|fetched| fetched.talk.account_id).map_err(|error| error.failure);
        Attempt { what: format!("talk {talk_id}"), answer }
    }

    /// Neither the account nor a talk request got a response.
    fn unanswered(&self, account: &Failure, last: &Attempt) -> CheckResult {
        match &last.answer {
            Err(failure) if failure.detail != account.detail && !affects_all(failure) => {
                let (host, what) = (self.host, &last.what);
                Err(format!("{host}: GET /api/v4/account: {account}; {what}: {failure}").into())
            }
            Err(failure) => self.refused(failure),
            Ok(_) => self.accepted(),
        }
    }

    fn refused(&self, failure: &Failure) -> CheckResult {
        let expiry = if failure.kind == Kind::Unauthorized { &*self.expiry } else { "" };
        Err(format!("{}: {failure}{expiry}", self.host).into())
    }
}

/// Without a stored talk, talk 1 is requested: any response shows whether the token is accepted.
fn known(config: &Config, overview: Option<&Overview>) -> StoredFacts {
    let mut known =
        StoredFacts { account: None, talks: Vec::new(), pause: overview.and_then(|it| pause(config, it)) };
    if let Ok(connection) = store::open_read_only(&config.database) {
        known.account = account::name(&connection).ok().flatten();
        known.talks = story::known_talks(&connection).unwrap_or_default();
    }
    if known.talks.is_empty() {
        known.talks.push(TalkId::new(1));
    }
    known
}

/// The pause stored in the database.
fn pause(config: &Config, overview: &Overview) -> Option<StoredPause> {
    let daemon = overview.daemon.as_ref()?;
    let pause = daemon.pause.as_ref()?;
    let alive = daemon.liveness(lock::is_held(&config.database), unix_now());
    let when = match alive {
        Liveness::Running | Liveness::Silent => "everything pauses",
        Liveness::Stopped | Liveness::Vanished => "everything paused when it last ran",
    };
    let text = format!("{when}: {}", named(pause));
    Some(StoredPause { text, reason: Reason::parse(&pause.reason) })
}
