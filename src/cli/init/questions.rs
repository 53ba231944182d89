//! What `init` has to know: from its options, else asked for on the terminal.

use super::InitArguments;
use super::place::Place;
use crate::amocrm::{Token, TokenSource, vendor_of};
use crate::cli::progress::eprint_line;
use crate::cli::{Cli, print};
use crate::clock::unix_now;
use crate::config::{Pasted, pasted};
use crate::files;
use crate::policy::tokens::Expiry;
use crate::text::shown;
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::CommandFactory;
use clap::error::ErrorKind;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{self, LocalFlags, SetArg};
use secrecy::{ExposeSecret, SecretString};
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use url::Url;

/// After so many wrong answers `init` ends.
const MOST_ANSWERS: usize = 3;

/// What `init` has to know.
#[derive(Debug)]
pub(super) struct Answers {
    pub base_url: Url,
    pub access: Access,
}

/// How talkmirror gets access to the account.
#[derive(Debug)]
pub(super) enum Access {
    /// By a long-lived token.
    Token(Secret),
    OAuth {
        client_id: String,
        redirect_uri: String,
        secret: Secret,
    },
}

/// A secret, and whether it has to be written.
#[derive(Debug)]
pub(super) enum Secret {
    New(SecretString),
    /// Its file is where it belongs.
    InPlace,
}

/// Where missing answers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Terminal,
    Nobody,
}

/// Takes the options, and asks for what is missing.
pub(super) fn ask(arguments: &InitArguments, place: &Place) -> Result<Answers> {
    let asking = match io::stdin().is_terminal() && !arguments.reads_stdin() {
        true => Asking::Terminal,
        false => Asking::Nobody,
    };
    let has_access = arguments.token_file.is_some() || arguments.client_id.is_some();
    if asking == Asking::Nobody && (arguments.base_url.is_none() || !has_access) {
        usage(
            "there is no terminal to ask on: give --base-url, and --token-file (or --client-id, --client-secret-file \
             and --redirect-uri)",
        );
    }
    let address = match &arguments.base_url {
        Some(given) => {
            let found = |found| {
                format!(
                    "--base-url: expected the account's address, such as mycompany.amocrm.ru, found {found}"
                )
            };
            pasted(given).unwrap_or_else(|what| usage(&found(what)))
        }
        None => answer(|| {
            let text = line("The account's address, as in the browser (mycompany.amocrm.ru): ")?;
            Ok(pasted(&text).map_err(|found| {
                format!("That is {found}: type it as mycompany.amocrm.ru or mycompany.kommo.com.")
            }))
        })?,
    };
    let is_vendor_s = match &address {
        Pasted::Address(url) => url.host_str().and_then(vendor_of).is_some(),
        Pasted::Name(_) => true,
    };
    let (access, domain) = access(arguments, place, asking, is_vendor_s)?;
    let base_url = match address {
        Pasted::Address(url) => url,
        Pasted::Name(name) => of_name(&name, domain.as_deref(), asking)?,
    };
    Ok(Answers { base_url, access })
}

/// The access, and the vendor's domain if the token names it.
fn access(
    arguments: &InitArguments,
    place: &Place,
    asking: Asking,
    is_vendor_s: bool,
) -> Result<(Access, Option<String>)> {
    if let Some(path) = &arguments.token_file {
        let text = secret_text(path)?;
        let token = read_token(&text, is_vendor_s)
            .map_err(|why| anyhow!("the token in {}: {why}", path.display()))?;
        let secret = placed(text, path, &place.token());
        return Ok((Access::Token(secret), token.base_domain()));
    }
    if let (Some(client_id), Some(path), Some(redirect_uri)) =
        (&arguments.client_id, &arguments.client_secret_file, &arguments.redirect_uri)
    {
        let secret = placed(secret_text(path)?, path, &place.client_secret());
        let (client_id, redirect_uri) = (client_id.clone(), redirect_uri.clone());
        return Ok((Access::OAuth { client_id, redirect_uri, secret }, None));
    }
    if asking == Asking::Nobody {
        bail!("there is no terminal to ask on");
    }
    eprint_line("The integration's long-lived token (\"Keys and scopes\", \"Ключи и доступы\").");
    eprint_line("Paste it, it is not shown. Press Enter alone to use OAuth instead.");
    let token = answer(|| {
        let text = hidden("The token: ")?;
        if text.expose_secret().trim().is_empty() {
            return Ok(Ok(None));
        }
        let letters = text.expose_secret().trim().chars().count();
        eprint_line(&format!("Read {letters} characters."));
        Ok(read_token(&text, is_vendor_s)
            .map(|token| Some((text, token)))
            .map_err(|why| format!("That is no usable token: {why}.")))
    })?;
    if let Some((text, token)) = token {
        return Ok((Access::Token(Secret::New(text)), token.base_domain()));
    }
    Ok((integration(place)?, None))
}

