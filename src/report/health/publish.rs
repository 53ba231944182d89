//! Complaints about publishing to a PostgreSQL server.

use super::Complaint;
use crate::clock::UnixSeconds;
use crate::language::{Message, MessageValue, lasting};
use crate::number;
use crate::report::Overview;
use crate::store::changes::state::{PublishState, PublishTrouble};
use crate::store::status::Liveness;
use std::time::Duration;

/// A trouble that may pass is reported once changes wait for longer than this.
const LAGGING: Duration = Duration::from_secs(15 * 60);

/// Why nothing is published now. What an earlier process met is no longer known to hold.
pub(crate) fn trouble(overview: &Overview) -> Option<&PublishTrouble> {
    let started_at = overview.daemon.as_ref().map(|daemon| daemon.started_at);
    let trouble = overview.publish.as_ref()?.trouble.as_ref()?;
    started_at.is_none_or(|started_at| trouble.at >= started_at).then_some(trouble)
}

/// The state, while a daemon publishes. Nothing is known without one.
fn published(overview: &Overview, alive: Option<Liveness>) -> Option<&PublishState> {
    let runs = matches!(alive, Some(Liveness::Running | Liveness::Silent));
    overview.publish.as_ref().filter(|_| runs)
}

/// Reports that a person must act, or that changes wait for too long.
pub(super) fn complaint(overview: &Overview, alive: Option<Liveness>, now: UnixSeconds) -> Option<Complaint> {
    let state = published(overview, alive)?;
    let (server, lag) = (&state.server, state.lag(now));
    let trouble = trouble(overview);
    if trouble.is_some_and(|trouble| trouble.stands_by) {
        return None;
    }
    if let Some(at) = state.acts_until.filter(|acts_until| now > *acts_until) {
        let mut what = Message::new("what-publish-unclaimed").with("time", lasting(at, now));
        if let Some(trouble) = trouble {
            what = Message::new("with-cause").with("what", what).with("error", trouble.error.as_str());
        }
        return Some(Complaint { what, action: Message::new("do-publish-unclaimed") });
    }
    if let Some(trouble) = trouble.filter(|trouble| trouble.refused) {
        let what = Message::new("what-not-published")
            .with("server", server.as_str())
            .with("time", lasting(trouble.since, now))
            .with("error", trouble.error.as_str());
        return Some(Complaint { what, action: Message::new("do-publish-refused") });
    }
    if lag <= number::seconds(LAGGING) {
        return None;
    }
    Some(match trouble {
        Some(trouble) => Complaint {
            what: Message::new("what-not-published")
                .with("server", server.as_str())
                .with("time", Message::new("time-for").with("span", MessageValue::Duration(lag)))
                .with("error", trouble.error.as_str()),
            action: Message::new("do-not-published"),
        },
        None => Complaint {
            what: Message::new("what-publish-slow")
                .with("server", server.as_str())
                .with("number", state.backlog)
                .with("span", MessageValue::Duration(lag)),
            action: Message::new("do-publish-slow"),
        },
    })
}

/// Warns of talks that the server refuses.
pub(super) fn warning(overview: &Overview, alive: Option<Liveness>) -> Option<Complaint> {
    let state = published(overview, alive)?;
    let last = state.set_aside.last()?;
    Some(Complaint {
        what: Message::new("what-publish-left-out")
            .with("number", state.set_aside.len())
            .with("server", state.server.as_str())
            .with("talk", last.talk_id.to_string())
            .with("error", last.error.as_str()),
        action: Message::new("do-publish-left-out"),
    })
}

/// `3 talks wait`
pub(crate) fn waiting(backlog: u64) -> Message {
    Message::new("talks-wait").with("number", backlog)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, overview};
    use super::*;
    use crate::store::changes::state::SetAside;
    use crate::talk::TalkId;

    fn troubled(refused: bool, since: i64) -> Overview {
        let mut overview = overview();
        let trouble = PublishTrouble {
            since: NOW - since,
            at: NOW - 1,
            error: "no route".into(),
            refused,
            stands_by: false,
        };
        overview.publish = Some(PublishState {
            server: "db1/w".into(),
            backlog: 3,
            caught_up_at: Some(NOW - since),
            trouble: Some(trouble),
            ..PublishState::default()
        });
        overview
    }

    fn what(overview: &Overview) -> Option<String> {
        complaint(overview, Some(Liveness::Running), NOW).map(|complaint| complaint.what.to_string())
    }

    #[test]
    fn what_a_person_must_correct_is_reported_at_once_and_what_may_pass_after_15_minutes() {
        let refused = troubled(true, 10);
        assert_eq!(what(&refused).unwrap(), "nothing is published to db1/w for 10 s: no route");
        assert_eq!(complaint(&refused, Some(Liveness::Stopped), NOW), None, "no daemon publishes");
        assert_eq!(what(&troubled(false, 15 * 60)), None);
        let lags = "nothing is published to db1/w for 15 min: no route";
        assert_eq!(what(&troubled(false, 15 * 60 + 1)).unwrap(), lags);
        let mut earlier = troubled(true, 200);
        earlier.publish.as_mut().unwrap().trouble.as_mut().unwrap().at = NOW - 101;
        assert_eq!(what(&earlier), None, "the process before this one met it");
    }

    #[test]
    fn a_standby_is_healthy_and_a_host_that_may_no_longer_act_is_not() {
        let mut standby = troubled(true, 20 * 60);
        standby.publish.as_mut().unwrap().trouble.as_mut().unwrap().stands_by = true;
        assert_eq!(what(&standby), None);
        let mut holder = troubled(false, 100);
        holder.publish.as_mut().unwrap().acts_until = Some(NOW);
        assert_eq!(what(&holder), None);
        holder.publish.as_mut().unwrap().acts_until = Some(NOW - 5);
        assert_eq!(
            what(&holder).unwrap(),
            "nothing is requested or closed for 5 s, because another host may work the account: no route"
        );
    }

    #[test]
    fn a_server_that_is_too_slow_is_reported_by_what_waits() {
        let mut slow = troubled(false, 20 * 60);
        slow.publish.as_mut().unwrap().trouble = None;
        assert_eq!(
            what(&slow).unwrap(),
            "db1/w takes changes more slowly than they come: 3 talks wait to be published, for up to 20 min"
        );
        slow.publish.as_mut().unwrap().backlog = 0;
        assert_eq!(what(&slow), None, "nothing waits");
    }

    #[test]
    fn talks_that_the_server_refuses_are_a_warning() {
        let mut overview = overview();
        assert_eq!(warning(&overview, Some(Liveness::Running)), None);
        let set_aside = SetAside { talk_id: TalkId::new(7), seq: 1, at: NOW, error: "too long".into() };
        let state =
            PublishState { server: "db1/w".into(), set_aside: vec![set_aside], ..PublishState::default() };
        overview.publish = Some(state);
        let warned = |alive| warning(&overview, Some(alive)).map(|warning| warning.what.to_string());
        assert_eq!(
            warned(Liveness::Running).unwrap(),
            "1 talk is left out of what is published to db1/w: the server refuses talk 7 (too long)"
        );
        assert_eq!(warned(Liveness::Vanished), None);
        assert_eq!(what(&overview), None, "the mirror is healthy");
    }
}
