//! How the account issues tokens to an integration.
//!
//! A refresh token works until a pair issued for it is first used. Of several pairs issued for one refresh token,
//! the first one used is valid.

use super::reply::{Reply, ok, reply};
use super::{Account, Fault};
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The integration that gets tokens, and its state in the account.
#[derive(Debug)]
pub struct OAuth {
    /// The integration's id.
    pub client_id: String,
    /// The integration's secret.
    pub client_secret: String,
    /// The address that the code is sent to.
    pub redirect_uri: String,
    /// Codes shown to a person and not used yet.
    pub codes: Vec<String>,
    /// How long access tokens live.
    pub expires_in: Duration,
    /// Happens to every request for tokens while it is set.
    pub fault: Option<Fault>,
    /// What happens to the next requests for tokens, in order.
    pub scripted: VecDeque<Fault>,
    /// Pairs that were issued for a refresh token.
    pub renewals: u64,
    /// Requests for tokens that were refused.
    pub refusals: u64,
    /// How often tokens were requested while others were being issued.
    pub overlaps: u64,
    pairs: Vec<Issued>,
}

#[derive(Debug)]
struct Issued {
    access_token: String,
    refresh_token: String,
    /// The index of the pair that it was issued for.
    parent: Option<usize>,
    until: Instant,
    /// Whether its access token is accepted.
    accepted: bool,
    /// Whether its refresh token is accepted.
    renews: bool,
}

impl Default for OAuth {
    fn default() -> OAuth {
        OAuth {
            client_id: "simulated-integration".into(),
            client_secret: "simulated-client-secret".into(),
            redirect_uri: "https://integration.example/oauth".into(),
            codes: Vec::new(),
            expires_in: Duration::from_secs(86_400),
            fault: None,
            scripted: VecDeque::new(),
            renewals: 0,
            refusals: 0,
            overlaps: 0,
            pairs: Vec::new(),
        }
    }
}

impl OAuth {
    /// Issues a pair as if for a code: access and refresh token.
    pub fn issue(&mut self) -> (String, String) {
        let pair = self.issued(None);
        (pair.access_token.clone(), pair.refresh_token.clone())
    }

    /// A person revokes the integration's access: no token works any more.
    pub fn revoke(&mut self) {
        for pair in &mut self.pairs {
            (pair.accepted, pair.renews) = (false, false);
        }
    }

    /// Expires the access tokens. The refresh tokens stay valid.
    pub fn expire(&mut self) {
        for pair in &mut self.pairs {
            pair.accepted = false;
        }
    }

    /// Every token ever issued, and the integration's secret.
    pub fn secrets(&self) -> Vec<String> {
        let tokens =
            self.pairs.iter().flat_map(|pair| [pair.access_token.clone(), pair.refresh_token.clone()]);
        tokens.chain([self.client_secret.clone()]).collect()
    }

    /// Whether this access token is accepted. That counts as a use of its pair.
    pub(super) fn accepts(&mut self, access_token: &str) -> bool {
        let now = Instant::now();
        let found = self
            .pairs
            .iter()
            .position(|pair| pair.access_token == access_token && pair.accepted && pair.until > now);
        if let Some(place) = found {
            self.used(place);
        }
        found.is_some()
    }

    /// Invalidates the previous refresh token, and everything else issued for it.
    fn used(&mut self, place: usize) {
        let Some(parent) = self.pairs[place].parent else { return };
        self.pairs[parent].renews = false;
        for (other, pair) in self.pairs.iter_mut().enumerate() {
            if pair.parent == Some(parent) && other != place {
                (pair.accepted, pair.renews) = (false, false);
            }
        }
    }

    fn issued(&mut self, parent: Option<usize>) -> &Issued {
        let number = self.pairs.len();
        let random = || fastrand::u128(..);
        self.pairs.push(Issued {
            access_token: format!("access-{number}-{:032x}", random()),
            refresh_token: format!("refresh-{number}-{:032x}", random()),
            parent,
            until: Instant::now() + self.expires_in,
            accepted: true,
            renews: true,
        });
        &self.pairs[number]
    }

