//! Arguments that name talks: ids, ranges, or stdin.

use crate::talk::TalkId;
use std::ops::RangeInclusive;

/// An argument that names talks.
#[derive(Debug, Clone)]
pub(super) enum IdsOrStdin {
    /// One id, or a range such as `1..100`.
    Ids(RangeInclusive<TalkId>),
    /// `-`: ids and ranges are read from stdin, one a line.
    Stdin,
}

/// A larger range is probably a typing error.
const LARGEST_RANGE: i64 = 10_000_000;

/// An id, or a range with both ends.
///
/// # Errors
/// What is wrong with it.
pub(super) fn talk_ids(text: &str) -> Result<RangeInclusive<TalkId>, String> {
    let talk_id = |text: &str| text.parse::<TalkId>().map_err(|error| error.to_string());
    let Some((first, last)) = text.split_once("..") else {
        return talk_id(text).map(|id| id..=id);
    };
    let (first, last) = (talk_id(first)?, talk_id(last)?);
    if first > last {
        return Err(format!("the range is empty: did you mean {last}..{first}?"));
    }
    if last.get() - first.get() >= LARGEST_RANGE {
        return Err(format!("over {LARGEST_RANGE} talks in one range: give smaller ranges"));
    }
    Ok(first..=last)
}

/// The same, or `-`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn ids_or_stdin(text: &str) -> Result<IdsOrStdin, String> {
    match text {
        "-" => Ok(IdsOrStdin::Stdin),
        ids => talk_ids(ids).map(IdsOrStdin::Ids),
    }
}
