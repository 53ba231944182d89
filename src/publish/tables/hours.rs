//! The time zone of days and the hours of work.

use crate::publish::table::{Kind, OnConflict, Table, required};

pub(super) const UTC_OFFSETS: Table = Table {
    name: "utc_offsets",
    comment: "The offsets of report.timezone from UTC. A local time is a time plus the seconds of the last row that begins by \
              then.",
    columns: &[
        required("valid_from", Kind::Time, "the first second of this offset"),
        required("valid_to", Kind::Time, "the first second of the next"),
        required("seconds", Kind::Integer, "ahead of UTC"),
    ],
    key: &["valid_from"],
    select: "SELECT valid_from, valid_to, seconds FROM utc_offsets",
    on_conflict: OnConflict::Replace,
};

pub(super) const WORK_TIME: Table = Table {
    name: "work_time",
    comment: "When report.work_hours and report.holidays say that the team works. No row: they say nothing.",
    columns: &[
        required("opens_at", Kind::Time, "the first second of work"),
        required("closes_at", Kind::Time, "the first second after it"),
        required("day", Kind::Text, "the local day on which it opens: 2027-01-31"),
        required("seconds", Kind::Integer, "from opens_at to closes_at"),
        required("seconds_before", Kind::Integer, "the sum of these seconds of all rows before"),
    ],
    key: &["opens_at"],
    select: "SELECT opens_at, closes_at, day, seconds, seconds_before FROM work_time",
    on_conflict: OnConflict::Replace,
};
