//! The status page in a real headless browser. Skipped if there is none.

use crate::harness::{Daemon, Mirror, account, skip};
use crate::snapshots::assert_said;
use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::{Emulation, Log, Runtime};
use headless_chrome::{Browser, LaunchOptions, Tab};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talkmirror_simulator::Fault;

const HOSTILE: &str =
    "<img src=x onerror=\"document.title='taken'\"></td><script>document.title='taken'</script>";

/// A mirror with a status page at its own port.
pub struct Shown {
    pub mirror: Mirror,
    pub port: u16,
}

impl Shown {
    pub fn new(more: &str) -> Shown {
        let (mirror, port) = crate::http::shown(account(20), more);
        Shown { mirror, port }
    }

    /// The daemon, once it has mirrored 20 talks and serves the page.
    pub fn at_work(&self) -> Daemon {
        self.mirror.ends(0, &["enqueue", "1..20"]);
        let daemon = self.mirror.running_daemon();
        self.mirror.wait_sql("talks are mirrored", "SELECT count(*) FROM talks", 20);
        self.mirror.wait_sql("and the queue is empty", "SELECT count(*) FROM talk_queue", 0);
        self.mirror.wait("the page is served", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        daemon
    }

    /// A raw response.
    fn get(&self, path: &str) -> String {
        self.get_in(path, "en")
    }

    /// A raw response to a browser that prefers this language.
    fn get_in(&self, path: &str, language: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Language: {language}");
        write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The page in a browser that `prepare` has set up. `None` without a browser.
    pub fn open(&self, prepare: impl FnOnce(&Tab)) -> Option<Opened> {
        let Ok(path) = headless_chrome::browser::default_executable() else {
            skip("no chromium is installed (and CHROME names none)");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let args = ["--disable-quic", "--disable-component-update", "--hide-scrollbars"].map(OsStr::new);
        let options = LaunchOptions::default_builder()
            .path(Some(path))
            .user_data_dir(Some(profile.path().to_owned()))
            .sandbox(!nix::unistd::geteuid().is_root())
            .idle_browser_timeout(Duration::from_secs(600))
            .args(args.to_vec())
            .build()
            .unwrap();
        let browser = Browser::new(options).unwrap();
        let tab = browser.new_tab().unwrap();
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&complaints);
        tab.call_method(Log::Enable(None)).unwrap();
        tab.call_method(Runtime::Enable(None)).unwrap();
        tab.add_event_listener(Arc::new(move |event: &Event| match event {
            Event::LogEntryAdded(entry) => heard.lock().unwrap().push(format!("{:?}", entry.params.entry)),
            Event::RuntimeConsoleAPICalled(call) => heard.lock().unwrap().push(format!("{:?}", call.params)),
            Event::RuntimeExceptionThrown(thrown) => {
                heard.lock().unwrap().push(format!("{:?}", thrown.params));
            }
            _ => {}
        }))
        .unwrap();
        prepare(&tab);
        tab.navigate_to(&format!("http://127.0.0.1:{}/", self.port)).unwrap();
        tab.wait_until_navigated().unwrap();
        Some(Opened { tab, complaints, _browser: browser, _profile: profile })
    }
}

/// The page, opened.
pub struct Opened {
    pub tab: Arc<Tab>,
    /// The browser's console messages.
    complaints: Arc<Mutex<Vec<String>>>,
    _browser: Browser,
    _profile: tempfile::TempDir,
}

impl Opened {
    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.tab.evaluate(expression, true).unwrap().value.unwrap_or(Value::Null)
    }

    pub fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector('{selector}').textContent"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The first part of the title, which tells the state.
    fn title(&self) -> String {
        let title = self.value("document.title");
        title.as_str().unwrap_or_default().split(" – ").next().unwrap_or_default().to_owned()
    }

    /// Makes the page reload its content now.
    pub fn hurry(&self) {
        self.value("document.dispatchEvent(new Event('visibilitychange'))");
    }

    pub fn width(&self, width: u32) {
        self.tab.call_method(screen(width)).unwrap();
    }

    /// It says that it works. The talks may not be counted yet.
    fn assert_works(&self) {
        let heading = self.text("h1");
        assert!(heading.starts_with("Yes, it works."), "{heading}");
    }

    pub fn assert_nothing_to_complain_of(&self) {
        let complaints = self.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "the console: {complaints:#?}");
    }
}

