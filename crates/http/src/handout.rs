//! Handing out: how much a body gives to hyper at a time, and whether it is asked for more.

use std::mem;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// Whether a body that has something to hand out is asked for it. hyper asks when there is room, so this is all that a body knows of
/// its client.
#[derive(Debug, Default)]
pub(crate) struct Handout {
    /// Whether it had nothing when it was last asked.
    is_idle: bool,
    /// When it was first looked at since it was last asked.
    unasked_since: Option<Instant>,
}

impl Handout {
    /// It was asked just now, and gave something or had nothing.
    pub(crate) fn asked(&mut self, has_given: bool) {
        self.is_idle = !has_given;
        self.unasked_since = None;
    }

    /// For how long nobody has asked, as far as was seen. None where it has nothing to give: then nobody need ask.
    pub(crate) fn unasked(&mut self, now: Instant) -> Option<Duration> {
        if self.is_idle {
            return None;
        }
        let since = *self.unasked_since.get_or_insert(now);
        Some(now.saturating_duration_since(since))
    }

    /// Has something else to give from now on.
    pub(crate) fn begin_anew(&mut self, now: Instant) {
        self.unasked_since = Some(now);
    }
}

/// Takes as much off the front as is handed out at a time.
pub(crate) fn portion(bytes: &mut Bytes) -> Bytes {
    if bytes.len() > MAX_PORTION_BYTES {
        bytes.split_to(MAX_PORTION_BYTES)
    } else {
        mem::take(bytes)
    }
}

/// How much is handed out at a time, in bytes. What hyper holds of it can't be seen from here, so this is how exactly a slow client is
/// told from one that takes nothing. Less would tell it more exactly, and cost more: of pieces smaller than what `h2` buffers for a stream,
/// hyper 1.12 makes mostly frames of a few bytes for a slow client (see `docs/decisions.md`).
pub(crate) const MAX_PORTION_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_wait_begins_when_it_is_seen_and_ends_with_the_next_question() {
        let mut handout = Handout::default();
        let begun = Instant::now();
        // Whoever is never asked is waiting, too.
        assert_eq!(handout.unasked(begun), Some(Duration::ZERO));
        assert_eq!(handout.unasked(begun + 2 * SECOND), Some(2 * SECOND));
        handout.asked(true);
        assert_eq!(handout.unasked(begun + 3 * SECOND), Some(Duration::ZERO));
        assert_eq!(handout.unasked(begun + 4 * SECOND), Some(SECOND));
        handout.begin_anew(begun + 4 * SECOND);
        assert_eq!(handout.unasked(begun + 5 * SECOND), Some(SECOND));
    }

    #[test]
    fn whoever_has_nothing_to_give_is_not_waiting() {
        let mut handout = Handout::default();
        let begun = Instant::now();
        handout.unasked(begun);
        handout.asked(false);
        assert_eq!(handout.unasked(begun + 9 * SECOND), None);
        handout.asked(true);
        assert_eq!(handout.unasked(begun + 9 * SECOND), Some(Duration::ZERO));
    }

    #[test]
    fn portions_are_all_of_it_in_order() {
        let whole: Vec<u8> = (0..140_000).map(|number| number as u8).collect();
        let mut left = Bytes::from(whole.clone());
        let portions: Vec<_> = (0..3).map(|_| portion(&mut left)).collect();
        assert_eq!(portions.concat(), whole);
        assert_eq!((portions[0].len(), portions[2].len()), (65_536, 8_928));
        assert!(left.is_empty());
    }
}
