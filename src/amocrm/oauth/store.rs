//! Where a pair of tokens lies: a JSON file in a folder of its own, readable by its owner alone.
//!
//! It promises that at every moment a whole pair is there, whatever ends this process or the machine; that a
//! pair which was saved is on the disk; and that one process at a time changes it. The refresh token of the
//! pair before it works until the new pair is used, which is after it was saved: a crash during a save leaves
//! one of the two, and either works.

use super::{Grant, Issuer, Pair, Renewal};
use crate::clock::{self, UnixSeconds};
use crate::files::{Stamp, read_text};
use secrecy::ExposeSecret;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

/// What temporary files begin with: what a kill left of one is swept away.
const TEMPORARY: &str = ".oauth-";

/// The file of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStore {
    path: PathBuf,
    /// Root's files get the owner of this folder: the service's user must be able to replace them.
    like: PathBuf,
}

/// Why there is no pair, or none could be saved. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum TokenStoreError {
    #[error("no tokens at {0}: run `talkmirror login`")]
    Missing(PathBuf),
    #[error("no complete pair of tokens at {path} ({why}): run `talkmirror login`")]
    Broken { path: PathBuf, why: String },
    #[error(
        "cannot read {path} ({source}): give this user the right to read it, or run as the daemon's user"
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot {step} {path}: {source}")]
    Write { step: &'static str, path: PathBuf, source: io::Error },
}

/// A pair as it was loaded.
#[derive(Debug)]
pub struct Loaded {
    pub pair: Pair,
    pub stamp: Option<Stamp>,
    /// What somebody should know of the files.
    pub warnings: Vec<String>,
}

/// A pair that is on the disk.
#[derive(Debug)]
pub struct Saved {
    pub pair: Pair,
    pub stamp: Option<Stamp>,
}

/// The right to change a store; it is given back when dropped.
#[derive(Debug)]
pub struct Held {
    store: TokenStore,
    folder: File,
}

/// A pair as it lies there.
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    access_token: String,
    refresh_token: String,
    expires_at: UnixSeconds,
    obtained_at: UnixSeconds,
}

impl TokenStore {
    /// The store at `path`, whose files get the owner of the folder `like` where root writes them.
    pub fn new(path: PathBuf, like: PathBuf) -> TokenStore {
        TokenStore { path, like }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Loads the pair.
    ///
    /// # Errors
    /// Where there is no pair, in words that say what to do.
    pub fn load(&self) -> Result<Loaded, TokenStoreError> {
        // Before the file is read: if it is replaced meanwhile, it is read once more.
        let stamp = Stamp::at(&self.path).ok();
        let pair = read(&self.path)?;
        Ok(Loaded { pair, stamp, warnings: self.open_to_others().into_iter().collect() })
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Says so where others may read a token.
    fn open_to_others(&self) -> Option<String> {
        let folder = fs::metadata(self.folder()).ok()?.permissions().mode();
        if folder & 0o011 == 0 {
            // Nobody else gets as far as the files.
            return None;
        }
        let file = fs::metadata(&self.path).ok()?.permissions().mode();
        (file & 0o077 != 0).then(|| {
            format!(
                "others can read {}: run `chmod 600` on it and `chmod 700` on its folder",
                self.path.display()
            )
        })
    }

    /// Makes the folder if it is not there, and takes the right to change what is in it; `None` while
    /// another process has it.
    ///
    /// # Errors
    /// When the folder cannot be made or locked.
    pub fn hold(&self) -> Result<Option<Held>, TokenStoreError> {
        let path = self.folder();
        let cannot = |step| move |source| TokenStoreError::Write { step, path: path.to_owned(), source };
        if !path.is_dir() {
            DirBuilder::new().mode(0o700).create(path).map_err(cannot("create the folder"))?;
            if let Some((uid, gid)) = self.other_owner(path) {
                lchown(path, Some(uid), Some(gid)).map_err(cannot("set the owner of"))?;
            }
            // Its name is in the folder above.
            if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
                File::open(above).and_then(|above| above.sync_all()).map_err(cannot("write"))?;
            }
        }
        // The folder itself is what is locked: a lock file would want an owner too, and could be a link.
        let folder = File::open(path).map_err(cannot("open"))?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Held { store: self.clone(), folder })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(cannot("lock")(source)),
        }
    }

    /// Whose `path`, made by us, shall be, if not ours: only root can give files away.
    fn other_owner(&self, path: &Path) -> Option<(u32, u32)> {
        let made = fs::symlink_metadata(path).ok()?;
        let like = fs::metadata(&self.like).ok()?;
        (made.uid() == 0 && (like.uid(), like.gid()) != (made.uid(), made.gid()))
            .then_some((like.uid(), like.gid()))
    }
}

