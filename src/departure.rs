//! When a request left. A request on a new connection leaves when the connection is established, and a close request
//! after a last look at the exemptions.
//!
//! Uses no other room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// When a request left. The client writes it, the gate reads it. Clones belong to the same request.
#[derive(Debug, Clone)]
pub struct Departure(Arc<Mutex<DepartureState>>);

#[derive(Debug, Clone, Copy)]
enum DepartureState {
    At(Instant),
    /// It waits for its connection, or for that look.
    Connecting,
}

impl Departure {
    /// A request that leaves now, unless it needs a connection.
    pub fn at(now: Instant) -> Departure {
        Departure(Arc::new(Mutex::new(DepartureState::At(now))))
    }

    /// Notes that its connection is being made, or that something is looked up for it: it has not left.
    pub fn connecting(&self) {
        *self.lock() = DepartureState::Connecting;
    }

    /// Notes that it leaves: the connection is there, or has failed.
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