fn screen(width: u32) -> Emulation::SetDeviceMetricsOverride {
    Emulation::SetDeviceMetricsOverride {
        width,
        height: 740,
        device_scale_factor: 1.0,
        mobile: width < 600,
        scale: None,
        screen_width: None,
        screen_height: None,
        position_x: None,
        position_y: None,
        dont_set_visible_size: None,
        screen_orientation: None,
        viewport: None,
        display_feature: None,
        device_posture: None,
    }
}

#[test]
fn the_page_says_that_it_works_and_asks_nobody_else() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let Some(page) = shown.open(|_| {}) else { return };
    page.assert_works();
    assert!(page.text("main").contains("127.0.0.1") || page.text("header").contains("127.0.0.1"));
    let charts = "document.querySelectorAll('.values[role=img]').length";
    assert_eq!(page.value(charts), 4);
    let open = page.value("document.querySelector('#chart-open').ariaLabel");
    let in_work: i64 = shown.mirror.sql("SELECT count(*) FROM open_talks");
    let now = format!(r"\b{in_work} now\b");
    let masks = [(&*now, "[open] now"), (r"\b\d+ \(\d+ [A-Z][a-z]{2}\)", "[n] ([day])")];
    assert_said!(open.as_str().unwrap(), masks, @"Open talks, last 30 days: [open] now; at least [n] ([day]), at most [n] ([day]).");
    let drawn =
        "[...document.querySelectorAll('.plot svg')].every(svg => svg.getBoundingClientRect().height > 50)";
    assert_eq!(page.value(drawn), true, "the style is applied");
    let elsewhere = "performance.getEntriesByType('resource').filter(one => !one.name.startsWith(location.origin)).length";
    assert_eq!(page.value(elsewhere), 0);
    let own = page.value("performance.getEntriesByType('resource').length");
    assert!(own.as_i64() >= Some(2), "its style and its script: {own}");
    page.assert_nothing_to_complain_of();
    daemon.stop();
}

#[test]
fn the_answers_forbid_whatever_the_page_does_not_need() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page.svg", "image/svg+xml"),
    ] {
        let answer = shown.get(path);
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        for line in [
            "http/1.1 200",
            &format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; ",
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(line), "{path}: {line}: {head}");
        }
        assert!(!head.contains("unsafe"), "{path}: {head}");
    }
    daemon.stop();
}

#[test]
fn an_open_page_shows_a_pause_by_itself_and_keeps_the_reader_s_place() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let Some(page) = shown.open(|tab| {
        tab.call_method(screen(1000)).unwrap();
    }) else {
        return;
    };
    page.value(
        "window.before = document.querySelector('h1'); document.querySelector('#figures').open = true",
    );
    page.value("document.querySelector('#figures-open').focus(); scrollTo(0, 500)");
    let swapped = || page.value("window.before.isConnected") == false;
    shown.mirror.wait("the page is fetched again", swapped);
    assert_eq!(page.text("#heard"), "", "no news: nothing is read out");

    shown.mirror.simulator.account().always = Some(Fault::Problem(401));
    shown.mirror.ends(0, &["enqueue", "1..20"]);
    shown.mirror.wait("the page says so", || page.text("h1").starts_with("No."));
    let paused = page.text("h1");
    assert_said!(paused, @"No. Everything pauses: the API does not accept the token.");
    assert_eq!(page.text("#heard"), paused, "it is read out");
    assert_said!(page.text(".todo"), @"Everything pauses: the API does not accept the token (HTTP 401: the token is not accepted).What to do: put a valid token into api.token_file: the daemon uses it without a restart. If only systemd can read that file, restart the service.");
    assert_said!(page.title(), @"Not working");
    assert_eq!(page.value("document.querySelector('#figures').open"), true);
    assert_eq!(page.value("document.activeElement.id"), "figures-open");
    assert_eq!(page.value("Math.round(scrollY)"), 500);
    assert_eq!(
        page.value("performance.getEntriesByType('navigation').length + '' + ('before' in window)"),
        "1true"
    );
    page.assert_nothing_to_complain_of();
    daemon.stop();
}

