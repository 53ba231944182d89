//! Times in a response: when the server responded, and how long it asks to wait.

use super::{BODY_CAP, body};
use crate::clock::{UnixSeconds, unix_now};
use chrono::DateTime;
use reqwest::Response;
use reqwest::header::{self, HeaderValue};
use std::time::{Duration, UNIX_EPOCH};

/// No hint may ask for a longer wait: a larger value is an error of the server.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The `Date` header of a response, as received.
#[derive(Debug, Clone)]
pub struct Date(Option<HeaderValue>);

impl Date {
    pub(super) fn of(response: &Response) -> Date {
        Date(response.headers().get(header::DATE).cloned())
    }

    /// `None` if there is no readable date.
    pub fn unix(&self) -> Option<UnixSeconds> {
        http_date(self.0.as_ref()?)
    }

    #[cfg(test)]
    pub(crate) fn at(unix: UnixSeconds) -> Date {
        let date = crate::clock::written(unix, "%a, %d %b %Y %H:%M:%S GMT");
        Date(Some(HeaderValue::from_str(&date).expect("a date")))
    }
}

/// How long a 429 asks to wait: the longest value in its headers and body.
pub(super) async fn retry_after(response: &mut Response) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    struct Problem {
        retry_after: Option<serde_json::Value>,
    }
    let date = Date::of(response).unix();
    let headers = response.headers().get_all(header::RETRY_AFTER).iter();
    let header = headers.filter_map(|value| parse_retry_after(value, date)).max();
    let problem = body::read(response, BODY_CAP).await.ok();
    let in_body =
        problem.and_then(|body| serde_json::from_slice::<Problem>(&body).ok()).and_then(|problem| {
            match problem.retry_after? {
                serde_json::Value::Number(number) => number.as_f64(),
                serde_json::Value::String(string) => string.trim().parse().ok(),
                _ => None,
            }
        });
    header.max(in_body.and_then(seconds))
}

/// Reads a `Retry-After`: seconds, or a date. A date is compared with the response's own `Date`, because our clock
/// may be wrong.
fn parse_retry_after(value: &HeaderValue, date: Option<UnixSeconds>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => seconds,
        Err(_) => http_date(value)?.duration_since(date.unwrap_or_else(unix_now)).as_secs_f64(),
    };
    seconds(wait)
}

fn seconds(value: f64) -> Option<Duration> {
    (value.is_finite() && value >= 0.0)
        .then(|| Duration::from_secs_f64(value.min(MAX_RETRY_AFTER.as_secs_f64())))
}

/// A date in any of HTTP's three forms or in the form used in mail.
fn http_date(value: &HeaderValue) -> Option<UnixSeconds> {
    let text = value.to_str().ok()?.trim();
    if let Ok(date) = httpdate::parse_http_date(text) {
        let seconds = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
        return i64::try_from(seconds).ok().map(UnixSeconds::new);
    }
    // The day of the week adds nothing, and may be wrong.
    let text = text.split_once(',').map_or(text, |(_, date)| date);
    Some(UnixSeconds::new(DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str, date: Option<&str>) -> Option<f64> {
        let header = |text: &str| HeaderValue::from_str(text).unwrap();
        parse_retry_after(&header(value), date.and_then(|date| http_date(&header(date))))
            .map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn a_date_is_measured_against_the_answer_s_own() {
        let date = Some("Wed, 25 Nov 2026 03:00:00 GMT");
        assert_eq!(wait("Wed, 25 Nov 2026 03:00:05 GMT", date), Some(5.0));
        assert_eq!(wait("Wed, 25 Nov 2026 02:59:55 GMT", date), Some(0.0), "over by then");
        assert_eq!(wait("Wed, 25 Nov 2036 03:00:00 GMT", date), Some(86_400.0), "no more than a day");
        assert_eq!(wait("Wed, 25 Nov 2020 03:00:00 GMT", None), Some(0.0), "by our clock");
    }

    #[test]
    fn every_form_of_a_date_is_read_and_bounded_the_same_way() {
        let forms = |day: &str, long: &str, time: &str| {
            [
                format!("Wed, {day} Nov 2026 {time} GMT"),
                format!("Wednesday, {day}-Nov-26 {time} GMT"),
                format!("Wed Nov {long} {time} 2026"),
            ]
        };
        for date in forms("04", " 4", "03:00:00") {
            for (day, long, time, waits) in [
                ("04", " 4", "03:00:05", 5.0),
                ("04", " 4", "02:59:55", 0.0),
                ("25", "25", "03:00:00", 86_400.0),
            ] {
                for value in forms(day, long, time) {
                    assert_eq!(wait(&value, Some(&date)), Some(waits), "{value} at {date}");
                }
            }
        }
        let date = Some("Wed, 25 Nov 2026 03:00:00 GMT");
        for far in [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Fri Dec 31 23:59:59 9999",
            "Tuesday, 31-Dec-69 23:59:59 GMT",
            "99999999999999999999",
            "1e300",
        ] {
            assert_eq!(wait(far, date), Some(86_400.0), "{far}");
            assert_eq!(wait(far, None), Some(86_400.0), "{far}");
        }
        // In the form used in mail, or with a wrong day of the week.
        for value in
            ["Wed, 25 Nov 2026 06:00:05 +0300", "Mon, 25 Nov 2026 03:00:05 GMT", "25 Nov 2026 03:00:05 GMT"]
        {
            assert_eq!(wait(value, date), Some(5.0), "{value}");
        }
        // Adding a capped wait never gives a time that cannot be shown.
        let last = http_date(&HeaderValue::from_static("Fri, 31 Dec 9999 23:59:59 GMT")).unwrap();
        assert_eq!(crate::clock::written(last, "%Y"), "9999");
    }

    #[test]
    fn what_is_no_time_to_wait_is_none() {
        assert_eq!(wait("1.5", None), Some(1.5));
        assert_eq!(wait(" 30 ", None), Some(30.0));
        assert_eq!(wait("1000000000000000000", None), Some(86_400.0));
        for none in ["-5", "soon", "", "NaN", "inf", "-0.1"] {
            assert_eq!(wait(none, None), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_has_anybody_wait_for_more_than_a_day(
            value in crate::mutated::mutated(&["30", "1.5", "Wed, 25 Nov 2026 03:00:05 GMT", "Wednesday, 25-Nov-26 03:00:05 GMT", "Wed Nov 25 03:00:05 2026"]),
            date in proptest::option::of(proptest::prelude::any::<i64>()),
        ) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let _ = http_date(&value);
                proptest::prop_assert!(parse_retry_after(&value, date.map(UnixSeconds::new)).is_none_or(|wait| wait <= MAX_RETRY_AFTER));
            }
        }
    }
}
