//! The claims of a token, and whether a text can be a token.

use crate::clock::UnixSeconds;
use crate::number;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

/// A token goes into a header, so it must be one word of visible ASCII.
pub(super) fn check(text: &str) -> Result<SecretString, String> {
    let token = text.trim();
    if token.is_empty() {
        return Err("nothing in it".into());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("spaces, line breaks or other characters that no token has".into());
    }
    Ok(SecretString::from(token))
}

/// The claim `exp` of a JWT.
pub(super) fn expiry(token: &str) -> Option<UnixSeconds> {
    let exp = claims(token)?.get("exp")?.as_f64().filter(|exp| exp.is_finite())?;
    (exp >= 1.0).then(|| UnixSeconds::new(number::truncated(exp)))
}

/// The claim `account_id` of a JWT: the account of a long-lived token.
pub(super) fn account_id(token: &str) -> Option<i64> {
    let claims = claims(token)?;
    let claim = claims.get("account_id")?;
    claim.as_i64().or_else(|| claim.as_str()?.trim().parse().ok()).filter(|id| *id > 0)
}

/// The claim `base_domain` of a JWT: the vendor's domain of the account, such as `amocrm.ru`.
pub(super) fn base_domain(token: &str) -> Option<String> {
    Some(claims(token)?.get("base_domain")?.as_str()?.to_owned())
}

/// Whether a text is a JWT, as long-lived tokens are.
pub(crate) fn is_jwt(text: &str) -> bool {
    claims(text.trim()).is_some_and(|claims| claims.is_object())
}

/// The claims of a JWT. Only the API can check the signature.
fn claims(token: &str) -> Option<serde_json::Value> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn jwt(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(r#"{"typ":"JWT","alg":"RS256"}"#), part(claims), part("signature"))
    }

    #[test]
    fn the_end_of_a_jwt_is_its_exp() {
        let end = Some(UnixSeconds::new(1_893_456_000));
        assert_eq!(expiry(&jwt(r#"{"aud":"…","exp":1893456000,"scopes":["crm"]}"#)), end);
        assert_eq!(expiry(&jwt(r#"{"exp":1893456000.5}"#)), end);
    }

    #[test]
    fn a_jwt_names_its_account() {
        assert_eq!(account_id(&jwt(r#"{"account_id":17029541}"#)), Some(17_029_541));
        assert_eq!(account_id(&jwt(r#"{"account_id":"17029541"}"#)), Some(17_029_541));
        for token in
            ["simulated-token", &jwt("{}"), &jwt(r#"{"account_id":null}"#), &jwt(r#"{"account_id":0}"#)]
        {
            assert_eq!(account_id(token), None, "{token}");
        }
    }

    #[test]
    fn a_jwt_is_told_from_other_texts_and_names_the_vendor_s_domain() {
        let token = jwt(r#"{"base_domain":"amocrm.ru"}"#);
        assert!(is_jwt(&format!(" {token}\n")) && !is_jwt("a.b.c") && !is_jwt("/etc/talkmirror/token"));
        assert_eq!(base_domain(&token).as_deref(), Some("amocrm.ru"));
        assert_eq!(base_domain(&jwt(r#"{"base_domain":7}"#)), None);
    }

    #[test]
    fn what_is_no_jwt_or_has_no_exp_has_no_end() {
        for token in
            ["simulated-token", "a.b.c", "..", "a.b", &jwt("{}"), &jwt("[]"), &jwt(r#"{"exp":"soon"}"#)]
        {
            assert_eq!(expiry(token), None, "{token}");
        }
        assert_eq!(expiry(&format!("{}.x", jwt(r#"{"exp":1}"#))), None, "four parts");
    }

    proptest::proptest! {
        #[test]
        fn a_spoilt_token_is_one_word_or_none(text in crate::mutated::mutated_text(&[
            "\u{feff}eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJleHAiOjE4OTM0NTYwMDAsImFjY291bnRfaWQiOjE3MDI5NTQxfQ.c2lnbmF0dXJl\n",
            "a-token-that-is-no-jwt",
        ])) {
            if let Ok(token) = check(&text) {
                let token = token.expose_secret();
                proptest::prop_assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
                proptest::prop_assert!(account_id(token).is_none_or(|id| id > 0));
                proptest::prop_assert!(expiry(token).is_none_or(|at| at > UnixSeconds::EPOCH));
            }
        }

        #[test]
        fn spoilt_claims_are_read_or_none(claims in crate::mutated::mutated_text(&[
            r#"{"aud":"5f3c","jti":"0d","iat":1630000000,"nbf":1630000000,"exp":1893456000,"sub":"501","account_id":17029541,"base_domain":"amocrm.ru","scopes":["crm"]}"#,
        ])) {
            let token = jwt(&claims);
            proptest::prop_assert!(account_id(&token).is_none_or(|id| id > 0));
            proptest::prop_assert!(expiry(&token).is_none_or(|at| at > UnixSeconds::EPOCH));
        }
    }
}
