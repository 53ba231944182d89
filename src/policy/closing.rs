//! What of a talk's closing comes next, decided on a state fetched a moment ago.
//!
//! A closing goes one way: `requested`, written before the request leaves; `accepted`,
//! when the API took it; and an end: `closed`, when a fetch saw it, or `withdrawn`,
//! `refused`, `failed`. After a crash at any point the next fetch of the talk continues from
//! the row that is there.

mod states;

pub use states::{CloseContext, CloseMode, CloseRules, ClosingOutcome, Decision, FetchReason};

use crate::clock::{Now, UnixSeconds};
use crate::language::{Message, MessageValue};
use crate::talk::Talk;
use std::time::Duration;

/// A close request leaves within this time of the request that showed its talk stale, or not at all.
pub const FRESH: Duration = Duration::from_secs(30);
/// It is begun within this time, and given up when [`FRESH`] has passed: a slow connection must not
/// make it late.
pub const BEGIN_WITHIN: Duration = Duration::from_secs(15);
/// A wall clock that is further off the API's closes nothing.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// After the request: when to look whether the talk is closed.
const LOOKS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(60 * 60),
];
/// Then, where the NPS bot may take its time: daily, for a week.
const LATER_LOOKS: Duration = Duration::from_secs(24 * 60 * 60);
const LAST_LOOK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A talk whose closing was refused or failed is not closed again before this.
pub const BARRED: Duration = Duration::from_secs(24 * 60 * 60);

/// How far an open closing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOutcome {
    /// The request may have left.
    Requested,
    /// The API took it.
    Accepted,
}

/// A closing that has no end yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its row in `closures`.
    pub closure_id: i64,
    /// How far it is.
    pub outcome: OpenOutcome,
    /// When it was decided.
    pub requested_at: UnixSeconds,
    /// Requests that may have left.
    pub attempts: u32,
    /// The last answer, if one came.
    pub http_status: Option<u16>,
    /// Whether the talk is closed without waiting for the NPS bot.
    pub force_close: bool,
    /// The talk's `updated_at` when it was decided.
    pub talk_updated_at: UnixSeconds,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is decided; why, where somebody asked.
    Leave(Option<String>),
    /// Write `requested`, then send the request.
    Request,
    /// Write `would_close`.
    WouldClose,
    /// It is not stale any more, or not to be closed: why.
    Withdraw(String),
    /// It is being closed, as its status shows.
    Accept,
    /// It is closed.
    Closed,
    /// Fetch it again at this time.
    LookAgain(UnixSeconds),
    /// The closing came to nothing: why.
    Fail(String),
}

impl Step {
    /// Whether it changes what is stored of the talk's closings.
    pub fn is_written_down(&self) -> bool {
        !matches!(self, Step::Leave(_) | Step::LookAgain(_))
    }
}

/// Decides on `talk` as just fetched; `close_context` is `None` where it was fetched for something else.
///
/// `barred` is since when the last closing is refused or failed.
pub fn next(
    open: Option<&Open>,
    barred: Option<UnixSeconds>,
    talk: &Talk,
    close_context: Option<&CloseContext>,
    now: UnixSeconds,
) -> Step {
    match (open, close_context) {
        // By somebody else, where no request of ours can have left.
        (Some(Open { attempts: 0, .. }), _) if !talk.is_in_work => Step::Withdraw("already closed".into()),
        (Some(_), _) if !talk.is_in_work => Step::Closed,
        // A dry run decides nothing of a closing that is under way.
        (Some(open), Some(CloseContext { reason: FetchReason::DryRun, .. })) => {
            Step::LookAgain(look_again(open.requested_at, now))
        }
        (Some(open), close_context) => match open.outcome {
            OpenOutcome::Accepted => accepted(open, now),
            OpenOutcome::Requested => requested(open, talk, close_context, now),
        },
        (None, Some(close_context)) => begin(barred, close_context, now),
        (None, None) => Step::Leave(None),
    }
}

fn begin(barred: Option<UnixSeconds>, close_context: &CloseContext, now: UnixSeconds) -> Step {
    if close_context.reason == FetchReason::Verify {
        return Step::Leave(None);
    }
    if close_context.mode == CloseMode::Off {
        return Step::Leave(Some("auto_close.mode is off".into()));
    }
    if let Some(obstacle) = &close_context.obstacle {
        return Step::Leave(Some(obstacle.clone()));
    }
    if !close_context.decision.verdict.is_stale() {
        return Step::Withdraw(close_context.decision.verdict.to_string());
    }
    if barred.is_some_and(|since| now.duration_since(since) < BARRED) {
        return Step::Leave(Some("its closing was refused or failed less than a day ago".into()));
    }
    match close_context.mode {
        CloseMode::Live => Step::Request,
        _ => Step::WouldClose,
    }
}

