//! The simulated account's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time in whole Unix seconds.
pub(super) fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A Unix second in the form of the `Date` header. The start of 1970 if it is earlier.
pub(super) fn http_date(at: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(at).unwrap_or_default());
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}
