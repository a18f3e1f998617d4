//! Parts: a board that is too large for one message is kept in several, and under its name stands which.
//!
//! Boards are held to less than that. Nodes that publish at the same moment may go past it together, a broker may be set to take less than it did, and whatever
//! the reason: what is on a board is not lost for being too much.

use serde::{Deserialize, Serialize};

use crate::name::BoardName;

/// The parts of a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    /// How many.
    parts: usize,
    /// What tells them from those that others write, or wrote before.
    tag: String,
}

impl Parts {
    /// Of a text of which no part may be longer than so many bytes. None where it is short enough.
    pub(super) fn of(text: &str, max: usize) -> Option<Self> {
        (text.len() > max).then(|| Self {
            parts: text.len().div_ceil(max),
            tag: (0..16).map(|_| fastrand::alphanumeric()).collect(),
        })
    }

    /// What stands under the board's name. None where that is the board itself.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        // Of a board it is looked at no further than its first key.
        serde_json::from_slice(text).ok()
    }

    pub(super) fn to_text(&self) -> String {
        let Self { parts, tag } = self;
        format!(r#"{{"parts":{parts},"tag":"{tag}"}}"#)
    }

    /// Under which keys they are, in order. No board's name has a dot.
    pub(super) fn keys(&self, name: &BoardName) -> impl Iterator<Item = String> {
        let name = name.clone();
        (0..self.parts).map(move |part| format!("{name}.{}.{part}", self.tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_has_parts_and_they_read_back() {
        assert_eq!(Parts::of("abc", 3), None);
        let parts = Parts::of("abcd", 3).unwrap();
        assert_eq!(Parts::read(parts.to_text().as_bytes()), Some(parts.clone()));
        let keys: Vec<_> = parts.keys(&BoardName::parse("one").unwrap()).collect();
        assert_eq!(keys.len(), 2);
        assert!(keys.iter().all(|key| key.starts_with("one.")));
        assert_eq!(Parts::read(br#"{"position":"aaaaaaaaaa-1","board":{}}"#), None);
        assert_ne!(Parts::of("abcd", 3), Some(parts));
    }
}
