//! Pages of closings.

use super::{Page, ROWS_READ, rows_before};
use crate::clock::UnixSeconds;
use crate::number;
use crate::policy::closing::ClosingOutcome;
use crate::store::closures::Closure;
use crate::store::local_time::{self, LocalDay};
use crate::talk::TalkId;
use rusqlite::{Connection, ToSql, named_params};
use std::collections::BTreeMap;

/// Which closings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClosingQuery {
    pub outcome: Option<OutcomeFilter>,
    /// Decided on this local day.
    pub day: Option<LocalDay>,
    pub talk: Option<TalkId>,
}

/// Which outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutcomeFilter {
    One(ClosingOutcome),
    /// Closings without an end: `under_way`.
    UnderWay,
}

impl OutcomeFilter {
    /// Each one.
    pub(crate) fn all() -> impl Iterator<Item = OutcomeFilter> {
        [OutcomeFilter::UnderWay].into_iter().chain(ClosingOutcome::ALL.map(OutcomeFilter::One))
    }

    /// The name in an address.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            OutcomeFilter::One(outcome) => outcome.as_str(),
            OutcomeFilter::UnderWay => "under_way",
        }
    }

    /// The filter of a name.
    pub(crate) fn parse(name: &str) -> Option<OutcomeFilter> {
        OutcomeFilter::all().find(|filter| filter.as_str() == name)
    }

    /// Whether it is one of these outcomes.
    pub(crate) fn has(self, outcome: ClosingOutcome) -> bool {
        match self {
            OutcomeFilter::One(one) => one == outcome,
            OutcomeFilter::UnderWay => outcome.is_under_way(),
        }
    }
}

/// A page of closings, the latest decision first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Closings {
    pub page: Page<Closure>,
    /// How many there are of each outcome, whatever the filter of outcomes. `None` if neither a day nor a talk is given,
    /// because all are too many to count.
    pub counts: Option<BTreeMap<ClosingOutcome, i64>>,
}

/// Reads a page of closings.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn page(
    connection: &Connection,
    query: &ClosingQuery,
    number: usize,
) -> rusqlite::Result<Closings> {
    let (from, to) = match query.day {
        None => (UnixSeconds::MIN, UnixSeconds::MAX),
        Some(day) => (local_time::start(connection, day)?, local_time::start(connection, day.next())?),
    };
    // The index of decisions also has the outcome, so that no row is read in vain.
    let (index, whose) = match query.talk {
        None => ("closures_decided", ":talk IS NULL"),
        Some(_) => ("closures_talk", "talk_id = :talk"),
    };
    let decided =
        format!("closures INDEXED BY {index} WHERE {whose} AND decided_at >= :from AND decided_at < :to");
    let outcomes: Vec<&str> = ClosingOutcome::ALL
        .into_iter()
        .filter(|outcome| query.outcome.is_none_or(|filter| filter.has(*outcome)))
        .map(ClosingOutcome::as_str)
        .collect();
    let quoted = outcomes.iter().map(|outcome| format!("'{outcome}'")).collect::<Vec<_>>().join(", ");
    let values: [(&str, &dyn ToSql); 3] = [(":talk", &query.talk), (":from", &from), (":to", &to)];
    let rows = connection
        .prepare(&format!(
            "SELECT * FROM closures WHERE closure_id IN (
                 SELECT closure_id FROM {decided} AND outcome IN ({quoted})
                  ORDER BY decided_at DESC, closure_id DESC LIMIT :rows OFFSET :before)
              ORDER BY decided_at DESC, closure_id DESC"
        ))?
        .query_map(
            [
                &values[..],
                named_params! {":rows": number::whole(ROWS_READ), ":before": number::whole(rows_before(number))},
            ]
            .concat()
            .as_slice(),
            Closure::read,
        )?
        .collect::<rusqlite::Result<_>>()?;
    let counts = (query.day.is_some() || query.talk.is_some()).then(|| {
        connection
            .prepare(&format!("SELECT outcome, count(*) FROM {decided} GROUP BY outcome"))?
            .query_map(&values[..], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()
    });
    Ok(Closings { page: Page::of(rows, number), counts: counts.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;

    #[test]
    fn closings_are_found_by_outcome_day_and_talk() {
        let connection = in_memory();
        let day = 86_400;
        for (talk_id, decided_at, outcome) in [
            (1, day + 1, "closed"),
            (2, day + 2, "accepted"),
            (3, 2 * day - 1, "failed"),
            (1, 2 * day, "requested"),
            (4, day - 1, "closed"),
        ] {
            connection
                .execute(
                    "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at,
                                           outcome, attempts)
                     VALUES (?1, 'live', 1, 'missed', 1, ?2, ?3, 1)",
                    (talk_id, decided_at, outcome),
                )
                .unwrap();
        }
        let found = |outcome: Option<&str>, day: Option<i64>, talk: Option<i64>| {
            let outcome = outcome.map(|name| OutcomeFilter::parse(name).unwrap());
            let query = ClosingQuery { outcome, day: day.map(LocalDay), talk: talk.map(TalkId::new) };
            let found = page(&connection, &query, 1).unwrap();
            let ids: Vec<i64> = found.page.rows.iter().map(|closure| closure.talk_id.get()).collect();
            (ids, found.counts.map(|counts| counts.values().sum::<i64>()))
        };
        assert_eq!(found(None, None, None), (vec![1, 3, 2, 1, 4], None));
        assert_eq!(found(None, Some(1), None), (vec![3, 2, 1], Some(3)), "just inside of the day");
        assert_eq!(found(Some("closed"), Some(1), None), (vec![1], Some(3)));
        assert_eq!(found(Some("under_way"), None, None), (vec![1, 2], None));
        assert_eq!(found(None, None, Some(1)), (vec![1, 1], Some(2)));
        assert_eq!(found(Some("refused"), None, Some(9)), (vec![], Some(0)));
        assert_eq!(OutcomeFilter::parse("all"), None);
    }
}
