//! The state of the API token, in `mirror_info`: when it expires, and how its renewal goes. Never a token.

use rusqlite::{Connection, Transaction};

/// `mirror_info`: when the token expires, in Unix seconds, …
const EXPIRES_AT: &str = "api.token_expires_at";
/// … and with OAuth, the results of the last renewals, as JSON.
const OAUTH: &str = "api.oauth";

/// What is stored about the API token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenStatus {
    /// When the token expires, if known, in Unix seconds.
    pub expires_at: Option<i64>,
    pub oauth: Option<OAuthStatus>,
}

/// The state of a token that renews itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OAuthStatus {
    /// When the token was obtained, in Unix seconds.
    pub refreshed_at: i64,
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
        let oauth = self.oauth.as_ref().map(|oauth| serde_json::json!(oauth).to_string());
        for (key, value) in [(EXPIRES_AT, self.expires_at.map(|at| at.to_string())), (OAUTH, oauth)] {
            match value {
                Some(value) => tx
                    .prepare_cached("INSERT OR REPLACE INTO mirror_info (key, value) VALUES (?1, ?2)")?
                    .execute((key, value))?,
                None => tx.prepare_cached("DELETE FROM mirror_info WHERE key = ?1")?.execute([key])?,
            };
        }
        Ok(())
    }

    /// Reads the stored state.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn read(connection: &Connection) -> rusqlite::Result<TokenStatus> {
        let expires_at = super::info(connection, EXPIRES_AT)?;
        let oauth = super::info(connection, OAUTH)?;
        Ok(TokenStatus {
            expires_at: expires_at.and_then(|at| at.parse().ok()),
            oauth: oauth.and_then(|text| serde_json::from_str(&text).ok()),
        })
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
        let oauth = OAuthStatus { refreshed_at: 5, trouble: Some("HTTP 503".into()), refused: false };
        for status in [
            TokenStatus { expires_at: Some(7), oauth: Some(oauth) },
            TokenStatus { expires_at: Some(8), oauth: None },
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