/// Asks for what OAuth needs.
fn integration(place: &Place) -> Result<Access> {
    let there = place.client_secret();
    ensure!(!there.exists(), "nothing is overwritten, and {} exists: move it away first", there.display());
    eprint_line("OAuth: copy these from the integration's settings.");
    let client_id = word(|| line("The integration's id: ").map(SecretString::from))?;
    let secret = Secret::New(word(|| hidden("Its secret (it is not shown): "))?);
    let redirect_uri =
        word(|| line("Its redirect address, exactly as it is there: ").map(SecretString::from))?;
    let text = |word: SecretString| word.expose_secret().to_owned();
    Ok(Access::OAuth { client_id: text(client_id), redirect_uri: text(redirect_uri), secret })
}

/// Asks for one word.
fn word(question: impl Fn() -> Result<SecretString>) -> Result<SecretString> {
    answer(|| {
        let text = question()?;
        let word = text.expose_secret().trim();
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
        Ok(if is_word { Ok(text) } else { Err("That is not one word.".to_owned()) })
    })
}

/// The address of an account's name: of the token's domain, else of the one that is chosen.
fn of_name(name: &str, domain: Option<&str>, asking: Asking) -> Result<Url> {
    let of = |domain: &str| Url::parse(&format!("https://{name}.{domain}")).context("not an address");
    if let Some(domain) = domain.and_then(vendor_of) {
        return of(domain);
    }
    if asking == Asking::Nobody {
        usage(&format!("--base-url: which one: {name}.amocrm.ru or {name}.kommo.com?"));
    }
    answer(|| {
        let text = line(&format!("Which one: 1 {name}.amocrm.ru, or 2 {name}.kommo.com? "))?;
        Ok(match text.as_str() {
            "1" => Ok(of("amocrm.ru")?),
            "2" => Ok(of("kommo.com")?),
            _ => Err("Type 1 or 2.".to_owned()),
        })
    })
}

/// A secret that was read from `path`, unless that is its place.
fn placed(text: SecretString, path: &Path, place: &Path) -> Secret {
    if Place::is_at(place, path) { Secret::InPlace } else { Secret::New(text) }
}

/// The text of a file, or of stdin for `-`.
fn secret_text(path: &Path) -> Result<SecretString> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read stdin")?;
        files::without_bom(&text).to_owned()
    } else {
        files::read_text(path).with_context(|| format!("cannot read {}", path.display()))?
    };
    if text.trim().is_empty() {
        bail!("{} holds nothing", path.display());
    }
    Ok(SecretString::from(text.trim()))
}

/// Tests the shape of a token, and reports what it says of itself.
fn read_token(text: &SecretString, is_vendor_s: bool) -> Result<Token, String> {
    let token = Token::read(TokenSource::Environment(text.clone()))?;
    let expiry = token.expires_at().map(|at| Expiry::of(at, unix_now()));
    if let Some(over @ Expiry::Over(_)) = expiry {
        return Err(format!("it {over}"));
    }
    match (token.account_id(), expiry) {
        (Some(account_id), Some(expiry)) => {
            eprint_line(&format!("The token is of account {account_id}, and {expiry}."));
        }
        _ if is_vendor_s && !token.is_jwt() => eprint_line(
            "warning: the vendor's long-lived tokens have three parts with dots between them, and this one has not: is \
             it the integration's secret?",
        ),
        _ => {}
    }
    Ok(token)
}

/// Asks until the answer is right, a few times at most.
fn answer<T>(mut question: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    for _ in 0..MOST_ANSWERS {
        match question()? {
            Ok(answer) => return Ok(answer),
            Err(why) => eprint_line(&why),
        }
    }
    bail!("no usable answer was given; nothing is written")
}

/// A line from the terminal.
fn line(question: &str) -> Result<String> {
    let answer = print::ask(&[question.to_owned()])?;
    if answer.is_empty() {
        bail!("the input ended; nothing is written");
    }
    Ok(files::without_bom(answer.trim()).trim().to_owned())
}

/// A line from the terminal that is not shown.
fn hidden(question: &str) -> Result<SecretString> {
    // If Ctrl-C ended the process at once, the terminal would go on showing nothing.
    let interrupt = SigSet::from(Signal::SIGINT);
    interrupt.thread_block()?;
    let answer = silently(|| rpassword::prompt_password(question));
    interrupt.thread_unblock()?;
    Ok(SecretString::from(answer.context("cannot read from the terminal, so nothing is written")?))
}

/// Runs `ask` while the terminal shows nothing that is typed. What is pasted as soon as the question stands there would be
/// shown otherwise.
fn silently<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let terminal = io::stdin();
    let before = termios::tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    termios::tcsetattr(&terminal, SetArg::TCSANOW, &silent)?;
    let answer = ask();
    termios::tcsetattr(&terminal, SetArg::TCSANOW, &before)?;
    answer
}

/// Ends as for any wrong usage.
fn usage(text: &str) -> ! {
    let mut program = Cli::command();
    program.build();
    let command = program.find_subcommand_mut("init").expect("this command");
    print::usage(command.error(ErrorKind::MissingRequiredArgument, shown(text)))
}