impl Held {
    /// Puts a pair on the disk; it is there for good when this returns.
    ///
    /// # Errors
    /// When it is not: the one before still is.
    pub fn save(&self, pair: Pair) -> Result<Saved, TokenStoreError> {
        self.sweep();
        let stamp = self.replace(&pair)?;
        let folder = self.store.folder();
        let cannot = |source| TokenStoreError::Write { step: "write", path: folder.to_owned(), source };
        self.folder.sync_all().map_err(cannot)?;
        Ok(Saved { pair, stamp })
    }

    /// Writes a pair beside the present one, and renames it into its place.
    fn replace(&self, pair: &Pair) -> Result<Option<Stamp>, TokenStoreError> {
        let path = &self.store.path;
        let cannot = |source| TokenStoreError::Write { step: "write", path: path.clone(), source };
        let text = serde_json::to_string(&Written {
            access_token: pair.access_token.expose_secret().to_owned(),
            refresh_token: pair.refresh_token.expose_secret().to_owned(),
            expires_at: pair.expires_at,
            obtained_at: pair.obtained_at,
        })
        .map_err(|error| cannot(error.into()))?;
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(self.store.folder())
            .map_err(cannot)?;
        writeln!(file, "{text}").map_err(cannot)?;
        if let Some((uid, gid)) = self.store.other_owner(file.path()) {
            fchown(file.as_file(), Some(uid), Some(gid)).map_err(cannot)?;
        }
        file.as_file().sync_all().map_err(cannot)?;
        // Renaming changes it: the stamp is that of the file in its place.
        let file = file.persist(path).map_err(|error| cannot(error.error))?;
        Ok(file.metadata().ok().as_ref().map(Stamp::of))
    }

    fn sweep(&self) {
        let entries = fs::read_dir(self.store.folder()).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY)) {
            // What stays is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Issuer {
    /// Renews a pair and puts the new one on the disk; if another process has renewed it, that one is used.
    pub async fn renew(self, current: Pair) -> Renewal {
        let store = self.store().clone();
        let not_stored = |error: TokenStoreError| Renewal::NotStored(error.to_string());
        let held = match store.hold() {
            Ok(Some(held)) => held,
            Ok(None) => return Renewal::Busy,
            Err(error) => return not_stored(error),
        };
        // A file that cannot be read is replaced by the next save.
        if let Ok(Loaded { pair, stamp, .. }) = store.load()
            && !pair.is(&current)
        {
            return Renewal::Elsewhere(pair, stamp);
        }
        let now = clock::unix_now();
        match self.issue(&Grant::RefreshToken(current.refresh_token), now).await {
            Err(failure) => Renewal::Failed(failure),
            // A disk that is slow holds nothing else up.
            Ok(pair) => match tokio::task::spawn_blocking(move || held.save(pair)).await {
                Ok(saved) => saved.map_or_else(not_stored, Renewal::Renewed),
                Err(error) => Renewal::NotStored(error.to_string()),
            },
        }
    }
}

