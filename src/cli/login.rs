//! `login`: a person grants access to the account by OAuth.

use super::print::{self, Out};
use super::run::runtime;
use crate::amocrm::oauth::{Grant, Held, Integration, Issuer, Pair, TokenStore};
use crate::amocrm::{Kind, TokenSource, vendor_of};
use crate::clock::{self, unix_now};
use crate::config::Config;
use crate::files::without_bom;
use crate::report::humanize;
use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use url::Url;

/// A renewal by another process seldom takes longer. After this the person is asked to retry.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Shows the address to open, reads the code, and stores the tokens issued for it.
pub(super) fn login(config: &Config, code: Option<&str>) -> Result<ExitCode> {
    let Some(TokenSource::OAuth(integration)) = &config.api.token else {
        bail!("api.oauth.client_id is not set: `talkmirror login` is for OAuth");
    };
    let host = &config.api.base_url;
    let code = match code {
        Some(given) => read_code(given, None, host).map_err(|why| anyhow!("{why}"))?,
        None => {
            let state = state().context("cannot make a random state")?;
            let mut out = Out::new();
            out.line(address(host, integration, &state))?;
            out.done()?;
            ensure!(
                io::stdin().is_terminal(),
                "there is no terminal to ask on: open that address as an administrator of the account and \
                 allow access. Then run `talkmirror login --code CODE` within 20 min, with the code (or the \
                 whole address) that you are sent to"
            );
            ask(&state, host)?
        }
    };
    let held = hold(&integration.store)?;
    let pair = issue(config, integration, code)?;
    let life = humanize::duration(pair.expires_at.seconds_since(pair.obtained_at));
    held.save(pair)?;
    let mut out = Out::new();
    out.line(format!(
        "Logged in: the tokens are in {}. The access token is valid for {life}, and is renewed by itself.",
        integration.store.path().display()
    ))?;
    out.line("A running daemon uses them without a restart; `talkmirror check` tests them.")?;
    out.done()
}

/// The address where a person grants access. The vendor has one address for all its accounts.
fn address(base: &Url, integration: &Integration, state: &str) -> Url {
    let mut url = base.clone();
    if let Some(vendor) = base.host_str().and_then(vendor_of) {
        // This host is always valid.
        let _ = url.set_host(Some(&format!("www.{vendor}")));
    }
    url.set_path("/oauth");
    url.query_pairs_mut()
        .append_pair("client_id", &integration.client_id)
        .append_pair("state", state)
        .append_pair("mode", "popup");
    url
}

/// A random value from the system. It proves that a returned address belongs to this login.
fn state() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn ask(state: &str, host: &Url) -> Result<SecretString> {
    let answer = print::ask(&[
        "Open that address as an administrator of the account, and allow access. You are then sent to the \
         integration's address, which contains a code. It is valid for 20 min. The integration's settings \
         show one, too."
            .into(),
        "The code, or the whole address: ".into(),
    ])?;
    read_code(&answer, Some(state), host).map_err(|why| anyhow!("{why}"))
}

/// The code from the typed or pasted text: the code itself, or the address that the account redirected to.
///
/// In an address, `state` must be the one sent (if known) and `referer` must be the account. This refuses codes of
/// other accounts and of other people's logins.
fn read_code(text: &str, state: Option<&str>, base: &Url) -> Result<SecretString, String> {
    let text = without_bom(text.trim()).trim();
    if text.is_empty() {
        return Err("no code was given".into());
    }
    if !text.contains("://") && !text.contains("code=") {
        return match text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(SecretString::from(text)),
            false => Err("that is not a code: it has spaces or other characters that no code has".into()),
        };
    }
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let value = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    };
    if let Some(error) = value("error") {
        return Err(format!("the account allowed no access: {error}"));
    }
    if let (Some(given), Some(found)) = (state, value("state"))
        && given != found
    {
        return Err(
            "that address belongs to another login: its state is not the one given here; start again".into(),
        );
    }
    if let Some(referer) = value("referer") {
        let account = base.host_str().unwrap_or_default();
        let named = referer.trim_start_matches("https://").split(['/', ':']).next().unwrap_or_default();
        if !named.eq_ignore_ascii_case(account) {
            return Err(format!(
                "that code belongs to the account {named}, but api.base_url names {account}"
            ));
        }
    }
    match value("code") {
        Some(code) if !code.is_empty() => Ok(SecretString::from(code.into_owned())),
        _ => Err("there is no code in that address".into()),
    }
}

