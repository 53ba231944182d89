//! When a request left. One that needs a new connection leaves when that is established.
//!
//! Uses no other room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// When a request left: the client writes it, the gate reads it. Clones are of the same request.
#[derive(Debug, Clone)]
pub struct Departure(Arc<Mutex<Left>>);

#[derive(Debug, Clone, Copy)]
enum Left {
    At(Instant),
    /// It waits for a connection.
    Connecting,
}

impl Departure {
    /// A request that leaves now, if a connection is there.
    pub fn at(now: Instant) -> Departure {
        Departure(Arc::new(Mutex::new(Left::At(now))))
    }

    /// A connection is being made for it: it has not left.
    pub fn connecting(&self) {
        *self.lock() = Left::Connecting;
    }

    /// The connection is there, or there will be none.
    pub fn leaves(&self, now: Instant) {
        *self.lock() = Left::At(now);
    }

    /// When it left; `None` while it waits for a connection.
    pub fn left(&self) -> Option<Instant> {
        match *self.lock() {
            Left::At(at) => Some(at),
            Left::Connecting => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
