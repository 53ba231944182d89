//! The API token in use: taken over when its file is replaced, renewed with OAuth, and announced before it ends.
//!
//! A renewal is a request like any other, ahead of all of them. It promises that a pair is on the disk before
//! its first use, that nothing leaves with a token that is known to be refused while a new one is under way,
//! and that a pair is renewed by one task at a time.

use crate::amocrm::oauth::{Issuer, Pair, Renewal, Saved};
use crate::amocrm::{Client, Failure, Kind, Token};
use crate::clock::{self, Now, UnixSeconds};
use crate::gate::Signal;
use crate::policy::tokens::{self as policy, Expiry};
use crate::store::tokens::{OAuthStatus, TokenStatus};
use crate::text::shown;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While another process changes the same tokens it is asked again so often, …
const BUSY_INTERVAL: Duration = Duration::from_secs(1);
/// … and no longer than this: it hangs.
const BUSY_LIMIT: Duration = Duration::from_secs(90);

/// See the module's text.
#[derive(Debug)]
pub(super) struct TokenManager {
    token: Token,
    /// Counts the tokens that were in use.
    epoch: u64,
    /// With OAuth.
    issuer: Option<Issuer>,
    /// A renewal is under way.
    renewing: bool,
    /// It is of a token which has been replaced since.
    orphan: bool,
    /// The API has refused the token in use, and it is to be renewed for that.
    refused: bool,
    /// Since when another process holds the tokens.
    busy_since: Option<Instant>,
    /// When a refused token was last the reason to renew.
    for_refusal: Option<Instant>,
    /// Renewals for that since the last response of use.
    in_vain: u32,
    /// No renewal before then.
    not_before: Option<Instant>,
    /// Renewals that failed in a row, in a way that may pass.
    attempts: u32,
    /// Why the last renewal failed.
    error: Option<String>,
    /// A person is needed.
    needs_login: bool,
    file_error: FileError,
    /// When the end was last announced.
    announced_at: Option<UnixSeconds>,
    /// What the database holds.
    written: Option<TokenStatus>,
}

/// What is wrong with what lies in the place of the token's file.
#[derive(Debug, Default)]
struct FileError {
    why: Option<String>,
    /// It is in the journal.
    reported: bool,
}

/// What a renewal leads to.
#[derive(Debug)]
pub(super) enum Renewed {
    /// A new token is in use. `signal` is what that shows.
    InUse(Signal),
    /// Nothing: what came is of no use, or somebody else is renewing.
    Nothing,
    /// It failed.
    Failed { signal: Signal, failure: Failure },
    /// A person is needed: `failure` names the remedy.
    NeedsLogin { signal: Signal, failure: Failure },
}

impl TokenManager {
    pub(super) fn new(token: Token, client: &Client) -> TokenManager {
        report_warnings(&token);
        // An address that was checked takes every path.
        let issuer = token.pair().and_then(|(integration, _)| client.issuer(Arc::clone(integration)).ok());
        TokenManager {
            token,
            epoch: 0,
            issuer,
            renewing: false,
            orphan: false,
            refused: false,
            busy_since: None,
            for_refusal: None,
            in_vain: 0,
            not_before: None,
            attempts: 0,
            error: None,
            needs_login: false,
            file_error: FileError::default(),
            announced_at: None,
            written: None,
        }
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// Counts the tokens that were in use: a response to a request of another epoch shows nothing of this one.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The next epoch begins, with the token in use.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
    }

    /// Uses a token from elsewhere from now on. False if it is from the same place: then it is read from there.
    pub(super) fn replace(&mut self, token: Token, client: &Client) -> bool {
        if token.has_same_source(&self.token) {
            return false;
        }
        let (epoch, orphan) = (self.epoch, self.renewing);
        *self = TokenManager { epoch, renewing: orphan, orphan, ..TokenManager::new(token, client) };
        true
    }

    /// Reads the token's file again, whether or not it looks changed.
    pub(super) fn reread(&mut self) {
        if self.token.reread() {
            self.start_over();
        }
        self.not_before = None;
    }

    /// Looks whether the token's file was replaced, and reports what is wrong with it and when the token ends. True if a
    /// new token is in use.
    pub(super) fn check(&mut self, now: Now) -> bool {
        // A renewal that is under way replaces it itself.
        let is_new = !self.renewing && self.token.refresh();
        if is_new {
            tracing::info!("the API token was replaced: using the new one");
            self.start_over();
            report_warnings(&self.token);
        }
        self.report_file_error();
        self.announce_end(now.secs());
        is_new
    }

