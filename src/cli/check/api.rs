//! What `check` says of the token, of whose account answers it, and of a pause.

use super::{Bad, Report, Verdict};
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
use crate::worker::WorkError;
use anyhow::Result;
use tokio::runtime::Runtime;

/// What there is to ask with.
struct Asking<'a> {
    host: &'a str,
    client: Client,
    token: Token,
    /// How long the token is good for, as the end of a sentence.
    expiry: String,
    runtime: Runtime,
}

/// What the database says beforehand.
struct Known {
    /// The account that is mirrored.
    account: Option<AccountName>,
    /// Talks to ask for until one is shown; at least one.
    talks: Vec<i64>,
    pause: Option<Paused>,
}

/// A pause that the database knows of.
struct Paused {
    text: String,
    reason: Option<Reason>,
}

/// A request and its answer: whose talk was shown.
struct Tried {
    what: String,
    answer: Result<i64, Failure>,
}

impl Tried {
    /// The API answered this token, whatever it said of the talk.
    fn is_answered(&self) -> bool {
        self.answer.as_ref().map_or_else(is_answer, |_| true)
    }

    /// Nothing else would be answered either, or not soon.
    fn is_for_all(&self) -> bool {
        self.answer.as_ref().is_err_and(|failure| is_for_all(failure) || failure.kind == Kind::NoAnswer)
    }
}

/// Asks the API whose account it is, and says whether it takes the token, and whether a pause still has its reason.
pub(super) fn api(config: &Config, overview: Option<&Overview>, report: &mut Report) -> Result<()> {
    let asking = match prepare(config) {
        Ok(asking) => asking,
        Err(bad) => return report.verdict("token", Err(bad)),
    };
    let told = tell(&asking, &known(config, overview), report);
    // A name that is being looked up must not hold up the exit.
    asking.runtime.shutdown_background();
    told
}

fn tell(asking: &Asking<'_>, known: &Known, report: &mut Report) -> Result<()> {
    let tried = match asking.runtime.block_on(asking.client.account()) {
        Ok(found) => {
            let name = AccountName {
                account_id: found.account_id,
                name: found.name,
                base_url: Some(asking.host.to_owned()),
            };
            report.verdict("token", asking.accepted())?;
            report.verdict("account", account(known.account.clone(), name, "by GET /api/v4/account"))?;
            None
        }
        Err(failure) if is_for_all(&failure) => {
            report.verdict("token", asking.refused(&failure))?;
            Some(Tried { what: "GET /api/v4/account".into(), answer: Err(failure) })
        }
        // As in the daemon: what the token says, and whether talks are shown to it, says as much.
        Err(failure) => Some(by_a_talk(asking, known, &failure, report)?),
    };
    if let Some(pause) = &known.pause {
        // The account may be answered while talks are not.
        let tried = tried.unwrap_or_else(|| asking.talk(known.talks[0]));
        report.verdict("pause", paused(pause, &tried))?;
    }
    Ok(())
}

/// The API answers for itself, and not to all alike.
fn is_answer(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Gone | Kind::Denied)
}

/// The answer is the same for each request with this token.
fn is_for_all(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited)
}

/// By what the token says of itself, else by a stored talk that is shown. Returns the last talk that was asked for;
/// `failure` is the account's.
fn by_a_talk(asking: &Asking<'_>, known: &Known, failure: &Failure, report: &mut Report) -> Result<Tried> {
    let claimed = asking.token.account_id();
    let mut answered = false;
    let mut last = asking.talk(known.talks[0]);
    for talk_id in &known.talks[1..] {
        answered |= last.is_answered();
        // With a token that says whose it is, any answer will do.
        if last.answer.is_ok() || last.is_for_all() || (answered && claimed.is_some()) {
            break;
        }
        last = asking.talk(*talk_id);
    }
    answered = (answered || last.is_answered()) && !last.is_for_all();
    report.verdict("token", if answered { asking.accepted() } else { asking.unanswered(failure, &last) })?;
    let of_id = |account_id| AccountName { account_id, name: None, base_url: Some(asking.host.to_owned()) };
    let shown = last.answer.as_ref().ok().copied();
    let is_ours = |account_id| known.account.as_ref().is_none_or(|known| known.account_id == account_id);
    let expected = known.account.clone();
    let verdict = match (claimed, shown) {
        (Some(account_id), _) if answered || !is_ours(account_id) => {
            account(expected, of_id(account_id), "by the token")
        }
        (None, Some(account_id)) => account(expected, of_id(account_id), &format!("by {}", last.what)),
        // Nobody answered: the token's verdict says it.
        _ if !answered => return Ok(last),
        _ if expected.is_none() => Ok("not known yet: the first talk shows it".into()),
        _ => {
            Err("the account that answers is not confirmed: GET /api/v4/account names none, the token names none, and no \
                             stored talk was returned; the daemon ignores 404, 403 and 204 until it is"
                .to_owned()
                .into())
        }
    };
    report.verdict("account", verdict)?;
    Ok(last)
}

