//! Small charts as inline SVG. The shapes stretch to the available space. The labels are text of the page.
//!
//! Each chart also states in text what it shows: to a screen reader its shapes are one image, named by that text.

use crate::language::Language;
use maud::{Markup, html};

/// The height of a chart in its own units. The width is one unit per value.
const CHART_HEIGHT: f64 = 100.0;

/// How values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChartKind {
    /// Separate counts, each a bar. The last still grows.
    Bars,
    /// A level over time.
    Course,
}

/// The content of a chart, with each text as shown.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub title: String,
    /// The most important figure, shown beside the title.
    pub now: String,
    /// The list that this figure counts, if there is one.
    pub address: Option<String>,
    /// What it shows in numbers, for those who do not see it.
    pub text: String,
    /// Earliest first.
    pub values: &'a [i64],
    /// The time of each value.
    pub times: &'a [String],
    /// The time labels of the first, middle and last value.
    pub labels: [String; 3],
    pub kind: ChartKind,
    /// The CSS class that sets its colour.
    pub class: &'a str,
}

/// Draws a chart with its title, scale and times. Each value is shown when the pointer is above it. `page.js` shows it
/// for the arrow keys too.
pub(super) fn figure(language: Language, chart: &Chart<'_>) -> Markup {
    let top = scale(chart.values.iter().copied().max().unwrap_or(0));
    let width = chart.values.len().max(1);
    html! {
        figure {
            figcaption {
                span { (chart.title) }
                b {
                    @match &chart.address {
                        Some(address) => a href=(address) { (chart.now) },
                        None => (chart.now),
                    }
                }
            }
            div.plot {
                div.scale aria-hidden="true" {
                    span { (language.count(top)) }
                    @if top % 2 == 0 { span { (language.count(top / 2)) } }
                    span { "0" }
                }
                div.values id={ "chart-" (chart.class) } role="img" tabindex="0" aria-label=(chart.text) {
                    svg class=(chart.class) aria-hidden="true" viewBox={ "0 0 " (width) " " (CHART_HEIGHT) }
                        preserveAspectRatio="none" {
                        @for y in [0.0, CHART_HEIGHT / 2.0, CHART_HEIGHT] {
                            line.grid x1="0" x2=(width) y1=(y) y2=(y) {}
                        }
                        @match chart.kind {
                            ChartKind::Bars => (bars(chart.values, top)),
                            ChartKind::Course => (course(chart.values, top)),
                        }
                    }
                    @for (value, time) in chart.values.iter().zip(chart.times) {
                        i { b { (time) ": " (language.count(*value)) } }
                    }
                }
                div.times aria-hidden="true" {
                    @for label in &chart.labels { span { (label) } }
                }
            }
        }
    }
}

fn bars(values: &[i64], top: i64) -> Markup {
    html! {
        @for (place, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
            @let height = height(*value, top);
            @let class = if place + 1 == values.len() { "bar unfinished" } else { "bar" };
            rect class=(class) x=(format!("{:.2}", place as f64 + 0.12)) width="0.76"
                y=(format!("{:.1}", CHART_HEIGHT - height)) height=(format!("{height:.1}")) {}
        }
    }
}

/// A level in steps. Each value spans its unit.
fn course(values: &[i64], top: i64) -> Markup {
    let mut line = String::new();
    for (place, value) in values.iter().enumerate() {
        let y = CHART_HEIGHT - height(*value, top);
        let begin = if place == 0 { 'M' } else { 'L' };
        line.push_str(&format!("{begin}{place} {y:.1}H{}", place + 1));
    }
    let area = format!("{line}V{CHART_HEIGHT}H0Z");
    html! {
        @if !values.is_empty() {
            path.area d=(area) {}
            path.course d=(line) {}
        }
    }
}

/// The height of a value. Any value above 0 is visible.
fn height(value: i64, top: i64) -> f64 {
    if value <= 0 { 0.0 } else { (value as f64 / top as f64 * CHART_HEIGHT).clamp(1.5, CHART_HEIGHT) }
}

/// The top of a scale that holds `most`: 2, 4, 6, 8, 10, 20, 40, …
fn scale(most: i64) -> i64 {
    let mut decade = 1_i64;
    loop {
        for step in [2, 4, 6, 8, 10] {
            let top = decade.saturating_mul(step);
            if top >= most {
                return top;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[i64], kind: ChartKind) -> String {
        let times: Vec<String> = (0..values.len()).map(|place| format!("day {place}")).collect();
        let chart = Chart {
            title: "Talks".into(),
            now: "7".into(),
            address: None,
            text: "7 talks".into(),
            values,
            times: &times,
            labels: ["then".into(), "between".into(), "now".into()],
            kind,
            class: "open",
        };
        figure(Language::English, &chart).into_string()
    }

    #[test]
    fn a_scale_holds_its_most_and_wastes_no_more_than_half() {
        let scales = [0, 1, 2, 3, 10, 11, 99, 101, 1234, 9001].map(scale);
        assert_eq!(scales, [2, 2, 2, 4, 10, 20, 100, 200, 2000, 10_000]);
        assert!(scale(i64::MAX) > 0);
        for most in 3..5000 {
            let top = scale(most);
            assert!(top >= most && (top < 2 * most), "{most}: {top}");
        }
    }

    #[test]
    fn bars_stand_on_the_ground_as_high_as_their_values_and_the_last_is_unfinished() {
        let svg = drawn(&[0, 5, 10, 1], ChartKind::Bars);
        assert_eq!(svg.matches("<rect").count(), 3, "nothing is drawn for nothing: {svg}");
        assert!(svg.contains(r#"x="1.12" width="0.76" y="50.0" height="50.0""#), "{svg}");
        assert!(svg.contains(r#"y="0.0" height="100.0""#), "{svg}");
        assert_eq!(svg.matches("unfinished").count(), 1);
        assert!(svg.contains("viewBox=\"0 0 4 100\""), "{svg}");
        let small = drawn(&[1, 10_000], ChartKind::Bars);
        assert!(small.contains(r#"height="1.5""#), "what is not nothing can be seen: {small}");
    }

    #[test]
    fn a_course_is_one_line_over_the_whole_width() {
        let svg = drawn(&[10, 0, 5], ChartKind::Course);
        assert!(svg.contains(r#"d="M0 0.0H1L1 100.0H2L2 50.0H3""#), "{svg}");
        assert!(svg.contains(r#"d="M0 0.0H1L1 100.0H2L2 50.0H3V100H0Z""#), "{svg}");
        assert!(!drawn(&[], ChartKind::Course).contains("<path"));
    }

    #[test]
    fn a_chart_is_an_image_with_a_text_of_what_it_shows_and_has_each_value_with_its_time() {
        let html = drawn(&[1, 1234], ChartKind::Bars);
        assert!(html.contains(r#"role="img" tabindex="0" aria-label="7 talks""#), "{html}");
        assert_eq!(html.matches("aria-hidden").count(), 3, "the shapes and labels are in the text: {html}");
        assert!(html.contains("<i><b>day 0: 1</b></i><i><b>day 1: 1,234</b></i>"), "{html}");
    }
}
