//! The published tables, one file each.

pub(super) mod closures;
pub(super) mod talk_events;
pub(super) mod talk_versions;
pub(super) mod talks;
mod tombstones;

use super::table::Table;

/// In the order in which they are written.
pub(super) const ALL: [&Table; 5] =
    [&talks::TABLE, &talk_versions::TABLE, &closures::TABLE, &tombstones::TABLE, &talk_events::TABLE];
