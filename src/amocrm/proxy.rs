//! The proxy named by the environment.
//!
//! A proxy that cannot be used is an error and is never bypassed. No text shows the proxy's address, because it may
//! contain a password.

use hyper_util::client::proxy::matcher::Matcher;
use std::env::{self, VarError};
use url::Url;

/// The variables that name the proxy, in order of precedence. One that is set but empty counts as unset.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// The variables that name the hosts to reach without it.
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy for requests to `base`, if any. A loopback address over plain http uses none.
///
/// # Errors
/// If the address cannot be a proxy's. The error names the variable.
pub fn proxy(base: &Url) -> Result<Option<reqwest::Proxy>, String> {
    select(base, |name| env::var(name))
}

fn select(
    base: &Url,
    get: impl Fn(&str) -> Result<String, VarError>,
) -> Result<Option<reqwest::Proxy>, String> {
    if base.scheme() != "https" {
        return Ok(None);
    }
    let first = |names: &[&'static str]| {
        let values = names.iter().filter_map(|name| match get(name) {
            Ok(value) => (!value.is_empty()).then_some(Ok((*name, value))),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                Some(Err(format!("{name}: expected a value in UTF-8, found other bytes")))
            }
        });
        values.into_iter().next().transpose()
    };
    let exceptions = first(&NO_PROXY_VARIABLES)?.map_or(String::new(), |(_, hosts)| hosts);
    if is_excepted(base, &exceptions) {
        return Ok(None);
    }
    let Some((name, value)) = first(&PROXY_VARIABLES)? else { return Ok(None) };
    let usable =
        address(&value).and_then(|url| reqwest::Proxy::https(url).map_err(|_| "something else".into()));
    let proxy = usable.map_err(|found| {
        format!(
            "{name}: expected the address of an HTTP proxy, such as http://proxy.example:3128, found {found}"
        )
    })?;
    Ok(Some(proxy))
}

/// The address of a proxy. `http://` may be omitted. The error describes what was found.
fn address(value: &str) -> Result<Url, String> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        let plain = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return Err(if plain { format!("one with {scheme}://") } else { "something else".into() });
    }
    match Url::parse(&format!("{scheme}://{rest}")) {
        Ok(url) if !rest.starts_with('/') && url.has_host() => Ok(url),
        _ => Err("something else".into()),
    }
}

/// Whether NO_PROXY covers the host, as the HTTP client reads it.
fn is_excepted(base: &Url, exceptions: &str) -> bool {
    let any = Matcher::builder().all("http://proxy.invalid").no(exceptions).build();
    base.as_str().parse().is_ok_and(|uri| any.intercept(&uri).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn with(base: &str, variables: &[(&str, &str)]) -> Result<bool, String> {
        let get = |name: &str| match variables.iter().find(|(known, _)| *known == name) {
            Some((_, "not UTF-8")) => Err(VarError::NotUnicode(OsString::from_vec(b"hush\xff".to_vec()))),
            Some((_, value)) => Ok((*value).to_owned()),
            None => Err(VarError::NotPresent),
        };
        select(&Url::parse(base).unwrap(), get).map(|proxy| proxy.is_some())
    }

    const BASE: &str = "https://example.amocrm.ru";

    #[test]
    fn a_proxy_is_an_http_one_with_or_without_its_scheme() {
        for good in [
            "http://proxy:3128",
            "https://proxy.example",
            "HTTP://proxy:3128/",
            "proxy:3128",
            "127.0.0.1:3128",
            "[::1]:3128",
            "http://us%40er:p%3Aw@127.0.0.1:3128",
            "user:hush@proxy:3128",
        ] {
            assert_eq!(with(BASE, &[("HTTPS_PROXY", good)]), Ok(true), "{good}");
        }
        for bad in [
            "::::",
            "socks5://u:hush@proxy:1080",
            "socks5h://proxy",
            "ftp://proxy",
            "http://",
            "http:///proxy",
            "http://:3128",
            ":3128",
            "http://proxy:port",
            "two words",
            "hush://proxy://x",
            "not UTF-8",
        ] {
            for name in PROXY_VARIABLES {
                let why = with(BASE, &[(name, bad)]).unwrap_err();
                assert!(why.starts_with(&format!("{name}: expected ")), "{why}");
                assert!(bad.starts_with("hush") || !why.contains("hush"), "{why}");
            }
        }
        assert!(
            with(BASE, &[("all_proxy", "socks5://x")]).unwrap_err().ends_with("found one with socks5://")
        );
    }

    #[test]
    fn the_first_variable_that_is_not_empty_counts() {
        assert_eq!(with(BASE, &[]), Ok(false));
        assert_eq!(
            with(BASE, &[("HTTP_PROXY", "::::"), ("http_proxy", "::::")]),
            Ok(false),
            "for http alone"
        );
        assert_eq!(with(BASE, &[("HTTPS_PROXY", ""), ("https_proxy", "proxy:1")]), Ok(true));
        assert_eq!(with(BASE, &[("https_proxy", "proxy:1"), ("ALL_PROXY", "::::")]), Ok(true));
        assert!(with(BASE, &[("https_proxy", ""), ("ALL_PROXY", "::::")]).is_err());
    }

    #[test]
    fn a_host_that_is_excepted_has_none_and_needs_none() {
        let bad = ("HTTPS_PROXY", "::::");
        for all in ["*", "amocrm.ru", ".amocrm.ru", "x.example, example.amocrm.ru"] {
            assert_eq!(with(BASE, &[bad, ("NO_PROXY", all)]), Ok(false), "{all}");
            assert_eq!(with(BASE, &[bad, ("NO_PROXY", ""), ("no_proxy", all)]), Ok(false), "{all}");
        }
        assert!(with(BASE, &[bad, ("NO_PROXY", "other.amocrm.ru")]).is_err());
        assert!(with(BASE, &[("NO_PROXY", "not UTF-8")]).is_err());
        assert_eq!(with("http://127.0.0.1:8080", &[bad]), Ok(false));
        assert!(with("https://127.0.0.1:8080", &[bad]).is_err());
    }
}