/// The response was 422, was lost, or an error: the fetch shows what became of it.
fn requested(open: &Open, talk: &Talk, close_context: Option<&CloseContext>, now: UnixSeconds) -> Step {
    let sent = open.attempts > 0;
    if sent && talk.status.as_deref().is_some_and(|status| status.starts_with("nps_")) {
        return Step::Accept;
    }
    // A gateway's response shows nothing either.
    let lost = open.http_status.is_none_or(|status| !(300..500).contains(&status));
    // The bot may be talking to the client because of a request whose answer was lost.
    let perhaps_bot = sent && lost && !open.force_close && talk.updated_at != open.talk_updated_at;
    if open.http_status == Some(422) || perhaps_bot {
        match next_look(open.requested_at, now) {
            Some(at) => return Step::LookAgain(at),
            None if perhaps_bot => {}
            None => return Step::Fail("HTTP 422, and still open an hour later".into()),
        }
    }
    let Some(close_context) = close_context else {
        // It was fetched for something else: it is fetched again to be closed.
        return Step::LookAgain(now + LOOKS[0]);
    };
    if close_context.obstacle.is_some() {
        return Step::LookAgain(now + LOOKS[2]);
    }
    if close_context.mode != CloseMode::Live {
        // A server that is slow may still act on the request.
        return match next_look(open.requested_at, now).filter(|_| sent) {
            Some(at) => Step::LookAgain(at),
            None => Step::Withdraw(format!("auto_close.mode is now {}", close_context.mode)),
        };
    }
    if !close_context.decision.verdict.is_stale() {
        return Step::Withdraw(close_context.decision.verdict.to_string());
    }
    if open.attempts >= close_context.max_attempts {
        return Step::Fail(format!("still open after {} close requests", open.attempts));
    }
    Step::Request
}

fn accepted(open: &Open, now: UnixSeconds) -> Step {
    match next_look(open.requested_at, now) {
        Some(at) => Step::LookAgain(at),
        None if open.force_close => Step::Fail("accepted by the API, and still open an hour later".into()),
        // The NPS bot may take a day.
        None if now.duration_since(open.requested_at) < LAST_LOOK => Step::LookAgain(now + LATER_LOOKS),
        None => Step::Fail("accepted by the API, and still open a week later".into()),
    }
}

/// For how long a close request may still be under way at `now`, on a fetch that began at `fetched`;
/// `None` where it must not begin. By both clocks: the monotonic one stands still while the machine sleeps.
pub fn time_to_close(fetched: Now, now: Now) -> Option<Duration> {
    let slept = now.unix - fetched.unix;
    let passed = now.mono.saturating_duration_since(fetched.mono);
    let in_time = passed < BEGIN_WITHIN && (0.0..BEGIN_WITHIN.as_secs_f64()).contains(&slept);
    in_time.then(|| FRESH - passed.max(Duration::from_secs_f64(slept)))
}

/// When to look next at a talk whose close request left at `requested_at`.
pub fn next_look(requested_at: UnixSeconds, now: UnixSeconds) -> Option<UnixSeconds> {
    LOOKS.iter().map(|after| requested_at + *after).find(|at| *at > now)
}

/// When to look again at a talk whose close request left at `requested_at`, however long that is ago.
pub fn look_again(requested_at: UnixSeconds, now: UnixSeconds) -> UnixSeconds {
    next_look(requested_at, now).unwrap_or(now + LATER_LOOKS)
}

/// When to decide anew about a talk whose close request did not leave: not at once, where the API is slow.
pub fn not_sent_look(now: UnixSeconds) -> UnixSeconds {
    now + LOOKS[2]
}

/// The first look after an answer, in the whole second `now`: never sooner than 5 s after it.
pub fn first_look(now: UnixSeconds) -> UnixSeconds {
    now + LOOKS[0] + Duration::from_secs(1)
}

/// Why nothing may be closed by a wall clock that is `skew` seconds ahead of the API's, where the answer
/// shows its time; `None` if it may.
pub(crate) fn clock_obstacle(skew: Option<i64>) -> Option<Message> {
    let Some(skew) = skew else { return Some(Message::new("clock-unknown")) };
    let message = match skew {
        _ if skew.unsigned_abs() <= CLOCK_TOLERANCE.as_secs() => return None,
        1.. => Message::new("clock-ahead"),
        _ => Message::new("clock-behind"),
    };
    Some(message.with("span", MessageValue::Duration(skew.saturating_abs())))
}

