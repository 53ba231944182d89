//! What `check` says of the token, and of whose account answers it.

use super::{Bad, Report, Verdict};
use crate::amocrm::{Client, Failure, Kind, Token};
use crate::cli::run::runtime;
use crate::clock::unix_now;
use crate::config::Config;
use crate::policy::tokens::Expiry;
use crate::store::account::{self, AccountName};
use crate::store::{self, report};
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

/// Asks the API whose account it is, and says whether it takes the token.
pub(super) fn api(config: &Config, report: &mut Report) -> Result<()> {
    let asking = match prepare(config) {
        Ok(asking) => asking,
        Err(bad) => return report.verdict("token", Err(bad)),
    };
    let told = tell(&asking, known(config), report);
    // A name that is being looked up must not hold up the exit.
    asking.runtime.shutdown_background();
    told
}

fn tell(
    asking: &Asking<'_>,
    (expected, talk_id): (Option<AccountName>, i64),
    report: &mut Report,
) -> Result<()> {
    match asking.runtime.block_on(asking.client.account()) {
        Ok(found) => {
            let name = AccountName {
                account_id: found.account_id,
                name: found.name,
                base_url: Some(asking.host.to_owned()),
            };
            report.verdict("token", asking.accepted())?;
            report.verdict("account", account(expected, name, "by GET /api/v4/account"))
        }
        // Whether talks are shown to this token says as much of it.
        Err(failure) if says_nothing(&failure) => by_a_talk(asking, expected, talk_id, report),
        Err(failure) => report.verdict("token", asking.refused(&failure)),
    }
}

/// The account does not say whose it is; it may serve talks all the same.
fn says_nothing(failure: &Failure) -> bool {
    !matches!(
        failure.kind,
        Kind::Unauthorized | Kind::Unpaid | Kind::RateLimited | Kind::NoAnswer | Kind::Transient
    )
}

/// By what the token says of itself, else by a stored talk that is shown.
fn by_a_talk(
    asking: &Asking<'_>,
    expected: Option<AccountName>,
    talk_id: i64,
    report: &mut Report,
) -> Result<()> {
    let named = |account_id| AccountName { account_id, name: None, base_url: Some(asking.host.to_owned()) };
    let shown = asking.runtime.block_on(asking.client.fetch_talk(talk_id, None));
    let of_talk = shown.as_ref().ok().map(|fetched| fetched.talk.account_id);
    let verdict = match &shown {
        Ok(_) => asking.accepted(),
        Err(error) if matches!(error.failure.kind, Kind::Gone | Kind::Denied) => asking.accepted(),
        Err(error) => asking.refused(&error.failure),
    };
    report.verdict("token", verdict)?;
    let verdict = match (asking.token.account_id(), of_talk) {
        (Some(account_id), _) => account(expected, named(account_id), "by the token"),
        (None, Some(account_id)) => account(expected, named(account_id), &format!("by talk {talk_id}")),
        (None, None) if expected.is_none() => Ok("not known yet: the first talk shows it".into()),
        (None, None) => {
            Err("the account that answers is not confirmed: GET /api/v4/account names none, the token names none, and no \
                             stored talk was returned; the daemon ignores 404, 403 and 204 until it is"
                .to_owned()
                .into())
        }
    };
    report.verdict("account", verdict)
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
    let runtime = runtime().map_err(|error| format!("{error:#}"))?;
    Ok(Asking { host, client, token, expiry, runtime })
}

impl Asking<'_> {
    fn accepted(&self) -> Verdict {
        Ok(format!("{} accepts it{}", self.host, self.expiry))
    }

    fn refused(&self, failure: &Failure) -> Verdict {
        let expiry = if failure.kind == Kind::Unauthorized { &*self.expiry } else { "" };
        Err(format!("{}: {failure}{expiry}", self.host).into())
    }
}

/// The account that is mirrored, and a talk to ask for: a stored one, if there is any.
fn known(config: &Config) -> (Option<AccountName>, i64) {
    let Ok(connection) = store::open_read_only(&config.database) else { return (None, 1) };
    let talk_id = report::known_talks(&connection).ok().and_then(|talks| talks.first().copied());
    (account::name(&connection).ok().flatten(), talk_id.unwrap_or(1))
}
