//! Channel names: parsed once, or built from parts so that user input can't leave its segment.
//!
//! Invariant: every `ChannelName` in the process has passed [`ChannelName::parse`]'s rules.

use std::fmt::{self, Write};
use std::mem;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The longest channel name, in bytes.
pub const MAX_CHANNEL_NAME_BYTES: usize = 200;

/// As long as most names are.
const COMMON_NAME_BYTES: usize = 64;

/// The name of a channel: segments of `[A-Za-z0-9_-]` joined by `.`, 1 to [`MAX_CHANNEL_NAME_BYTES`] bytes.
///
/// From a string of the program's own it is [parsed](ChannelName::parse). With anything in it that a user typed, build it
/// [from parts](IntoChannelName): each part is escaped and stays one segment.
///
/// ```
/// use dualcast_core::IntoChannelName;
///
/// assert_eq!(("room", 42).into_channel_name()?.as_str(), "room.42");
/// assert_eq!(("room", "my_room").into_channel_name()?.as_str(), "room.my_room");
/// assert_eq!(("room", "a.b").into_channel_name()?.as_str(), "room.a_x2eb");
/// # Ok::<_, dualcast_core::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// Takes a name as it is.
    ///
    /// # Errors
    ///
    /// [`NameError`] says which rule the name broke.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MAX_CHANNEL_NAME_BYTES {
            return Err(NameError::TooLong { bytes: name.len() });
        }
        let is_known = |byte: u8| byte == b'.' || is_plain(byte);
        if let Some(at) = name.bytes().position(|byte| !is_known(byte)) {
            let found = name[at..].chars().next().unwrap_or_default();
            return Err(NameError::Character { found, at });
        }
        let mut before = b'.';
        let begins_empty = |byte: u8| mem::replace(&mut before, byte) == b'.' && byte == b'.';
        if name.bytes().any(begins_empty) || before == b'.' {
            return Err(NameError::EmptySegment);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_parts(parts: &[&dyn fmt::Display]) -> Result<Self, NameError> {
        let mut name = String::with_capacity(COMMON_NAME_BYTES);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                name.push('.');
            }
            let start = name.len();
            let written = write!(
                Escaper {
                    name: &mut name,
                    at_escape_lead: false
                },
                "{part}"
            );
            if written.is_err() {
                return Err(NameError::TooLong { bytes: name.len() });
            }
            if name.len() == start {
                return Err(NameError::EmptySegment);
            }
        }
        Self::parse(&name)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for ChannelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What names a channel: one string, parsed as it is, or a tuple of up to four parts, each escaped into a segment.
///
/// In a part every byte outside `[A-Za-z0-9_-]` becomes `_x` and two hexadecimal digits, and so does the `_` of a
/// literal `_x`: two different parts never give the same segment, and none reaches into the next.
pub trait IntoChannelName {
    /// The name.
    ///
    /// # Errors
    ///
    /// [`NameError`] says which rule was broken.
    fn into_channel_name(self) -> Result<ChannelName, NameError>;
}

impl IntoChannelName for ChannelName {
    fn into_channel_name(self) -> Result<ChannelName, NameError> {
        Ok(self)
    }
}

impl IntoChannelName for &ChannelName {
    fn into_channel_name(self) -> Result<ChannelName, NameError> {
        Ok(self.clone())
    }
}

impl IntoChannelName for &str {
    fn into_channel_name(self) -> Result<ChannelName, NameError> {
        ChannelName::parse(self)
    }
}

impl IntoChannelName for &String {
    fn into_channel_name(self) -> Result<ChannelName, NameError> {
        ChannelName::parse(self)
    }
}

impl IntoChannelName for String {
    fn into_channel_name(self) -> Result<ChannelName, NameError> {
        ChannelName::parse(&self)
    }
}

macro_rules! parts {
    ($($part:ident),+) => {
        impl<$($part: fmt::Display),+> IntoChannelName for ($($part,)+) {
            fn into_channel_name(self) -> Result<ChannelName, NameError> {
                #[allow(non_snake_case)]
                let ($($part,)+) = self;
                ChannelName::from_parts(&[$(&$part),+])
            }
        }
    };
}
parts!(A);
parts!(A, B);
parts!(A, B, C);
parts!(A, B, C, D);

