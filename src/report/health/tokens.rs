//! Complaints about the API token.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::gate::Reason;
use crate::language::Message;
use crate::policy::tokens::Expiry;
use crate::report::Overview;
use crate::store::tokens::OAuthStatus;

/// What to do if the API refuses the token.
pub(super) fn refused_action(overview: &Overview) -> Message {
    match overview.oauth {
        Some(OAuthStatus { refused: false, trouble: Some(_), .. }) => Message::new("do-token-renewal"),
        Some(_) => Message::new("do-login"),
        None => Message::new("do-token"),
    }
}

/// Reports a token that has expired, or that only a person can renew.
pub(super) fn complaint(overview: &Overview, now: UnixSeconds) -> Option<Complaint> {
    if let Some(oauth) = &overview.oauth {
        let trouble = oauth.trouble.as_ref().filter(|_| oauth.refused)?;
        let pause = overview.daemon.as_ref().and_then(|daemon| daemon.pause.as_ref());
        if pause.is_some_and(|pause| pause.reason == Reason::Unauthorized.as_str()) {
            // The complaint about the pause covers it.
            return None;
        }
        let what = Message::new("what-token-not-renewed").with("error", trouble.as_str());
        return Some(Complaint { what, action: refused_action(overview) });
    }
    let expiry = Expiry::of(overview.token_expires_at?, now);
    matches!(expiry, Expiry::Over(_)).then(|| replace(expiry))
}

/// Warns about a token that expires soon, or whose renewal failed transiently.
pub(super) fn warning(overview: &Overview, now: UnixSeconds) -> Option<Complaint> {
    let expiry = Expiry::of(overview.token_expires_at?, now);
    if let Some(oauth) = &overview.oauth {
        let trouble = oauth.trouble.as_ref().filter(|_| !oauth.refused)?;
        let what = Message::new("what-token-renewal").with("expiry", expiry.message());
        return Some(Complaint {
            what: what.with("error", trouble.as_str()),
            action: Message::new("do-token-renewal-passes"),
        });
    }
    matches!(expiry, Expiry::Soon(_)).then(|| replace(expiry))
}

fn replace(expiry: Expiry) -> Complaint {
    let what = Message::new("what-token").with("expiry", expiry.message());
    Complaint { what, action: Message::new("do-token-replace") }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, overview};
    use super::*;

    const DAY: i64 = 86_400;

    fn found(overview: &Overview) -> (Option<String>, Option<String>) {
        let what = |complaint: Complaint| complaint.what.to_string();
        (complaint(overview, NOW).map(what), warning(overview, NOW).map(what))
    }

    #[test]
    fn a_token_that_a_person_must_replace_is_warned_of_and_then_complained_of() {
        let mut overview = overview();
        assert_eq!(found(&overview), (None, None), "it does not say when it ends");
        overview.token_expires_at = Some(NOW + 15 * DAY);
        assert_eq!(found(&overview), (None, None));
        overview.token_expires_at = Some(NOW + 13 * DAY);
        let soon = "the API token expires in 13 days, on 2023-11-27";
        assert_eq!(found(&overview), (None, Some(soon.into())));
        overview.token_expires_at = Some(NOW - 2 * DAY);
        assert_eq!(found(&overview), (Some("the API token expired 2 days ago, on 2023-11-12".into()), None));
    }

    #[test]
    fn a_token_that_renews_itself_is_reported_only_if_that_fails() {
        let mut overview = overview();
        overview.token_expires_at = Some(NOW - DAY);
        let oauth = OAuthStatus { refreshed_at: NOW - 2 * DAY, trouble: None, refused: false };
        overview.oauth = Some(oauth.clone());
        assert_eq!(found(&overview), (None, None));
        overview.token_expires_at = Some(NOW + 3600);
        overview.oauth = Some(OAuthStatus { trouble: Some("HTTP 503".into()), ..oauth.clone() });
        assert!(refused_action(&overview).to_string().starts_with("none if it passes"));
        let (complaint, warning) = found(&overview);
        assert_eq!(complaint, None);
        assert!(warning.unwrap().ends_with("could not be renewed: HTTP 503"));
        overview.oauth = Some(OAuthStatus { trouble: Some("revoked".into()), refused: true, ..oauth });
        assert_eq!(found(&overview), (Some("the API token cannot be renewed: revoked".into()), None));
        assert!(refused_action(&overview).to_string().starts_with("run `talkmirror login`"));
    }
}