/// Whether the wall clock went on like the other one since `before`: it was not set, and the machine did not sleep.
pub fn keeps_time(before: Now, now: Now) -> bool {
    let passed = now.mono.saturating_duration_since(before.mono).as_secs_f64();
    (now.unix - before.unix - passed).abs() <= CLOCK_TOLERANCE.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::super::stale::tests::{just_stale, rules};
    use super::super::stale::{Reach, stale};
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_700_000_000);

    fn close_context(talk: &Talk, mode: CloseMode) -> CloseContext {
        CloseContext {
            reason: FetchReason::Close,
            mode,
            decision: Decision {
                verdict: stale(talk, Reach::default(), NOW, &rules()),
                sent: crate::clock::now(),
                rules_epoch: 0,
            },
            force_close: true,
            max_attempts: 3,
            obstacle: None,
        }
    }

    fn open(outcome: OpenOutcome, requested_ago: i64) -> Open {
        Open {
            closure_id: 1,
            outcome,
            requested_at: NOW - requested_ago,
            attempts: 1,
            http_status: None,
            force_close: true,
            talk_updated_at: just_stale(NOW).updated_at,
        }
    }

    #[test]
    fn a_stale_talk_is_closed_as_the_mode_has_it() {
        let talk = just_stale(NOW);
        let step = |mode| next(None, None, &talk, Some(&close_context(&talk, mode)), NOW);
        assert_eq!(step(CloseMode::Live), Step::Request);
        assert_eq!(step(CloseMode::DryRun), Step::WouldClose);
        assert!(matches!(step(CloseMode::Off), Step::Leave(Some(_))));
        assert_eq!(next(None, None, &talk, None, NOW), Step::Leave(None));
    }

    #[test]
    fn a_talk_that_is_not_stale_any_more_is_withdrawn() {
        let talk = Talk { missed_at: None, ..just_stale(NOW) };
        let step = next(None, None, &talk, Some(&close_context(&talk, CloseMode::Live)), NOW);
        assert_eq!(step, Step::Withdraw("not missed".into()));
        let requested = open(OpenOutcome::Requested, 10);
        let step = next(Some(&requested), None, &talk, Some(&close_context(&talk, CloseMode::Live)), NOW);
        assert_eq!(step, Step::Withdraw("not missed".into()));
    }

    #[test]
    fn nothing_is_decided_by_a_wrong_clock() {
        let talk = just_stale(NOW);
        for mode in [CloseMode::Live, CloseMode::DryRun] {
            let close_context = CloseContext {
                obstacle: clock_obstacle(Some(61)).map(|why| why.to_string()),
                ..close_context(&talk, mode)
            };
            assert!(matches!(next(None, None, &talk, Some(&close_context), NOW), Step::Leave(Some(_))));
            let requested = open(OpenOutcome::Requested, 10);
            assert!(matches!(
                next(Some(&requested), None, &talk, Some(&close_context), NOW),
                Step::LookAgain(_)
            ));
        }
        assert_eq!(clock_obstacle(Some(60)), None);
        assert_eq!(clock_obstacle(Some(-60)), None);
        assert_eq!(
            clock_obstacle(Some(-61)).unwrap().to_string(),
            "this machine's clock is 1 min behind the API's"
        );
        assert!(clock_obstacle(None).is_some());
    }

    #[test]
    fn a_clock_that_was_set_since_is_not_trusted() {
        let before = crate::clock::now();
        let hour = Duration::from_secs(3600);
        let after = |unix: f64| Now { mono: before.mono + hour, unix: before.unix + unix };
        assert!(keeps_time(before, before));
        assert!(keeps_time(before, after(3600.0)) && keeps_time(before, after(3660.0 - 0.001)));
        assert!(!keeps_time(before, after(3661.0)) && !keeps_time(before, after(3539.0)));
        assert!(!keeps_time(before, after(10.0 * 365.0 * 86_400.0)), "years ahead");
    }

    #[test]
    fn a_refusal_holds_for_a_day() {
        let talk = just_stale(NOW);
        let close_context = close_context(&talk, CloseMode::Live);
        let step = |since| next(None, Some(since), &talk, Some(&close_context), NOW);
        assert!(matches!(step(NOW - BARRED + 1), Step::Leave(Some(_))));
        assert_eq!(step(NOW - BARRED), Step::Request);
    }

    #[test]
    fn whatever_sees_it_closed_ends_the_closing() {
        let talk = Talk { is_in_work: false, ..just_stale(NOW) };
        for outcome in [OpenOutcome::Requested, OpenOutcome::Accepted] {
            assert_eq!(next(Some(&open(outcome, 5)), None, &talk, None, NOW), Step::Closed);
        }
    }

    #[test]
    fn an_accepted_close_is_looked_at_after_5_s_30_s_5_min_and_an_hour() {
        let talk = just_stale(NOW);
        let close_context = close_context(&talk, CloseMode::Live);
        let step =
            |ago| next(Some(&open(OpenOutcome::Accepted, ago)), None, &talk, Some(&close_context), NOW);
        for (ago, next) in [(0, 5), (4, 5), (5, 30), (29, 30), (30, 300), (300, 3600), (3599, 3600)] {
            assert_eq!(step(ago), Step::LookAgain(NOW - ago + next), "{ago} s after");
        }
        assert!(matches!(step(3600), Step::Fail(_)));
    }

    #[test]
    fn the_nps_bot_may_take_a_week() {
        let talk = just_stale(NOW);
        let at = |ago| Open { force_close: false, ..open(OpenOutcome::Accepted, ago) };
        let step = |ago| next(Some(&at(ago)), None, &talk, None, NOW);
        assert_eq!(step(3600), Step::LookAgain(NOW + LATER_LOOKS));
        assert_eq!(step(7 * 86_400 - 1), Step::LookAgain(NOW + LATER_LOOKS));
        assert!(matches!(step(7 * 86_400), Step::Fail(_)));
        let bot = Talk { status: Some("nps_in_progress".into()), ..talk };
        let requested = Open { force_close: false, ..open(OpenOutcome::Requested, 5) };
        assert_eq!(next(Some(&requested), None, &bot, None, NOW), Step::Accept);
    }

    #[test]
    fn a_lost_answer_is_settled_by_the_fetch_and_422_never_by_a_second_request() {
        let talk = just_stale(NOW);
        let close_context = close_context(&talk, CloseMode::Live);
        let lost = open(OpenOutcome::Requested, 10);
        assert_eq!(next(Some(&lost), None, &talk, Some(&close_context), NOW), Step::Request);
        let tried = Open { attempts: 3, ..lost.clone() };
        assert!(matches!(next(Some(&tried), None, &talk, Some(&close_context), NOW), Step::Fail(_)));
        let off = CloseContext { mode: CloseMode::Off, ..close_context.clone() };
        assert_eq!(next(Some(&lost), None, &talk, Some(&off), NOW), Step::LookAgain(NOW + 20));
        let not_sent = Open { attempts: 0, ..lost.clone() };
        assert!(matches!(next(Some(&not_sent), None, &talk, Some(&off), NOW), Step::Withdraw(_)));
        let by_hand =
            CloseContext { mode: CloseMode::DryRun, reason: FetchReason::DryRun, ..close_context.clone() };
        assert_eq!(next(Some(&lost), None, &talk, Some(&by_hand), NOW), Step::LookAgain(NOW + 20));

        let refused = Open { http_status: Some(422), ..lost };
        assert_eq!(next(Some(&refused), None, &talk, Some(&close_context), NOW), Step::LookAgain(NOW + 20));
        let late = Open { requested_at: NOW - 3600, ..refused };
        assert!(matches!(next(Some(&late), None, &talk, Some(&close_context), NOW), Step::Fail(_)));

        // Without force_close the client may be talking to the bot by now.
        let changed = Talk { updated_at: NOW - 3, ..talk };
        let lost = Open { force_close: false, ..open(OpenOutcome::Requested, 10) };
        for http_status in [None, Some(504), Some(200)] {
            let lost = Open { http_status, ..lost.clone() };
            assert_eq!(
                next(Some(&lost), None, &changed, Some(&close_context), NOW),
                Step::LookAgain(NOW + 20)
            );
        }
    }

    #[test]
    fn a_close_request_begins_within_15_s_of_its_fetch_by_both_clocks() {
        let fetched = Now { mono: std::time::Instant::now(), unix: NOW.get() as f64 };
        let after = |mono: f64, unix: f64| {
            let now = Now { mono: fetched.mono + Duration::from_secs_f64(mono), unix: fetched.unix + unix };
            time_to_close(fetched, now)
        };
        assert_eq!(after(14.5, 14.5), Some(Duration::from_secs_f64(15.5)));
        assert_eq!(after(15.0, 14.0), None);
        assert_eq!(after(2.0, 3600.0), None, "it slept");
        assert_eq!(after(2.0, -1.0), None, "the clock was set back");
        assert_eq!(after(1.0, 4.0), Some(Duration::from_secs(26)));
    }
}
