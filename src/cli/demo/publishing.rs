//! `demo --publish`: the same mirror on a PostgreSQL server.

use crate::cli::print::Out;
use crate::cli::progress::eprint_line;
use crate::cli::run::runtime;
use crate::cli::table::{Table, Text};
use crate::publish::{Server, ServerAddress, demo};
use crate::report::humanize;
use crate::store::changes::state;
use crate::store::{Connection, StoreError};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the demo publishes to.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Target {
    /// As given, for the configuration.
    pub address: String,
    pub password_file: Option<PathBuf>,
}

impl Target {
    fn server(&self) -> Result<Server> {
        let parsed = self.address.parse::<ServerAddress>();
        let address = parsed.map_err(|found| {
            anyhow::anyhow!(
                "--publish: expected an address such as postgresql://me@db1/warehouse, found {found}"
            )
        })?;
        Ok(Server { address, password_file: self.password_file.clone(), ca_file: None })
    }

    /// Makes the schema if it is not there, and finds out early what the server refuses.
    pub(super) fn prepare(&self) -> Result<()> {
        let server = self.server()?;
        let made = runtime()?.block_on(demo::prepare(&server));
        if made.with_context(|| format!("cannot publish to {}", server.address))? {
            eprint_line(&format!("Created the schema talkmirror in {}.", server.address));
        }
        Ok(())
    }

    /// Its lines of the configuration.
    pub(super) fn lines(&self) -> String {
        let path = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let password = self.password_file.as_deref().map_or(String::new(), |file| {
            format!("password_file = {}\n", quoted(&path(file).display().to_string()))
        });
        format!("\n[publish]\nenabled = true\nserver = {}\n{password}", quoted(&self.address))
    }

    /// Shows what the server has at the end.
    pub(super) async fn show(
        &self,
        out: &mut Out<impl Write>,
        mirror: &Connection,
        account_id: i64,
    ) -> Result<()> {
        let server = self.server()?;
        out.line("")?;
        let published = state::read(mirror).map_err(StoreError::from)?;
        if let Some(trouble) = published.and_then(|state| state.trouble) {
            return Ok(out.line(format!("Nothing is published to {}: {}", server.address, trouble.error))?);
        }
        let contents = demo::contents(&server, account_id).await?;
        out.line(format!("The same, published to {}:", server.address))?;
        let mut table = Table::headed(["TABLE", "MIRROR", "SERVER"]);
        for (name, there) in contents.rows {
            let here: i64 =
                mirror.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0))?;
            table.row([name.to_owned(), humanize::count(here), humanize::count(there)].map(Text::from));
        }
        table.align_counts(1);
        out.table(&table)?;
        out.line("")?;
        out.line("Its row of the view fleet, which has one for each account:")?;
        let mut facts = Table::new();
        for (name, value) in contents.fleet {
            facts.fact(&name, value);
        }
        out.table(&facts)?;
        out.line("")?;
        out.line("Try:")?;
        out.unbroken(&format!("  psql {} -c \"SELECT * FROM talkmirror.fleet\"", shell(&self.address)))?;
        Ok(())
    }
}

/// For TOML.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// For a shell.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
