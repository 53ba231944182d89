//! When a request left. One that needs a new connection leaves when that is established.
//!
//! Uses no other room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// When a request left: the client writes it, the gate reads it. Clones are of the same request.
#[derive(Debug, Clone)]
pub struct Departure(Arc<Mutex<DepartureState>>);

#[derive(Debug, Clone, Copy)]
enum DepartureState {
    At(Instant),
    /// It waits for a connection.
    Connecting,
}

impl Departure {
    /// A request that leaves now, if a connection is there.
    pub fn at(now: Instant) -> Departure {
        Departure(Arc::new(Mutex::new(DepartureState::At(now))))
    }

    /// A connection is being made for it: it has not left.
    pub fn connecting(&self) {
        *self.lock() = DepartureState::Connecting;
    }

    /// The connection is there, or there will be none.
    pub fn leaves(&self, now: Instant) {
        *self.lock() = DepartureState::At(now);
    }

    /// When it left; `None` while it waits for a connection.
    pub fn left(&self) -> Option<Instant> {
        match *self.lock() {
            DepartureState::At(at) => Some(at),
            DepartureState::Connecting => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, DepartureState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
