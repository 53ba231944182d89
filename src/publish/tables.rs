//! The published tables, one file each.

pub(super) mod closures;
mod contacts;
mod exemptions;
mod hours;
mod leads;
mod names;
pub(super) mod talk_events;
pub(super) mod talk_versions;
pub(super) mod talks;
mod tombstones;

use super::table::Table;

/// What is published with each talk that changed, in the order in which it is written.
pub(super) const BY_TALK: [&Table; 7] = [
    &talks::TABLE,
    &talk_versions::TABLE,
    &closures::TABLE,
    &tombstones::TABLE,
    &talk_events::TABLE,
    &leads::TABLE,
    &contacts::TABLE,
];

/// Small tables that are published whole when something in them changes. Here, rows are deleted on the server too.
pub(super) const WHOLE: [&Table; 6] = [
    &names::USERS,
    &names::PIPELINES,
    &names::STATUSES,
    &exemptions::TABLE,
    &hours::UTC_OFFSETS,
    &hours::WORK_TIME,
];

/// Those that another host takes over. The zone and the hours are of its own configuration.
pub(super) const TAKEN_OVER: [&Table; 6] =
    [&leads::TABLE, &contacts::TABLE, &names::USERS, &names::PIPELINES, &names::STATUSES, &exemptions::TABLE];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Table> {
    BY_TALK.into_iter().chain(WHOLE)
}