#[test]
fn without_scripts_the_page_works_and_comes_again() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let no_scripts = |tab: &Tab| {
        tab.call_method(Emulation::SetScriptExecutionDisabled { value: true }).unwrap();
    };
    let Some(page) = shown.open(no_scripts) else { return };
    page.assert_works();
    shown.mirror.simulator.account().always = Some(Fault::Problem(402));
    shown.mirror.ends(0, &["enqueue", "1..20"]);
    shown.mirror.wait("it comes again", || {
        let text = page.tab.evaluate("document.querySelector('h1')?.textContent", false).ok();
        text.and_then(|text| text.value)
            .is_some_and(|text| text == "No. Everything pauses: the account is not paid for.")
    });
    page.assert_nothing_to_complain_of();
    daemon.stop();
}

#[test]
fn what_comes_from_outside_is_shown_as_text_and_fits_on_a_phone() {
    let origins = format!("auto_close.mode = \"dry-run\"\nauto_close.except_origins = ['''{HOSTILE}''']\n");
    let shown = Shown::new(&origins);
    let daemon = shown.at_work();
    let long = "x".repeat(200);
    shown
        .mirror
        .connect()
        .execute(
            "INSERT INTO closures (talk_id, mode, talk_updated_at, reason, force_close, decided_at, outcome, attempts, error)
             VALUES (9007199254740991, 'live', 1, ?1, 1, unixepoch(), 'refused', 1, ?1 || ?2)",
            [HOSTILE, &long],
        )
        .unwrap();
    shown.mirror.connect().execute("UPDATE talks SET origin = ?1 WHERE talk_id = 7", [HOSTILE]).unwrap();
    shown
        .mirror
        .execute(&format!("UPDATE feeders SET enabled = 1, trouble = '{}'", HOSTILE.replace('\'', "''")));
    let Some(page) = shown.open(|_| {}) else { return };
    assert!(page.text("main").contains(HOSTILE), "{}", page.text("main"));
    assert_eq!(page.value("document.querySelectorAll('img, main script').length"), 0);
    assert_ne!(page.value("document.title"), "taken");
    for width in [320, 360, 768, 1280] {
        page.width(width);
        page.value("document.querySelectorAll('details').forEach(one => one.open = true)");
        let wider = "[document.documentElement, ...document.querySelectorAll('body, .wide, figure, section')]
            .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200)).join()";
        assert_eq!(page.value(wider), "", "nothing is scrolled sideways at {width} px");
    }
    page.assert_nothing_to_complain_of();
    daemon.stop();
}

