//! The line about publishing.

use crate::cli::table::Text;
use crate::clock::UnixSeconds;
use crate::language::{Language, Message, MessageValue, lasting};
use crate::report::Overview;
use crate::report::health::publish::{trouble, waiting};

/// How publishing goes. `None` while it is off. If no daemon `runs`, nothing is published.
pub(super) fn line(overview: &Overview, runs: bool, now: UnixSeconds, language: Language) -> Option<Text> {
    let state = overview.publish.as_ref()?;
    let to = |message: Message| message.with("server", state.server.as_str()).to(language);
    if !runs {
        return Some(to(Message::new("status-publish-later")).into());
    }
    let trouble = trouble(overview);
    if let Some(trouble) = trouble.filter(|trouble| trouble.stands_by) {
        return Some(to(Message::new("status-publish-standby").with("error", trouble.error.as_str())).into());
    }
    let wait = match (state.backlog, state.lag(now)) {
        (0, _) => Message::new("status-publish-done"),
        (backlog, 0) => waiting(backlog),
        (backlog, lag) => Message::new("status-publish-waits")
            .with("wait", waiting(backlog))
            .with("span", MessageValue::Duration(lag)),
    };
    let line = match state.set_aside.len() {
        0 => Message::new("status-publish"),
        number => {
            let talks = Message::new("talks").with("number", number);
            Message::new("status-publish-left-out").with("talks", talks)
        }
    };
    let line = to(line.with("wait", wait));
    Some(match trouble {
        None => line.into(),
        Some(trouble) => {
            let error = Message::new("status-error-since")
                .with("time", lasting(trouble.since, now))
                .with("error", trouble.error.as_str());
            Text::from(format!("{line}; ")).then(Text::alarming(error.to(language)))
        }
    })
}
