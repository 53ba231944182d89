mod screens;

use super::*;
use crate::report::health::tests::NOW;
use crate::store::completeness::Completeness;
use screens::*;

#[test]
fn while_known_talks_are_not_mirrored_the_page_shows_that_beside_its_counts() {
    let mut screen = screen();
    assert!(!render(&screen).contains("Until all talks are mirrored"));
    let (known, mirrored) = (4071, 813);
    let at = |complete, complete_at| Some(Completeness { known, mirrored, complete, complete_at });
    screen.overview.completeness = at(false, Some(NOW + 3 * 3600));
    assert_eq!(mood_of(&screen), (Mood::Works, "Yes, it works. Not all talks are mirrored yet.".into()));
    let page = render(&screen);
    let how = "813 of 4,071 known talks mirrored, about 3 h left";
    assert_eq!(page.matches(how).count(), 3, "in the headline, above the charts and in the details");
    screen.overview.completeness = at(true, None);
    assert_eq!(mood_of(&screen), (Mood::Works, "Yes, it works.".into()));
}

#[test]
fn the_page_answers_in_one_sentence() {
    assert_eq!(mood_of(&screen()), (Mood::Works, "Yes, it works.".into()));
    let (mood, sentence) = mood_of(&paused());
    assert_eq!(
        (mood, sentence.as_str()),
        (Mood::Down, "No. Everything pauses: the API does not accept the token.")
    );
    assert_eq!(
        mood_of(&empty()),
        (Mood::Begins, "It has started, and waits for the API's first answer.".into())
    );
    let mut screen = screen();
    screen.warnings = vec![complaint("the quota cannot keep up", "buy more")];
    assert_eq!(mood_of(&screen), (Mood::Attention, "Yes, but the quota cannot keep up.".into()));
    screen.complaints = vec![complaint("2 talks failed", "look")];
    assert_eq!(mood_of(&screen), (Mood::Attention, "Yes, but 2 talks failed.".into()), "the graver first");
    screen.obstacles = vec![Message::verbatim("the database cannot be written: disk full")];
    assert_eq!(mood_of(&screen), (Mood::Down, "No. The database cannot be written: disk full.".into()));
}

#[test]
fn an_obstacle_stands_in_the_list_once_and_with_what_to_do_about_it() {
    let page = render(&paused());
    let to_do =
        |page: &str| page.split_once("class=\"todo\"").unwrap().1.split_once("</ul>").unwrap().0.to_owned();
    assert_eq!(to_do(&page).matches("<li>").count(), 1);
    assert!(page.contains("What to do: put a valid token into api.token_file"));
    let mut screen = paused();
    screen.complaints[0].action = Message::verbatim("look at `talkmirror queue list`, <then>");
    let page = render(&screen);
    assert!(page.contains("look at <code>talkmirror queue list</code>, &lt;then&gt;."));
    let mut screen = paused();
    screen.obstacles.push(Message::verbatim("the database cannot be written: disk full"));
    assert_eq!(to_do(&render(&screen)).matches("<li>").count(), 2);
}

#[test]
fn what_comes_from_outside_is_text() {
    const HOSTILE: &str = "</small><script>alert(1)</script><img src=x onerror='alert(2)'>\"&{{7*7}}";
    let mut screen = paused();
    let channel = HOSTILE.to_owned();
    screen.course.channels = Arc::new(vec![channel.clone()]);
    screen.course.channel = Some(channel);
    screen.close_rules = Some(Message::verbatim(format!("only {HOSTILE}")));
    screen.obstacles = vec![Message::verbatim(HOSTILE)];
    screen.complaints = vec![complaint(HOSTILE, HOSTILE)];
    screen.warnings = screen.complaints.clone();
    let closure = &mut screen.closures[0];
    closure.reason = HOSTILE.into();
    closure.error = Some(HOSTILE.into());
    let overview = &mut screen.overview;
    overview.feeders[0].feeder = HOSTILE.into();
    overview.feeders[0].trouble = Some(HOSTILE.into());
    let daemon = overview.daemon.as_mut().unwrap();
    daemon.last_failure = Some(HOSTILE.into());
    let pause = daemon.pause.as_mut().unwrap();
    pause.reason = HOSTILE.into();
    pause.detail = HOSTILE.into();
    for page in [
        render(&screen),
        shell::shell(&frame(Language::English, HOSTILE), &unreadable(Language::English, HOSTILE)),
    ] {
        assert_eq!(page.matches("<script").count(), 1, "our own");
        assert!(!page.contains("<img") && !page.contains("</small><script"));
        assert!(page.contains("&lt;script&gt;alert(1)"), "it is shown");
    }
}