    /// Answers a request for tokens.
    pub(super) fn answer(&mut self, body: &[u8]) -> Reply {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| asked[key].as_str().unwrap_or_default();
        if text("client_id") != self.client_id || text("client_secret") != self.client_secret {
            return self.refuse(401, "The client credentials were invalid");
        }
        if text("redirect_uri") != self.redirect_uri {
            return self.refuse(400, "The redirect URI does not match");
        }
        let parent = match text("grant_type") {
            "authorization_code" => {
                let code = text("code");
                let Some(place) = self.codes.iter().position(|known| known == code) else {
                    return self.refuse(400, "Authorization code has expired");
                };
                self.codes.remove(place);
                None
            }
            "refresh_token" => {
                let token = text("refresh_token");
                let found = self.pairs.iter().position(|pair| pair.refresh_token == token && pair.renews);
                let Some(place) = found else { return self.refuse(400, "Token has been revoked") };
                self.used(place);
                self.renewals += 1;
                Some(place)
            }
            _ => return self.refuse(400, "The authorization grant type is not supported"),
        };
        let expires_in = self.expires_in.as_secs();
        let pair = self.issued(parent);
        let answer = json!({
            "token_type": "Bearer", "expires_in": expires_in, "server_time": super::clock::unix_now(),
            "access_token": pair.access_token, "refresh_token": pair.refresh_token,
        });
        ok(answer.to_string())
    }

    fn refuse(&mut self, status: u16, hint: &str) -> Reply {
        self.refusals += 1;
        let body = json!({"title": "Authorization error", "type": "https://httpstatus.es", "status": status,
                          "detail": "Check the request", "hint": hint});
        let problem = [(CONTENT_TYPE, "application/problem+json")];
        reply(status, &problem, Bytes::from(body.to_string()))
    }
}

impl Account {
    /// Requests for tokens so far.
    pub fn token_requests(&self) -> usize {
        self.requests_at(super::TOKENS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renew(oauth: &mut OAuth, refresh_token: &str) -> u16 {
        let asked = json!({
            "client_id": oauth.client_id, "client_secret": oauth.client_secret,
            "redirect_uri": oauth.redirect_uri, "grant_type": "refresh_token", "refresh_token": refresh_token,
        });
        oauth.answer(asked.to_string().as_bytes()).status().as_u16()
    }

    /// The last pair that was issued.
    fn last(oauth: &OAuth) -> (String, String) {
        let pair = oauth.pairs.last().unwrap();
        (pair.access_token.clone(), pair.refresh_token.clone())
    }

    #[test]
    fn a_refresh_token_works_until_a_pair_that_came_of_it_is_used() {
        let mut oauth = OAuth::default();
        let (access, refresh) = oauth.issue();
        assert_eq!(renew(&mut oauth, &refresh), 200);
        let lost = last(&oauth);
        assert_eq!(renew(&mut oauth, &refresh), 200, "the one that came was not used");
        let new = last(&oauth);
        assert!(oauth.accepts(&access), "it lives to its end");
        assert!(oauth.accepts(&new.0));
        assert_eq!(renew(&mut oauth, &refresh), 400);
        assert!(!oauth.accepts(&lost.0));
        assert_eq!(renew(&mut oauth, &lost.1), 400);
        assert_eq!(renew(&mut oauth, &new.1), 200);
        assert_eq!((oauth.renewals, oauth.refusals), (3, 2));
    }

    #[test]
    fn a_code_is_good_once_and_only_for_its_integration() {
        let mut oauth = OAuth { codes: vec!["code".into()], ..OAuth::default() };
        let mut ask = |secret: &str, code: &str| {
            let asked = json!({
                "client_id": oauth.client_id, "client_secret": secret, "redirect_uri": oauth.redirect_uri,
                "grant_type": "authorization_code", "code": code,
            });
            oauth.answer(asked.to_string().as_bytes()).status().as_u16()
        };
        assert_eq!(ask("wrong", "code"), 401);
        assert_eq!(ask("simulated-client-secret", "another"), 400);
        assert_eq!(ask("simulated-client-secret", "code"), 200);
        assert_eq!(ask("simulated-client-secret", "code"), 400);
    }

    #[test]
    fn what_has_ended_or_was_revoked_is_not_accepted() {
        let mut oauth = OAuth { expires_in: Duration::ZERO, ..OAuth::default() };
        let (access, _) = oauth.issue();
        assert!(!oauth.accepts(&access));
        oauth.expires_in = Duration::from_secs(60);
        let (access, refresh) = oauth.issue();
        assert!(oauth.accepts(&access));
        oauth.expire();
        assert!(!oauth.accepts(&access));
        assert_eq!(renew(&mut oauth, &refresh), 200);
        oauth.revoke();
        let (access, refresh) = last(&oauth);
        assert!(!oauth.accepts(&access));
        assert_eq!(renew(&mut oauth, &refresh), 400);
    }
}
