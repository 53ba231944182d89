//! The folded tables of the front page about the queue, requests, talks and auto-close.

use super::Screen;
use super::parts::{address, counted, facts_table, fold, linked, outside, when};
use super::tiles::of_today;
use crate::clock::UnixSeconds;
use crate::language::Message;
use crate::number;
use crate::policy::closing::CloseMode;
use crate::policy::tokens::Expiry;
use crate::report::humanize::{aim, capitalised, close_mode, exempt, freshness, lane, outcome};
use crate::store::status::{DaemonStatus, LaneRequests};
use crate::store::sweep::ExemptTalk;
use maud::{Markup, html};

/// The queue.
pub(super) fn queue(screen: &Screen) -> Markup {
    let (language, queue, now) = (screen.language, &screen.overview.queue, screen.now);
    let oldest = |since: UnixSeconds| {
        Message::new("front-the-oldest").with("time", crate::language::lasting(since, now)).to(language)
    };
    let next = queue.next_due_at.map(|at| {
        Message::new("front-the-next").with("time", crate::language::in_time(at, now)).to(language)
    });
    let failed = (queue.failed > 0).then(|| language.text("front-after-attempts"));
    let list = |state| address("queue", &[("state", state)]);
    let name = |id| language.text(id);
    let line = Message::new("front-queue-line")
        .with("due", queue.due)
        .with("later", queue.later)
        .with("failed", queue.failed);
    fold(
        "queue",
        &name("section-queue"),
        &line.to(language),
        &facts_table(
            &name("front-queue-caption"),
            &[
                (
                    name("front-queue-due"),
                    linked(language, queue.due, &list("due"), queue.oldest_due_at.map(oldest)),
                ),
                (
                    name("front-queue-urgent"),
                    linked(language, queue.urgent, &list("due"), queue.urgent_since.map(oldest)),
                ),
                (name("front-queue-later"), linked(language, queue.later, &list("later"), next)),
                (name("front-queue-failed"), linked(language, queue.failed, &list("failed"), failed)),
            ],
        ),
    )
}

/// Pauses, and how requests are doing.
pub(super) fn requests(screen: &Screen) -> Markup {
    let language = screen.language;
    let title = language.text("front-requests");
    let Some(daemon) = &screen.overview.daemon else {
        return fold("requests", &title, &language.text("front-requests-none"), &html! {});
    };
    let rate = language.decimal(daemon.request_rate, 1);
    let line = match &daemon.pause {
        None => Message::new("front-requests-line").with("rate", rate.as_str()),
        Some(pause) => Message::new("front-requests-paused").with("what", pause.what()),
    };
    let mut rows = vec![
        (language.text("front-pause"), pause(screen, daemon)),
        (
            language.text("front-requests-rate"),
            html! {
                b { (rate) }
                small {
                    (Message::new("front-requests-allowed")
                        .with("allowed", language.decimal(daemon.requests_per_second, 1)).to(language))
                }
            },
        ),
    ];
    if let Some(shares) = shares(screen, &daemon.lanes) {
        rows.push((language.text("front-shares"), shares));
    }
    rows.extend(answers(screen, daemon));
    let table = facts_table(&language.text("front-requests-caption"), &rows);
    fold("requests", &title, &outside(&line.to(language)), &table)
}

fn pause(screen: &Screen, daemon: &DaemonStatus) -> Markup {
    let (language, now) = (screen.language, screen.now);
    let Some(pause) = &daemon.pause else { return html! { (language.text("front-none")) } };
    let probe = Message::new("front-next-probe")
        .with("lasting", crate::language::lasting(pause.since, now))
        .with("time", crate::language::in_time(pause.until, now));
    html! {
        b { (capitalised(&pause.what().to(language))) }
        small { (probe.to(language)) }
        small.bad { (outside(&pause.detail)) }
    }
}

/// How the requests of the last minutes were shared. `None` if there were none.
fn shares(screen: &Screen, lanes: &[LaneRequests]) -> Option<Markup> {
    let language = screen.language;
    let all: i64 = lanes.iter().map(|lane| lane.requests).sum();
    let percent = |requests: i64| language.decimal(requests as f64 * 100.0 / all as f64, 0);
    let of_all = Message::new("front-shares-of").with("number", all).to(language);
    (all > 0).then(|| {
        html! {
            @for share in lanes {
                span.share { (lane(&share.lane).to(language)) " " b { (percent(share.requests)) " %" } }
            }
            small { (of_all) }
        }
    })
}

/// The last answers of the API, and until when it takes the token.
fn answers(screen: &Screen, daemon: &DaemonStatus) -> Vec<(String, Markup)> {
    let (language, now) = (screen.language, screen.now);
    let success = match daemon.last_success_at {
        None => html! { (language.text("front-none-yet")) },
        Some(at) => when(language, at, now),
    };
    let failure = match (daemon.last_failure_at, &daemon.last_failure) {
        (Some(at), Some(failure)) => html! { (when(language, at, now)) small { (outside(failure)) } },
        _ => html! { (language.text("front-none")) },
    };
    let mut rows =
        vec![(language.text("front-last-success"), success), (language.text("front-last-failure"), failure)];
    if let Some(at) = screen.token_expires_at {
        let message = match &screen.overview.oauth {
            Some(oauth) if at > now => Message::new("front-token-renewed")
                .with("time", crate::language::ago(oauth.refreshed_at, now)),
            _ => Expiry::of(at, now).message(),
        };
        let exactly = format!("{} UTC", language.timestamp(at));
        rows.push((language.text("front-token"), html! { span title=(exactly) { (message.to(language)) } }));
    }
    rows
}

