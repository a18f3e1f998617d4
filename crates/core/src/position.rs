//! Positions: the one cursor, the same string on every transport.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The length of an epoch's text: ten digits of base 36 hold 51 bits.
const EPOCH_DIGITS: usize = 10;

const EPOCHS: u64 = 36_u64.pow(EPOCH_DIGITS as u32);

/// The length of a check's text: six digits of base 36 hold 31 bits.
const CHECK_DIGITS: usize = 6;

const CHECKS: u64 = 36_u64.pow(CHECK_DIGITS as u32);

/// The length of the longest position's text: 64 bits are twenty decimal digits.
const MAX_TEXT_BYTES: usize = EPOCH_DIGITS + 1 + 20 + 1 + CHECK_DIGITS;

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
        show_digits(self.0, EPOCH_DIGITS, f)
    }
}

impl FromStr for Epoch {
    type Err = PositionError;

    /// Takes exactly what `Display` writes.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        read_digits::<EPOCH_DIGITS>(text).map(Self)
    }
}

/// Tells two records apart that have the same number in two histories: a broker whose disk was put back hands numbers out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check(u32);

impl Check {
    /// The check of a record that was stored at this time, in nanoseconds.
    #[must_use]
    pub fn of(stored_at_nanos: u64) -> Self {
        // Spread, so that two times which differ in any bits differ in the 31 that are kept (splitmix64's finalizer).
        let mut mixed = stored_at_nanos;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(((mixed ^ (mixed >> 31)) % CHECKS) as u32)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_digits(self.0.into(), CHECK_DIGITS, f)
    }
}

impl FromStr for Check {
    type Err = PositionError;

    /// Takes exactly what `Display` writes.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let check = read_digits::<CHECK_DIGITS>(text)?;
        u32::try_from(check).map(Self).map_err(|_| PositionError)
    }
}

/// A text that is written from its end, and shown in one piece: each record has its position on each wire, and a digit at a time takes many times as long.
struct Text {
    bytes: [u8; MAX_TEXT_BYTES],
    start: usize,
}

impl Text {
    fn new() -> Self {
        Self {
            bytes: [0; MAX_TEXT_BYTES],
            start: MAX_TEXT_BYTES,
        }
    }

    fn put(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }

    /// At least so many digits.
    fn put_number<const BASE: u64>(&mut self, number: u64, digits: usize) {
        let end = self.start;
        let mut rest = number;
        while rest > 0 || end - self.start < digits {
            self.put(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % BASE) as usize]);
            rest /= BASE;
        }
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = str::from_utf8(&self.bytes[self.start..]);
        f.write_str(text.map_err(|_| fmt::Error)?)
    }
}

/// So many digits of base 36, the highest first.
fn show_digits(number: u64, digits: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = Text::new();
    text.put_number::<36>(number, digits);
    text.show(f)
}

/// What [`show_digits`] writes, and nothing else.
fn read_digits<const DIGITS: usize>(text: &str) -> Result<u64, PositionError> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if text.len() != DIGITS || !text.bytes().all(is_digit) {
        return Err(PositionError);
    }
    u64::from_str_radix(text, 36).map_err(|_| PositionError)
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
    /// Of the record with this number. None where the log has no broker, or where the record was never seen.
    check: Option<Check>,
}

impl Position {
    /// Where a client stands whose cursor made no sense, until it is told so. It makes none either: whoever comes back with
    /// it is told again. No log has this epoch.
    pub(crate) const NOWHERE: Self = Self {
        epoch: Epoch(0),
        sequence: 0,
        check: None,
    };

    pub(crate) fn new(epoch: Epoch, sequence: u64, check: Option<Check>) -> Self {
        Self {
            epoch,
            sequence,
            check,
        }
    }

    /// The life of the log that this position belongs to.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        self.epoch
    }

    /// The number of the last record before this place. For [fan-outs](crate::FanOut): to everybody else a position is opaque.
    #[must_use]
    pub fn sequence(self) -> u64 {
        self.sequence
    }

    /// What tells that record apart from another one of its number, where that is known.
    #[must_use]
    pub fn check(self) -> Option<Check> {
        self.check
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.epoch == other.epoch).then(|| (self.sequence, self.check).cmp(&(other.sequence, other.check)))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text::new();
        if let Some(Check(check)) = self.check {
            text.put_number::<36>(check.into(), CHECK_DIGITS);
            text.put(b'-');
        }
        text.put_number::<10>(self.sequence, 1);
        text.put(b'-');
        text.put_number::<36>(self.epoch.0, EPOCH_DIGITS);
        text.show(f)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    /// Takes exactly what `Display` writes, so that one position has one text.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, rest) = text.split_once('-').ok_or(PositionError)?;
        let (sequence, check) = match rest.split_once('-') {
            Some((sequence, check)) => (sequence, Some(check.parse()?)),
            None => (rest, None),
        };
        let is_sequence =
            sequence.bytes().all(|b| b.is_ascii_digit()) && (sequence == "0" || !sequence.starts_with('0'));
        if !is_sequence {
            return Err(PositionError);
        }
        let sequence = sequence.parse().map_err(|_| PositionError)?;
        Ok(Self::new(epoch.parse()?, sequence, check))
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
            "0123456789-1-",
            "0123456789-1-00000A",
            "0123456789-1-0000000",
            "0123456789-1-000000-1",
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
        assert!(
            "zzzzzzzzzz-18446744073709551615-zzzzzz"
                .parse::<Position>()
                .is_ok()
        );
    }

    #[test]
    fn positions_of_two_epochs_have_no_order() {
        let here = Position::new(Epoch(1), 1, None);
        assert!(here < Position::new(Epoch(1), 2, None));
        assert_eq!(here.partial_cmp(&Position::new(Epoch(2), 2, None)), None);
    }

    #[test]
    fn times_a_nanosecond_apart_have_checks_far_apart() {
        let checks: std::collections::HashSet<_> = (0..100_000).map(|nanos| Check::of(nanos).0).collect();
        // Of 100,000 drawn at random out of 36^6, two or three pairs meet.
        assert!(checks.len() > 99_980, "{}", checks.len());
    }

    proptest! {
        #[test]
        fn text_and_json_read_back_what_they_wrote(epoch in 0..EPOCHS, sequence: u64, stored_at: Option<u64>) {
            let position = Position::new(Epoch(epoch), sequence, stored_at.map(Check::of));
            let text = position.to_string();
            prop_assert_eq!(text.parse(), Ok(position));
            // One above 128 bytes, or of other characters, in `Last-Event-ID` would make a browser ask first (Fetch standard, CORS-safelisted).
            prop_assert!(text.len() <= 38);
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
