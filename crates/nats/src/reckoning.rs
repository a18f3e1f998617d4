//! Reckoning: when a record that is read back was logged, on our clock.
//!
//! All that there is to go by is what the leader's wall clock said when it stored the record, and what it says now. It may have been set in
//! between, and then what was logged a moment ago looks an hour old. What clients are shown doesn't hang on that, but whom an order is
//! about does: sessions that began after it have nothing to do with it.
//!
//! So that clock is compared with ours at two moments: when nothing was missing last, and now. Whatever is read back was stored behind the
//! former. Where the clock was set once since, that one is right for what was stored before, and the latter for what was stored afterwards.
//! Which is which can't be told, and so the later of what both say counts.
//!
//! Invariant: where it is wrong, it is too late, not too early (unless the clock was set twice), and never later than now.

use std::time::{Duration, Instant};

use crate::stream::State;

/// What the leader's clock said at a moment of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    ours: Instant,
    theirs_ns: i64,
}

/// How to tell when a record was logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reckoning {
    /// When nothing was missing, last.
    whole: Clocks,
    newest: Clocks,
}

impl Clocks {
    /// Of an answer that came just now.
    pub(crate) fn of(state: &State) -> Self {
        Self {
            ours: Instant::now(),
            theirs_ns: state.now_ns,
        }
    }

    /// When that was, or is to be, on our clock. None where ours can't say it.
    fn at(self, theirs_ns: i64) -> Option<Instant> {
        let apart = Duration::from_nanos(theirs_ns.abs_diff(self.theirs_ns));
        if theirs_ns < self.theirs_ns {
            self.ours.checked_sub(apart)
        } else {
            self.ours.checked_add(apart)
        }
    }
}

impl Reckoning {
    /// Of a moment at which nothing is missing, or of whose past nothing is known.
    pub(crate) fn new(clocks: Clocks) -> Self {
        Self {
            whole: clocks,
            newest: clocks,
        }
    }

    /// With what the clocks say now, while something may be missing.
    pub(crate) fn with(self, newest: Clocks) -> Self {
        Self { newest, ..self }
    }

    /// When nothing was missing, last: what was logged before was there.
    pub(crate) fn whole_at(self) -> Instant {
        self.whole.ours
    }

    /// When a record was logged whose time this is.
    pub(crate) fn logged_at(self, time_ns: i64, now: Instant) -> Instant {
        let at = |clocks: Clocks| clocks.at(time_ns).unwrap_or(now);
        at(self.whole).max(at(self.newest)).min(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const NOON_NS: i64 = 1_800_000_000_000_000_000;

    /// A clock of theirs that is read at a second of ours, and so far ahead.
    fn clocks(begin: Instant, second: u64, ahead: i64) -> Clocks {
        Clocks {
            ours: begin + Duration::from_secs(second),
            theirs_ns: theirs_ns(second, ahead),
        }
    }

    fn theirs_ns(second: u64, ahead: i64) -> i64 {
        NOON_NS + (second.cast_signed() + ahead) * 1_000_000_000
    }

    #[test]
    fn what_is_read_back_was_logged_when_the_leader_says() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let reckoning = Reckoning::new(clocks(begin, HOUR, 0));
        for second in [0, HOUR - 1, HOUR] {
            assert_eq!(reckoning.logged_at(theirs_ns(second, 0), at(HOUR)), at(second));
        }
    }

    #[test]
    fn what_was_logged_after_the_leader_was_asked_is_no_older_than_that() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        // Nobody has asked since, as messages came all the time.
        let reckoning = Reckoning::new(clocks(begin, 0, 0));
        assert_eq!(reckoning.logged_at(theirs_ns(HOUR, 0), at(HOUR + 1)), at(HOUR));
        assert_eq!(
            reckoning.logged_at(theirs_ns(HOUR, 0), at(HOUR - 1)),
            at(HOUR - 1)
        );
    }

    #[test]
    fn a_clock_that_was_set_makes_nothing_older_than_it_is() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        for ahead in [5_400, -86_400] {
            // It was set ten seconds after nothing had been missing, and ten before all is read back.
            let reckoning = Reckoning::new(clocks(begin, 0, 0)).with(clocks(begin, 20, ahead));
            for (second, ahead) in [(1, 0), (9, 0), (11, ahead), (19, ahead)] {
                let logged_at = reckoning.logged_at(theirs_ns(second, ahead), at(20));
                let range = at(second)..=at(20);
                assert!(range.contains(&logged_at), "at second {second}, {ahead} ahead");
            }
        }
    }

    #[test]
    fn a_time_that_no_clock_can_say_is_now() {
        let now = Instant::now();
        let reckoning = Reckoning::new(clocks(now, 0, 0));
        assert_eq!(reckoning.logged_at(i64::MAX, now), now);
        assert!(reckoning.logged_at(i64::MIN, now) <= now);
    }
}
