//! Reads JSON values tolerantly where real accounts differ: numbers as strings, whole floats, 0 and 1 as booleans,
//! and PHP's ways to write nothing (null, "", false, [] and {}).
//!
//! Fields that identify a row are read strictly, by [`Int`] and [`Bool`]. Optional fields are read by [`Loose`]: a
//! value of another shape counts as missing and affects nothing else.

use crate::number;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The value of an optional field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loose<T> {
    /// The key is missing, or PHP wrote one of its values for nothing.
    Nothing,
    Value(T),
    /// A value of another shape.
    Odd,
}

impl<T> Loose<T> {
    /// Reads a value with `read`. If that fails, the value is odd.
    pub(super) fn read<'a>(raw: Option<&'a RawValue>, read: impl FnOnce(&'a str) -> Option<T>) -> Loose<T> {
        match raw.map(RawValue::get) {
            None => Loose::Nothing,
            Some(text) if is_nothing(text) => Loose::Nothing,
            Some(text) => read(text).map_or(Loose::Odd, Loose::Value),
        }
    }

    /// The value, if there is one.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Loose::Value(value) => Some(value),
            Loose::Nothing | Loose::Odd => None,
        }
    }
}

/// Whether PHP writes this value for nothing.
pub(super) fn is_nothing(json: &str) -> bool {
    let inner = |open, close| json.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let empty = |inner: Option<&str>| inner.is_some_and(|inner| inner.trim_ascii().is_empty());
    matches!(json, "null" | "false" | "\"\"") || empty(inner('[', ']')) || empty(inner('{', '}'))
}

/// A whole number.
pub(super) fn int(raw: Option<&RawValue>) -> Loose<i64> {
    Loose::read(raw, |text| serde_json::from_str(text).ok().map(|Int(value)| value))
}

/// A string, or a number as a string.
pub(super) fn text(raw: Option<&RawValue>) -> Loose<String> {
    Loose::read(raw, |text| serde_json::from_str(text).ok().map(|StringOrNumber(value)| value))
}

/// A boolean. Here `false` is a value, not nothing.
pub(super) fn boolean(raw: Option<&RawValue>) -> Loose<bool> {
    match raw.map(RawValue::get) {
        Some("false") => Loose::Value(false),
        _ => Loose::read(raw, |text| serde_json::from_str(text).ok().map(|Bool(value)| value)),
    }
}

/// The rows of a list. PHP writes a list with gaps as an object keyed by numbers.
pub(super) fn rows(raw: Option<&RawValue>) -> Loose<Vec<&RawValue>> {
    Loose::read(raw, |text| match text.starts_with('[') {
        true => serde_json::from_str(text).ok(),
        false => serde_json::from_str(text).ok().map(|Keyed(rows)| rows),
    })
}

/// Not derived, because the rows are borrowed and must keep their order.
struct Keyed<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Keyed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyedVisitor;
        impl<'de> Visitor<'de> for KeyedVisitor {
            type Value = Keyed<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object keyed by numbers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keyed<'de>, A::Error> {
                let mut rows = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    // PHP's row numbers may be negative.
                    let digits = key.strip_prefix('-').unwrap_or(&key);
                    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                        return Err(A::Error::invalid_value(Unexpected::Str(&key), &self));
                    }
                    rows.push(map.next_value()?);
                }
                Ok(Keyed(rows))
            }
        }
        deserializer.deserialize_map(KeyedVisitor)
    }
}

