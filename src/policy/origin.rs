//! Origins are free text. Two that look the same to a person are treated as the same.
//!
//! A talk must not be closed because its excluded origin is spelt differently. So the sweep's SQL, the policy and
//! the configuration all compare the [`origin_key`] of origins.

use crate::text::is_ignorable;
use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Equal for origins that look the same to a person.
///
/// Ignores compatibility forms, full case (ß is ss), surrounding and repeated white space, invisible characters and
/// dots over i. Not for display.
pub(crate) fn origin_key(origin: &str) -> String {
    let visible = origin.chars().filter(|letter| !is_ignorable(*letter));
    // Unicode's compatibility caseless matching (D146).
    let folded: String = visible.nfd().default_case_fold().nfkd().default_case_fold().nfkd().collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    with_one_dot(&words.join(" ")).nfc().collect()
}

/// Whether two names mean the same channel.
pub(crate) fn same_origin(a: &str, b: &str) -> bool {
    a == b || origin_key(a) == origin_key(b)
}

/// Removes the extra dots of i and j from a decomposed text: İ folds to i with one more dot, and I is also the
/// capital of ı.
fn with_one_dot(text: &str) -> String {
    let mut base = ' ';
    text.chars()
        .map(|letter| if letter == 'ı' { 'i' } else { letter })
        .filter(|&letter| {
            if canonical_combining_class(letter) == 0 {
                base = letter;
            }
            letter != '\u{307}' || !matches!(base, 'i' | 'j')
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::char::range;
    use proptest::prelude::*;

    /// Origins, each with another spelling that looks the same.
    pub(crate) const SPELLINGS: [(&str, &str); 13] = [
        ("Телеграмм й", "телеграмм и\u{306}"),
        ("my shop", " My\u{a0}\u{2003}shop\t"),
        ("İstanbul", "istanbul"),
        ("ışık", "IŞIK"),
        ("straße", "STRASSE"),
        ("straẞe", "strasse"),
        ("ｖｉｂｅｒ", "viber"),
        ("oﬃce №1", "OFFICE no1"),
        ("a\u{200b}vi\u{ad}to\u{feff}", "avito"),
        ("❤\u{fe0f}", "❤"),
        ("ΟΔΟΣ", "οδος"),
        ("ᾳ\u{313}", "ᾼ\u{313}"),
        ("I\u{323}\u{307}x", "ịX"),
    ];

    #[test]
    fn origins_that_look_the_same_are_the_same() {
        for (one, other) in SPELLINGS {
            assert!(same_origin(one, other), "{one} {other}: {:?} {:?}", origin_key(one), origin_key(other));
        }
    }

    #[test]
    fn origins_that_look_different_are_different() {
        for (one, other) in
            [("telegram", "telegramm"), ("и", "й"), ("my shop", "myshop"), ("é", "e"), ("ё", "е"), ("a", "а")]
        {
            assert!(!same_origin(one, other), "{one} {other}");
        }
    }

    /// Texts with many characters that fold, combine and vanish.
    fn origin() -> impl Strategy<Value = String> {
        let odd = proptest::sample::select(vec![
            'İ', 'i', 'j', 'ı', '\u{307}', '\u{323}', '\u{345}', 'ß', 'ﬁ', 'ᾳ', ' ', '\u{a0}', '\u{ad}', '¨',
            'Å', '가',
        ]);
        let letter = prop_oneof![any::<char>(), odd, range('\0', '\u{600}'), range('\u{1e00}', '\u{2200}')];
        proptest::collection::vec(letter, 0..12).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(origin in origin()) {
            let key = origin_key(&origin);
            prop_assert_eq!(origin_key(&key), key);
        }

        #[test]
        fn composed_and_decomposed_forms_are_the_same(origin in origin()) {
            let forms: [String; 4] = [
                origin.nfc().collect(), origin.nfd().collect(), origin.nfkc().collect(), origin.nfkd().collect(),
            ];
            for form in forms {
                prop_assert!(same_origin(&origin, &form), "{:?}", form);
            }
        }

        #[test]
        fn case_and_white_space_make_no_difference(origin in "[а-яa-zß]{1,5}( [а-яa-zß]{1,5}){0,2}") {
            let spelt = format!("\u{a0}{}\n", origin.to_uppercase().replace(' ', " \u{2003}"));
            prop_assert!(same_origin(&origin, &spelt), "{:?}", spelt);
        }
    }
}
