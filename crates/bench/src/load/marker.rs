//! The mark that a message bears: how a delivery is told from everything that a server puts around it.
//!
//! A payload ends with a mark, `MARK` and the message's number in twelve hexadecimal digits; before it stands padding that can't be
//! taken for one. So any server can be measured whose messages carry text as it is, in whatever envelope; and what was cut off, or
//! has not come whole, is no delivery.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// How long a mark is, in bytes: the smallest payload.
pub(crate) const LENGTH: usize = SIGN.len() + DIGITS;

const SIGN: &[u8] = b"MARK";
const DIGITS: usize = 12;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(SIGN));

/// A payload of this many bytes, or of a bare mark if that is longer.
pub(crate) fn payload(number: u64, bytes: usize) -> String {
    format!("{}MARK{number:012x}", "-".repeat(bytes.saturating_sub(LENGTH)))
}

/// The number of the message whose text this is.
pub(crate) fn number_of(text: &str) -> Option<u64> {
    let mut last = None;
    Scanner::default().feed(text.as_bytes(), |number| last = Some(number));
    last
}

/// Finds the marks in a stream that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// The end of what came so far, if a mark may have begun there.
    carry: [u8; LENGTH],
    carried: usize,
}

impl Scanner {
    /// Tells of each mark in the stream, in order.
    pub(crate) fn feed(&mut self, piece: &[u8], mut found: impl FnMut(u64)) {
        let mut from = 0;
        while self.carried > 0 && from < piece.len() {
            self.carry[self.carried] = piece[from];
            self.carried += 1;
            from += 1;
            if !may_begin(&self.carry[..self.carried]) {
                // Of a broken mark only the last byte can begin another: no letter of the sign comes twice, nor as a digit.
                let last = self.carry[self.carried - 1];
                self.carry[0] = last;
                self.carried = usize::from(last == SIGN[0]);
            } else if self.carried == LENGTH {
                self.carried = 0;
                number(&self.carry[SIGN.len()..]).into_iter().for_each(&mut found);
            }
        }
        let piece = &piece[from..];
        let mut read = 0;
        for at in FINDER.find_iter(piece) {
            let Some(digits) = piece.get(at + SIGN.len()..at + LENGTH) else {
                break;
            };
            number(digits).into_iter().for_each(&mut found);
            read = at + SIGN.len();
        }
        self.keep_what_may_go_on(&piece[read..]);
    }

    fn keep_what_may_go_on(&mut self, rest: &[u8]) {
        let tail = &rest[rest.len().saturating_sub(LENGTH - 1)..];
        let begin = memchr::memchr_iter(SIGN[0], tail).find(|at| may_begin(&tail[*at..]));
        if let Some(begin) = begin {
            let begun = &tail[begin..];
            self.carry[..begun.len()].copy_from_slice(begun);
            self.carried = begun.len();
        }
    }
}

/// Whether a mark may begin with this, which is shorter than one.
fn may_begin(bytes: &[u8]) -> bool {
    let (sign, digits) = bytes.split_at(bytes.len().min(SIGN.len()));
    SIGN.starts_with(sign) && digits.iter().all(u8::is_ascii_hexdigit)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | u64::from(char::from(*digit).to_digit(16)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pieces: &[&[u8]]) -> Vec<u64> {
        let (mut scanner, mut numbers) = (Scanner::default(), Vec::new());
        for piece in pieces {
            scanner.feed(piece, |number| numbers.push(number));
        }
        numbers
    }

    #[test]
    fn a_payload_has_the_size_asked_for() {
        assert_eq!(payload(42, 20), "----MARK00000000002a");
        assert_eq!(payload(42, 3).len(), LENGTH);
        assert_eq!(number_of(&payload(42, 64)), Some(42));
    }

    #[test]
    fn marks_are_found_in_any_envelope() {
        let text = format!(
            "id: 1\ndata: {}\n\n{{\"data\":\"{}\"}}",
            payload(1, 64),
            payload(2, 16)
        );
        assert_eq!(found(&[text.as_bytes()]), [1, 2]);
    }

    #[test]
    fn a_mark_is_found_wherever_the_stream_is_cut() {
        let text = format!(
            "MMARK MARKMAR{}MARK00000000000{}M",
            payload(7, 30),
            payload(8, 16)
        );
        let whole = found(&[text.as_bytes()]);
        assert_eq!(whole, [7, 8]);
        for first in 0..text.len() {
            for second in first..text.len() {
                let bytes = text.as_bytes();
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(found(&pieces), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_is_none() {
        assert!(found(&[b"MARK is not a number", b"MARK"]).is_empty());
    }
}
