//! Optional fields that come in another shape than the API documents: counted for the metrics, and in the journal once a
//! day.

use super::Worker;
use crate::clock::Now;
use crate::telemetry;
use std::collections::BTreeMap;

/// In seconds.
const REPORT_INTERVAL: i64 = 24 * 60 * 60;

/// What came since the last report.
#[derive(Debug, Default)]
pub(super) struct OddReporter {
    /// How often each field was odd, and in which talk last.
    fields: BTreeMap<&'static str, (u64, i64)>,
    /// In Unix seconds; by an earlier process, perhaps.
    reported_at: Option<i64>,
}

impl OddReporter {
    /// `reported_at` is when an earlier process last reported, in Unix seconds.
    pub(super) fn new(reported_at: Option<i64>) -> OddReporter {
        OddReporter { fields: BTreeMap::new(), reported_at }
    }

    fn note(&mut self, talk_id: i64, fields: &[&'static str]) {
        for field in fields {
            let (count, last) = self.fields.entry(field).or_default();
            (*count, *last) = (*count + 1, talk_id);
        }
    }

    /// What there is to report, if it is time to: at once, then once a day.
    fn due(&mut self, now: i64) -> Option<String> {
        // A clock that was set back makes no day longer.
        let recent =
            self.reported_at.is_some_and(|at| (at..at.saturating_add(REPORT_INTERVAL)).contains(&now));
        if recent || self.fields.is_empty() {
            return None;
        }
        self.reported_at = Some(now);
        let fields = std::mem::take(&mut self.fields);
        let listed =
            fields.iter().map(|(field, (count, last))| format!("{field} ({count}, last in talk {last})"));
        Some(listed.collect::<Vec<_>>().join(", "))
    }
}

impl Worker {
    /// Notes the odd fields of one answer.
    pub(super) fn note_odd(&mut self, talk_id: i64, fields: &[&'static str], now: Now) {
        if fields.is_empty() {
            return;
        }
        fields.iter().for_each(|field| telemetry::odd_field(field));
        self.odd.note(talk_id, fields);
        if let Some(listed) = self.odd.due(now.secs()) {
            self.writer.odd_reported(now.secs());
            tracing::warn!(
                "answers have optional fields of another shape than the API documents, stored as NULL: {listed}; \
                 `talkmirror why ID` shows which"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_is_reported_at_once_and_then_once_a_day_with_all_since() {
        let start = 1_700_000_000;
        let mut odd = OddReporter::default();
        assert_eq!(odd.due(start), None);
        odd.note(7, &["rate", "_embedded.leads"]);
        assert_eq!(odd.due(start).unwrap(), "_embedded.leads (1, last in talk 7), rate (1, last in talk 7)");
        odd.note(8, &["rate"]);
        odd.note(9, &["rate"]);
        assert_eq!(odd.due(start + REPORT_INTERVAL - 1), None);
        assert_eq!(odd.due(start + REPORT_INTERVAL).unwrap(), "rate (2, last in talk 9)");
        assert_eq!(odd.due(start + 3 * REPORT_INTERVAL), None, "nothing since");
        let mut restarted = OddReporter::new(Some(start));
        restarted.note(9, &["rate"]);
        assert_eq!(restarted.due(start + 5), None);
        assert!(restarted.due(start - 5).is_some(), "the clock was set back");
    }
}