/// Whether what began a pause is still so.
fn paused(Paused { text, reason }: &Paused, Tried { what, answer }: &Tried) -> Verdict {
    match answer {
        // That is what it pauses for.
        Err(failure) if failure.kind == Kind::Gone && *reason == Some(Reason::ManyGone) => {
            Err(format!("{text}; {what}: {failure}").into())
        }
        Err(failure) if !is_answer(failure) => Err(format!("{text}; {what}: {failure}").into()),
        _ => Ok(format!("{text}; but {what} is answered: `talkmirror resume` ends the pause")),
    }
}

/// What was found must be what the database mirrors.
fn account(expected: Option<AccountName>, found: AccountName, why: &str) -> Verdict {
    match expected {
        Some(expected) if expected.account_id != found.account_id => {
            Err(Bad::for_good(WorkError::OtherAccount { expected, found }.to_string()))
        }
        Some(_) => Ok(format!("{found} answers ({why}), as in the database")),
        None => Ok(format!("{found} answers ({why}); the database has no account yet")),
    }
}

fn prepare(config: &Config) -> Result<Asking<'_>, Bad> {
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
    Ok(Asking { host, client, token, expiry, runtime })
}

impl Asking<'_> {
    fn accepted(&self) -> Verdict {
        Ok(format!("{} accepts it{}", self.host, self.expiry))
    }

    fn talk(&self, talk_id: i64) -> Tried {
        let fetch = || self.runtime.block_on(self.client.fetch_talk(talk_id, None));
        // A connection that was just closing is no failure.
        let fetched = match fetch() {
            Err(error) if error.failure.repeatable => fetch(),
            fetched => fetched,
        };
        let answer = fetched.map(|fetched| fetched.talk.account_id).map_err(|error| error.failure);
        Tried { what: format!("talk {talk_id}"), answer }
    }

    /// Neither the account nor a talk was answered.
    fn unanswered(&self, account: &Failure, last: &Tried) -> Verdict {
        match &last.answer {
            Err(failure) if failure.detail != account.detail && !is_for_all(failure) => {
                let (host, what) = (self.host, &last.what);
                Err(format!("{host}: GET /api/v4/account: {account}; {what}: {failure}").into())
            }
            Err(failure) => self.refused(failure),
            Ok(_) => self.accepted(),
        }
    }

    fn refused(&self, failure: &Failure) -> Verdict {
        let expiry = if failure.kind == Kind::Unauthorized { &*self.expiry } else { "" };
        Err(format!("{}: {failure}{expiry}", self.host).into())
    }
}

/// Without a stored talk, the first is asked for: whatever comes of it shows whether the token is accepted.
fn known(config: &Config, overview: Option<&Overview>) -> Known {
    let mut known =
        Known { account: None, talks: Vec::new(), pause: overview.and_then(|it| pause(config, it)) };
    if let Ok(connection) = store::open_read_only(&config.database) {
        known.account = account::name(&connection).ok().flatten();
        known.talks = story::known_talks(&connection).unwrap_or_default();
    }
    if known.talks.is_empty() {
        known.talks.push(1);
    }
    known
}

/// The pause that the database knows of.
fn pause(config: &Config, overview: &Overview) -> Option<Paused> {
    let daemon = overview.daemon.as_ref()?;
    let pause = daemon.pause.as_ref()?;
    let alive = daemon.liveness(lock::is_held(&config.database), unix_now());
    let when = match alive {
        Liveness::Running | Liveness::Silent => "everything pauses",
        Liveness::Stopped | Liveness::Vanished => "everything paused when it last ran",
    };
    let text = format!("{when}: {}", named(pause));
    Some(Paused { text, reason: Reason::parse(&pause.reason) })
}
