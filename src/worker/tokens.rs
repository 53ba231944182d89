//! The API token in use: taken up anew when it was replaced, renewed with OAuth, and told of before it ends.
//!
//! A renewal is a request like any other, ahead of all of them. It promises that a pair is on the disk before
//! its first use, that nothing leaves with a token that is known to be refused while a new one is under way,
//! and that a pair is renewed by one task at a time.

use super::{Ended, Worker};
use crate::amocrm::oauth::{Issuer, Renewal, Saved};
use crate::amocrm::{Client, Failure, Kind, Token};
use crate::clock::{self, Now};
use crate::gate::{Permit, Reason, Signal, Source};
use crate::policy::tokens::{self as policy, Expiry};
use crate::store::tokens::{OAuthStatus, TokenStatus};
use crate::text::shown;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the token and its file are looked at.
const CHECK: Duration = Duration::from_secs(1);
/// While another process changes the same tokens it is asked again so often, …
const BUSY: Duration = Duration::from_secs(1);
/// … and no longer than this: it hangs.
const BUSY_FOR: Duration = Duration::from_secs(90);

/// What the worker knows of its token.
#[derive(Debug)]
pub(super) struct Tokens {
    pub token: Token,
    pub next_check: Instant,
    /// With OAuth.
    issuer: Option<Issuer>,
    /// A renewal is under way.
    renewing: bool,
    /// That is of a token which has been replaced since.
    orphan: bool,
    /// The API has refused the token in use, and it is to be renewed for that.
    refused: bool,
    /// Since when another process holds the tokens.
    busy_since: Option<Instant>,
    /// When a refused token was last the reason to renew.
    for_refusal: Option<Instant>,
    /// Renewals for that since the last answer of use.
    in_vain: u32,
    /// No renewal before then.
    not_before: Option<Instant>,
    /// Renewals that failed in a row, in a way that may pass.
    attempts: u32,
    /// The next one is to try the pair before the present one.
    try_previous: bool,
    /// Why the last renewal failed.
    trouble: Option<String>,
    /// A person is needed.
    needs_login: bool,
    /// What is wrong with what lies in the token's place, and whether the log said so.
    file_trouble: (Option<String>, bool),
    /// When the log last told of the end, in Unix seconds.
    told_at: Option<i64>,
    /// What the database says.
    written: Option<TokenStatus>,
}

impl Tokens {
    pub fn new(token: Token, client: &Client, now: Now) -> Tokens {
        for warning in token.warnings() {
            tracing::warn!("{}", shown(warning));
        }
        // An address that was checked takes every path.
        let issuer = token.pair().and_then(|(integration, _)| client.issuer(Arc::clone(integration)).ok());
        Tokens {
            token,
            next_check: now.mono,
            issuer,
            renewing: false,
            orphan: false,
            refused: false,
            busy_since: None,
            for_refusal: None,
            in_vain: 0,
            not_before: None,
            attempts: 0,
            try_previous: false,
            trouble: None,
            needs_login: false,
            file_trouble: (None, false),
            told_at: None,
            written: None,
        }
    }

    fn is_due(&self, now: Now) -> bool {
        let Some((_, pair)) = self.token.pair() else { return false };
        let allowed = !self.renewing && self.not_before.is_none_or(|at| at <= now.mono);
        let wanted = self.refused
            || self.try_previous
            || self.needs_login
            || self.attempts > 0
            || policy::is_renewal_due(pair.obtained_at, pair.expires_at, now.unix);
        allowed && wanted
    }

    /// A new token is in use: what was known of the one before is no longer so.
    fn begin_anew(&mut self) {
        self.refused = false;
        self.not_before = None;
        self.attempts = 0;
        self.try_previous = false;
        self.trouble = None;
        self.needs_login = false;
        self.told_at = None;
    }

    fn status(&self) -> TokenStatus {
        TokenStatus {
            expires_at: self.token.expires_at(),
            oauth: self.token.pair().map(|(_, pair)| OAuthStatus {
                refreshed_at: pair.obtained_at,
                trouble: self.trouble.clone(),
                refused: self.needs_login,
            }),
        }
    }
}

