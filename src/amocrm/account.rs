//! `GET /api/v4/account`: which account answers.

use super::error::{Failure, RequestKind, Shape};
use super::loose;
use super::{BODY_CAP, Client, body, content_type, request_id, text_of, with_request_id};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// An account, as its API describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountInfo {
    /// The account's id in the API.
    pub account_id: i64,
    /// The name that people gave it.
    pub name: Option<String>,
    /// The first part of its host name.
    pub subdomain: Option<String>,
}

impl Client {
    /// `GET /api/v4/account`.
    ///
    /// # Errors
    /// Every response that names no account, classified: [`super::Kind::NotServed`] if the account does not offer
    /// this request.
    pub async fn account(&self) -> Result<AccountInfo, Failure> {
        let mut url = self.talks_url.clone();
        url.set_path("/api/v4/account");
        let mut response = self.send(self.http.get(url)).await?;
        let request_id = request_id(&response);
        let with_request_id = |failure| with_request_id(failure, request_id.as_ref());
        if let Some(failure) = self.classify(&mut response, RequestKind::Account).await {
            return Err(with_request_id(failure));
        }
        let content_type = content_type(&response);
        let body = body::read(&mut response, BODY_CAP).await.map_err(with_request_id)?;
        let body = text_of(body, content_type.as_deref(), "account").map_err(with_request_id)?;
        read(&body).ok_or_else(|| {
            with_request_id(Failure::unexpected(
                Shape::OtherObject,
                "the answer holds no valid account: its id or its name is missing",
            ))
        })
    }
}

/// An account has an id, and a name or a subdomain. A gateway may number its errors too, and another account's id
/// ends the daemon, so a doubtful object counts as no account. A lone id can only be an account's.
fn read(body: &str) -> Option<AccountInfo> {
    let found: HashMap<String, &RawValue> = serde_json::from_str(body).ok()?;
    let text = |key| loose::text(found.get(key).copied()).value();
    let account_id = loose::int(found.get("id").copied()).value().filter(|id| *id > 0)?;
    let account = AccountInfo { account_id, name: text("name"), subdomain: text("subdomain") };
    let is_named = account.name.is_some() || account.subdomain.is_some();
    let is_one = !found.contains_key("error") && (is_named || found.len() == 1);
    is_one.then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutated::mutated_text;

    #[test]
    fn an_account_is_its_id_and_perhaps_a_name() {
        let account = |body| read(body).map(|account| (account.account_id, account.name, account.subdomain));
        assert_eq!(
            account(r#"{"id":17029541,"name":"Shop","subdomain":"example","country":"RU"}"#),
            Some((17_029_541, Some("Shop".into()), Some("example".into())))
        );
        assert_eq!(
            account(r#"{"id":"5","name":"Shop","subdomain":[1]}"#),
            Some((5, Some("Shop".into()), None))
        );
        assert_eq!(account(r#"{"id":5,"name":"","subdomain":"a"}"#), Some((5, None, Some("a".into()))));
        assert_eq!(account(r#"{"id":5}"#), Some((5, None, None)));
        for none in [
            "{}",
            "[]",
            "[5,1,1]",
            "<html>",
            "",
            r#"{"id":null}"#,
            r#"{"id":0,"name":"Shop"}"#,
            r#"{"status":403}"#,
            r#"{"error":"x","id":123}"#,
            r#"{"error":"x","id":123,"name":"Forbidden","subdomain":"a"}"#,
            r#"{"id":123,"message":"blocked"}"#,
            r#"{"id":"5","name":false,"subdomain":[1]}"#,
        ] {
            assert_eq!(account(none), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_spoilt_account_has_an_id_or_is_none(body in mutated_text(&[
            r#"{"id":17029541,"name":"Магазин","subdomain":"example","created_at":1631018291,"country":"RU","_links":{"self":{"href":"https://example.amocrm.ru/api/v4/account"}}}"#,
            r#"{"id":"17029541","name":false,"subdomain":[]}"#,
        ])) {
            proptest::prop_assert!(read(&body).is_none_or(|account| account.account_id > 0));
        }
    }
}