/// Which rule a channel name broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name has no characters.
    #[error("a channel name can't be empty")]
    Empty,
    /// The name, after escaping, is longer than [`MAX_CHANNEL_NAME_BYTES`].
    #[error("a channel name has at most {MAX_CHANNEL_NAME_BYTES} bytes, this one has {bytes} or more")]
    TooLong {
        /// Its length when it was refused.
        bytes: usize,
    },
    /// There is nothing between two dots, before the first or after the last, or a part is empty.
    #[error("each segment of a channel name has at least one character")]
    EmptySegment,
    /// A character that a name can't have. Building the name from parts escapes it.
    #[error("a channel name has letters, digits, '_', '-' and '.', not {found:?} (at byte {at})")]
    Character {
        /// The character.
        found: char,
        /// Where it stands, in bytes.
        at: usize,
    },
}

/// Writes one part as one segment, and stops where the name is too long already: a part may be megabytes of input.
struct Escaper<'a> {
    name: &'a mut String,
    at_escape_lead: bool,
}

impl fmt::Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly always there is nothing to escape.
        let mut is_lead = self.at_escape_lead;
        let is_as_it_is =
            |byte: u8| !(mem::replace(&mut is_lead, byte == b'_') && byte == b'x') && is_plain(byte);
        if self.name.len() + text.len() <= MAX_CHANNEL_NAME_BYTES && text.bytes().all(is_as_it_is) {
            self.name.push_str(text);
            self.at_escape_lead = is_lead;
            return Ok(());
        }
        for byte in text.bytes() {
            if self.name.len() > MAX_CHANNEL_NAME_BYTES {
                return Err(fmt::Error);
            }
            if self.at_escape_lead && byte == b'x' {
                self.name.push_str("x5fx");
            } else if is_plain(byte) {
                self.name.push(char::from(byte));
            } else {
                write!(self.name, "_x{byte:02x}")?;
            }
            self.at_escape_lead = byte == b'_';
        }
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(a: &str, b: &str) -> Result<ChannelName, NameError> {
        (a, b).into_channel_name()
    }

    #[test]
    fn a_bad_name_says_which_rule_it_broke() {
        assert_eq!(ChannelName::parse(""), Err(NameError::Empty));
        assert_eq!(ChannelName::parse("a..b"), Err(NameError::EmptySegment));
        assert_eq!(ChannelName::parse(".a"), Err(NameError::EmptySegment));
        assert_eq!(ChannelName::parse("a."), Err(NameError::EmptySegment));
        assert_eq!(
            ChannelName::parse("a.>"),
            Err(NameError::Character { found: '>', at: 2 })
        );
        assert_eq!(
            ChannelName::parse("a/b"),
            Err(NameError::Character { found: '/', at: 1 })
        );
        assert_eq!(parts("room", ""), Err(NameError::EmptySegment));
    }

    #[test]
    fn a_name_of_200_bytes_passes_and_201_do_not() {
        assert!(ChannelName::parse(&"a".repeat(MAX_CHANNEL_NAME_BYTES)).is_ok());
        let long = "a".repeat(MAX_CHANNEL_NAME_BYTES + 1);
        assert_eq!(ChannelName::parse(&long), Err(NameError::TooLong { bytes: 201 }));
        assert!(matches!(
            parts("room", &"ä".repeat(1_000_000)),
            Err(NameError::TooLong { .. })
        ));
    }

    #[test]
    fn clean_parts_give_the_name_one_would_type() {
        assert_eq!(parts("room", "my-room_7").unwrap().as_str(), "room.my-room_7");
        assert_eq!(
            ("a", 1, 2_u8, 'c').into_channel_name().unwrap().as_str(),
            "a.1.2.c"
        );
    }

    #[test]
    fn a_part_cannot_forge_another_parts_escape() {
        assert_eq!(parts("r", ".").unwrap().as_str(), "r._x2e");
        assert_eq!(parts("r", "_x2e").unwrap().as_str(), "r._x5fx2e");
        assert_eq!(parts("r", "__x").unwrap().as_str(), "r.__x5fx");
    }

    #[test]
    fn whatever_a_user_types_stays_in_its_segment() {
        for (typed, segment) in [
            ("a.b", "a_x2eb"),
            (".", "_x2e"),
            ("..", "_x2e_x2e"),
            ("../admin", "_x2e_x2e_x2fadmin"),
            ("*", "_x2a"),
            (">", "_x3e"),
            ("a\0b", "a_x00b"),
            ("a%2eb", "a_x252eb"),
            ("a b\r\n", "a_x20b_x0d_x0a"),
            ("\u{e4}", "_xc3_xa4"),
            ("\u{ff0e}", "_xef_xbc_x8e"),
            ("A", "A"),
            ("-", "-"),
            ("_", "_"),
        ] {
            assert_eq!(
                parts("room", typed).unwrap().as_str(),
                format!("room.{segment}"),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn a_part_of_megabytes_is_refused_without_being_escaped_whole() {
        for part in ["a", ".", "\u{e4}", "_x"] {
            let refused = parts("room", &part.repeat(1 << 20)).unwrap_err();
            let NameError::TooLong { bytes } = refused else {
                panic!("{refused}");
            };
            assert!(bytes < 2 * MAX_CHANNEL_NAME_BYTES);
        }
    }

    #[test]
    fn a_part_that_is_written_piece_by_piece_is_escaped_as_a_whole() {
        struct Pieces;

        impl fmt::Display for Pieces {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                ["_", "x", "2e", "", "_", "", "x"]
                    .iter()
                    .try_for_each(|piece| f.write_str(piece))
            }
        }

        let name = ("room", Pieces).into_channel_name().unwrap();
        assert_eq!(name, parts("room", "_x2e_x").unwrap());
        assert_eq!(name.as_str(), "room._x5fx2e_x5fx");
    }

    /// Undoes the escaping; that it can be undone is what makes two parts two segments.
    fn unescape(segment: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = segment;
        while let Some(first) = rest.chars().next() {
            if rest.starts_with("_x") {
                bytes.push(u8::from_str_radix(&rest[2..4], 16).unwrap());
                rest = &rest[4..];
            } else {
                bytes.push(first as u8);
                rest = &rest[1..];
            }
        }
        bytes
    }

    /// What a name is made of, and what could be mistaken for it.
    fn hostile() -> impl Strategy<Value = String> {
        "([a._x25e-]|\\PC|[*>/\r\n\0%]){1,6}"
    }

    fn joined(parts: &[String]) -> Result<ChannelName, NameError> {
        let parts: Vec<&dyn fmt::Display> = parts.iter().map(|part| part as _).collect();
        ChannelName::from_parts(&parts)
    }

    proptest! {
        #[test]
        fn two_lists_of_parts_never_give_one_name(
            one in prop::collection::vec(hostile(), 1..=4),
            other in prop::collection::vec(hostile(), 1..=4),
        ) {
            prop_assume!(one != other);
            if let (Ok(one), Ok(other)) = (joined(&one), joined(&other)) {
                prop_assert_ne!(one, other);
            }
        }

        /// The nearest that two lists can be: the same text, cut elsewhere or not at all.
        #[test]
        fn where_the_parts_are_cut_makes_another_name(
            parts in prop::collection::vec(hostile(), 2..=4),
            at in 0..3_usize,
        ) {
            let at = at % (parts.len() - 1);
            for separator in ["", "."] {
                let mut merged = parts.clone();
                let next = merged.remove(at + 1);
                merged[at] = [&*merged[at], separator, &*next].concat();
                if let (Ok(parts), Ok(merged)) = (joined(&parts), joined(&merged)) {
                    prop_assert_ne!(parts, merged);
                }
            }
        }

        #[test]
        fn each_part_is_one_segment_and_can_be_read_back(parts in prop::collection::vec(hostile(), 1..=4)) {
            if let Ok(name) = joined(&parts) {
                let segments: Vec<_> = name.as_str().split('.').map(unescape).collect();
                let parts: Vec<_> = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
                prop_assert_eq!(segments, parts);
                prop_assert_eq!(ChannelName::parse(name.as_str()), Ok(name.clone()));
            }
        }

        #[test]
        fn any_part_stays_one_segment_and_can_be_read_back(part in "(\\PC|[._x>*/\r\n\0]){1,20}") {
            if let Ok(name) = parts("room", &part) {
                let segments: Vec<_> = name.as_str().split('.').collect();
                prop_assert_eq!(segments.len(), 2);
                prop_assert_eq!(unescape(segments[1]), part.as_bytes());
            }
        }

        #[test]
        fn parsing_never_panics(name in "\\PC*") {
            let _ = ChannelName::parse(&name);
        }
    }
}
