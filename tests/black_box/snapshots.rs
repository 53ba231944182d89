//! Messages are compared whole, with what differs from run to run masked. After a rewording `cargo insta test --review`
//! runs the tests, shows each old text beside the new one and writes the accepted ones into the tests.

use insta::Settings;

/// Masks for what differs from run to run, in the order in which they are applied.
const MASKS: &[(&str, &str)] = &[
    (r"(/[0-9A-Za-z_-]+)*/\.tmp[0-9A-Za-z]{6}\b", "[folder]"),
    (r"/\.([a-z-]+)-[0-9A-Za-z]{6}\b", "/.$1-[name]"),
    (r"(127\.0\.0\.1|localhost|\[::1\]):\d+", "$1:[port]"),
    (r"\bprocess \d+", "process [pid]"),
    (r", user [^\s)]+", ", user [name]"),
    (r"\bblack_box-[0-9a-f]+", "black_box"),
    (concat!(r"\b", env!("CARGO_PKG_VERSION")), "[version]"),
    (r"\d{4}-\d\d-\d\dT\d\d:?\d\d:?\d\d(\.\d+)?Z", "[time]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "[time]"),
    (r"\b\d{4}-\d\d-\d\d\b", "[date]"),
    (r"\d\d:\d\d:\d\d UTC", "[time]"),
    // What is due in a minute is due in 59 s a second later.
    (r"\bin (1 min|5\d s)\b", "in 1 min"),
    (r"\bin 1[45] min\b", "in 15 min"),
    (r"\bin (1 h|59 min)\b", "in 1 h"),
    (r"\b\d+(\.\d+)? (ms|s)\b", "[n] $2"),
    // Columns are as wide as what was masked.
    (r"(\S) {2,}", "$1  "),
];

/// The masks of [`assert_said`], and before them those of one test.
pub fn settings(more: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::clone_current();
    for (pattern, mask) in more.iter().chain(MASKS) {
        settings.add_filter(pattern, *mask);
    }
    settings
}

/// Compares a message with its snapshot. In a loop, each round has to give the same text.
macro_rules! assert_said {
    ($text:expr, $masks:expr, @$said:literal $(,)?) => {
        $crate::snapshots::settings(&$masks)
            .bind(|| insta::allow_duplicates!(insta::assert_snapshot!($text, @$said)))
    };
    ($text:expr, @$said:literal $(,)?) => {
        $crate::snapshots::settings(&[])
            .bind(|| insta::allow_duplicates!(insta::assert_snapshot!($text, @$said)))
    };
}
pub(crate) use assert_said;

/// The lines of `check` that give these verdicts and warnings.
pub fn verdicts(check: &str, names: &[&str]) -> String {
    let lines = pick(check, |line| names.contains(&line.split(' ').next().unwrap_or_default()));
    found(lines, &names.join(" or "), check)
}

/// What `status` complains of, and what to do about it.
pub fn complaints(status: &str) -> String {
    pick(status, |line| line.trim_start().starts_with(['!', '→']))
}

/// The line of `status`, `why` or a summary that begins with this heading.
pub fn part(text: &str, heading: &str) -> String {
    let is_of_it = |line: &str| line.strip_prefix(heading).is_some_and(|rest| rest.starts_with(' '));
    found(pick(text, is_of_it), heading, text)
}

fn pick(text: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    text.lines().filter(|line| is_wanted(line)).map(|line| format!("{line}\n")).collect()
}

/// So that a heading that is gone is no empty snapshot.
fn found(lines: String, wanted: &str, text: &str) -> String {
    assert!(!lines.is_empty(), "no line {wanted} in\n{text}");
    lines
}
