//! `api.base_url`: the account's address.

use super::keys::Keys;
use crate::amocrm::vendor_of;
use std::net::IpAddr;
use url::{Host, Url};

/// Takes the key. An address that is nearly right is a mistake that names the right one.
pub(super) fn base_url(keys: &mut Keys) -> Option<Url> {
    let meant = keys.text("api.base_url").and_then(|text| meant(&text));
    let expected = match meant {
        Some(meant) => format!("the address as {}", meant.as_str().trim_end_matches('/')),
        None => "the account's address, https://example.amocrm.ru (or http to a loopback address)".to_owned(),
    };
    keys.required_address("api.base_url", &expected, |value| account_address(&value.string()?))
}

/// An address with a scheme, a host and perhaps a port, and nothing else.
pub(super) fn account_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    url.host()?;
    let scheme_is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (scheme_is_safe && bare).then_some(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

/// The address that is meant by one without `https://`, or with a path behind it. `None` if that is not certain.
fn meant(text: &str) -> Option<Url> {
    let text = text.trim();
    let mut url = match text.contains("://") {
        true => Url::parse(text).ok()?,
        false => Url::parse(&format!("https://{text}")).ok()?,
    };
    if !text.contains("://") && is_loopback(&url) {
        url = Url::parse(&format!("http://{text}")).ok()?;
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    let is_of_web = ["http", "https"].contains(&url.scheme());
    let is_whole = !matches!(url.host()?, Host::Domain(name) if !name.contains('.') && name != "localhost");
    if has_user || !is_of_web || !is_whole {
        return None;
    }
    if !(url.scheme() == "http" && is_loopback(&url)) {
        url.set_scheme("https").ok()?;
    }
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    account_address(url.as_str())
}

/// What a person pasted or typed as the account's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pasted {
    Address(Url),
    /// The account's name alone: `mycompany`.
    Name(String),
}

/// Reads an address as people paste it: from the browser, without `https://`, or the account's name alone.
///
/// # Errors
/// What it is, if it is no account's address.
pub(crate) fn pasted(text: &str) -> Result<Pasted, String> {
    let text = text.trim().trim_matches(['"', '\'', '<', '>']).trim();
    if text.is_empty() {
        return Err("nothing".into());
    }
    let is_name = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    if is_name(text) && text != "localhost" {
        return Ok(Pasted::Name(text.to_ascii_lowercase()));
    }
    let url = meant(text).ok_or_else(|| "no address of an account".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    let is_vendor = vendor_of(host).is_some_and(|vendor| host == vendor || host == format!("www.{vendor}"));
    if is_vendor {
        return Err("the vendor's own site".into());
    }
    Ok(Pasted::Address(url))
}

#[cfg(test)]
mod tests {
    use super::super::tests::mistakes;
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_and_an_address_has_no_path() {
        for good in [
            "https://a.amocrm.ru",
            "https://a.kommo.com/",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost:9",
        ] {
            assert!(account_address(good).is_some(), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "ftp://a.amocrm.ru",
            "a.amocrm.ru",
            "https://a.amocrm.ru/api/v4",
            "https://u:p@a.ru",
            "https://a.ru?x=1",
            "",
        ] {
            assert!(account_address(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_address_that_is_nearly_right_is_told_the_right_one() {
        let told = |text: &str| {
            let found = mistakes(&format!("[api]\nbase_url = \"{text}\"\ntoken_file = \"token\"\n"));
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].split("expected ").nth(1).unwrap().split(", found").next().unwrap().to_owned()
        };
        for text in [
            "mycompany.amocrm.ru",
            "http://mycompany.amocrm.ru",
            "https://mycompany.amocrm.ru/leads/pipeline/1?a=b#c",
        ] {
            assert_eq!(told(text), "the address as https://mycompany.amocrm.ru");
        }
        for text in ["mycompany", "ftp://mycompany.amocrm.ru", "", "two words.ru", "https://"] {
            assert!(told(text).starts_with("the account's address, https://example.amocrm.ru"), "{text}");
        }
    }

    #[test]
    fn what_people_paste_is_an_address_or_a_name() {
        let address = |text: &str| match pasted(text) {
            Ok(Pasted::Address(url)) => url.to_string(),
            other => format!("{other:?}"),
        };
        for text in [
            "mycompany.amocrm.ru",
            " https://mycompany.amocrm.ru/leads/?x ",
            "http://mycompany.amocrm.ru",
            "\"https://MyCompany.amocrm.ru/\"",
        ] {
            assert_eq!(address(text), "https://mycompany.amocrm.ru/");
        }
        assert_eq!(address("http://127.0.0.1:8080/x"), "http://127.0.0.1:8080/");
        assert_eq!(address("127.0.0.1:8080"), "http://127.0.0.1:8080/");
        assert_eq!(pasted("MyCompany"), Ok(Pasted::Name("mycompany".into())));
        for text in ["", "https://www.amocrm.ru/", "kommo.com", "two words", "https://u:p@a.amocrm.ru"] {
            assert!(pasted(text).is_err(), "{text}");
        }
    }
}
