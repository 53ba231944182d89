//! `[auto_close]`

use super::keys::Keys;
use crate::policy::closing::{CloseMode, CloseRules};
use crate::policy::hours::ReportRules;
use crate::policy::origin::same_origin;
use crate::policy::stale::StaleRules;
use std::sync::Arc;

/// `[auto_close]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AutoClose {
    pub rules: CloseRules,
    /// When to sweep: a cron expression of six fields, seconds first; UTC.
    pub schedule: String,
}

const ORIGINS: &str = "a list of words: [\"telegram\", \"viber\"]";

/// Reads the section.
/// `report` is for `in_work_time`.
pub(super) fn auto_close(keys: &mut Keys, report: &ReportRules) -> AutoClose {
    let modes = [CloseMode::Off, CloseMode::DryRun, CloseMode::Live].map(|mode| (mode.as_str(), mode));
    let mode = keys.choice("auto_close.mode", &modes);
    let rules = CloseRules {
        mode: mode.unwrap_or_default(),
        stale: StaleRules {
            stale_after: keys.duration("auto_close.stale_after", "24h", "1s", "1000d"),
            quiet_for: keys.duration("auto_close.quiet_for", "15m", "0s", "1000d"),
            only_origins: keys.string_list("auto_close.only_origins", ORIGINS),
            except_origins: keys.string_list("auto_close.except_origins", ORIGINS),
            work_time: work_time(keys, report),
        },
        force_close: keys.boolean("auto_close.force_close", true),
        max_per_sweep: keys.whole("auto_close.max_per_sweep", 50, 1..=100_000),
        max_share: keys.number("auto_close.max_share", 0.5, 0.0..=1.0),
    };
    for origin in &rules.stale.except_origins {
        if rules.stale.only_origins.iter().any(|only| same_origin(only, origin)) {
            let expected = "origins that are not in auto_close.only_origins";
            keys.mistake("auto_close.except_origins", expected, &format!("{origin:?}"));
        }
    }
    AutoClose { rules, schedule: keys.schedule("auto_close.schedule", "0 */5 * * * *") }
}

/// `auto_close.in_work_time`: the hours that count.
fn work_time(keys: &mut Keys, report: &ReportRules) -> Option<Arc<ReportRules>> {
    if !keys.boolean("auto_close.in_work_time", false) {
        return None;
    }
    if report.work_hours.is_none() && !keys.has_mistake("report.work_hours") {
        let expected = "days and times, such as \"Mon-Fri 09:00-18:00\", as auto_close.in_work_time is true";
        keys.mistake("report.work_hours", expected, "nothing");
    }
    Some(Arc::new(report.clone()))
}
