//! The claim: which mirror publishes an account, and from which position on.
//!
//! Each claim raises the account's `epoch` on the server. A batch names the epoch that it was made under, so one of an
//! earlier claim changes nothing. The mirror stores the epoch before the server does. If the server's is higher,
//! another copy of the file has claimed the account since: this one was restored from a backup, or copied.

mod rival;

pub(super) use rival::RivalWatch;

use super::batch_limit::TURN_TIMEOUT;
use super::connection::Connection;
use super::error::PublishError;
use super::table::SCHEMA;
use crate::number;
use crate::store::changes::{ChangesRequest, Identity, Local};
use crate::store::writer::Writer;
use std::time::{Duration, SystemTime};
use tokio_postgres::types::{ToSql, Type};

/// What the mirror sends to the server about itself.
#[derive(Debug, Clone)]
pub(super) struct Claimant {
    pub account_id: i64,
    pub base_url: String,
    /// The host and the file: `crm1:/var/lib/talkmirror/talks.db`.
    pub publisher: String,
    /// How long the account stays held after the last sign of life.
    pub hold: Duration,
    /// Whether an empty file takes the account over from a mirror that is gone.
    pub adopt: bool,
    /// Whether another process seems to claim it under the same name.
    pub has_rival: bool,
}

/// While a file takes over what the server has, the account is held so long at least.
const IMPORT_HOLD: Duration = Duration::from_secs(60 * 60);

/// A claim that holds: what each batch names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub account_id: i64,
    pub mirror: String,
    pub epoch: i64,
    /// The number of the last change that the server has.
    pub position: i64,
}

/// The account's row on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerRow {
    pub mirror: String,
    pub position: i64,
    pub epoch: i64,
    pub publisher: String,
    /// Since when it gave no sign of life.
    pub published_at: SystemTime,
    pub is_held: bool,
}