impl Worker {
    /// When the API token ends, in Unix seconds, where it says so; with OAuth the access token in use.
    pub fn token_expires_at(&self) -> Option<i64> {
        self.tokens.token.expires_at()
    }

    /// Uses a token from elsewhere from now on, and probes at once if the old one was refused. One from the
    /// same place is taken up from there.
    pub(super) fn replace_token(&mut self, token: Token, now: Now) {
        if token.has_same_source(&self.tokens.token) {
            return;
        }
        let orphan = self.tokens.renewing;
        self.tokens = Tokens { renewing: orphan, orphan, ..Tokens::new(token, &self.client, now) };
        self.use_token(now);
    }

    /// Takes the token up anew and probes at once if it was refused.
    pub fn reload_token(&mut self) {
        if self.tokens.token.reread() {
            self.tokens.begin_anew();
        }
        self.tokens.not_before = None;
        self.use_token(clock::now());
    }

    fn use_token(&mut self, now: Now) {
        self.token_epoch += 1;
        self.client = Arc::new(self.client.with_token(&self.tokens.token));
        self.gate.token_changed(now.mono);
        self.identify_anew(now);
    }

    /// Looks whether the token was replaced, or ends soon, and tells of it. True if it was time to.
    pub(super) fn check_token(&mut self, now: Now) -> bool {
        if now.mono < self.tokens.next_check {
            return false;
        }
        self.tokens.next_check = clock::next_of(self.origin, CHECK, now.mono);
        // A renewal that is under way replaces it itself.
        if !self.tokens.renewing && self.tokens.token.refresh() {
            tracing::info!("the API token was replaced: using the new one");
            self.tokens.begin_anew();
            for warning in self.tokens.token.warnings() {
                tracing::warn!("{}", shown(warning));
            }
            self.use_token(now);
        }
        self.tell_of_trouble();
        self.tell_of_end(now.secs());
        self.write_token_status();
        true
    }

    /// Says so in the log when something that is no token is put in its place: with the next start it would be
    /// missed. A file that is being replaced is looked at twice.
    fn tell_of_trouble(&mut self) {
        let tokens = &mut self.tokens;
        let trouble = tokens.token.read_error().filter(|_| !tokens.renewing).map(str::to_owned);
        let lasts = trouble == tokens.file_trouble.0;
        if let (Some(why), true, false) = (&trouble, lasts, tokens.file_trouble.1) {
            let place = tokens.token.place();
            tracing::warn!(
                "the API token in use is kept, as there is no other in {}: {}",
                shown(&place),
                shown(why)
            );
            tokens.file_trouble.1 = true;
        }
        if !lasts {
            tokens.file_trouble = (trouble, false);
        }
    }

    /// Says so in the log before a token ends that a person must replace.
    fn tell_of_end(&mut self, now: i64) {
        let tokens = &mut self.tokens;
        let Some(at) = tokens.token.expires_at().filter(|_| tokens.token.pair().is_none()) else { return };
        let expiry = Expiry::of(at, now);
        if matches!(expiry, Expiry::Far(_)) || !policy::is_reminder_due(tokens.told_at, now) {
            return;
        }
        tokens.told_at = Some(now);
        let place = tokens.token.place();
        let action = format!("make a new one in the integration's settings and put it in {place}");
        match expiry {
            Expiry::Over(_) => tracing::error!(expires_at = at, "the API token {expiry}: {action}"),
            _ => tracing::warn!(expires_at = at, "the API token {expiry}: {action}"),
        }
    }

    fn write_token_status(&mut self) {
        let status = self.tokens.status();
        // While nothing can be committed, it would only pile up.
        if self.trouble.is_none() && self.tokens.written.as_ref() != Some(&status) {
            self.writer.token(status.clone());
            self.tokens.written = Some(status);
        }
    }

    /// Whether a renewal is to leave now. One that may mend a refused token is the probe of its pause.
    pub(super) fn may_renew(&mut self, now: Now) -> bool {
        let due = self.tokens.is_due(now);
        if due {
            self.gate.token_changed(now.mono);
        }
        due
    }