    /// What the database is to hold, if that is something else now.
    pub(super) fn changed_status(&mut self) -> Option<TokenStatus> {
        let status = TokenStatus {
            expires_at: self.token.expires_at(),
            oauth: self.token.pair().map(|(_, pair)| OAuthStatus {
                refreshed_at: pair.obtained_at,
                trouble: self.error.clone(),
                refused: self.needs_login,
            }),
        };
        (self.written.as_ref() != Some(&status)).then(|| {
            self.written = Some(status.clone());
            status
        })
    }

    /// Reports something that is no token in its place: with the next start it would be missed. A file that is being
    /// replaced is checked twice.
    fn report_file_error(&mut self) {
        let why = self.token.read_error().filter(|_| !self.renewing).map(str::to_owned);
        if why != self.file_error.why {
            self.file_error = FileError { why, reported: false };
            return;
        }
        if let (Some(why), false) = (&why, self.file_error.reported) {
            let place = self.token.place();
            tracing::warn!(
                "the API token in use is kept, as there is no other in {}: {}",
                shown(&place),
                shown(why)
            );
            self.file_error.reported = true;
        }
    }

    /// Announces the end of a token that a person must replace.
    fn announce_end(&mut self, now: UnixSeconds) {
        let Some(at) = self.token.expires_at().filter(|_| self.token.pair().is_none()) else { return };
        let expiry = Expiry::of(at, now);
        if matches!(expiry, Expiry::Far(_)) || !policy::is_reminder_due(self.announced_at, now) {
            return;
        }
        self.announced_at = Some(now);
        let place = self.token.place();
        let action = format!("make a new one in the integration's settings and put it in {place}");
        match expiry {
            Expiry::Over(_) => tracing::error!(expires_at = at.get(), "the API token {expiry}: {action}"),
            _ => tracing::warn!(expires_at = at.get(), "the API token {expiry}: {action}"),
        }
    }

    /// Whether a renewal is to leave now.
    pub(super) fn is_due(&self, now: Now) -> bool {
        let Some((_, pair)) = self.token.pair() else { return false };
        let allowed =
            self.issuer.is_some() && !self.renewing && self.not_before.is_none_or(|at| at <= now.mono);
        let wanted = self.refused
            || self.needs_login
            || self.attempts > 0
            || policy::is_renewal_due(pair.obtained_at, pair.expires_at, now.unix);
        allowed && wanted
    }

    /// Nothing else may leave: the token in use is refused, and a new one is to come.
    pub(super) fn is_awaited(&self, now: Now) -> bool {
        let ended = |at: UnixSeconds| at <= now.secs();
        self.refused || self.renewing && self.token.expires_at().is_some_and(ended)
    }

    /// A renewal is under way.
    pub(super) fn is_renewing(&self) -> bool {
        self.renewing
    }

    /// What a 401 to the token in use shows: nothing, if a new token is to be had at once.
    pub(super) fn refusal(&mut self, now: Now) -> Signal {
        if self.token.pair().is_none() {
            return Signal::Unauthorized;
        }
        if self.refused || self.renewing {
            self.refused = true;
            return Signal::Inconclusive;
        }
        let since = self.for_refusal.map(|at| now.mono.saturating_duration_since(at));
        let waits = self.not_before.is_some_and(|at| at > now.mono);
        if waits || !policy::may_renew_for_refusal(since, self.in_vain) {
            return Signal::Unauthorized;
        }
        tracing::info!("the API no longer accepts the token: renewing it");
        self.for_refusal = Some(now.mono);
        self.in_vain = self.in_vain.saturating_add(1);
        self.refused = true;
        Signal::Inconclusive
    }

    /// The request for a new pair leaves.
    pub(super) fn begin_renewal(&mut self) -> Option<(Issuer, Pair)> {
        let (issuer, (_, pair)) = self.issuer.clone().zip(self.token.pair())?;
        let pair = pair.clone();
        self.renewing = true;
        Some((issuer, pair))
    }