/// Waits until no other process changes the tokens.
fn hold(store: &TokenStore) -> Result<Held> {
    let began = clock::mono();
    loop {
        if let Some(held) = store.hold()? {
            return Ok(held);
        }
        ensure!(
            clock::since(began) < LOCK_TIMEOUT,
            "another process holds the lock on the folder of {}: does it hang?",
            store.path().display()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

fn issue(config: &Config, integration: &Arc<Integration>, code: SecretString) -> Result<Pair> {
    let host = config.api.base_url.as_str().trim_end_matches('/');
    let issuer = Issuer::new(&config.api.client(), Arc::clone(integration))?;
    let runtime = runtime()?;
    let issued = runtime.block_on(issuer.issue(&Grant::Code(code), unix_now()));
    runtime.shutdown_background();
    issued.map_err(|failure| match failure.kind {
        Kind::Unauthorized => anyhow!(
            "{host} does not accept the code ({failure}): a code is valid once and for 20 min. Use a new \
             one; if that is not accepted either, check api.oauth.client_id, its secret and \
             api.oauth.redirect_uri"
        ),
        _ => anyhow!("{host} issued no tokens: {failure}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn base() -> Url {
        Url::parse("https://example.amocrm.ru").unwrap()
    }

    fn read(text: &str) -> Result<String, String> {
        read_code(text, Some("s1"), &base()).map(|code| code.expose_secret().to_owned())
    }

    #[test]
    fn the_address_is_the_vendor_s_for_its_accounts_and_the_account_s_own_else() {
        let integration = Integration {
            client_id: "id&1".into(),
            client_secret: SecretString::from(""),
            redirect_uri: String::new(),
            store: TokenStore::new("".into(), "".into()),
        };
        let address = |base: &str| address(&Url::parse(base).unwrap(), &integration, "s1").to_string();
        let query = "oauth?client_id=id%261&state=s1&mode=popup";
        assert_eq!(address("https://example.amocrm.ru"), format!("https://www.amocrm.ru/{query}"));
        assert_eq!(address("https://example.kommo.com"), format!("https://www.kommo.com/{query}"));
        assert_eq!(address("https://example.amocrm.com"), format!("https://www.amocrm.com/{query}"));
        assert_eq!(address("https://evilamocrm.ru"), format!("https://evilamocrm.ru/{query}"));
        assert_eq!(address("http://127.0.0.1:9000"), format!("http://127.0.0.1:9000/{query}"));
    }

    #[test]
    fn a_code_is_taken_alone_or_out_of_an_address() {
        assert_eq!(read(" def50200ab \n"), Ok("def50200ab".into()));
        let address = "https://i.example/oauth?code=def%2F1&state=s1&referer=example.amocrm.ru&platform=1";
        assert_eq!(read(address), Ok("def/1".into()));
        assert_eq!(read("https://i.example/?x=1&code=c#end"), Ok("c".into()));
        assert_eq!(read("code=c&state=s1"), Ok("c".into()));
    }

    #[test]
    fn a_code_of_another_login_or_another_account_is_not_taken() {
        assert!(read("https://i.example/?code=c&state=s2").unwrap_err().contains("another login"));
        let other = read("https://i.example/?code=c&state=s1&referer=other.amocrm.ru").unwrap_err();
        assert!(
            other
                .contains("belongs to the account other.amocrm.ru, but api.base_url names example.amocrm.ru")
        );
        let no_state = read_code("https://i.example/?code=c&state=s2", None, &base());
        assert!(no_state.is_ok(), "nobody knows which it was");
    }

    #[test]
    fn what_is_no_code_is_named() {
        assert_eq!(read(""), Err("no code was given".into()));
        assert!(read("two words").unwrap_err().contains("spaces"));
        assert!(
            read("https://i.example/?error=access_denied&state=s1").unwrap_err().contains("access_denied")
        );
        assert!(read("https://i.example/?state=s1").unwrap_err().contains("no code"));
    }
}
