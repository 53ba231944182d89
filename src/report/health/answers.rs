//! Warnings about the content of the API's responses.

use super::Complaint;
use crate::language::Message;
use crate::report::Overview;
use crate::store::odd::OddField;

/// Fewer talks prove nothing, unless all of them …
const MIN_TALKS: i64 = 5;
/// … and at least this many are alike.
const MIN_ALIKE: i64 = 2;

/// Warns that fetched talks generally lack `missed_at`.
pub(super) fn without_missed_at(overview: &Overview) -> Option<Complaint> {
    let (looked_at, without) = overview.without_missed_at;
    let generally = match without == looked_at {
        true => looked_at >= MIN_ALIKE,
        false => looked_at >= MIN_TALKS && without * 2 > looked_at,
    };
    generally.then(|| Complaint {
        what: Message::new("what-without-missed-at").with("without", without).with("talks", looked_at),
        action: Message::new("do-without-missed-at"),
    })
}

/// Warns about optional fields of a shape that the API does not document.
pub(super) fn odd_fields(overview: &Overview) -> Option<Complaint> {
    let fields = &overview.odd_fields;
    let last = fields.iter().max_by_key(|field| field.last_at)?;
    let field = |odd: &OddField| {
        Message::new("odd-field").with("field", odd.field.as_str()).with("answers", odd.answers)
    };
    Some(Complaint {
        what: Message::new("what-odd-fields").with("fields", fields.iter().map(field).collect::<Vec<_>>()),
        action: Message::new("do-odd-fields").with("talk", last.last_talk_id.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::health::tests::overview;

    #[test]
    fn talks_that_generally_lack_missed_at_are_named_and_a_few_are_not() {
        let with = |without_missed_at| Overview { without_missed_at, ..overview() };
        for few in [(0, 0), (1, 1), (2, 1), (4, 3)] {
            assert_eq!(without_missed_at(&with(few)), None, "{few:?}");
        }
        assert!(without_missed_at(&with((2, 2))).is_some(), "all of them");
        assert_eq!(without_missed_at(&with((10, 5))), None);
        let what = without_missed_at(&with((10, 6))).unwrap().what.to_string();
        assert!(what.starts_with("6 of the newest 10 talks came without the field missed_at"), "{what}");
    }
}
