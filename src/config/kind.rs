//! What the value of a key can be.

use std::ops::RangeInclusive;

/// Words, and what each stands for.
pub(super) type Choices<'a, T> = &'a [(&'static str, T)];

/// What the value of a key can be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text,
    /// An address of the web, with its scheme.
    Address,
    Boolean,
    Whole(RangeInclusive<i64>),
    /// A whole number, or "auto".
    WholeOrAuto(RangeInclusive<i64>),
    Number(RangeInclusive<f64>),
    Duration,
    /// A duration, or "".
    OptionalDuration,
    Schedule,
    /// A list of texts.
    List,
    /// One of these words.
    Choice(Vec<&'static str>),
    /// A secret, which is only allowed in the environment.
    Secret,
}
