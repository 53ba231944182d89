//! The state of the API token, in `mirror_info`: when it expires, and how its renewal goes. Never a token.

use super::info::InfoKey;
use crate::clock::UnixSeconds;
use rusqlite::{Connection, Transaction};

/// `mirror_info`: when the token expires, …
const EXPIRES_AT: InfoKey<UnixSeconds> = InfoKey::time("api.token_expires_at");
/// … and with OAuth, the results of the last renewals, as JSON.
const OAUTH: InfoKey<OAuthStatus> = InfoKey::json("api.oauth");

/// What is stored about the API token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenStatus {
    /// When the token expires, if known.
    pub expires_at: Option<UnixSeconds>,
    pub oauth: Option<OAuthStatus>,
}

/// The state of a token that renews itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OAuthStatus {
    /// When the token was obtained.
    pub refreshed_at: UnixSeconds,
    /// Why it could not be renewed.
    pub trouble: Option<String>,
    /// Whether a person must act.
    pub refused: bool,
}

impl TokenStatus {
    /// Replaces the stored state.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        EXPIRES_AT.put(tx, self.expires_at.as_ref())?;
        OAUTH.put(tx, self.oauth.as_ref())
    }

    /// Reads the stored state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn read(connection: &Connection) -> rusqlite::Result<TokenStatus> {
        Ok(TokenStatus { expires_at: EXPIRES_AT.get(connection)?, oauth: OAUTH.get(connection)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;

    #[test]
    fn what_is_written_is_read_and_what_is_no_longer_so_is_removed() {
        let mut connection = in_memory();
        assert_eq!(TokenStatus::read(&connection).unwrap(), TokenStatus::default());
        let oauth = OAuthStatus {
            refreshed_at: UnixSeconds::new(5),
            trouble: Some("HTTP 503".into()),
            refused: false,
        };
        for status in [
            TokenStatus { expires_at: Some(UnixSeconds::new(7)), oauth: Some(oauth) },
            TokenStatus { expires_at: Some(UnixSeconds::new(8)), oauth: None },
            TokenStatus::default(),
        ] {
            let tx = connection.transaction().unwrap();
            status.write(&tx).unwrap();
            tx.commit().unwrap();
            assert_eq!(TokenStatus::read(&connection).unwrap(), status);
        }
        let sql = "SELECT count(*) FROM mirror_info WHERE key LIKE 'api.%'";
        let rows: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0);
    }
}
