//! Recording without requests.

use crate::as_mirrored::as_mirrored;
use talkmirror::clock::UnixSeconds;
use talkmirror::store::queue::DueRow;
use talkmirror::store::record::{FetchedTalk, Outcome, Record, Recorder};
use talkmirror::store::{self, Connection};
use talkmirror_simulator::Talk;

/// Records all of these talks, which are queued, 128 in a transaction.
pub fn all(connection: &mut Connection, talks: &[Talk]) {
    for chunk in talks.chunks(128) {
        let head = store::queue::head(connection, UnixSeconds::MAX, chunk.len()).expect("the head");
        let tx = connection.transaction().expect("a transaction");
        let mut recorder = Recorder::new(&tx).expect("statements");
        for (talk, due) in chunk.iter().zip(head.due) {
            let outcome = Outcome::Talk(Box::new(FetchedTalk::new(as_mirrored(talk), "x".repeat(550))));
            let DueRow { talk_id, ticket, .. } = due;
            recorder
                .record(&Record {
                    talk_id,
                    ticket,
                    at: UnixSeconds::new(1_700_000_000),
                    outcome,
                    close_context: None,
                })
                .expect("recorded");
        }
        drop(recorder);
        tx.commit().expect("committed");
    }
}
