//! The name of a pane.

use serde::Deserialize;

/// What a pane calls itself: at most 32 of `[a-z0-9]`, drawn by its page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PaneName(String);

impl TryFrom<String> for PaneName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        match name.len() {
            1..=32 if name.bytes().all(is_plain) => Ok(Self(name)),
            _ => Err("a pane's name has 1 to 32 characters out of a-z and 0-9"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["a", "0123456789abcdef", &"z".repeat(32)] {
            assert_eq!(PaneName::try_from(name.to_owned()), Ok(PaneName(name.into())));
        }
        for name in ["", "A", "a-b", "../a", "ü", &"z".repeat(33)] {
            assert!(PaneName::try_from(name.to_owned()).is_err(), "{name}");
        }
    }
}
