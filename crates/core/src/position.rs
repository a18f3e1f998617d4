//! Positions: the one cursor, the same string on every transport.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The length of an epoch's text: ten digits of base 36 hold 51 bits.
const EPOCH_DIGITS: usize = 10;

const EPOCHS: u64 = 36_u64.pow(EPOCH_DIGITS as u32);

/// One life of a hub's log. A cursor of another life says nothing about this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// A new one, drawn at random from 3.6e15: a process that starts anew doesn't meet its own old cursors.
    #[must_use]
    pub fn random() -> Self {
        Self(fastrand::u64(1..EPOCHS))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; EPOCH_DIGITS];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
        }
        digits
            .iter()
            .try_for_each(|digit| fmt::Write::write_char(f, char::from(*digit)))
    }
}

/// A place in a hub's one total order: after the record with this sequence number, before the next.
///
/// It is the `id:` of Server-Sent Events and the `"id"` of a WebSocket message. Clients keep its text and send it back, and
/// read nothing from it. Positions of one epoch are ordered; those of two epochs are not (`partial_cmp` is `None`).
///
/// ```
/// use dualcast_core::Position;
///
/// let position: Position = "0k3f9x2abz-1042".parse()?;
/// assert_eq!(position.to_string(), "0k3f9x2abz-1042");
/// # Ok::<_, dualcast_core::PositionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    epoch: Epoch,
    sequence: u64,
}

impl Position {
    /// Where a client stands whose cursor made no sense, until it is told so. It makes none either: whoever comes back with
    /// it is told again. No log has this epoch.
    pub(crate) const NOWHERE: Self = Self {
        epoch: Epoch(0),
        sequence: 0,
    };

    pub(crate) fn new(epoch: Epoch, sequence: u64) -> Self {
        Self { epoch, sequence }
    }

    /// The life of the log that this position belongs to.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        self.epoch
    }

    pub(crate) fn sequence(self) -> u64 {
        self.sequence
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.epoch == other.epoch).then(|| self.sequence.cmp(&other.sequence))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    /// Takes exactly what `Display` writes, so that one position has one text.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, sequence) = text.split_once('-').ok_or(PositionError)?;
        let is_epoch = epoch.len() == EPOCH_DIGITS
            && epoch
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        let is_sequence =
            sequence.bytes().all(|b| b.is_ascii_digit()) && (sequence == "0" || !sequence.starts_with('0'));
        if !is_epoch || !is_sequence {
            return Err(PositionError);
        }
        let epoch = u64::from_str_radix(epoch, 36).map_err(|_| PositionError)?;
        let sequence = sequence.parse().map_err(|_| PositionError)?;
        Ok(Self::new(Epoch(epoch), sequence))
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not a position. Who hands it to [`Subscribe::cursor`](crate::Subscribe::cursor) needs no such check: there it
/// becomes a gap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position: expected what an earlier `id` said, unchanged")]
pub struct PositionError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_canonical_text_is_a_position() {
        for text in [
            "",
            "-",
            "abc",
            "0123456789",
            "0123456789-",
            "0123456789-01",
            "0123456789-+1",
            "0123456789-1-2",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
        for text in [
            "012345678-1",
            "0123456789A-1",
            "012345678Z-1",
            "0123456789-18446744073709551616",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
        assert!("zzzzzzzzzz-18446744073709551615".parse::<Position>().is_ok());
    }

    #[test]
    fn positions_of_two_epochs_have_no_order() {
        let here = Position::new(Epoch(1), 1);
        assert!(here < Position::new(Epoch(1), 2));
        assert_eq!(here.partial_cmp(&Position::new(Epoch(2), 2)), None);
    }

    proptest! {
        #[test]
        fn text_and_json_read_back_what_they_wrote(epoch in 0..EPOCHS, sequence: u64) {
            let position = Position::new(Epoch(epoch), sequence);
            let text = position.to_string();
            prop_assert_eq!(text.parse(), Ok(position));
            // A longer one, or one of other characters, in `Last-Event-ID` would make a browser ask first (Fetch standard, CORS-safelisted).
            prop_assert!(text.len() <= 32);
            prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            let json = serde_json::to_string(&position).unwrap();
            prop_assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = text.parse::<Position>();
        }
    }
}