#[test]
fn the_front_page_fits_a_phone_and_its_charts_are_read_by_keyboard() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let Some(page) = shown.open(|tab| {
        tab.call_method(screen(390)).unwrap();
    }) else {
        return;
    };
    let height = page.value("document.documentElement.scrollHeight").as_i64().unwrap();
    assert!(height <= 2110, "at most two and a half screens of 844 px: {height}");
    let first = "document.querySelector('.tiles a').getAttribute('href')";
    assert_eq!(page.value(first), "talks?state=waiting", "who waits comes first");
    page.value("document.querySelector('#chart-missed').focus()");
    let told = "[...document.querySelectorAll('#chart-missed b')].filter(one => one.offsetParent).map(one => one.textContent).join()";
    let values = "document.querySelectorAll('#chart-missed b')";
    let of = |place: usize| page.value(&format!("{values}[{place}].textContent"));
    assert_eq!(page.value(told), of(29), "with the focus it shows the last value");
    for (key, place) in [("ArrowLeft", 28), ("ArrowLeft", 27), ("ArrowRight", 28), ("Home", 0), ("End", 29)] {
        page.tab.press_key(key).unwrap();
        assert_eq!(page.value(told), of(place), "{key}");
    }
    assert_eq!(Value::from(page.text("#heard")), of(29), "and reads it out");
    // The choices are links.
    let follow = |selector: &str| {
        page.value("window.before = 1");
        page.value(&format!("document.querySelector('{selector}').click()"));
        shown
            .mirror
            .wait("it is followed", || page.value("document.readyState + !window.before") == "completetrue");
    };
    follow("[href=\"./?range=24h\"]");
    assert_eq!(page.value("document.querySelectorAll('#chart-open i').length"), 24);
    let channel = "document.querySelector('#channels li:nth-child(2) a').textContent";
    let name = page.value(channel);
    follow("#channels li:nth-child(2) a");
    assert_eq!(page.value("new URLSearchParams(location.search).get('channel')"), name);
    assert_eq!(page.text("#channels summary b"), name.as_str().unwrap());
    page.assert_nothing_to_complain_of();
    daemon.stop();
}

#[test]
fn pages_come_in_the_reader_s_language_and_refuse_what_they_do_not_know() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let heading = |path: &str, accepted: &str| {
        let answer = shown.get_in(path, accepted);
        let status = answer.split(' ').nth(1).unwrap().to_owned();
        let heading = answer.split_once("<h1").unwrap().1.split_once("</h1>").unwrap().0.to_owned();
        let said = answer.split_once("</h1>").unwrap().1.split_once("</p>").unwrap().0.to_owned();
        format!("{status} {} | {}", heading.split_once('>').unwrap().1, said.split_once('>').unwrap().1)
    };
    assert_said!(heading("/a/b", "en"), @"404 Not found | There is no page at this address.");
    assert_said!(heading("/?range=1y", "en"), @"400 This address cannot be read | <code>range</code> cannot be <code>1y</code>. It can be <code>24h</code>, <code>7d</code>, <code>30d</code>, <code>90d</code>.");
    assert_said!(heading("/?rang=7d", "ru"), @"400 Адрес не читается | Ключ <code>rang</code> здесь не известен. Эта страница знает <code>range</code>, <code>channel</code>.");
    assert_said!(heading("/?channel=%3Cb%3E", "pt"), @"400 Não foi possível ler este endereço | Nenhuma conversa espelhada tem a origem <code>&lt;b&gt;</code>.");
    assert!(shown.get_in("/a/b", "en").contains("href=\"../page.css\""), "its style is found");
    let russian = || shown.get_in("/", "ru-RU,ru;q=0.9");
    // What the page shows may be a second old.
    shown.mirror.wait("it works, in Russian", || russian().contains("Да, всё работает."));
    assert!(russian().contains("lang=\"ru\""));
    daemon.stop();
}

#[test]
fn a_page_left_open_says_since_when_the_daemon_cannot_be_reached() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let Some(page) = shown.open(|_| {}) else { return };
    assert_eq!(page.text("#lost"), "");
    daemon.stop();
    page.assert_works();
    let heading = page.text("h1");
    shown.mirror.wait("it says so", || !page.text("#lost").is_empty());
    assert_said!(page.text("#lost"), @"The daemon has not been reached since [time] UTC. What is below was true then.");
    assert_eq!(page.text("h1"), heading, "what was true then stays");
    let lost = page.title();
    assert_said!(lost, @"Not reached");
    let daemon = shown.mirror.running_daemon();
    page.hurry();
    shown.mirror.wait("it is back", || page.text("#lost").is_empty());
    shown.mirror.wait("and so is the title", || page.title() != lost);
    daemon.stop();
}