    /// Nothing else may leave: the token in use is refused, and a new one is to come.
    pub(super) fn awaits_token(&self, now: Now) -> bool {
        let ended = |at: i64| at <= now.secs();
        self.tokens.refused || self.tokens.renewing && self.token_expires_at().is_some_and(ended)
    }

    /// A renewal is under way.
    pub(super) fn is_renewing(&self) -> bool {
        self.tokens.renewing
    }

    fn is_refused(&self) -> bool {
        self.gate.pause().is_some_and(|pause| pause.reason == Reason::Unauthorized)
    }

    /// What a 401 to the token in use says: nothing, where a new token is had for it at once.
    pub(super) fn refusal(&mut self) -> Signal {
        let now = clock::now();
        let tokens = &mut self.tokens;
        if tokens.token.pair().is_none() {
            return Signal::Unauthorized;
        }
        if tokens.refused || tokens.renewing {
            tokens.refused = true;
            return Signal::Inconclusive;
        }
        let since = tokens.for_refusal.map(|at| now.mono.saturating_duration_since(at));
        let waits = tokens.not_before.is_some_and(|at| at > now.mono);
        if waits || !policy::may_renew_for_refusal(since, tokens.in_vain) {
            return Signal::Unauthorized;
        }
        tracing::info!("the API no longer accepts the token: renewing it");
        tokens.for_refusal = Some(now.mono);
        tokens.in_vain = tokens.in_vain.saturating_add(1);
        tokens.refused = true;
        Signal::Inconclusive
    }

    /// Sends the request for a new pair.
    pub(super) fn send_renewal(&mut self, permit: Permit, now: Now) {
        let tokens = &mut self.tokens;
        let (Some(issuer), Some((_, pair))) = (tokens.issuer.clone(), tokens.token.pair()) else { return };
        let pair = pair.clone();
        let previous = std::mem::take(&mut tokens.try_previous);
        tokens.renewing = true;
        self.request(permit, now, async move {
            Ended::Renewed { renewal: issuer.renew(pair, previous).await, previous }
        });
    }

    /// Acts on what came of a renewal.
    pub(super) fn settle_renewal(&mut self, permit: Permit, renewal: Renewal, previous: bool) {
        let now = clock::now();
        self.tokens.renewing = false;
        if std::mem::take(&mut self.tokens.orphan) {
            // What came is in its store; if that is still ours, it is taken up from there.
            return self.give_back(permit, now);
        }
        let busy_since = self.tokens.busy_since.take();
        match renewal {
            Renewal::Renewed(Saved { pair, stamp }) => {
                let life = clock::duration(pair.expires_at - pair.obtained_at);
                tracing::info!(expires_at = pair.expires_at, "renewed the API token, for {life}");
                self.tokens.token.adopt(pair, stamp);
                self.tokens.begin_anew();
                // Whether the API takes it shows with a talk: that ends a pause, and is an answer of use.
                let signal = if self.is_refused() { Signal::Inconclusive } else { Signal::Healthy };
                let before = self.gate.pause();
                self.gate.answered(permit, Source::Token, signal, now.mono, &mut self.rng);
                self.condition.note_pause(before, &self.gate, None, now);
                self.use_token(now);
            }
            Renewal::Elsewhere(pair, stamp) => {
                tracing::info!("the API token was replaced: using the new one");
                self.tokens.token.adopt(pair, stamp);
                self.tokens.begin_anew();
                self.give_back(permit, now);
                self.use_token(now);
            }
            Renewal::Busy
                if busy_since.is_some_and(|at| now.mono.saturating_duration_since(at) > BUSY_FOR) =>
            {
                let failure = Failure::new(Kind::Rejected, "another process holds the tokens: does it hang?");
                self.try_later(permit, failure, now);
            }
            Renewal::Busy => {
                self.tokens.busy_since = busy_since.or(Some(now.mono));
                self.tokens.try_previous = previous;
                self.tokens.not_before = Some(now.mono + BUSY);
                self.give_back(permit, now);
            }
            Renewal::NotStored(why) => {
                let failure = Failure::new(Kind::Rejected, format!("the new token cannot be kept: {why}"));
                self.try_later(permit, failure, now);
            }
            Renewal::Failed(failure) if failure.kind == Kind::Unauthorized => {
                self.renewal_refused(permit, failure, previous, now);
            }
            Renewal::Failed(failure) => self.try_later(permit, failure, now),
        }
        self.write_token_status();
    }

