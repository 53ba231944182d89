//! Names of the account: which leads and contacts are to be asked for, and what the API's lists showed.
//!
//! A row that a list no longer shows stays, with its last name. A change of a lead or a contact is a change of its talks,
//! which are published with it.

mod needed;
mod stored;

pub(super) use needed::NewTalks;

use super::Fed;
use crate::clock::UnixSeconds;
use crate::directory::{Contact, Lead, NameList, Pipeline, User};
use crate::store::changes::Marker;
use crate::talk::TalkId;
use rusqlite::Transaction;
use std::sync::Arc;

/// What the feeder of names wants.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each variant says what its fields are for")]
pub enum NamesRequest {
    /// Find what the talks name that were recorded with a change since the last look, and has no row yet.
    New { contacts: bool },
    /// Find the talks whose names are asked for each day: the open ones, and those that changed or were missed since.
    Daily { since: UnixSeconds },
    /// Find what these talks name that has no row, or whose row is older than the round.
    Of { talks: Vec<TalkId>, contacts: bool, round: Round },
    /// Find what has no row among the next ids of the list that talks name, after this one.
    Unknown { list: NameList, after: i64 },
    /// Store users. `all`: the account has no others.
    Users { users: Vec<User>, all: bool, now: UnixSeconds },
    /// Store pipelines. `all`: the account has no others.
    Pipelines { pipelines: Vec<Pipeline>, all: bool, now: UnixSeconds },
    /// Store leads. `all`: the others of those asked for are gone.
    Leads { asked: Arc<[i64]>, leads: Vec<Lead>, all: bool, now: UnixSeconds },
    /// Store contacts. `all`: the others of those asked for are gone.
    Contacts { asked: Arc<[i64]>, contacts: Vec<Contact>, all: bool, now: UnixSeconds },
}

/// The times that a round goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// When it began. Rows that were fetched before are asked for again.
    pub began_at: UnixSeconds,
    /// Talks that changed or were missed before, and leads that were closed before, do not matter if the talk is closed.
    pub since: UnixSeconds,
    /// The time.
    pub now: UnixSeconds,
}

/// The ids to ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NeededIds {
    /// Of leads.
    pub leads: Vec<i64>,
    /// Of contacts.
    pub contacts: Vec<i64>,
}

/// Does what the feeder wants. The caller commits. Talks of leads and contacts that changed are marked by `marker`.
pub(super) fn work(
    tx: &Transaction<'_>,
    request: &NamesRequest,
    new: &NewTalks,
    marker: Option<&mut Marker<'_>>,
) -> rusqlite::Result<Fed> {
    Ok(match request {
        NamesRequest::New { contacts } => {
            let ids = needed::of_talks(tx, new.looked_at(), *contacts, None)?;
            Fed::NewNames { ids, overflowed: new.has_missed() }
        }
        NamesRequest::Daily { since } => Fed::Talks(needed::daily(tx, *since)?),
        NamesRequest::Of { talks, contacts, round } => {
            let ids = needed::of_talks(tx, talks.iter().copied(), *contacts, Some(*round))?;
            Fed::NewNames { ids, overflowed: false }
        }
        NamesRequest::Unknown { list, after } => {
            let (ids, after) = needed::unknown(tx, *list, *after)?;
            Fed::Unknown { ids, after }
        }
        NamesRequest::Users { users, all, now } => {
            stored::users(tx, users, *all, *now)?;
            Fed::Done
        }
        NamesRequest::Pipelines { pipelines, all, now } => {
            stored::pipelines(tx, pipelines, *all, *now)?;
            Fed::Done
        }
        NamesRequest::Leads { asked, leads, all, now } => {
            stored::leads(tx, (asked, *all), leads, *now, marker)?;
            let (users, pipelines) = stored::unknown_names(tx, leads)?;
            Fed::UnknownNames { users, pipelines }
        }
        NamesRequest::Contacts { asked, contacts, all, now } => {
            stored::contacts(tx, (asked, *all), contacts, *now, marker)?;
            Fed::Done
        }
    })
}

#[cfg(test)]
mod tests;
