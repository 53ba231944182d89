//! Optional fields that come in another shape than the API documents: counted for the metrics, and each in the journal
//! once a day.

use crate::clock::{Now, UnixSeconds};
use crate::talk::TalkId;
use crate::telemetry;
use std::collections::BTreeMap;
use std::time::Duration;

const REPORT_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// A field that was odd.
#[derive(Debug, Default)]
struct Odd {
    /// So many answers had it so since it was last reported.
    answers: u64,
    /// By an earlier process, perhaps.
    reported_at: Option<UnixSeconds>,
}

/// When each field was last reported, and what came since.
#[derive(Debug, Default)]
pub(super) struct OddReporter(BTreeMap<String, Odd>);

impl OddReporter {
    /// `reported_at` is when an earlier process last reported each field.
    pub(super) fn new(reported_at: BTreeMap<String, UnixSeconds>) -> OddReporter {
        let known = |(field, at)| (field, Odd { answers: 0, reported_at: Some(at) });
        OddReporter(reported_at.into_iter().map(known).collect())
    }

    /// Counts an answer. If the field is to be reported, at once and then once a day, returns how many had it so.
    fn note(&mut self, field: &str, now: UnixSeconds) -> Option<u64> {
        let odd = self.0.entry(field.to_owned()).or_default();
        odd.answers += 1;
        // A clock that was set back makes no day longer.
        if odd.reported_at.is_some_and(|at| (at..at + REPORT_INTERVAL).contains(&now)) {
            return None;
        }
        odd.reported_at = Some(now);
        Some(std::mem::take(&mut odd.answers))
    }
}

impl OddReporter {
    /// Notes the odd fields of one answer; returns those that were reported.
    pub(super) fn report(&mut self, talk_id: TalkId, fields: &[&'static str], now: Now) -> Vec<&'static str> {
        let mut reported = Vec::new();
        for field in fields {
            telemetry::odd_field(field);
            if let Some(answers) = self.note(field, now.secs()) {
                reported.push(*field);
                tracing::warn!(
                    "the optional field {field} came in another shape than the API documents, and is stored as NULL \
                     (answers since the last such line: {answers}); `talkmirror why {talk_id}` shows the last one"
                );
            }
        }
        reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_odd_field_is_reported_at_once_and_then_once_a_day_with_all_since() {
        let start = UnixSeconds::new(1_700_000_000);
        let mut odd = OddReporter::default();
        assert_eq!(odd.note("rate", start), Some(1));
        assert_eq!(odd.note("rate", start + 1), None);
        assert_eq!(odd.note("origin", start + 60), Some(1), "another field waits for none");
        assert_eq!(odd.note("rate", start + REPORT_INTERVAL - 1), None);
        assert_eq!(odd.note("rate", start + REPORT_INTERVAL), Some(3));
        assert_eq!(odd.note("origin", start + REPORT_INTERVAL), None);
        let mut restarted = OddReporter::new([("rate".to_owned(), start)].into());
        assert_eq!(restarted.note("rate", start + 5), None);
        assert_eq!(restarted.note("origin", start + 5), Some(1));
        assert_eq!(restarted.note("rate", start - 5), Some(2), "the clock was set back");
    }
}