#[test]
fn what_hides_text_or_turns_its_direction_is_escaped() {
    let mut screen = paused();
    screen.course.channels = Arc::new(vec!["a\u{202e}b".into()]);
    screen.closures[0].reason = "wa\u{1b}[2J\u{9b}\u{2066}x".into();
    screen.complaints[0].what = Message::verbatim("no\u{200b}thing");
    let page = render(&screen);
    assert!(!page.contains(['\u{202e}', '\u{1b}', '\u{9b}', '\u{2066}', '\u{200b}']));
    assert!(page.contains("a\\u{202e}b") && page.contains("wa\\u{1b}[2J\\u{9b}\\u{2066}x"), "{page}");
}

#[test]
fn a_long_text_from_outside_is_cut() {
    let mut screen = screen();
    screen.closures[0].reason = "x".repeat(5000);
    assert!(render(&screen).contains(&format!("{}…", "x".repeat(299))));
    assert!(!render(&screen).contains(&"x".repeat(300)));
}

#[test]
fn what_a_dry_run_queues_is_not_to_be_closed() {
    let mut screen = screen();
    assert!(render(&screen).contains("3 queued to be closed"));
    screen.overview.sweeps.last =
        Some(serde_json::json!({"at": NOW - 140, "mode": "dry-run", "stale": 3, "queued": 3}));
    let page = render(&screen);
    assert!(page.contains("3 queued to be decided on (dry run)") && !page.contains("to be closed"));
}

#[test]
fn absurd_times_stop_no_page() {
    for absurd in [UnixSeconds::MIN, UnixSeconds::MAX] {
        let mut screen = paused();
        screen.token_expires_at = Some(absurd);
        screen.closures[0].decided_at = absurd;
        let overview = &mut screen.overview;
        (overview.queue.oldest_due_at, overview.queue.next_due_at) = (Some(absurd), Some(absurd));
        (overview.feeders[0].ran_at, overview.feeders[0].trouble_since) = (Some(absurd), Some(absurd));
        overview.feeders[0].trouble = Some("so".into());
        overview.sweeps.last = Some(serde_json::json!({"at": absurd}));
        let daemon = overview.daemon.as_mut().unwrap();
        (daemon.last_success_at, daemon.last_failure_at) = (Some(absurd), Some(absurd));
        let pause = daemon.pause.as_mut().unwrap();
        (pause.since, pause.until) = (absurd, absurd);
        assert!(render(&screen).ends_with("</html>"));
    }
}

#[test]
fn a_time_in_the_future_is_shown_as_such() {
    let mut screen = screen();
    screen.overview.daemon.as_mut().unwrap().last_failure_at = Some(NOW + 3 * 3600);
    screen.overview.queue.oldest_due_at = Some(NOW + 7200);
    let page = render(&screen);
    assert!(page.contains("3 h in the future") && page.contains("the oldest since 2 h in the future"));
}

#[test]
fn nothing_is_inline_or_from_elsewhere() {
    for screen in [screen(), paused(), empty()] {
        let page = render(&screen);
        assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains("://"));
        assert_eq!(page.matches("<script").count(), page.matches("<script src=\"page.js\"").count());
    }
    for own in [include_str!("../page.css"), include_str!("../page.js")] {
        assert!(!own.contains("://") && !own.contains("@import") && !own.contains("innerHTML"));
    }
    assert!(
        include_str!("../page.js").contains(&format!("EVERY = {}000;", shell::RELOAD_INTERVAL_SECS)),
        "as the page says"
    );
}