    /// An answer of use has come with the token.
    pub(super) fn token_works(&mut self) {
        self.tokens.in_vain = 0;
    }

    /// With another client, for renewals too.
    pub(super) fn renew_issuer(&mut self) {
        let integration = self.tokens.token.pair().map(|(integration, _)| Arc::clone(integration));
        self.tokens.issuer = integration.and_then(|integration| self.client.issuer(integration).ok());
    }

    /// Of a request that did not leave, or says nothing.
    fn give_back(&mut self, permit: Permit, now: Now) {
        self.gate.answered(permit, Source::Token, Signal::Inconclusive, now.mono, &mut self.rng);
    }

    /// The account gives us no tokens any more: a person is needed, unless the pair before this one still works.
    fn renewal_refused(&mut self, permit: Permit, mut failure: Failure, previous: bool, now: Now) {
        let tokens = &mut self.tokens;
        let other = tokens.issuer.as_ref().zip(tokens.token.pair());
        if !previous
            && !tokens.needs_login
            && other.is_some_and(|(issuer, (_, pair))| issuer.has_previous(pair))
        {
            tracing::warn!(
                "the account did not renew the API token ({}): trying the one before it",
                shown(&failure.to_string())
            );
            tokens.try_previous = true;
            return self.give_back(permit, now);
        }
        let was_refused = std::mem::take(&mut tokens.refused) || self.is_refused();
        let tokens = &mut self.tokens;
        failure.detail = format!(
            "the account has revoked talkmirror's access: run `talkmirror login` (no new token: {})",
            failure.detail
        );
        if !std::mem::replace(&mut tokens.needs_login, true) {
            tracing::error!(request_id = failure.request_id.as_deref(), "{}", shown(&failure.to_string()));
        }
        tokens.trouble = Some(failure.detail.clone());
        tokens.attempts = 0;
        tokens.not_before = Some(now.mono + policy::REFUSED_RETRY);
        // A token that the API still takes is used to its end.
        let signal = if was_refused { Signal::Refused } else { Signal::Inconclusive };
        self.answered(permit, Source::Token, signal, Some(&failure), now);
        self.condition.tell_pause(&self.gate, Reason::Unauthorized, &failure.detail);
    }

    /// It may pass: the token in use goes on while it is taken.
    fn try_later(&mut self, permit: Permit, failure: Failure, now: Now) {
        let was_refused = std::mem::take(&mut self.tokens.refused) || self.is_refused();
        let tokens = &mut self.tokens;
        tokens.attempts = tokens.attempts.saturating_add(1);
        let wait = match tokens.needs_login {
            true => policy::REFUSED_RETRY,
            false => policy::renewal_backoff(tokens.attempts).max(failure.retry_after.unwrap_or_default()),
        };
        tokens.not_before = Some(now.mono + wait);
        if tokens.trouble.as_deref() != Some(&failure.detail) && !tokens.needs_login {
            tracing::warn!(
                request_id = failure.request_id.as_deref(),
                "the API token could not be renewed, to be tried again in {} s: {}",
                wait.as_secs(),
                shown(&failure.to_string())
            );
        }
        if !tokens.needs_login {
            tokens.trouble = Some(failure.detail.clone());
        }
        let signal = match failure.kind {
            Kind::RateLimited => Signal::RateLimited(failure.retry_after),
            Kind::Unpaid => Signal::Unpaid,
            _ if was_refused => Signal::Refused,
            Kind::Forbidden => Signal::Forbidden,
            // In a pause it says that it is not over; else nothing: talks are still answered.
            Kind::Transient if self.gate.pause().is_some() => Signal::Transient,
            Kind::NoAnswer if self.gate.pause().is_some() => Signal::NoAnswer,
            _ => Signal::Inconclusive,
        };
        let failure = match was_refused {
            true => Failure { detail: format!("it could not be renewed: {failure}"), ..failure },
            false => failure,
        };
        self.answered(permit, Source::Token, signal, Some(&failure), now);
    }
}
