//! The figures that matter most, each a link to its list.

use super::Screen;
use super::parts::address;
use crate::clock::written;
use crate::language::Message;
use crate::policy::closing::{CloseMode, ClosingOutcome};
use maud::{Markup, html};

/// A figure, the list that it counts, and a remark.
struct Tile {
    name: &'static str,
    number: i64,
    address: String,
    more: Option<Message>,
    /// Whether a person has to look at it if there is any.
    is_alarm: bool,
}

/// Who waits, what was missed, the queue and today's closings.
pub(super) fn tiles(screen: &Screen) -> Markup {
    let language = screen.language;
    html! {
        section aria-labelledby="now" {
            h2.heard id="now" { (language.text("front-now")) }
            ul.tiles {
                @for tile in all(screen) {
                    @let alarm = (tile.is_alarm && tile.number > 0).then_some("alarm");
                    li {
                        a class=[alarm] href=(tile.address) {
                            span { (language.text(tile.name)) }
                            b { (language.count(tile.number)) }
                            @if let Some(more) = tile.more { small { (more.to(language)) } }
                        }
                    }
                }
            }
        }
    }
}

fn all(screen: &Screen) -> [Tile; 6] {
    let (overview, now) = (&screen.overview, screen.now);
    let talks = |name, number, state, more| {
        let address = address("talks", &[("state", state)]);
        Tile { name, number, address, more, is_alarm: false }
    };
    let queued = |name, number, state, more| {
        let address = address("queue", &[("state", state)]);
        Tile { name, number, address, more, is_alarm: state == "failed" }
    };
    // Not broken across lines.
    let span = |seconds: i64| screen.language.duration(seconds).replace(' ', "\u{a0}");
    let fetched = (overview.freshness.talks > 0)
        .then(|| Message::new("front-fetched-within").with("span", span(overview.freshness.p95)));
    let longest = |since| Message::new("front-longest").with("span", span(now.seconds_since(since)));
    let oldest = overview.queue.oldest_due_at.map(|at| crate::language::lasting(at, now));
    let waiting = screen.waiting;
    [
        talks("front-tile-waiting", waiting.talks, "waiting", waiting.since.map(longest)),
        talks("front-tile-missed", overview.talks.missed, "missed", waiting.missed_since.map(longest)),
        talks("front-tile-open", overview.talks.in_work, "open", fetched),
        queued("front-tile-due", overview.queue.due, "due", oldest),
        queued("front-tile-failed", overview.queue.failed, "failed", None),
        closings(screen),
    ]
}

/// What auto-close closed today, or would have closed.
fn closings(screen: &Screen) -> Tile {
    let (outcome, name) = match screen.close_mode {
        CloseMode::DryRun => (ClosingOutcome::WouldClose, "front-tile-would-close"),
        CloseMode::Off | CloseMode::Live => (ClosingOutcome::Closed, "front-tile-closed"),
    };
    let number = screen.overview.closures_today.get(&outcome).copied().unwrap_or(0);
    let more = match screen.close_mode {
        CloseMode::Off => Some(Message::new("front-auto-close-off")),
        CloseMode::DryRun => Some(Message::new("front-auto-close-dry-run")),
        CloseMode::Live => None,
    };
    let address = of_today(screen, outcome);
    Tile { name, number, address, more, is_alarm: false }
}

/// The list of today's closings with this outcome.
pub(super) fn of_today(screen: &Screen, outcome: ClosingOutcome) -> String {
    let today = written(screen.today.as_utc(), "%Y-%m-%d");
    address("closings", &[("outcome", outcome.as_str()), ("day", &today)])
}