/// Whether the text is valid JSON.
pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// A whole number: 7, 7.0 or "7".
pub(super) struct Int(pub i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntVisitor;
        impl Visitor<'_> for IntVisitor {
            type Value = Int;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Int, E> {
                Ok(Int(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Int, E> {
                i64::try_from(value)
                    .map(Int)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Int, E> {
                whole(value).map(Int).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Int, E> {
                value.parse().map(Int).map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(IntVisitor)
    }
}

/// A float without a fraction, in the range where floats are exact.
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(number::truncated(value))
}

/// A boolean, or 0 or 1, as a number or a string.
pub(super) struct Bool(pub bool);

impl<'de> Deserialize<'de> for Bool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoolVisitor;
        impl Visitor<'_> for BoolVisitor {
            type Value = Bool;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Bool, E> {
                Ok(Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Bool, E> {
                Err(E::invalid_value(Unexpected::Signed(value), &self))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Bool, E> {
                match value {
                    0 => Ok(Bool(false)),
                    1 => Ok(Bool(true)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
                }
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Bool, E> {
                match whole(value) {
                    Some(0) => Ok(Bool(false)),
                    Some(1) => Ok(Bool(true)),
                    _ => Err(E::invalid_value(Unexpected::Float(value), &self)),
                }
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Bool, E> {
                match value {
                    "0" | "false" => Ok(Bool(false)),
                    "1" | "true" => Ok(Bool(true)),
                    _ => Err(E::invalid_value(Unexpected::Str(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(BoolVisitor)
    }
}

/// A string, or a number as a string.
pub(super) struct StringOrNumber(pub String);

impl<'de> Deserialize<'de> for StringOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrNumberVisitor;
        impl Visitor<'_> for StringOrNumberVisitor {
            type Value = StringOrNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<StringOrNumber, E> {
                Ok(StringOrNumber(value.to_owned()))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<StringOrNumber, E> {
                Ok(StringOrNumber(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<StringOrNumber, E> {
                Ok(StringOrNumber(value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<StringOrNumber, E> {
                Ok(StringOrNumber(value.to_string()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<StringOrNumber, E> {
                Ok(StringOrNumber(whole(value).map_or_else(|| value.to_string(), |value| value.to_string())))
            }
        }
        deserializer.deserialize_any(StringOrNumberVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn what_php_writes_for_nothing_is_nothing() {
        for nothing in ["null", "\"\"", "false", "[]", "[ ]", "{}", "{\n}"] {
            assert_eq!(int(Some(&raw(nothing))), Loose::Nothing, "{nothing}");
            assert_eq!(text(Some(&raw(nothing))), Loose::Nothing, "{nothing}");
            assert!(matches!(rows(Some(&raw(nothing))), Loose::Nothing), "{nothing}");
        }
        assert_eq!(int(None), Loose::Nothing);
        assert_eq!(boolean(Some(&raw("false"))), Loose::Value(false));
        assert_eq!(boolean(Some(&raw("\"\""))), Loose::Nothing);
    }

    #[test]
    fn numbers_come_as_strings_and_as_floats() {
        for seven in ["7", "7.0", "\"7\"", "7e0"] {
            assert_eq!(int(Some(&raw(seven))), Loose::Value(7), "{seven}");
        }
        for odd in ["7.5", "\"x\"", "true", "[7]", "{\"id\":7}", "1e400", "9223372036854775808", "1e30"] {
            assert_eq!(int(Some(&raw(odd))), Loose::Odd, "{odd}");
        }
        assert_eq!(int(Some(&raw("0"))), Loose::Value(0), "a number, and not nothing");
        for (json, yes) in [("1", true), ("1.0", true), ("\"0\"", false), ("0.0", false), ("true", true)] {
            assert_eq!(boolean(Some(&raw(json))), Loose::Value(yes), "{json}");
        }
        assert_eq!(boolean(Some(&raw("2"))), Loose::Odd);
        assert_eq!(text(Some(&raw("77.0"))), Loose::Value("77".into()));
        assert_eq!(text(Some(&raw("18446744073709551615"))), Loose::Value("18446744073709551615".into()));
        assert_eq!(text(Some(&raw("\"\\ud800\""))), Loose::Odd, "half a letter");
    }

    #[test]
    fn a_list_with_gaps_is_a_list() {
        let json = raw(r#"{"1": {"id": 5}, "07": 6, "-1": 7}"#);
        let Loose::Value(rows_read) = rows(Some(&json)) else { panic!("no list") };
        assert_eq!(rows_read.iter().map(|row| row.get()).collect::<Vec<_>>(), [r#"{"id": 5}"#, "6", "7"]);
        for odd in [r#"{"id": 5}"#, "5", r#"{"": 5}"#, r#"{"-": 5}"#, r#"{"--1": 5}"#, "true"] {
            assert!(matches!(rows(Some(&raw(odd))), Loose::Odd), "{odd}");
        }
    }
}
