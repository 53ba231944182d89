//! The messages of each language: the files `en/*.ftl`, `ru/*.ftl` and `pt-BR/*.ftl`, in the syntax of Fluent.

use super::{Language, format};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentResource, FluentValue};
use std::sync::LazyLock;

pub(super) type Bundle = FluentBundle<FluentResource>;

macro_rules! files {
    ($folder:literal) => {
        [
            include_str!(concat!($folder, "/common.ftl")),
            include_str!(concat!($folder, "/health.ftl")),
            include_str!(concat!($folder, "/page.ftl")),
            include_str!(concat!($folder, "/status.ftl")),
            include_str!(concat!($folder, "/talks.ftl")),
        ]
    };
}

pub(super) const ENGLISH: [&str; 5] = files!("en");
pub(super) const RUSSIAN: [&str; 5] = files!("ru");
pub(super) const PORTUGUESE: [&str; 5] = files!("pt-BR");

/// The messages of a language.
pub(super) fn bundle(language: Language) -> &'static Bundle {
    static ENGLISH_BUNDLE: LazyLock<Bundle> =
        LazyLock::new(|| new(Language::English, &ENGLISH, |value, _| written(Language::English, value)));
    static RUSSIAN_BUNDLE: LazyLock<Bundle> =
        LazyLock::new(|| new(Language::Russian, &RUSSIAN, |value, _| written(Language::Russian, value)));
    static PORTUGUESE_BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
        new(Language::Portuguese, &PORTUGUESE, |value, _| written(Language::Portuguese, value))
    });
    match language {
        Language::English => &ENGLISH_BUNDLE,
        Language::Russian => &RUSSIAN_BUNDLE,
        Language::Portuguese => &PORTUGUESE_BUNDLE,
    }
}

type Memoizer = intl_memoizer::concurrent::IntlLangMemoizer;

fn new(
    language: Language,
    files: &[&str],
    number: fn(&FluentValue<'_>, &Memoizer) -> Option<String>,
) -> Bundle {
    let tag = language.tag().parse().expect("a tag of BCP 47");
    let mut bundle = Bundle::new_concurrent(vec![tag]);
    // The page and the terminal escape what turns the direction of text, and isolating marks do.
    bundle.set_use_isolating(false);
    bundle.set_formatter(Some(number));
    for file in files {
        // A test holds that each file is read whole, and that no message is there twice.
        let resource = FluentResource::try_new((*file).to_owned()).unwrap_or_else(|(resource, _)| resource);
        let _ = bundle.add_resource(resource);
    }
    bundle
}

/// A number with the separators of a language.
fn written(language: Language, value: &FluentValue<'_>) -> Option<String> {
    match value {
        FluentValue::Number(number) => Some(format::count(language, crate::number::truncated(number.value))),
        _ => None,
    }
}
