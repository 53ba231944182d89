//! Pages of the queue.

use super::{Page, ROWS_READ, rows_before};
use crate::clock::UnixSeconds;
use crate::named::named;
use crate::number;
use crate::store::queue::QueueRow;
use rusqlite::{Connection, named_params};

named! {
    /// Which rows of the queue.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum QueueFilter {
        Due = "due",
        Later = "later",
        Failed = "failed",
    }
}

/// Rows of the queue: due ones, the most urgent first; later ones, the soonest first; failed ones, the latest first.
///
/// # Errors
/// If the database cannot be read.
pub(crate) fn page(
    connection: &Connection,
    filter: QueueFilter,
    number: usize,
    now: UnixSeconds,
) -> rusqlite::Result<Page<QueueRow>> {
    // The ids come from an index alone. A queue may hold a row for each talk.
    let (index, order) = match filter {
        QueueFilter::Due => {
            ("talk_queue_next WHERE failed_at IS NULL AND due_at <= :now", "priority DESC, due_at, talk_id")
        }
        QueueFilter::Later => {
            ("talk_queue_next WHERE failed_at IS NULL AND due_at > :now", "due_at, talk_id")
        }
        QueueFilter::Failed => {
            ("talk_queue_failed WHERE failed_at IS NOT NULL AND :now IS NOT NULL", "failed_at DESC, talk_id")
        }
    };
    let columns = QueueRow::COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM talk_queue WHERE talk_id IN (
             SELECT talk_id FROM talk_queue INDEXED BY {index} ORDER BY {order} LIMIT :rows OFFSET :before)
          ORDER BY {order}"
    );
    let rows = connection
        .prepare(&sql)?
        .query_map(
            named_params! {
                ":now": now, ":rows": number::whole(ROWS_READ), ":before": number::whole(rows_before(number)),
            },
            QueueRow::read,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Page::of(rows, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::tests::in_memory;

    #[test]
    fn each_filter_has_its_rows_in_its_order() {
        let connection = in_memory();
        connection
            .execute_batch(
                "INSERT INTO talk_queue (talk_id, priority, due_at, failed_at) VALUES
                   (1, 0, 50, NULL), (2, 5, 90, NULL), (3, 0, 40, NULL),
                   (4, 9, 300, NULL), (5, 0, 200, NULL), (6, 0, 10, 60), (7, 0, 10, 70);",
            )
            .unwrap();
        let ids = |filter| {
            let page = page(&connection, filter, 1, UnixSeconds::new(100)).unwrap();
            page.rows.iter().map(|row| row.talk_id.get()).collect::<Vec<_>>()
        };
        assert_eq!(ids(QueueFilter::Due), [2, 3, 1]);
        assert_eq!(ids(QueueFilter::Later), [5, 4]);
        assert_eq!(ids(QueueFilter::Failed), [7, 6]);
    }

    #[test]
    fn pages_follow_each_other_and_the_last_one_says_so() {
        let connection = in_memory();
        connection
            .execute_batch(
                "INSERT INTO talk_queue (talk_id, due_at)
                 WITH RECURSIVE ids (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM ids LIMIT 100)
                 SELECT id, id FROM ids",
            )
            .unwrap();
        let part = |number| {
            let page = page(&connection, QueueFilter::Due, number, UnixSeconds::new(1000)).unwrap();
            (page.rows.first().map(|row| row.talk_id.get()), page.rows.len(), page.has_more)
        };
        assert_eq!([1, 2, 3].map(part), [(Some(1), 50, true), (Some(51), 50, false), (None, 0, false)]);
    }
}
