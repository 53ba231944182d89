//! What the writer is asked to do, and what it answers.

use crate::clock::UnixSeconds;
use crate::policy::closing::CloseRules;
use crate::policy::exemption::Exempting;
use crate::policy::hours::ReportRules;
use crate::store::account::AccountName;
use crate::store::backup::state::BackupState;
use crate::store::changes::state::PublishState;
use crate::store::changes::{CaptureStep, ChangesRequest};
use crate::store::feeds::{Fed, FeedRequest, Feeder};
use crate::store::maintenance::{Maintained, MaintenanceTask};
use crate::store::queue::{DueBatch, Repair};
use crate::store::record::{Outcome, Record, Recorded};
use crate::store::status::DaemonStatus;
use crate::store::sweep::{QueuedToClose, SweepRequest, Swept, ToClose};
use crate::store::tokens::TokenStatus;
use crate::talk::TalkId;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Message {
    /// What came together is committed together.
    Write(Write),
    /// Done by itself, in turn.
    Query(Query),
}

/// What is answered by an event, or changes what the writer does from then on.
#[derive(Debug)]
pub(crate) enum Query {
    Enqueue(Vec<RangeInclusive<TalkId>>),
    /// Queue what is to be closed by hand, by these rules, at this time.
    CloseManually {
        rules: Box<CloseRules>,
        to_close: ToClose,
        now: UnixSeconds,
    },
    /// Read the head of the queue, or the rows of these talks alone.
    Head {
        now: UnixSeconds,
        limit: usize,
        only: Option<Arc<[TalkId]>>,
    },
    Sweep(Box<SweepRequest>),
    /// What exempts this talk from being closed, at this time?
    Exempting(TalkId, UnixSeconds, oneshot::Sender<Option<Exempting>>),
    /// The rules of the configuration, and which feeders it switches on.
    Configure {
        rules: Box<CloseRules>,
        report: Box<ReportRules>,
        feeders: Vec<(Feeder, bool)>,
    },
    /// What can wait.
    Maintain(MaintenanceTask),
    /// What the publisher wants.
    Changes(ChangesRequest, oneshot::Sender<rusqlite::Result<CaptureStep>>),
    /// Has another process written?
    Poll,
    /// Count a turn: the thread is not stuck.
    Turn,
    Stop,
}

/// What is written in one transaction with others.
#[derive(Debug)]
pub(crate) enum Write {
    Record(Record),
    Status(Box<DaemonStatus>),
    /// A pause that somebody asked to end was probed.
    Resumed,
    /// An odd field was in the journal, at this time.
    OddReported(&'static str, UnixSeconds),
    Token(TokenStatus),
    Backup(BackupState),
    /// How publishing goes; `None` if it is off.
    Publish(Option<Box<PublishState>>),
    Repair(Repair),
    /// Whose API it is that answers, or why that is not known; and when that was found.
    Account(Result<AccountName, String>, UnixSeconds),
    /// The reply is sent after the commit.
    Feed {
        order: FeedRequest,
        reply: Option<oneshot::Sender<Fed>>,
    },
}

impl Write {
    /// What a feeder wants.
    pub(super) fn order(&self) -> Option<&FeedRequest> {
        match self {
            Write::Feed { order, .. } => Some(order),
            _ => None,
        }
    }
}

impl Message {
    /// Nobody waits for its commit, so it may be committed with what comes within a second.
    pub(super) fn can_wait(&self) -> bool {
        match self {
            Message::Write(Write::Record(record)) => {
                record.close_context.is_none() && matches!(record.outcome, Outcome::Talk(_))
            }
            Message::Write(Write::Status(_) | Write::Publish(_))
            | Message::Query(Query::Head { .. } | Query::Turn) => true,
            _ => false,
        }
    }
}

/// What happened in the database.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum Event {
    /// Committed, one for each record.
    Recorded(Vec<Recorded>, Spent),
    /// The answer to [`super::Writer::head`].
    Head(DueBatch),
    /// The answer to [`super::Writer::sweep`].
    Swept(Swept),
    /// The answer to [`super::Writer::enqueue`].
    Enqueued,
    /// The answer to [`super::Writer::close_manually`].
    QueuedToClose(QueuedToClose),
    /// Somebody asks that the pause end now.
    Resume,
    /// A feeder has put ids into the queue that are due at this time, or rows were repaired.
    Fed { due_at: UnixSeconds },
    /// The answer to [`super::Writer::maintain`].
    Maintained(Maintained),
    /// Another process has written since the last look.
    ForeignChange,
    /// Nothing can be committed for now, and why; it is retried.
    WriteError(String),
    /// Commits go through again.
    Recovered,
    /// The database is broken: nothing more will happen.
    Fatal(rusqlite::Error),
    /// Everything asked before [`super::Writer::stop`] is committed, and the database closed.
    Stopped,
}

/// What was committed, handed back to be dropped by the thread that made it: freed by the writer, both threads
/// would wait for one heap, a tenth of the work on a full queue.
#[derive(Debug)]
pub struct Spent(#[expect(dead_code, reason = "only to be dropped")] pub(super) Vec<Write>);
