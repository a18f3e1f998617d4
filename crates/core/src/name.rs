//! Channel names: parsed once, or built from parts so that user input can't leave its segment.
//!
//! Invariant: every `ChannelName` in the process has passed [`ChannelName::parse`]'s rules.

use std::fmt::{self, Write};
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The longest channel name, in bytes.
pub const MAX_CHANNEL_NAME_BYTES: usize = 200;

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
        if let Some((at, found)) = name.char_indices().find(|(_, c)| *c != '.' && !is_plain(*c)) {
            return Err(NameError::Character { found, at });
        }
        if name.split('.').any(str::is_empty) {
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
        let mut name = String::new();
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
        for byte in text.bytes() {
            if self.name.len() > MAX_CHANNEL_NAME_BYTES {
                return Err(fmt::Error);
            }
            if self.at_escape_lead && byte == b'x' {
                self.name.push_str("x5fx");
            } else if is_plain(char::from(byte)) {
                self.name.push(char::from(byte));
            } else {
                write!(self.name, "_x{byte:02x}")?;
            }
            self.at_escape_lead = byte == b'_';
        }
        Ok(())
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
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

    proptest! {
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