impl ServerRow {
    /// Its last sign of life, as text.
    pub(super) fn last_sign(&self) -> String {
        chrono::DateTime::<chrono::Utc>::from(self.published_at).format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// What follows from the server's row and the mirror's own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// The server does not know the account: publish from the beginning, with the epoch 1.
    Begin,
    /// Go on from this position.
    Continue { position: i64, epoch: i64 },
    /// The server may have what this file does not: take that over from above this position, then go on.
    CatchUp { above: i64 },
    /// The file is empty, and the account's mirror is gone: take over all that the server has.
    Adopt,
    /// Another mirror has it, and holds it.
    Wait(String),
    /// Another mirror had it.
    Refuse(String),
}

/// Decides on a claim.
pub(super) fn decide(server: Option<&ServerRow>, local: &Local, claimant: &Claimant) -> Decision {
    let Claimant { account_id, publisher, adopt, .. } = claimant;
    let Some(server) = server else { return Decision::Begin };
    let named = |what: &str| {
        format!(
            "account {account_id} is published by {} (last sign of life {}): {what}",
            server.publisher,
            server.last_sign()
        )
    };
    // A file of ours that is gone holds nothing: this one has its place.
    let is_held = server.is_held && server.publisher != *publisher;
    let ours = local.identity.as_ref().filter(|identity| identity.mirror == server.mirror);
    let Some(identity) = ours else {
        return match (is_held, local.has_talks) {
            (false, false) if *adopt => Decision::Adopt,
            (true, _) => Decision::Wait(named("switch publishing off here, or stop that one")),
            (false, true) => Decision::Refuse(named(
                "its mirror is gone, and this one has talks of its own: `talkmirror adopt --take-over` takes over what \
                 the server has, and keeps this file beside it",
            )),
            (false, false) => Decision::Refuse(named(
                "its mirror is gone: `talkmirror adopt` takes over what the server has",
            )),
        };
    };
    if is_held {
        return Decision::Wait(named("this is a copy of that database: stop one of the two"));
    }
    // The publisher counts too: a claim that is stored here may not have reached the server, and another host may then
    // have claimed under its number.
    if server.publisher != *publisher || server.epoch > identity.epoch {
        // It may have begun below what the server had confirmed here, if the server lost that.
        return Decision::CatchUp { above: 0 };
    }
    // While nothing is captured, no change has a number to compare. All talks are published again then.
    if identity.importing || local.is_captured && server.position > local.top {
        return Decision::CatchUp { above: identity.seen };
    }
    Decision::Continue { position: server.position, epoch: server.epoch.max(identity.epoch) + 1 }
}

/// Reads the account's row, and keeps other claims waiting until the transaction ends.
async fn lock(connection: &Connection, account_id: i64) -> Result<Option<ServerRow>, PublishError> {
    let sql = format!(
        "SELECT mirror_id::text, position, epoch, publisher, published_at, held_until > now()
           FROM {SCHEMA}.accounts WHERE account_id = $1 FOR UPDATE"
    );
    let row = connection.query_typed_opt(&sql, &[(&account_id, Type::INT8)]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(ServerRow {
        mirror: row.try_get(0)?,
        position: row.try_get(1)?,
        epoch: row.try_get(2)?,
        publisher: row.try_get(3)?,
        published_at: row.try_get(4)?,
        is_held: row.try_get(5)?,
    }))
}

/// The result of a claim.
#[derive(Debug)]
pub(super) enum Claimed {
    /// The account is ours.
    Held(Claim),
    /// The account is ours, and the mirror must take over what the server has above this position.
    Behind { claim: Claim, above: i64 },
}

/// Claims the account, in one transaction. `writer` is that of the running daemon; a new file has none.
///
/// # Errors
/// If another mirror has it, the server fails, or the writer has ended.
pub(super) async fn claim(
    connection: &Connection,
    local: &Local,
    claimant: &Claimant,
    writer: Option<&Writer>,
) -> Result<Claimed, PublishError> {
    connection.batch_execute(&super::begin(TURN_TIMEOUT)).await?;
    let server = lock(connection, claimant.account_id).await?;
    let own_epoch = local.identity.as_ref().map_or(0, |identity| identity.epoch);
    if let Some(why) = rival::refusal(server.as_ref(), own_epoch, claimant) {
        connection.batch_execute("ROLLBACK").await?;
        return Err(PublishError::Refused(why));
    }
    let own_mirror = || local.identity.as_ref().map_or_else(new_id, |identity| identity.mirror.clone());
    let server_position = server.as_ref().map_or(0, |server| server.position);
    let next_epoch = server.as_ref().map_or(0, |server| server.epoch).max(own_epoch) + 1;
    let claim = |mirror, position, epoch| Claim { account_id: claimant.account_id, mirror, epoch, position };
    let (claim, above) = match decide(server.as_ref(), local, claimant) {
        Decision::Begin => (claim(own_mirror(), 0, own_epoch + 1), None),
        Decision::Continue { position, epoch } => (claim(own_mirror(), position, epoch), None),
        Decision::Wait(why) => {
            connection.batch_execute("ROLLBACK").await?;
            return Err(PublishError::Held(why));
        }
        Decision::Refuse(why) => {
            connection.batch_execute("ROLLBACK").await?;
            return Err(PublishError::Refused(why));
        }
        Decision::CatchUp { above } => (claim(own_mirror(), server_position, next_epoch), Some(above)),
        Decision::Adopt => {
            let mirror = server.map_or_else(own_mirror, |server| server.mirror);
            (claim(mirror, server_position, next_epoch), Some(0))
        }
    };
    if let Some(writer) = writer.filter(|_| above.is_none()) {
        // First here: a kill or a lost answer between the two must not look like the claim of another copy of this file.
        written(writer, ChangesRequest::Identity(identity(&claim))).await?;
    }
    let hold = if above.is_some() { claimant.hold.max(IMPORT_HOLD) } else { claimant.hold };
    write(connection, &claim, claimant, hold).await?;
    connection.batch_execute("COMMIT").await?;
    Ok(match above {
        Some(above) => Claimed::Behind { claim, above },
        None => Claimed::Held(claim),
    })
}

/// Has the mirror write something down.
///
/// # Errors
/// If it does not take it, or its writer has ended.
pub(super) async fn written(writer: &Writer, wanted: ChangesRequest) -> Result<(), PublishError> {
    match writer.changes(wanted).await {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => {
            Err(PublishError::Refused(format!("the mirror does not take what the server has: {error}")))
        }
        None => Err(PublishError::Stopped),
    }
}

/// The account of an address, if the server knows one.
pub(super) async fn account_at(connection: &Connection, base_url: &str) -> Result<Option<i64>, PublishError> {
    let sql = format!(
        "SELECT account_id FROM {SCHEMA}.accounts WHERE base_url = $1 ORDER BY published_at DESC LIMIT 1"
    );
    let row = connection.query_typed_opt(&sql, &[(&base_url, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// How many talks of an account the server has.
pub(super) async fn talks(connection: &Connection, account_id: i64) -> Result<u64, PublishError> {
    let sql = format!("SELECT count(*) FROM {SCHEMA}.talks WHERE account_id = $1");
    let row = connection.query_typed_one(&sql, &[(&account_id, Type::INT8)]).await?;
    Ok(number::positive(row.get(0)))
}

/// Writes the account's row.
pub(super) async fn write(
    connection: &Connection,
    claim: &Claim,
    claimant: &Claimant,
    hold: Duration,
) -> Result<(), PublishError> {
    let sql = format!(
        "INSERT INTO {SCHEMA}.accounts AS a
                (account_id, base_url, mirror_id, position, epoch, publisher, version, held_until, published_at)
         VALUES ($1, $2, $3::text::uuid, $4, $5, $6, $7, now() + $8 * interval '1 second', now())
         ON CONFLICT (account_id) DO UPDATE
            SET base_url = excluded.base_url, mirror_id = excluded.mirror_id, position = excluded.position,
                epoch = excluded.epoch, publisher = excluded.publisher, version = excluded.version,
                held_until = excluded.held_until, published_at = excluded.published_at
          WHERE a.epoch < excluded.epoch"
    );
    let hold = hold.as_secs_f64();
    let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
        (&claim.account_id, Type::INT8),
        (&claimant.base_url, Type::TEXT),
        (&claim.mirror, Type::TEXT),
        (&claim.position, Type::INT8),
        (&claim.epoch, Type::INT8),
        (&claimant.publisher, Type::TEXT),
        (&env!("CARGO_PKG_VERSION"), Type::TEXT),
        (&hold, Type::FLOAT8),
    ];
    match connection.execute_typed(&sql, &parameters).await? {
        0 => Err(PublishError::Fenced),
        _ => Ok(()),
    }
}

/// What the mirror stores of a claim.
pub(super) fn identity(claim: &Claim) -> Identity {
    Identity { mirror: claim.mirror.clone(), epoch: claim.epoch, seen: claim.position, importing: false }
}

/// Lets others claim the account at once.
///
/// # Errors
/// If the server fails.
pub(super) async fn release(connection: &Connection, claim: &Claim) -> Result<(), PublishError> {
    let sql = format!("UPDATE {SCHEMA}.accounts SET held_until = now() WHERE account_id = $1 AND epoch = $2");
    connection.execute_typed(&sql, &[(&claim.account_id, Type::INT8), (&claim.epoch, Type::INT8)]).await?;
    Ok(())
}

fn new_id() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn server(mirror: &str, position: i64, epoch: i64, is_held: bool) -> ServerRow {
        ServerRow {
            mirror: mirror.into(),
            position,
            epoch,
            publisher: if is_held || mirror != "a" { "other:/talks.db" } else { "here:/talks.db" }.into(),
            published_at: UNIX_EPOCH,
            is_held,
        }
    }

    fn local(mirror: Option<&str>, epoch: i64, top: i64) -> Local {
        let identity =
            mirror.map(|mirror| Identity { mirror: mirror.into(), epoch, seen: 30, importing: false });
        Local { identity, top, is_captured: true, has_talks: true }
    }

    fn decided(server: Option<ServerRow>, local: &Local) -> Decision {
        decided_by(server, local, false)
    }

    fn decided_by(server: Option<ServerRow>, local: &Local, adopt: bool) -> Decision {
        let claimant = Claimant {
            account_id: 7,
            base_url: "https://a.amocrm.ru".into(),
            publisher: "here:/talks.db".into(),
            hold: Duration::from_secs(300),
            adopt,
            has_rival: false,
        };
        decide(server.as_ref(), local, &claimant)
    }

    #[test]
    fn an_account_that_the_server_does_not_know_begins() {
        assert_eq!(decided(None, &local(None, 0, 5)), Decision::Begin);
        assert_eq!(decided(None, &local(Some("a"), 3, 5)), Decision::Begin, "the server was made anew");
    }

    #[test]
    fn our_own_goes_on_where_the_server_is_also_where_it_lost_the_last_batches() {
        let ours = local(Some("a"), 3, 50);
        assert_eq!(
            decided(Some(server("a", 40, 3, false)), &ours),
            Decision::Continue { position: 40, epoch: 4 }
        );
        assert_eq!(
            decided(Some(server("a", 20, 2, false)), &ours),
            Decision::Continue { position: 20, epoch: 4 },
            "an epoch that the server lost is not used again"
        );
        let off = Local { is_captured: false, top: 0, ..ours };
        let on_again = Decision::Continue { position: 40, epoch: 4 };
        assert_eq!(decided(Some(server("a", 40, 3, false)), &off), on_again, "it was switched off meanwhile");
    }

    #[test]
    fn a_file_that_is_older_than_what_it_published_catches_up() {
        let ours = local(Some("a"), 3, 50);
        let catch_up = Decision::CatchUp { above: 30 };
        assert_eq!(decided(Some(server("a", 60, 3, false)), &ours), catch_up, "in the same claim");
        let identity = ours.identity.clone().map(|identity| Identity { importing: true, ..identity });
        let interrupted = Local { identity, ..ours };
        assert_eq!(
            decided(Some(server("a", 40, 3, false)), &interrupted),
            catch_up,
            "a kill interrupted that, or it was restored"
        );
    }

    #[test]
    fn after_another_claim_no_number_of_this_file_counts() {
        let ours = local(Some("a"), 3, 50);
        let catch_up = Decision::CatchUp { above: 0 };
        assert_eq!(
            decided(Some(server("a", 40, 4, false)), &ours),
            catch_up,
            "it has changed since the restore"
        );
        let other = ServerRow { publisher: "other:/talks.db".into(), ..server("a", 40, 3, false) };
        assert_eq!(
            decided(Some(other), &ours),
            catch_up,
            "another host has the number of a claim that was lost"
        );
    }

    #[test]
    fn what_another_mirror_has_is_refused_by_its_name() {
        let refused = |row, local: &Local| match decided(Some(row), local) {
            Decision::Refuse(why) | Decision::Wait(why) => why,
            other => panic!("{other:?}"),
        };
        let why = refused(server("b", 1, 1, true), &local(Some("a"), 3, 50));
        assert!(
            why.starts_with(
                "account 7 is published by other:/talks.db (last sign of life 1970-01-01T00:00:00Z)"
            ),
            "{why}"
        );
        assert!(refused(server("b", 1, 1, false), &local(None, 0, 0)).contains("adopt --take-over"));
        let empty = Local { has_talks: false, ..local(None, 0, 0) };
        assert_eq!(decided_by(Some(server("b", 1, 1, false)), &empty, true), Decision::Adopt);
        assert!(matches!(decided_by(Some(server("b", 1, 1, true)), &empty, true), Decision::Wait(_)));
        let ours = local(None, 0, 0);
        assert!(matches!(decided_by(Some(server("b", 1, 1, false)), &ours, true), Decision::Refuse(_)));
        assert!(refused(server("b", 1, 1, false), &empty).contains("`talkmirror adopt` takes over"));
        let copy = refused(server("a", 40, 3, true), &local(Some("a"), 3, 50));
        assert!(copy.contains("a copy of that database"), "{copy}");
    }
}
