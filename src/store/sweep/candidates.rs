//! Which talks are stale in the mirror, and which of them a sweep queues: `policy::stale` and exemptions, in SQL.

use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::closing::{BARRED, FetchReason};
use crate::policy::exemption::Exempting;
use crate::policy::origin::origin_key;
use crate::policy::stale::StaleRules;
use crate::store::exemptions::{self, is_exempt};
use crate::talk::TalkId;
use rusqlite::{Connection, named_params};
use serde::Serialize;
use serde_json::json;

pub(super) const OPEN_TALKS: &str =
    "SELECT count(*) FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL";
/// Without INDEXED BY, SQLite would read every talk that was ever missed.
const MISSED: &str = "talks INDEXED BY talks_open_missed";

/// Which talks are stale in the mirror but for exemptions: `policy::stale` in SQL. A test holds them equal.
const IS_STALE: &str = "is_in_work = 1 AND gone_at IS NULL AND denied_at IS NULL
       AND coalesce(status, '') IN ('', 'in_work', 'with_error')
       AND missed_at < :missed_before
       AND updated_at < :now - :quiet_for
       AND (:only_origins = '[]' OR origin IN (SELECT value FROM json_each(:only_origins)))
       AND (origin IS NULL OR origin NOT IN (SELECT value FROM json_each(:except_origins)))
       AND NOT EXISTS (SELECT 1 FROM closures c INDEXED BY closures_open
                        WHERE c.talk_id = talks.talk_id AND c.outcome IN ('requested', 'accepted')
                          AND c.attempts > 0)";

/// How many talks are stale in the mirror and not exempt, and how many are open.
///
/// # Errors
/// If the database cannot be read.
pub fn counts(connection: &Connection, rules: &StaleRules, now: UnixSeconds) -> rusqlite::Result<(i64, i64)> {
    let parameters = Parameters::new(&spelt(connection, rules)?, now);
    let stale = connection.prepare_cached(&stale_sql())?.query_row(&*parameters.named(), |row| row.get(0))?;
    let open = connection.prepare_cached(OPEN_TALKS)?.query_row([], |row| row.get(0))?;
    Ok((stale, open))
}

/// The stale talks that a sweep would queue, longest missed first. Leaves out those that a dry run has decided on
/// already (in a dry run), were refused or failed less than a day ago, or back off.
///
/// # Errors
/// If the database cannot be read.
pub fn candidates(
    connection: &Connection,
    rules: &StaleRules,
    reason: FetchReason,
    limit: usize,
    now: UnixSeconds,
) -> rusqlite::Result<Vec<TalkId>> {
    let parameters = Parameters::new(&spelt(connection, rules)?, now);
    let (barred, limit) = (now - BARRED, i64::try_from(limit).unwrap_or(i64::MAX));
    let dry_run = reason == FetchReason::DryRun;
    let mut named = parameters.named();
    named.extend(named_params! {":barred": barred, ":dry_run": dry_run, ":limit": limit});
    connection.prepare_cached(&candidates_sql())?.query_map(&*named, |row| row.get(0))?.collect()
}

/// Exempt talks use up no place of a sweep, and no share of `max_share`.
pub(super) fn stale_sql() -> String {
    format!("SELECT count(*) FROM {MISSED} WHERE {IS_STALE} AND NOT {}", is_exempt())
}

pub(super) fn candidates_sql() -> String {
    format!(
        "SELECT talk_id FROM {MISSED}
          WHERE {IS_STALE} AND NOT {}
            AND NOT EXISTS (SELECT 1 FROM closures c
                             WHERE c.talk_id = talks.talk_id
                               AND (c.outcome IN ('refused', 'failed')
                                        AND coalesce(c.requested_at, c.decided_at) BETWEEN :barred + 1 AND :now
                                    OR :dry_run AND c.outcome = 'would_close'
                                        AND c.missed_at = talks.missed_at))
            AND NOT EXISTS (SELECT 1 FROM talk_queue q
                             WHERE q.talk_id = talks.talk_id
                               AND (q.attempts > 0 OR q.failed_at IS NOT NULL OR q.due_at > :now))
          ORDER BY missed_at LIMIT :limit",
        is_exempt()
    )
}

