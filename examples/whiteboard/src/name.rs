//! Names of boards: what stands in their addresses.

use std::fmt;

use dualcast::Error;

/// A board's name: 1 to 40 characters of a-z, 0-9 and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BoardName(String);

impl BoardName {
    /// Takes one out of an address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_in = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_one = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_in);
        is_one.then(|| Self(text.to_owned()))
    }

    /// A new one. Whoever knows it may write on the board: so two words to know it by, and 50 bits that nobody guesses.
    pub(crate) fn random() -> Result<Self, Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|_| Error::internal())?;
        let mut chance = u64::from_ne_bytes(bytes);
        let mut draw = |count: usize| {
            let drawn = chance % count as u64;
            chance /= count as u64;
            drawn as usize
        };
        let (first, second) = (FIRST[draw(FIRST.len())], SECOND[draw(SECOND.len())]);
        let tail: String = (0..TAIL_LENGTH)
            .map(|_| char::from(TAIL[draw(TAIL.len())]))
            .collect();
        Ok(Self(format!("{first}-{second}-{tail}")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BoardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name, in characters.
const MAX_LENGTH: usize = 40;

const FIRST: [&str; 16] = [
    "amber", "bold", "brisk", "calm", "clear", "fresh", "gentle", "happy", "keen", "lively", "merry",
    "quiet", "sunny", "swift", "warm", "wide",
];

const SECOND: [&str; 16] = [
    "bay", "brook", "cloud", "dune", "field", "forest", "garden", "harbour", "hill", "island", "lake",
    "meadow", "orchard", "river", "valley", "wood",
];

/// Ten of 32 characters: 50 bits. Without those that look like others.
const TAIL: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
const TAIL_LENGTH: usize = 10;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_is_what_stands_in_an_address() {
        for name in ["a", "0-", "my-board", &"x".repeat(40)] {
            assert_eq!(BoardName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "A", "a b", "a_b", "a.b", "ä", "../a", &"x".repeat(41)] {
            assert_eq!(BoardName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_new_name_is_one_and_nobody_has_it() {
        let names: HashSet<_> = (0..1_000).map(|_| BoardName::random().unwrap()).collect();
        assert_eq!(names.len(), 1_000);
        for name in names {
            assert_eq!(BoardName::parse(name.as_str()), Some(name));
        }
    }
}