/// The mirrored talks by state.
pub(super) fn talks(screen: &Screen) -> Markup {
    let (language, talks, fresh) = (screen.language, &screen.overview.talks, &screen.overview.freshness);
    let name = |id| language.text(id);
    let list = |state| address("talks", &[("state", state)]);
    let fetched = (fresh.talks > 0).then(|| freshness(fresh).to(language));
    let gone = (talks.gone > 0).then(|| name("front-talks-gone-why"));
    let mut rows = vec![
        (name("front-talks-open"), linked(language, talks.in_work, &list("open"), fetched)),
        (name("front-talks-waiting"), linked(language, screen.waiting.talks, &list("waiting"), None)),
        (name("front-talks-missed"), linked(language, talks.missed, &list("missed"), None)),
        (name("front-talks-closed"), counted(language, talks.closed, None)),
        (name("front-talks-gone"), linked(language, talks.gone, &list("gone"), gone)),
    ];
    if talks.denied > 0 {
        let why = Some(name("front-talks-denied-why"));
        rows.push((name("front-talks-denied"), linked(language, talks.denied, &list("gone"), why)));
    }
    rows.push((name("front-talks-all"), linked(language, talks.total, &list("all"), None)));
    let line = Message::new("front-talks-line").with("open", talks.in_work).with("closed", talks.closed);
    fold(
        "talks",
        &name("section-talks"),
        &line.to(language),
        &facts_table(&name("front-talks-caption"), &rows),
    )
}

/// What auto-close does.
pub(super) fn auto_close(screen: &Screen) -> Markup {
    let (language, overview) = (screen.language, &screen.overview);
    let mode = match screen.close_mode {
        CloseMode::Off => html! { (close_mode(CloseMode::Off).to(language)) },
        mode => html! {
            b {
                @if mode == CloseMode::Live { (close_mode(mode).to(language)) } @else { (language.text("front-dry-run-how")) }
            }
            @if let Some(rules) = &screen.close_rules {
                small { (Message::new("front-closes-talks").with("rules", rules.clone()).to(language)) }
            }
        },
    };
    let today = html! {
        @if overview.closures_today.is_empty() { (language.text("front-none")) }
        @for (name, number) in &overview.closures_today {
            a.share href=(of_today(screen, *name)) {
                b { (language.count(*number)) } " " (outcome(*name).to(language))
            }
        }
    };
    let under_way = address("closings", &[("outcome", "under_way")]);
    let mut rows = vec![
        (language.text("front-auto-close-mode"), mode),
        (language.text("front-last-sweep"), sweep(screen)),
        (language.text("front-decisions-today"), today),
        (language.text("front-under-way"), linked(language, overview.closures_under_way, &under_way, None)),
    ];
    if overview.exempt.rows > 0 {
        rows.push((language.text("front-exempt-talks"), exempt_talks(screen)));
    }
    let table = facts_table(&language.text("front-auto-close-caption"), &rows);
    let line = capitalised(&close_mode(screen.close_mode).to(language));
    fold("auto-close", &language.text("front-auto-close"), &line, &table)
}

/// The last sweep.
fn sweep(screen: &Screen) -> Markup {
    let language = screen.language;
    let Some(last) = &screen.overview.sweeps.last else { return html! { (language.text("front-none-yet")) } };
    let number = |key: &str| last[key].as_i64().unwrap_or_default();
    let dry_run = last["mode"] == CloseMode::DryRun.as_str();
    let aim = aim(if dry_run { CloseMode::DryRun } else { CloseMode::Live });
    let found = Message::new("front-sweep-found")
        .with("stale", number("stale"))
        .with("queued", number("queued"))
        .with("aim", aim);
    html! { (when(language, UnixSeconds::new(number("at")), screen.now)) small { (found.to(language)) } }
}

/// How many stale talks exemptions keep, and what keeps the longest missed of them.
fn exempt_talks(screen: &Screen) -> Markup {
    let (language, talks) = (screen.language, &screen.overview.exempt);
    let more = talks.stale - number::whole(talks.first.len());
    html! {
        b { (language.count(talks.stale)) }
        small { (exempt(talks).to(language)) }
        @for ExemptTalk { talk_id, exemption } in &talks.first {
            small {
                a href={ "talks/" (talk_id) } { (Message::new("front-talk").with("id", talk_id.to_string()).to(language)) }
                ": " (outside(&exemption.to_string()))
            }
        }
        @if more > 0 { small { (Message::new("front-and-more").with("number", more).to(language)) } }
    }
}
