//! The mirrored account, in `mirror_info`: its id, name and address, and whether the API is confirmed to be that
//! account's.

use super::info::InfoKey;
use crate::clock::UnixSeconds;
use rusqlite::Connection;
use std::fmt;

/// `mirror_info`: the account's id, as a decimal number, …
pub(super) const ID: InfoKey<i64> = InfoKey::number("account_id");
/// … its name, if the API gives it, …
const NAME: InfoKey<String> = InfoKey::text("account_name");
/// … its address, from the last `api.base_url`, …
const BASE_URL: InfoKey<String> = InfoKey::text("account_url");
/// … when the API was last confirmed to be this account's, …
const CONFIRMED_AT: InfoKey<UnixSeconds> = InfoKey::time("account_confirmed_at");
/// … and why it could not be confirmed, if so.
const DOUBT: InfoKey<String> = InfoKey::text("account_doubt");

/// What is known of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountName {
    pub account_id: i64,
    pub name: Option<String>,
    /// `https://example.amocrm.ru`
    pub base_url: Option<String>,
}

/// `17029541 ("Shop", https://shop.amocrm.ru)`
impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map(|name| format!("{:?}", name.chars().take(100).collect::<String>()));
        let known: Vec<String> = name.into_iter().chain(self.base_url.clone()).collect();
        match known.is_empty() {
            true => write!(f, "{}", self.account_id),
            false => write!(f, "{} ({})", self.account_id, known.join(", ")),
        }
    }
}

/// What the database stores about its account.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct AccountStatus {
    pub name: Option<String>,
    pub base_url: Option<String>,
    /// When the API was last confirmed to be this account's.
    pub confirmed_at: Option<UnixSeconds>,
    /// Why the API's account could not be confirmed. Until it is, no 404, 403 or 204 is believed.
    pub doubt: Option<String>,
}

/// The account that this database mirrors, once known.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn name(connection: &Connection) -> rusqlite::Result<Option<AccountName>> {
    let Some(account_id) = super::account_id(connection)? else { return Ok(None) };
    let (name, base_url) = (NAME.get(connection)?, BASE_URL.get(connection)?);
    Ok(Some(AccountName { account_id, name, base_url }))
}

/// What is shown of the account.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn status(connection: &Connection) -> rusqlite::Result<AccountStatus> {
    Ok(AccountStatus {
        name: NAME.get(connection)?,
        base_url: BASE_URL.get(connection)?,
        confirmed_at: CONFIRMED_AT.get(connection)?,
        doubt: DOUBT.get(connection)?,
    })
}

/// Stores the account's id, if none is stored yet. It never changes.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn note_id(connection: &Connection, account_id: i64) -> rusqlite::Result<()> {
    ID.set_once(connection, &account_id)
}

/// Stores that the API is this account's, at this time.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn confirm(
    connection: &Connection,
    account: &AccountName,
    now: UnixSeconds,
) -> rusqlite::Result<()> {
    note_id(connection, account.account_id)?;
    for (key, value) in [(NAME, &account.name), (BASE_URL, &account.base_url)] {
        if let Some(value) = value {
            key.set(connection, value)?;
        }
    }
    CONFIRMED_AT.set(connection, &now)?;
    doubt(connection, None)
}

/// Stores why the API's account could not be confirmed.
///
/// # Errors
/// If the database cannot be written.
pub(crate) fn doubt(connection: &Connection, why: Option<&String>) -> rusqlite::Result<()> {
    DOUBT.put(connection, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;

    #[test]
    fn the_first_account_stays_and_its_name_may_change() {
        let connection = in_memory();
        assert_eq!(name(&connection).unwrap(), None);
        let shop = AccountName {
            account_id: 5,
            name: Some("Shop".into()),
            base_url: Some("https://shop.amocrm.ru".into()),
        };
        doubt(&connection, Some(&"HTTP 404".into())).unwrap();
        confirm(&connection, &shop, UnixSeconds::new(100)).unwrap();
        assert_eq!(name(&connection).unwrap(), Some(shop.clone()));
        let status = status(&connection).unwrap();
        assert_eq!((status.confirmed_at, status.doubt), (Some(UnixSeconds::new(100)), None));
        confirm(&connection, &AccountName { name: None, ..shop.clone() }, UnixSeconds::new(200)).unwrap();
        assert_eq!(name(&connection).unwrap(), Some(shop), "a name that is not sent is no other name");
        note_id(&connection, 6).unwrap();
        assert_eq!(name(&connection).unwrap().unwrap().account_id, 5);
    }

    #[test]
    fn an_account_is_named_by_all_that_is_known_of_it() {
        let mut account = AccountName { account_id: 5, ..AccountName::default() };
        assert_eq!(account.to_string(), "5");
        account.base_url = Some("https://shop.amocrm.ru".into());
        assert_eq!(account.to_string(), "5 (https://shop.amocrm.ru)");
        account.name = Some("Shop\u{1b}[2J".into());
        assert_eq!(account.to_string(), r#"5 ("Shop\u{1b}[2J", https://shop.amocrm.ru)"#);
    }
}
