//! The published tables, one file each.

mod closures;
mod talk_versions;
mod talks;
mod tombstones;

use super::table::Table;

/// In the order in which they are written.
pub(super) const ALL: [&Table; 4] =
    [&talks::TABLE, &talk_versions::TABLE, &closures::TABLE, &tombstones::TABLE];
