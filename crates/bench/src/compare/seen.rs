//! What a follower has seen of the messages that were published, by their numbers.

use serde::Serialize;

/// What came, and what didn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Seen {
    /// Each once.
    pub(crate) received: u64,
    /// Of which it was said that they are missing.
    pub(crate) lost_and_told: u64,
    /// Of which nothing was said.
    pub(crate) lost_in_silence: u64,
    /// That came again, or too late.
    pub(crate) doubled: u64,
    /// How often it was said that something is missing.
    pub(crate) gaps: u64,
    #[serde(skip)]
    last: Option<u64>,
    #[serde(skip)]
    is_told: bool,
}

impl Seen {
    /// A message came.
    pub(crate) fn message(&mut self, number: u64) {
        let Some(last) = self.last else {
            self.last = Some(number);
            self.received = 1;
            return;
        };
        if number <= last {
            self.doubled += 1;
            return;
        }
        let missing = number - last - 1;
        if std::mem::take(&mut self.is_told) {
            self.lost_and_told += missing;
        } else {
            self.lost_in_silence += missing;
        }
        self.received += 1;
        self.last = Some(number);
    }

    /// It was said that something is missing, which stands before the next message.
    pub(crate) fn gap(&mut self) {
        self.gaps += 1;
        self.is_told = true;
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_or_not() {
        let mut seen = Seen::default();
        for number in [3, 4, 6, 6, 5] {
            seen.message(number);
        }
        seen.gap();
        seen.message(10);
        seen.message(11);
        seen.message(13);
        let expected = Seen {
            received: 6,
            lost_in_silence: 2,
            lost_and_told: 3,
            doubled: 2,
            gaps: 1,
            last: Some(13),
            is_told: false,
        };
        assert_eq!(seen, expected);
    }
}