    /// Acts on what came of a renewal. `paused_for_refusal`: everything pauses because the token is refused; `paused`: it
    /// pauses for whatever reason.
    pub(super) fn renewed(
        &mut self,
        renewal: Renewal,
        paused_for_refusal: bool,
        paused: bool,
        now: Now,
    ) -> Renewed {
        self.renewing = false;
        if std::mem::take(&mut self.orphan) {
            // What came is in its store; if that is still ours, it is taken over from there.
            return Renewed::Nothing;
        }
        let busy_since = self.busy_since.take();
        let rejected = |why: String| Failure::new(Kind::Rejected, why);
        match renewal {
            Renewal::Renewed(Saved { pair, stamp }) => {
                let life = clock::duration(pair.expires_at.seconds_since(pair.obtained_at));
                tracing::info!(expires_at = pair.expires_at.get(), "renewed the API token, for {life}");
                self.token.adopt(pair, stamp);
                self.start_over();
                // Whether the API accepts it shows with a talk: that ends a pause, and is a response of use.
                Renewed::InUse(if paused_for_refusal { Signal::Inconclusive } else { Signal::Healthy })
            }
            Renewal::Elsewhere(pair, stamp) => {
                tracing::info!("the API token was replaced: using the new one");
                self.token.adopt(pair, stamp);
                self.start_over();
                Renewed::InUse(Signal::Inconclusive)
            }
            Renewal::Busy
                if busy_since.is_some_and(|at| now.mono.saturating_duration_since(at) > BUSY_LIMIT) =>
            {
                let failure = rejected("another process holds the lock on the tokens: does it hang?".into());
                self.try_later(failure, paused_for_refusal, paused, now)
            }
            Renewal::Busy => {
                self.busy_since = busy_since.or(Some(now.mono));
                self.not_before = Some(now.mono + BUSY_INTERVAL);
                Renewed::Nothing
            }
            Renewal::NotStored(why) => {
                let failure = rejected(format!("the new token cannot be stored: {why}"));
                self.try_later(failure, paused_for_refusal, paused, now)
            }
            Renewal::Failed(failure) if failure.kind == Kind::Unauthorized => {
                self.access_revoked(failure, paused_for_refusal, now)
            }
            Renewal::Failed(failure) => self.try_later(failure, paused_for_refusal, paused, now),
        }
    }

    /// A response of use has come with the token.
    pub(super) fn works(&mut self) {
        self.in_vain = 0;
    }

    /// With another client, for renewals too.
    pub(super) fn use_client(&mut self, client: &Client) {
        let integration = self.token.pair().map(|(integration, _)| Arc::clone(integration));
        self.issuer = integration.and_then(|integration| client.issuer(integration).ok());
    }

    /// A new token is in use: what was known of the one before is no longer so.
    fn start_over(&mut self) {
        self.refused = false;
        self.not_before = None;
        self.attempts = 0;
        self.error = None;
        self.needs_login = false;
        self.announced_at = None;
    }

    /// The account gives us no tokens any more: a person is needed.
    fn access_revoked(&mut self, mut failure: Failure, paused_for_refusal: bool, now: Now) -> Renewed {
        let was_refused = std::mem::take(&mut self.refused) || paused_for_refusal;
        failure.detail = format!(
            "the account has revoked talkmirror's access: run `talkmirror login` (no new token: {})",
            failure.detail
        );
        if !std::mem::replace(&mut self.needs_login, true) {
            tracing::error!(request_id = failure.request_id.as_deref(), "{}", shown(&failure.to_string()));
        }
        self.error = Some(failure.detail.clone());
        self.attempts = 0;
        self.not_before = Some(now.mono + policy::REFUSED_RETRY);
        // A token that the API still accepts is used to its end.
        let signal = if was_refused { Signal::Refused } else { Signal::Inconclusive };
        Renewed::NeedsLogin { signal, failure }
    }

    /// It may pass: the token stays in use while it is accepted.
    fn try_later(&mut self, failure: Failure, paused_for_refusal: bool, paused: bool, now: Now) -> Renewed {
        let was_refused = std::mem::take(&mut self.refused) || paused_for_refusal;
        self.attempts = self.attempts.saturating_add(1);
        let wait = match self.needs_login {
            true => policy::REFUSED_RETRY,
            false => policy::renewal_backoff(self.attempts).max(failure.retry_after.unwrap_or_default()),
        };
        self.not_before = Some(now.mono + wait);
        if !self.needs_login {
            if self.error.as_deref() != Some(&failure.detail) {
                tracing::warn!(
                    request_id = failure.request_id.as_deref(),
                    "the API token could not be renewed, retry in {} s: {}",
                    wait.as_secs(),
                    shown(&failure.to_string())
                );
            }
            self.error = Some(failure.detail.clone());
        }
        let signal = match failure.kind {
            Kind::RateLimited => Signal::RateLimited(failure.retry_after),
            Kind::Unpaid => Signal::Unpaid,
            _ if was_refused => Signal::Refused,
            Kind::Forbidden => Signal::Forbidden,
            // In a pause it shows that it is not over; else nothing: talks are still answered.
            Kind::Transient if paused => Signal::Transient,
            Kind::NoAnswer if paused => Signal::NoAnswer,
            _ => Signal::Inconclusive,
        };
        let failure = match was_refused {
            true => Failure { detail: format!("it could not be renewed: {failure}"), ..failure },
            false => failure,
        };
        Renewed::Failed { signal, failure }
    }
}

fn report_warnings(token: &Token) {
    for warning in token.warnings() {
        tracing::warn!("{}", shown(warning));
    }
}
