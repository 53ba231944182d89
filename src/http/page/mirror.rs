//! The folded table of the front page about the mirror itself: how complete it is, its files, backups and version.

use super::Screen;
use super::parts::{facts_table, fold, outside, when};
use crate::language::{Message, MessageValue};
use crate::number;
use crate::report::humanize::{capitalised, completeness, years};
use crate::store::backup::state::BackupState;
use crate::store::sizes::Size;
use maud::{Markup, html};

/// How complete the mirror is, how much room it takes, and what runs.
pub(super) fn table(screen: &Screen) -> Markup {
    let (language, overview) = (screen.language, &screen.overview);
    let name = |id| language.text(id);
    let complete = match &overview.completeness {
        None => name("front-completeness-unknown"),
        Some(counted) => completeness(counted, screen.now).map_or_else(
            || Message::new("front-completeness-all").with("number", counted.mirrored).to(language),
            |how| how.to(language),
        ),
    };
    let Size { database_bytes, wal_bytes, disk_free_bytes, .. } = overview.size;
    let line = Message::new("front-mirror-line")
        .with("size", MessageValue::Bytes(number::positive(database_bytes)))
        .with("version", env!("CARGO_PKG_VERSION"));
    let mut rows = vec![
        (name("front-completeness"), html! { (capitalised(&complete)) }),
        (name("front-size"), size(screen)),
        (name("front-wal"), wal(screen, wal_bytes)),
    ];
    if let Some(free) = disk_free_bytes {
        rows.push((name("front-disk"), disk(screen, free)));
    }
    rows.push((name("front-backup"), backup(screen, &overview.backup)));
    rows.push((name("front-version"), version(screen)));
    fold(
        "mirror",
        &name("front-mirror"),
        &line.to(language),
        &facts_table(&name("front-mirror-caption"), &rows),
    )
}

fn size(screen: &Screen) -> Markup {
    let (language, size) = (screen.language, &screen.overview.size);
    let bytes = |bytes: i64| MessageValue::Bytes(number::positive(bytes));
    let growth = match size.growth_bytes_per_day {
        None => Message::new("front-growth-unknown"),
        Some(0) => Message::new("front-growth-none"),
        Some(growth @ 1..) => Message::new("front-grows").with("size", bytes(growth)),
        Some(growth) => {
            Message::new("front-shrinks").with("size", MessageValue::Bytes(growth.unsigned_abs()))
        }
    };
    let free =
        (size.free_bytes > 0).then(|| Message::new("front-free-inside").with("size", bytes(size.free_bytes)));
    html! {
        b { (language.bytes(number::positive(size.database_bytes))) }
        small { (growth.to(language)) }
        @if let Some(free) = free { small { (free.to(language)) } }
    }
}

fn wal(screen: &Screen, wal_bytes: u64) -> Markup {
    let language = screen.language;
    let daemon = screen.overview.daemon.as_ref();
    let held = daemon.and_then(|daemon| Some((daemon.wal_held_since?, daemon.wal_held_by.as_deref())));
    let held = held.map(|(since, by)| {
        let lasting = crate::language::lasting(since, screen.now);
        match by {
            None => Message::new("front-wal-held").with("time", lasting),
            Some(by) => Message::new("front-wal-held-by").with("time", lasting).with("by", outside(by)),
        }
    });
    html! {
        b { (language.bytes(wal_bytes)) }
        @if let Some(held) = held { small { (held.to(language)) } }
    }
}

fn disk(screen: &Screen, free: u64) -> Markup {
    let (language, size) = (screen.language, &screen.overview.size);
    let full = size
        .disk_full_at
        .map(|at| Message::new("front-disk-full").with("span", years(at.seconds_since(screen.now))));
    html! {
        b { (language.bytes(free)) }
        @if let Some(full) = full { small { (full.to(language)) } }
    }
}

fn backup(screen: &Screen, state: &BackupState) -> Markup {
    let (language, now) = (screen.language, screen.now);
    let Some(rules) = &state.rules else { return html! { (language.text("front-off")) } };
    let kept =
        Message::new("front-backup-kept").with("number", rules.keep).with("path", outside(&rules.path));
    html! {
        @match &state.last {
            None => (language.text("front-none-yet")),
            Some(last) => { (when(language, last.at, now)) ", " (language.bytes(last.bytes)) },
        }
        small { (kept.to(language)) }
        @if let Some(trouble) = &state.trouble {
            small.bad {
                (Message::new("front-feeder-error-since").with("time", crate::language::lasting(trouble.since, now))
                    .with("error", outside(&trouble.error)).to(language))
            }
        }
    }
}

fn version(screen: &Screen) -> Markup {
    let language = screen.language;
    let runs = screen.overview.daemon.as_ref().map(|daemon| {
        Message::new("front-runs-since")
            .with("time", crate::language::lasting(daemon.started_at, screen.now))
            .with("pid", daemon.pid.to_string())
    });
    html! {
        b { (env!("CARGO_PKG_VERSION")) }
        @if let Some(runs) = runs { small { (runs.to(language)) } }
    }
}
