//! Figures that only the metrics show: the queue by reason.

use crate::clock::UnixSeconds;
use crate::policy::closing::FetchReason;
use crate::store::feeds::Feeder;
use crate::store::queue::text;
use rusqlite::Connection;

/// Read at each scrape of the metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// One for each reason that talkmirror gives, and `other` for all other texts.
    pub queue: Vec<ReasonCounts>,
}

/// Rows of the queue with one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReasonCounts {
    pub reason: &'static str,
    pub due: i64,
    pub later: i64,
    pub failed: i64,
    /// Since when the most overdue row is due.
    pub oldest_due_at: Option<UnixSeconds>,
}

/// Reads the figures.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn figures(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<Figures> {
    Ok(Figures { queue: queue(connection, now)? })
}

fn queue(connection: &Connection, now: UnixSeconds) -> rusqlite::Result<Vec<ReasonCounts>> {
    let closings = FetchReason::OF_CLOSINGS.map(FetchReason::as_str);
    let feeders = Feeder::ALL.map(Feeder::as_str);
    let known = ["sql", "cli"].into_iter().chain(closings).chain(feeders).chain(["other"]);
    let mut counts: Vec<ReasonCounts> =
        known.map(|reason| ReasonCounts { reason, ..ReasonCounts::default() }).collect();
    let mut statement = connection.prepare_cached(
        "SELECT reason,
                count(*) FILTER (WHERE failed_at IS NULL AND due_at <= ?1),
                count(*) FILTER (WHERE failed_at IS NULL AND due_at > ?1),
                count(*) FILTER (WHERE failed_at IS NOT NULL),
                min(due_at) FILTER (WHERE failed_at IS NULL AND due_at <= ?1)
           FROM talk_queue GROUP BY reason",
    )?;
    let mut rows = statement.query([now])?;
    while let Some(row) = rows.next()? {
        let reason = text(row, 0)?.unwrap_or_default();
        let other = counts.len() - 1;
        let place = counts.iter().position(|count| count.reason == reason).unwrap_or(other);
        let count = &mut counts[place];
        count.due += row.get::<_, i64>(1)?;
        count.later += row.get::<_, i64>(2)?;
        count.failed += row.get::<_, i64>(3)?;
        let oldest: Option<UnixSeconds> = row.get(4)?;
        count.oldest_due_at = [count.oldest_due_at, oldest].into_iter().flatten().min();
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_text_counts_as_one_reason() {
        let connection = crate::store::migrations::tests::in_memory();
        connection
            .execute_batch(
                "INSERT INTO talk_queue (talk_id, reason, due_at, failed_at) VALUES
                   (1, 'ann', 50, NULL), (2, 'bob', 40, NULL), (3, 'cli', 90, NULL), (4, 'cli', 200, NULL),
                   (5, 'cli', 10, 60);",
            )
            .unwrap();
        let counts = queue(&connection, UnixSeconds::new(100)).unwrap();
        let of = |reason| counts.iter().find(|count| count.reason == reason).unwrap();
        assert_eq!((of("other").due, of("other").oldest_due_at), (2, Some(UnixSeconds::new(40))));
        let cli = of("cli");
        assert_eq!((cli.due, cli.later, cli.failed), (1, 1, 1));
        assert_eq!(cli.oldest_due_at, Some(UnixSeconds::new(90)));
        assert_eq!(*of("refresh"), ReasonCounts { reason: "refresh", ..ReasonCounts::default() });
    }
}
