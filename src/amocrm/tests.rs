//! Inputs shared by the tests of several parsers.

use crate::clock::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any JSON, a few levels deep, including the values that PHP writes for nothing.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!("")),
        "[0-9a-zё\u{0}-\u{20}\u{202e}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[0-9]{1,2}|id|talks|leads|next|events", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

/// A talk as the API returns it at this time.
pub(crate) fn fetched(talk: crate::talk::Talk, at: UnixSeconds) -> super::Fetched {
    super::Fetched { talk, payload: "{}".into(), odd: Vec::new(), date: super::hints::Date::at(at) }
}
