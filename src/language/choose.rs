//! Which language a person reads: by a browser's `Accept-Language`, or by the environment of a command.

use super::Language;

impl Language {
    /// The language of a tag such as `pt-BR`, `ru_RU.UTF-8` or `en`. `None` if the catalogue has no such language.
    fn of_tag(tag: &str) -> Option<Language> {
        let primary = tag.trim().split(['-', '_', '.', '@']).next()?;
        match primary.to_ascii_lowercase().as_str() {
            "en" | "c" | "posix" => Some(Language::English),
            "ru" => Some(Language::Russian),
            "pt" => Some(Language::Portuguese),
            _ => None,
        }
    }

    /// The language of `http.language`. `None` if there is none of that name.
    pub(crate) fn parse(tag: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// The language of the catalogue that a browser prefers, by its header `Accept-Language`; else English.
    pub(crate) fn accepted(header: &str) -> Language {
        let mut best = (0.0, Language::English);
        for entry in header.split(',').take(MOST_TAGS) {
            let (tag, quality) = entry.split_once(';').unwrap_or((entry, ""));
            let quality = match quality.trim().strip_prefix("q=") {
                Some(quality) => quality.trim().parse().unwrap_or(0.0),
                None => 1.0,
            };
            // Of equals the first.
            if let Some(language) = Language::of_tag(tag).filter(|_| quality > best.0) {
                best = (quality, language);
            }
        }
        best.1
    }

    /// The language of a terminal, by the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set; else English.
    pub(crate) fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Language {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        set.and_then(|locale| Language::of_tag(&locale)).unwrap_or(Language::English)
    }
}

/// No browser sends more.
const MOST_TAGS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_prefers_among_ours() {
        for (header, language) in [
            ("", Language::English),
            ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", Language::Russian),
            ("de,pt;q=0.5,en;q=0.4", Language::Portuguese),
            ("pt-PT", Language::Portuguese),
            ("en;q=0.2, RU ; q=0.3", Language::Russian),
            ("kk, *;q=0.1", Language::English),
            ("ru;q=0, en", Language::English),
            ("ru;q=nonsense, pt;q=0.1", Language::Portuguese),
            ("ru;q=NaN", Language::English),
            ("en, ru", Language::English),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }

    #[test]
    fn a_terminal_gets_the_language_of_its_locale() {
        let of = |variables: &[(&str, &str)]| {
            Language::of_locale(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "ru_RU.UTF-8")]), Language::Russian);
        assert_eq!(of(&[("LANG", "pt_BR.UTF-8"), ("LC_ALL", "")]), Language::Portuguese);
        assert_eq!(of(&[("LANG", "ru_RU.UTF-8"), ("LC_ALL", "C.UTF-8")]), Language::English);
        assert_eq!(of(&[("LANG", "de_DE.UTF-8")]), Language::English);
        assert_eq!(of(&[("LANG", "en_US"), ("LC_MESSAGES", "pt_BR")]), Language::Portuguese);
    }
}