/// The texts with too little contrast to their background, by WCAG 2.2, level AA.
const FAINT: &str = r#"(() => {
    const parts = colour => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = one => {
        for (; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const faint = [];
    for (const one of document.querySelectorAll('body *')) {
        const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own) continue;
        const [a, b] = [light(parts(getComputedStyle(one).color)), light(ground(one))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push(one.tagName + ' ' + one.textContent.slice(0, 40) + ' ' + contrast.toFixed(2));
    }
    return faint.join('\n');
})()"#;

/// What a screen reader would miss.
const MUTE: &str = r#"[
    ...[...document.querySelectorAll('table')].filter(one => !one.caption?.textContent),
    ...[...document.querySelectorAll('th')].filter(one => !['row', 'col'].includes(one.scope)),
    ...[...document.querySelectorAll('svg')].filter(one => !one.ariaHidden && !(one.role === 'img' && one.ariaLabel)),
    ...[...document.querySelectorAll('section')].filter(one => !document.getElementById(one.getAttribute('aria-labelledby'))),
    ...[...document.querySelectorAll('[id]')].filter(one => document.querySelectorAll('#' + one.id).length > 1),
].map(one => one.outerHTML.slice(0, 200)).join('\n')"#;

#[test]
fn the_page_can_be_read_in_the_light_in_the_dark_and_by_a_screen_reader() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    let Some(page) = shown.open(|_| {}) else { return };
    let of_each = |what: &str| {
        let mut grounds = Vec::new();
        for scheme in ["light", "dark"] {
            let feature =
                Emulation::MediaFeature { name: "prefers-color-scheme".into(), value: scheme.into() };
            page.tab
                .call_method(Emulation::SetEmulatedMedia { media: None, features: Some(vec![feature]) })
                .unwrap();
            page.value("document.querySelector('#figures').open = true");
            assert_eq!(page.value(FAINT), "", "{what}, {scheme}");
            grounds.push(page.value("getComputedStyle(document.body).backgroundColor"));
        }
        assert_ne!(grounds[0], grounds[1], "the dark is another");
        assert_eq!(page.value(MUTE), "", "{what}");
        for one in ["html[lang=en]", "header", "main", "main h1", "footer"] {
            assert_eq!(page.value(&format!("document.querySelectorAll('{one}').length")), 1, "{what}: {one}");
        }
    };
    of_each("it works");
    shown.mirror.simulator.account().always = Some(Fault::Problem(401));
    shown.mirror.ends(0, &["enqueue", "1..20"]);
    // The first refusal is shown before the pause begins.
    shown.mirror.wait("a pause", || {
        page.hurry();
        page.text("h1").starts_with("No.")
    });
    assert_said!(page.text("h1"), @"No. Everything pauses: the API does not accept the token.");
    of_each("it pauses");
    daemon.stop();
    page.hurry();
    shown.mirror.wait("it is gone", || !page.text("#lost").is_empty());
    of_each("it is not reached");
}

#[test]
fn a_database_that_cannot_be_read_is_said_on_the_page() {
    let shown = Shown::new("");
    let daemon = shown.at_work();
    // As a newer version would have left it.
    shown.mirror.execute("PRAGMA user_version = 999");
    let mut answer = String::new();
    shown.mirror.wait("the page says so", || {
        answer = shown.get("/");
        answer.starts_with("HTTP/1.1 503")
    });
    let (_, page) = answer.split_once("<h1").unwrap();
    let (heading, _) = page.split_once("</h1>").unwrap();
    assert_said!(heading, @r#" id="state">No. The database cannot be read: [folder]/talks.db was written by a newer talkmirror (schema 999; this one knows 4): upgrade talkmirror"#);
    assert!(shown.get("/readyz").starts_with("HTTP/1.1 503"));
    let metrics = shown.get("/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("talkmirror_ready 0"), "{metrics}");
    drop(daemon);
}