#[test]
fn each_chart_has_its_numbers_as_text_and_each_table_a_caption() {
    let page = render(&screen());
    assert!(page.contains("Open talks, last 30 days: "));
    assert!(page.contains("14 so far in the last, ") && page.contains("at most "));
    assert_eq!(page.matches("role=\"img\" tabindex=\"0\" aria-label=\"").count(), 4);
    assert_eq!(page.matches("<table").count(), page.matches("<caption").count());
    assert_eq!(
        page.matches("<th").count() - page.matches("<thead").count(),
        page.matches("scope=\"").count()
    );
    assert_eq!(page.matches("<h1").count(), 1);
    // An empty mirror has no feeder and no closure, and says so.
    let page = render(&empty());
    assert!(
        page.contains("Nothing has been decided on yet") && page.contains("No feeder has run yet"),
        "{page}"
    );
    assert!(page.contains("No whole minute has been counted yet."));
}

/// `TALKMIRROR_PAGES=DIR cargo test --lib each_page` writes them there, to look at.
#[test]
fn each_page_is_whole() {
    let folder = std::env::var_os("TALKMIRROR_PAGES").map(std::path::PathBuf::from);
    let mut with_errors = screen();
    with_errors.complaints = vec![complaint(
        "2 talks failed after repeated attempts",
        "see `talkmirror queue list --failed`, then `talkmirror queue retry` or `queue drop`",
    )];
    with_errors.overview.feeders[2].trouble =
        Some("the last run failed (HTTP 502 (Bad Gateway), an HTML page)".into());
    with_errors.overview.feeders[2].trouble_since = Some(NOW - 400);
    for (name, screen) in
        [("works", screen()), ("paused", paused()), ("empty", empty()), ("troubled", with_errors)]
    {
        for language in Language::ALL {
            let page = render(&Screen { language, ..screen.clone() });
            assert!(page.starts_with("<!") && page.trim_end().ends_with("</html>"), "{name}");
            if let Some(folder) = &folder {
                std::fs::write(folder.join(format!("{name}.{}.html", language.tag())), page).unwrap();
            }
        }
    }
}

#[test]
fn a_russian_page_has_no_english_words_but_names_and_texts_from_outside() {
    const KEPT: [&str; 17] = [
        "API",
        "HTTP",
        "KiB",
        "GiB",
        "MiB",
        "UTC",
        "WAL",
        "amocrm",
        "example",
        "ru",
        "run",
        "talkmirror",
        "telegram",
        "viber",
        "cannot",
        "connect",
        "timed",
    ];
    let mut screen = Screen { language: Language::Russian, ..screen() };
    screen.closures.clear();
    screen.close_rules = None;
    let page = render(&screen);
    let body = page.split_once("<body>").unwrap().1;
    let texts = body.split('>').map(|part| part.split('<').next().unwrap()).collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = texts
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| word.len() > 1 && word.is_ascii() && !KEPT.contains(word) && *word != "out")
        .collect();
    assert!(words.is_empty(), "{words:?}");
    assert!(page.contains("Да, всё работает.") && page.contains("lang=\"ru\""));
}

#[test]
fn each_figure_links_to_its_list() {
    let mut screen = screen();
    screen.overview.queue.failed = 2;
    let page = render(&screen);
    for address in [
        "talks?state=waiting",
        "talks?state=missed",
        "talks?state=open",
        "talks?state=gone",
        "queue?state=due",
        "queue?state=later",
        "queue?state=failed",
        "closings?outcome=closed&amp;day=2023-11-14",
        "closings?outcome=withdrawn&amp;day=2023-11-14",
        "talks/48120",
        "./?range=90d",
        "./?channel=viber",
    ] {
        assert!(page.contains(&format!("href=\"{address}\"")), "{address}");
    }
}
