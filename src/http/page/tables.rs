//! The tables of the page, each with a caption and headed rows or columns.

use super::Screen;
use super::parts::{counted, facts, outside, when};
use crate::clock::UnixSeconds;
use crate::language::Language;
use crate::number;
use crate::policy::closing::CloseMode;
use crate::report::Overview;
use crate::report::humanize::{
    aim, backfill, capitalised, count, duration, exempt, feeder as feeder_name, in_time, lasting, outcome,
    past_events,
};
use crate::store::closures::Closure;
use crate::store::days::{DAYS, Day};
use crate::store::feeds::{Feeder, FeederRow};
use crate::store::sweep::{ExemptTalk, ExemptTalks};
use maud::{Markup, html};

/// The figures behind the charts.
pub(super) fn days(days: &[Day; DAYS]) -> Markup {
    html! {
        details id="figures" {
            summary id="figures-open" { "The " (DAYS) " days in figures" }
            div.wide {
                table {
                    caption {
                        "Talks as the mirror knows them now. A talk counts as closed on the day when the \
                         account last changed it before the mirror saw it closed. So a talk that was closed \
                         long ago and is mirrored today does not count as closed today."
                    }
                    thead {
                        tr {
                            th scope="col" { "Day" }
                            th.number scope="col" { "Open at its end" }
                            th.number scope="col" { "Missed" }
                            th.number scope="col" { "Closed" }
                        }
                    }
                    tbody {
                        @for (place, one) in days.iter().enumerate().rev() {
                            tr {
                                th scope="row" {
                                    (Language::English.day(one.day.as_utc())) @if place + 1 == DAYS { " (today, so far)" }
                                }
                                td.number { (count(one.open)) }
                                td.number { (count(one.missed)) }
                                td.number { (count(one.closed)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The queue.
pub(super) fn queue(screen: &Screen, language: Language) -> Markup {
    let (queue, now) = (&screen.overview.queue, screen.now);
    let oldest = queue.oldest_due_at.map(|at| format!("the oldest {}", lasting(at, now)));
    let next = queue.next_due_at.map(|at| format!("the next {}", in_time(at, now)));
    let urgent = queue.urgent_since.map(|at| format!("the oldest {}", lasting(at, now)));
    facts(
        "Queue".into(),
        "queue",
        "Talks that wait to be fetched",
        &[
            ("Due now".into(), counted(language, queue.due, oldest)),
            ("Of these asked for or hinted at".into(), counted(language, queue.urgent, urgent)),
            ("Due later".into(), counted(language, queue.later, next)),
            (
                "Failed".into(),
                counted(language, queue.failed, (queue.failed > 0).then(|| "after repeated attempts".into())),
            ),
        ],
    )
}

/// Pauses, and how requests are doing.
pub(super) fn pauses(screen: &Screen, language: Language) -> Markup {
    let now = screen.now;
    let Some(daemon) = &screen.overview.daemon else {
        return facts("Pauses and requests".into(), "pauses", "None yet: the daemon is starting", &[]);
    };
    let pause = match &daemon.pause {
        None => html! { "none" },
        Some(pause) => {
            let what = pause.what();
            html! {
                b { (capitalised(&what.to_string())) }
                small { (lasting(pause.since, now)) ", next probe " (in_time(pause.until, now)) }
                small.bad { (outside(&pause.detail)) }
            }
        }
    };
    let failure = match (daemon.last_failure_at, &daemon.last_failure) {
        (Some(at), Some(failure)) => html! { (when(language, at, now)) small { (outside(failure)) } },
        _ => html! { "none" },
    };
    let mut rows = vec![
        ("Pause".into(), pause),
        (
            "Requests a second".into(),
            html! {
                b { (format!("{:.1}", daemon.request_rate)) }
                small { "mean of the last minute, of " (format!("{:.1}", daemon.requests_per_second)) " allowed" }
            },
        ),
        (
            "Last successful answer".into(),
            daemon.last_success_at.map_or(html! { "none yet" }, |at| when(language, at, now)),
        ),
        ("Last failure".into(), failure),
    ];
    if let Some(at) = screen.token_expires_at {
        let expires = match (&screen.overview.oauth, at > now) {
            (Some(oauth), true) => html! { "renews itself, last " (when(language, oauth.refreshed_at, now)) },
            (None, true) => html! { "expires " (in_time(at, now)) },
            (_, false) => html! { "expired " (when(language, at, now)) },
        };
        rows.push(("Token".into(), expires));
    }
    facts("Pauses and requests".into(), "pauses", "What delays requests, and how they end", &rows)
}

/// The mirrored talks by state.
pub(super) fn talks(screen: &Screen, language: Language) -> Markup {
    let (talks, fresh) = (&screen.overview.talks, &screen.overview.freshness);
    let fetched = (fresh.talks > 0).then(|| {
        format!(
            "half fetched within {}, 95 % within {}, all within {}",
            duration(fresh.p50),
            duration(fresh.p95),
            duration(fresh.max)
        )
    });
    let mut rows = vec![
        ("Open".into(), counted(language, talks.in_work, fetched)),
        ("Of these missed".into(), counted(language, talks.missed, None)),
        ("Closed".into(), counted(language, talks.closed, None)),
        (
            "Gone".into(),
            counted(
                language,
                talks.gone,
                (talks.gone > 0).then(|| "the API reports that they no longer exist".into()),
            ),
        ),
    ];
    if talks.denied > 0 {
        rows.push((
            "Denied".into(),
            counted(language, talks.denied, Some("the API refuses them to this token".into())),
        ));
    }
    facts("Talks".into(), "talks", "Mirrored talks by state", &rows)
}

/// What auto-close does.
pub(super) fn auto_close(screen: &Screen, language: Language) -> Markup {
    let (overview, now) = (&screen.overview, screen.now);
    let mode = match screen.close_mode {
        CloseMode::Off => html! { "off" },
        mode => html! {
            b { @if mode == CloseMode::Live { "live" } @else { "dry run: it decides, and closes nothing" } }
            @if let Some(rules) = &screen.close_rules { small { "talks " (rules) } }
        },
    };
    let sweep = match &overview.sweeps.last {
        None => html! { "none yet" },
        Some(last) => {
            let number = |key: &str| last[key].as_i64().unwrap_or_default();
            let dry_run = last["mode"] == CloseMode::DryRun.as_str();
            let aim = aim(if dry_run { CloseMode::DryRun } else { CloseMode::Live });
            html! {
                (when(language, UnixSeconds::new(number("at")), now))
                small { (count(number("stale"))) " stale, " (count(number("queued"))) " queued to be " (aim) }
            }
        }
    };
    let today: Vec<String> = overview
        .closures_today
        .iter()
        .map(|(name, number)| format!("{} {}", count(*number), outcome(*name)))
        .collect();
    let today = if today.is_empty() { "none".to_owned() } else { today.join(", ") };
    let mut rows = vec![
        ("Mode".into(), mode),
        ("Last sweep".into(), sweep),
        ("Decisions today".into(), html! { (today) }),
        ("Under way".into(), counted(language, overview.closures_under_way, None)),
    ];
    if overview.exempt.rows > 0 {
        rows.push(("Exempt".into(), exempt_talks(&overview.exempt)));
    }
    facts("Auto-close".into(), "auto-close", "What is done about talks that were missed", &rows)
}

/// How many stale talks exemptions keep, and what keeps the longest missed of them.
fn exempt_talks(talks: &ExemptTalks) -> Markup {
    let more = talks.stale - number::whole(talks.first.len());
    html! {
        b { (count(talks.stale)) }
        small { (exempt(talks)) }
        @for ExemptTalk { talk_id, exemption } in &talks.first {
            small { "Talk " (talk_id) ": " (outside(&exemption.to_string())) }
        }
        @if more > 0 { small { "… and " (count(more)) " more" } }
    }
}

/// The last closings, and their reasons.
pub(super) fn closures(screen: &Screen, language: Language) -> Markup {
    html! {
        section aria-labelledby="closures" {
            h2 id="closures" { "Last closures" }
            @if screen.closures.is_empty() {
                p.note { "Nothing has been decided on yet." }
            } @else {
                div.wide {
                    table {
                        caption { "The last " (screen.closures.len()) " decisions to close a talk, the latest first" }
                        thead {
                            tr {
                                th scope="col" { "Talk" }
                                th scope="col" { "Outcome" }
                                th scope="col" { "Why" }
                            }
                        }
                        tbody {
                            @for closure in &screen.closures { (decision(closure, language, screen.now)) }
                        }
                    }
                }
            }
        }
    }
}

fn decision(closure: &Closure, language: Language, now: UnixSeconds) -> Markup {
    html! {
        tr {
            th scope="row" { (closure.talk_id) small { (when(language, closure.decided_at, now)) } }
            td {
                (capitalised(&outcome(closure.outcome).to_string()))
                @if let Some(status) = closure.http_status { small { "HTTP " (status) } }
            }
            td {
                (outside(&closure.reason))
                @if let Some(error) = &closure.error { small.bad { (outside(error)) } }
            }
        }
    }
}

/// The feeders.
pub(super) fn feeders(screen: &Screen, language: Language) -> Markup {
    html! {
        section aria-labelledby="feeders" {
            h2 id="feeders" { "Feeders" }
            @if screen.overview.feeders.is_empty() {
                p.note { "No feeder has run yet." }
            } @else {
                div.wide {
                    table {
                        caption { "What finds talks by itself and queues them" }
                        thead {
                            tr {
                                th scope="col" { "Feeder" }
                                th scope="col" { "Last" }
                                th.number scope="col" { "Queued then" }
                                th.number scope="col" { "In all" }
                            }
                        }
                        tbody {
                            @for row in &screen.overview.feeders { (feeder(row, screen, language)) }
                        }
                    }
                }
            }
        }
    }
}

fn feeder(row: &FeederRow, screen: &Screen, language: Language) -> Markup {
    let now = screen.now;
    let Overview { backfill: ids, past_events: events, .. } = &screen.overview;
    let walk = match Feeder::parse(&row.feeder) {
        Some(Feeder::Backfill) => ids.as_ref().map(|walk| backfill(walk, now)),
        Some(Feeder::PastEvents) => events.as_ref().map(|walk| past_events(walk, row, now)),
        _ => None,
    };
    html! {
        tr {
            th scope="row" {
                (capitalised(&feeder_name(&row.feeder).to_string()))
                @match (&row.trouble, walk) {
                    (Some(trouble), _) => small.bad {
                        "error" @if let Some(since) = row.trouble_since { " " (lasting(since, now)) } ": "
                        (outside(trouble))
                    },
                    (None, Some(walk)) => small { (walk) },
                    (None, None) => small { @if row.enabled { "on" } @else { "off" } },
                }
            }
            td { @match row.ran_at { None => "never", Some(at) => (when(language, at, now)) } }
            td.number { (count(row.found)) }
            td.number { (count(row.found_in_all)) }
        }
    }
}
