//! Mutated outside text for the parsers' property tests. No parser may panic, hang, or accept more than the text
//! says.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A change to a text.
#[derive(Debug, Clone)]
enum Mutation {
    /// Inserts bytes that often break parsers.
    Insert(&'static [u8]),
    /// Replaces a byte.
    Replace(u8),
    /// Removes this many bytes.
    Cut(usize),
    /// Repeats a part.
    Repeat(usize),
    /// Truncates the text.
    End,
}

const ODD: &[&[u8]] = &[
    b"null",
    b"[]",
    b"{}",
    b"\"\"",
    b"-1",
    b"0",
    b"1e999",
    b"1.0",
    b"99999999999999999999999999",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"\"\\ud800\"",
    b"\\u0000",
    b"\0",
    b"\x1b[2J",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    "\u{202e}".as_bytes(),
    "\u{9b}".as_bytes(),
    b"\r\n",
    b"\"",
    b"'",
    b"\\",
    b"%",
    b"%5B",
    b"&",
    b"=",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"*",
    b"/",
    b"-",
    b"L",
    b"W",
    b"#",
    b"?",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
];

fn change() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        6 => select(ODD).prop_map(Mutation::Insert),
        4 => any::<u8>().prop_map(Mutation::Replace),
        3 => (1..40_usize).prop_map(Mutation::Cut),
        2 => (1..200_usize).prop_map(Mutation::Repeat),
        1 => Just(Mutation::End),
    ]
}

fn apply(text: &mut Vec<u8>, (change, place): &(Mutation, Index)) {
    let at = place.index(text.len() + 1);
    let to = |length: usize| (at + length).min(text.len());
    match *change {
        Mutation::Insert(odd) => drop(text.splice(at..at, odd.iter().copied())),
        Mutation::Replace(byte) => {
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
        }
        Mutation::Cut(length) => drop(text.drain(at..to(length))),
        Mutation::Repeat(length) => {
            let part = text[at..to(length)].to_vec();
            drop(text.splice(at..at, part));
        }
        Mutation::End => text.truncate(at),
    }
}

/// One of these texts with up to six changes.
pub(crate) fn mutated(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((change(), any::<Index>()), 0..7);
    (select(texts), changes).prop_map(|(text, changes)| {
        let mut text = text.as_bytes().to_vec();
        changes.iter().for_each(|change| apply(&mut text, change));
        text
    })
}

/// The same for parsers that get text.
pub(crate) fn mutated_text(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    mutated(texts).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
