//! Closing by hand: `talkmirror close` works what a person wants closed, and nothing else.

use super::Closer;
use crate::store::sweep::{QueuedToClose, ToClose};
use crate::talk::TalkId;
use std::sync::Arc;

/// What a person wants closed; then nothing else is worked.
#[derive(Debug, Default)]
pub(super) enum ManualClose {
    #[default]
    None,
    /// Until it is known whose API answers.
    Held(ToClose),
    Queueing,
    Queued(QueuedToClose),
}

impl Closer {
    /// Works nothing but what a person wants closed.
    pub(in crate::worker) fn close_manually(&mut self, to_close: ToClose) {
        self.manual = ManualClose::Held(to_close);
    }

    /// What was queued to be closed by hand, once it was.
    pub(in crate::worker) fn queued_to_close(&self) -> Option<&QueuedToClose> {
        match &self.manual {
            ManualClose::Queued(queued) => Some(queued),
            _ => None,
        }
    }

    /// Talks that were to be closed by hand and were left as they are, and why.
    pub(in crate::worker) fn left(&self) -> &[(TalkId, String)] {
        &self.left
    }

    /// The talks whose rows alone are worked; `None` for all.
    pub(in crate::worker) fn only(&self) -> Option<Arc<[TalkId]>> {
        match &self.manual {
            ManualClose::None => None,
            ManualClose::Held(_) | ManualClose::Queueing => Some(Arc::default()),
            ManualClose::Queued(queued) => Some(queued.queued.as_slice().into()),
        }
    }

    /// What is to be queued now to be closed by hand.
    pub(in crate::worker) fn take_to_close(&mut self) -> Option<ToClose> {
        match std::mem::take(&mut self.manual) {
            ManualClose::Held(to_close) => {
                self.manual = ManualClose::Queueing;
                Some(to_close)
            }
            other => {
                self.manual = other;
                None
            }
        }
    }

    pub(in crate::worker) fn on_queued_to_close(&mut self, queued: QueuedToClose) {
        self.manual = ManualClose::Queued(queued);
    }

    /// Something is to be closed by hand and is not queued yet.
    pub(in crate::worker) fn is_queueing(&self) -> bool {
        matches!(self.manual, ManualClose::Held(_) | ManualClose::Queueing)
    }
}