fn read(path: &Path) -> Result<Pair, TokenStoreError> {
    let text = read_text(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => TokenStoreError::Missing(path.to_owned()),
        io::ErrorKind::InvalidData => {
            TokenStoreError::Broken { path: path.to_owned(), why: "it is not UTF-8".into() }
        }
        _ => TokenStoreError::Unreadable { path: path.to_owned(), source },
    })?;
    // The parser's own words may quote a token.
    let broken = |why: &str| TokenStoreError::Broken { path: path.to_owned(), why: why.to_owned() };
    let Written { access_token, refresh_token, expires_at, obtained_at } =
        serde_json::from_str(&text).map_err(|_| broken("talkmirror did not write it"))?;
    let token = |text: String| super::super::jwt::check(&text).map_err(|why| broken(&why));
    Ok(Pair {
        access_token: token(access_token)?,
        refresh_token: token(refresh_token)?,
        expires_at,
        obtained_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;
    use tempfile::TempDir;

    fn pair(name: &str) -> Pair {
        Pair {
            access_token: SecretString::from(format!("access-{name}")),
            refresh_token: SecretString::from(format!("refresh-{name}")),
            expires_at: UnixSeconds::new(2000),
            obtained_at: UnixSeconds::new(1000),
        }
    }

    fn store() -> (TempDir, TokenStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("secrets/oauth.json"), folder.path().to_owned());
        (folder, store)
    }

    fn save(store: &TokenStore, name: &str) {
        store.hold().unwrap().unwrap().save(pair(name)).unwrap();
    }

    fn loaded(store: &TokenStore) -> String {
        store.load().unwrap().pair.access_token.expose_secret().to_owned()
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let (_folder, store) = store();
        assert!(store.load().unwrap_err().to_string().ends_with("run `talkmirror login`"));
        save(&store, "1");
        assert_eq!(loaded(&store), "access-1");
        save(&store, "2");
        assert_eq!(loaded(&store), "access-2");
        assert_eq!(store.load().unwrap().warnings, [""; 0]);
    }

    #[test]
    fn files_and_folder_are_their_owner_s_alone_and_nothing_else_is_left() {
        let (_folder, store) = store();
        save(&store, "1");
        fs::write(store.folder().join(".oauth-killed"), "half").unwrap();
        save(&store, "2");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(store.folder()), 0o700);
        let names: Vec<String> = fs::read_dir(store.folder())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(mode(&entry.path()), 0o600);
                entry.file_name().into_string().unwrap()
            })
            .collect();
        assert_eq!(names, ["oauth.json"]);
    }

    #[test]
    fn a_broken_file_is_named_without_its_tokens_and_replaced_by_the_next_save() {
        let (_folder, store) = store();
        save(&store, "1");
        for broken in
            ["", "{\"access_token\":\"hush\"", "{}", "{\"access_token\":7,\"refresh_token\":\"hush\"}"]
        {
            fs::write(&store.path, broken).unwrap();
            let error = store.load().unwrap_err();
            assert!(matches!(error, TokenStoreError::Broken { .. }), "{error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        save(&store, "2");
        assert_eq!(loaded(&store), "access-2");
    }

    #[test]
    fn files_that_others_can_read_are_named() {
        let (_folder, store) = store();
        save(&store, "1");
        fs::set_permissions(&store.path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(store.load().unwrap().warnings, [""; 0], "the folder keeps them out");
        fs::set_permissions(store.folder(), fs::Permissions::from_mode(0o750)).unwrap();
        assert!(store.load().unwrap().warnings[0].contains("chmod 600"));
    }

    #[test]
    fn one_process_at_a_time_changes_it() {
        let (_folder, store) = store();
        let held = store.hold().unwrap().unwrap();
        assert!(store.hold().unwrap().is_none());
        drop(held);
        assert!(store.hold().unwrap().is_some());
    }

    /// Renews over a connection that nobody takes: what it brings was there.
    async fn renew(store: &TokenStore, current: &str) -> Renewal {
        let integration = super::super::Integration {
            client_id: "id".into(),
            client_secret: SecretString::from("secret"),
            redirect_uri: "https://i.example".into(),
            store: store.clone(),
        };
        let config = crate::amocrm::ClientConfig {
            base_url: url::Url::parse("http://127.0.0.1:9").unwrap(),
            connect_timeout: std::time::Duration::from_secs(1),
            timeout: std::time::Duration::from_secs(1),
            max_in_flight: 1,
        };
        Issuer::new(&config, integration.into()).unwrap().renew(pair(current)).await
    }

    #[tokio::test]
    async fn what_somebody_else_renewed_is_taken_up_without_a_request() {
        let (_folder, store) = store();
        save(&store, "1");
        save(&store, "2");
        assert!(matches!(renew(&store, "1").await, Renewal::Elsewhere(new, Some(_)) if new.is(&pair("2"))));
        assert!(matches!(renew(&store, "2").await, Renewal::Failed(_)), "nobody has: it is asked for");
        let held = store.hold().unwrap();
        assert!(matches!(renew(&store, "1").await, Renewal::Busy));
        drop(held);
        fs::write(&store.path, "half").unwrap();
        assert!(
            matches!(renew(&store, "2").await, Renewal::Failed(_)),
            "a broken file holds no renewal back"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_or_written_is_named() {
        let (folder, _) = store();
        let store = TokenStore::new(folder.path().join("no/such/oauth.json"), folder.path().to_owned());
        let error = store.hold().unwrap_err().to_string();
        assert!(error.starts_with("cannot create the folder ") && error.contains("no/such"), "{error}");
    }

    #[test]
    fn at_every_moment_of_a_save_a_whole_pair_is_there() {
        let (_folder, store) = store();
        save(&store, "0");
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..60 {
                    save(&store, &number.to_string());
                }
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(store.load().unwrap().warnings, [""; 0]);
            }
        });
    }
}