/// Stale talks that exemptions keep.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct ExemptTalks {
    /// How many rows of `close_exemptions` count.
    pub rows: i64,
    /// How many stale talks they keep.
    pub stale: i64,
    /// The longest missed of these talks.
    pub first: Vec<ExemptTalk>,
}

/// A stale talk, and what keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ExemptTalk {
    pub talk_id: TalkId,
    pub exemption: Exempting,
}

/// Which stale talks exemptions keep; it names so many at most.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn exempt(
    connection: &Connection,
    rules: &StaleRules,
    most_named: usize,
    now: UnixSeconds,
) -> rusqlite::Result<ExemptTalks> {
    let rows = exemptions::counting(connection, now)?;
    if rows == 0 {
        return Ok(ExemptTalks::default());
    }
    let parameters = Parameters::new(&spelt(connection, rules)?, now);
    let mut statement = connection.prepare_cached(&exempt_sql())?;
    let mut ids = statement.query_map(&*parameters.named(), |row| row.get(0))?;
    let mut first = Vec::new();
    for talk_id in ids.by_ref().take(most_named) {
        let talk_id = talk_id?;
        if let Some(exemption) = exemptions::of_talk(connection, talk_id, now)? {
            first.push(ExemptTalk { talk_id, exemption });
        }
    }
    let named = number::whole(first.len());
    let more = ids.try_fold(0, |count, talk_id: rusqlite::Result<TalkId>| talk_id.map(|_| count + 1))?;
    Ok(ExemptTalks { rows, stale: named + more, first })
}

pub(super) fn exempt_sql() -> String {
    format!("SELECT talk_id FROM {MISSED} WHERE {IS_STALE} AND {} ORDER BY missed_at", is_exempt())
}

/// The rules, with each origin also as it is spelt in the mirror: SQL compares code points.
pub(super) fn spelt(connection: &Connection, rules: &StaleRules) -> rusqlite::Result<StaleRules> {
    let mut rules = rules.clone();
    if rules.only_origins.is_empty() && rules.except_origins.is_empty() {
        return Ok(rules);
    }
    let origins: Vec<String> = connection
        .prepare_cached(
            "SELECT DISTINCT origin FROM talks INDEXED BY talks_open_missed
              WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL AND origin IS NOT NULL",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for list in [&mut rules.only_origins, &mut rules.except_origins] {
        let keys: Vec<String> = list.iter().map(|named| origin_key(named)).collect();
        let spellings = origins.iter().filter(|origin| keys.contains(&origin_key(origin)));
        let spellings: Vec<String> = spellings.filter(|origin| !list.contains(origin)).cloned().collect();
        list.extend(spellings);
    }
    Ok(rules)
}

/// The parameters of [`IS_STALE`].
struct Parameters {
    now: UnixSeconds,
    missed_before: UnixSeconds,
    quiet_for: i64,
    only_origins: String,
    except_origins: String,
}

impl Parameters {
    fn new(rules: &StaleRules, now: UnixSeconds) -> Parameters {
        Parameters {
            now,
            missed_before: rules.missed_before(now),
            quiet_for: rules.quiet_for_seconds(),
            only_origins: json!(rules.only_origins).to_string(),
            except_origins: json!(rules.except_origins).to_string(),
        }
    }

    fn named(&self) -> Vec<(&str, &dyn rusqlite::ToSql)> {
        vec![
            (":now", &self.now),
            (":missed_before", &self.missed_before),
            (":quiet_for", &self.quiet_for),
            (":only_origins", &self.only_origins),
            (":except_origins", &self.except_origins),
        ]
    }
}
