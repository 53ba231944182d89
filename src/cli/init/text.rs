//! The text of the configuration that `init` writes.

use super::place::Place;
use super::questions::{Access, Answers};
use crate::policy::hours::ReportRules;
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::path::Path;

/// The status page is served at the first of these ports that is free.
const PORTS: RangeInclusive<u16> = 9187..=9286;

/// The configuration: the keys that have no default, and those that matter most.
pub(super) fn config(place: &Place, answers: &Answers) -> String {
    let (schema, _) = place.schema();
    let base_url = quoted(answers.base_url.as_str().trim_end_matches('/'));
    let access = match &answers.access {
        Access::Token(_) => format!(
            "# The long-lived token, in a file of this folder that its owner alone can read.\n\
             token_file = {}\n",
            quoted(&place.secret_name("token"))
        ),
        Access::OAuth { client_id, redirect_uri, .. } => format!(
            "\n[api.oauth]\n\
             # As in the integration's settings. `login` gets the tokens, and they renew themselves.\n\
             client_id = {}\n\
             client_secret_file = {}\n\
             redirect_uri = {}\n",
            quoted(client_id),
            quoted(&place.secret_name("oauth-secret")),
            quoted(redirect_uri)
        ),
    };
    let database = quoted(&place.database().display().to_string());
    let timezone = match timezone() {
        Some(zone) => format!("timezone = {}", quoted(&zone)),
        None => "#timezone = \"Europe/Moscow\"".into(),
    };
    let listen = match free_port(place.folder()) {
        Some(port) => format!("listen = \"127.0.0.1:{port}\""),
        None => "#listen = \"127.0.0.1:9187\"".into(),
    };
    format!(
        "#:schema {schema}\n\
         # talkmirror. What is left out here has its default: `talkmirror config example` shows every key and what it\n\
         # does, `talkmirror config show` what is in effect. `talkmirror check` tests it. After a change, reload the\n\
         # daemon: systemctl reload, or SIGHUP.\n\
         \n\
         [api]\n\
         # The account's address, as in the browser.\n\
         base_url = {base_url}\n\
         {access}\n\
         [database]\n\
         path = {database}\n\
         \n\
         [auto_close]\n\
         # off: nothing is closed. dry-run: talkmirror decides and records what it would close (`talkmirror stale`, the\n\
         # table \"closures\"), and closes nothing. live: it closes talks. Read what it would have closed before that.\n\
         mode = \"dry-run\"\n\
         \n\
         [report]\n\
         # The time zone of days in views and on the page.\n\
         {timezone}\n\
         \n\
         [http]\n\
         # The status page, metrics and health, for this machine alone.\n\
         {listen}\n"
    )
}

/// A TOML string. TOML reads JSON's escapes.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// This machine's time zone, if its name is known.
fn timezone() -> Option<String> {
    let of_machine = || {
        let link = fs::read_link("/etc/localtime").ok()?;
        Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned())
    };
    let name = std::env::var("TZ").ok().or_else(of_machine)?;
    let is_utc = ["UTC", "Etc/UTC", "Universal", "Etc/Universal"].contains(&name.as_str());
    (!is_utc && ReportRules::zone(&name).is_some()).then_some(name)
}

/// A port that nobody listens at, and that no other configuration in the folder names.
fn free_port(folder: &Path) -> Option<u16> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let others: String = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    PORTS.into_iter().find(|port| {
        !others.contains(&format!(":{port}\"")) && TcpListener::bind(("127.0.0.1", *port)).is_ok()
    })
}
