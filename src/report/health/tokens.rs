//! Complaints about the API token.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::gate::Reason;
use crate::policy::tokens::Expiry;
use crate::report::Overview;
use crate::store::tokens::OAuthStatus;

/// Where a person creates a token, and where to put it.
const REPLACE_TOKEN: &str = "make a new one in the integration's settings and put it in place of the old one \
                             (api.token_file): the daemon uses it without a restart. If only systemd can \
                             read that file, restart the service";

/// What to do if the API refuses the token.
pub(super) fn refused_action(overview: &Overview) -> &'static str {
    match overview.oauth {
        Some(OAuthStatus { refused: false, trouble: Some(_), .. }) => {
            "none if it passes: the token is renewed as soon as the API answers; else run `talkmirror login`"
        }
        Some(_) => {
            "run `talkmirror login`: the daemon uses the new tokens without a restart; if they are refused \
             too, check api.base_url and [api.oauth]"
        }
        None => {
            "put a valid token into api.token_file: the daemon uses it without a restart. If only systemd \
             can read that file, restart the service"
        }
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
        let what = format!("the API token cannot be renewed: {trouble}");
        return Some(Complaint { what, action: refused_action(overview).into() });
    }
    match Expiry::of(overview.token_expires_at?, now) {
        over @ Expiry::Over(_) => {
            Some(Complaint { what: format!("the API token {over}"), action: REPLACE_TOKEN.into() })
        }
        Expiry::Soon(_) | Expiry::Far(_) => None,
    }
}

/// Warns about a token that expires soon, or whose renewal failed transiently.
pub(super) fn warning(overview: &Overview, now: UnixSeconds) -> Option<Complaint> {
    let expires_at = overview.token_expires_at?;
    if let Some(oauth) = &overview.oauth {
        let trouble = oauth.trouble.as_ref().filter(|_| !oauth.refused)?;
        return Some(Complaint {
            what: format!(
                "the API token, which {}, could not be renewed: {trouble}",
                Expiry::of(expires_at, now)
            ),
            action: "none if it passes: it is retried by itself".into(),
        });
    }
    match Expiry::of(expires_at, now) {
        soon @ Expiry::Soon(_) => {
            Some(Complaint { what: format!("the API token {soon}"), action: REPLACE_TOKEN.into() })
        }
        Expiry::Over(_) | Expiry::Far(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, overview};
    use super::*;

    const DAY: i64 = 86_400;

    fn found(overview: &Overview) -> (Option<String>, Option<String>) {
        let what = |complaint: Complaint| complaint.what;
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
        assert!(refused_action(&overview).starts_with("none if it passes"));
        let (complaint, warning) = found(&overview);
        assert_eq!(complaint, None);
        assert!(warning.unwrap().ends_with("could not be renewed: HTTP 503"));
        overview.oauth = Some(OAuthStatus { trouble: Some("revoked".into()), refused: true, ..oauth });
        assert_eq!(found(&overview), (Some("the API token cannot be renewed: revoked".into()), None));
        assert!(refused_action(&overview).starts_with("run `talkmirror login`"));
    }
}
