//! Where the files go: as the Debian package's service reads them, or all into one folder.

use crate::cli::progress::eprint_line;
use crate::cli::surroundings::{SYSTEM_CONFIG, named_config};
use crate::files::quoted;
use anyhow::{Context, Result, ensure};
use nix::unistd::{AccessFlags, Uid, access};
use std::fs;
use std::path::{Path, PathBuf};

/// The package's configuration. Nobody has changed a file that is still this one.
const SHIPPED: &str = include_str!("../../../packaging/debian/config.toml");
/// What the package installs.
const INSTALLED_SCHEMA: &str = "/usr/share/talkmirror/config.schema.json";
const SYSTEM_FOLDER: &str = "/etc/talkmirror";
const SYSTEM_STATE: &str = "/var/lib/talkmirror";

/// Where the files go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The configuration, absolute.
    pub config: PathBuf,
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// In /etc and /var, as the units have it.
    System,
    /// All in the folder of the configuration.
    Folder,
}

impl Place {
    /// In `dir`; else at `config`; else at $TALKMIRROR_CONFIG; else root's or a user's default.
    pub(super) fn choose(dir: Option<&Path>, config: Option<&Path>) -> Result<Place> {
        let config = match (dir, config) {
            (Some(dir), _) => dir.join("config.toml"),
            (None, Some(config)) => config.to_owned(),
            (None, None) => named_config().unwrap_or_else(|| match Uid::effective().is_root() {
                true => SYSTEM_CONFIG.into(),
                false => "talkmirror/config.toml".into(),
            }),
        };
        let config = std::path::absolute(&config).context("cannot find the current folder")?;
        Ok(Place::at(config.components().collect()))
    }

    fn at(config: PathBuf) -> Place {
        let is_system = config.parent() == Some(Path::new(SYSTEM_FOLDER));
        Place { config, layout: if is_system { Layout::System } else { Layout::Folder } }
    }

    /// The folder of the configuration and its secrets.
    pub(super) fn folder(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new("/"))
    }

    /// The name of a further account: `shop` of shop.toml.
    fn account(&self) -> Option<&str> {
        self.config.file_stem()?.to_str().filter(|stem| *stem != "config")
    }

    /// The name of a secret's file beside the configuration, as the units have it.
    pub(super) fn secret_name(&self, name: &str) -> String {
        self.account().map_or_else(|| name.to_owned(), |account| format!("{account}.{name}"))
    }

    pub(super) fn token(&self) -> PathBuf {
        self.folder().join(self.secret_name("token"))
    }

    pub(super) fn client_secret(&self) -> PathBuf {
        self.folder().join(self.secret_name("oauth-secret"))
    }

    /// `database.path`, as the configuration has it.
    pub(super) fn database(&self) -> PathBuf {
        match (self.layout, self.account()) {
            (Layout::System, Some(account)) => Path::new(SYSTEM_STATE).join(account).join("talks.db"),
            (Layout::System, None) => Path::new(SYSTEM_STATE).join("talks.db"),
            (Layout::Folder, Some(account)) => format!("{account}.db").into(),
            (Layout::Folder, None) => "talks.db".into(),
        }
    }

    /// Folders to create if they are missing, each with its mode.
    pub(super) fn folders(&self) -> Vec<(PathBuf, u32)> {
        match self.layout {
            Layout::Folder => vec![(self.folder().to_owned(), 0o700)],
            Layout::System => {
                let state = Path::new(SYSTEM_STATE);
                let of_account = self.account().map(|account| (state.join(account), 0o750));
                let folders = [(self.folder().to_owned(), 0o750), (state.to_owned(), 0o750)];
                folders.into_iter().chain(of_account).collect()
            }
        }
    }

    /// The schema that the configuration names, and whether it has to be written.
    pub(super) fn schema(&self) -> (&'static str, bool) {
        match Path::new(INSTALLED_SCHEMA).exists() {
            true => (INSTALLED_SCHEMA, false),
            false => ("./config.schema.json", true),
        }
    }

    /// Whether the configuration is the package's, as it was installed.
    pub(super) fn is_shipped(&self) -> bool {
        self.layout == Layout::System && fs::read_to_string(&self.config).is_ok_and(|text| text == SHIPPED)
    }

    /// Whether this is the file at `path`.
    pub(super) fn is_at(path: &Path, given: &Path) -> bool {
        let same = |one: &Path, other: &Path| Some(one.canonicalize().ok()? == other.canonicalize().ok()?);
        same(path, given).unwrap_or(false)
    }

    /// Refuses to go on if a file is there already, or none can be written. `given` is the file with the token.
    pub(super) fn refuse_existing(&self, given: Option<&Path>, is_oauth: bool) -> Result<()> {
        let mut there = Vec::new();
        if self.config.exists() && !self.is_shipped() {
            there.push((&self.config, format!("edit it, and test it with `{} check`", self.command())));
        }
        let (secret, option) = match is_oauth {
            true => (self.client_secret(), "--client-secret-file"),
            false => (self.token(), "--token-file"),
        };
        if secret.exists() && !given.is_some_and(|given| Place::is_at(&secret, given)) {
            there.push((&secret, format!("to use what is in it, give {option} {}", quoted(&secret))));
        }
        for (path, what) in &there {
            eprint_line(&format!("{} exists: {what}", path.display()));
        }
        ensure!(
            there.is_empty(),
            "nothing is overwritten: move what exists away, or choose another folder with --dir"
        );
        let mut above = self.folder();
        while !above.exists() {
            above = above.parent().unwrap_or(Path::new("/"));
        }
        access(above, AccessFlags::W_OK).with_context(|| {
            format!(
                "cannot write to the folder {}: run this as root, or choose another folder with --dir",
                above.display()
            )
        })
    }

    /// The program with this configuration, as it is typed in a shell.
    pub(super) fn command(&self) -> String {
        let is_found = named_config().unwrap_or_else(|| SYSTEM_CONFIG.into()) == self.config;
        if is_found { "talkmirror".into() } else { format!("talkmirror --config {}", quoted(&self.config)) }
    }

    /// How the daemon is started: as a service if its unit is installed.
    pub(super) fn start_command(&self) -> String {
        let (unit, service) = match self.account() {
            Some(account) => ("talkmirror@.service", format!("talkmirror@{account}")),
            None => ("talkmirror.service", "talkmirror".to_owned()),
        };
        let folders = ["/usr/lib/systemd/system", "/etc/systemd/system"];
        let is_installed = folders.iter().any(|folder| Path::new(folder).join(unit).exists());
        match self.layout {
            Layout::System if is_installed => format!("systemctl enable --now {service}"),
            _ => format!("{} run", self.command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_etc_the_files_are_where_the_units_read_them() {
        let place = Place::at("/etc/talkmirror/config.toml".into());
        assert_eq!(place.token(), Path::new("/etc/talkmirror/token"));
        assert_eq!(place.database(), Path::new("/var/lib/talkmirror/talks.db"));
        let shop = Place::at("/etc/talkmirror/shop.toml".into());
        assert_eq!(shop.token(), Path::new("/etc/talkmirror/shop.token"));
        assert_eq!(shop.client_secret(), Path::new("/etc/talkmirror/shop.oauth-secret"));
        assert_eq!(shop.database(), Path::new("/var/lib/talkmirror/shop/talks.db"));
        assert_eq!(shop.folders()[2], ("/var/lib/talkmirror/shop".into(), 0o750));
        let units = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/");
        let unit = |name: &str| fs::read_to_string(format!("{units}{name}")).unwrap();
        assert!(unit("talkmirror.service").contains("LoadCredential=token:/etc/talkmirror/token\n"));
        assert!(unit("talkmirror@.service").contains("LoadCredential=token:/etc/talkmirror/%i.token\n"));
        assert!(
            unit("talkmirror@.service")
                .contains("LoadCredential=oauth-secret:/etc/talkmirror/%i.oauth-secret\n")
        );
        assert!(unit("talkmirror@.service").contains("StateDirectory=talkmirror/%i\n"));
    }

    #[test]
    fn elsewhere_everything_is_in_one_folder() {
        let place = Place::at("/home/ann/talkmirror/config.toml".into());
        assert_eq!(place.token(), Path::new("/home/ann/talkmirror/token"));
        assert_eq!(place.database(), Path::new("talks.db"));
        assert_eq!(place.folders(), [("/home/ann/talkmirror".into(), 0o700)]);
        let other = Place::at("/home/ann/talkmirror/shop.toml".into());
        assert_eq!((other.secret_name("token"), other.database()), ("shop.token".into(), "shop.db".into()));
        assert_eq!(other.start_command(), "talkmirror --config /home/ann/talkmirror/shop.toml run");
    }
}
