//! Rates: how much a client may send.
//!
//! A token bucket, kept as the one time at which it is full again (the generic cell rate algorithm of ITU-T I.371): a
//! bucket that is full needs no memory, and nothing has to be filled up by a clock.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// So many a second, and so many at once after a pause.
///
/// ```
/// use dualcast_http::Rate;
///
/// let rate = Rate::per_second(20).burst(100);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// So many a second (at least 1), and as many at once.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        let count = if count == 0 { 1 } else { count };
        Self {
            per_second: count,
            burst: count,
        }
    }

    /// So many at once (at least 1) after a pause.
    #[must_use]
    pub const fn burst(mut self, count: u32) -> Self {
        self.burst = if count == 0 { 1 } else { count };
        self
    }

    fn time_for(self, count: u64) -> Duration {
        let nanos = u128::from(count) * 1_000_000_000 / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What one client has used up of its rate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    /// When it is full again. None: it is full.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes what was sent already, if need be on credit. Answers for how long nothing more may come, if that is so.
    pub(crate) fn charge(&mut self, rate: Rate, count: u64, now: Instant) -> Option<Duration> {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + rate.time_for(count);
        self.full_at = Some(full_at);
        let owed = full_at - now;
        owed.checked_sub(rate.time_for(rate.burst.into()))
            .filter(|wait| !wait.is_zero())
    }

    /// Takes one if there is one.
    ///
    /// # Errors
    ///
    /// After how long there will be.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut after = *self;
        match after.charge(rate, 1, now) {
            Some(wait) => Err(wait),
            None => {
                *self = after;
                Ok(())
            }
        }
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }
}

/// A rate for each of many: users, addresses, whatever the application counts by. Clones share what was used up.
///
/// A POST has no connection to be counted by, and only the application knows whose it is. So its inbound handler asks:
///
/// ```
/// use dualcast_http::{Error, Inbound, Rate, RateLimit, Reply};
///
/// async fn say(limit: RateLimit, user: String, message: Inbound) -> Result<Reply, Error> {
///     limit.check(&user)?;
///     // …
///     Ok(Reply::empty())
/// }
/// # let _ = (say, RateLimit::new(Rate::per_second(20).burst(100)));
/// ```
///
/// Then a user has this rate over all connections, WebSockets and POSTs together, of this process. Above it the answer is an
/// error with the code `too-fast`; a POST's has the status 429 and `Retry-After`.
#[derive(Debug, Clone)]
pub struct RateLimit {
    rate: Rate,
    table: Arc<Mutex<Table>>,
}

impl RateLimit {
    /// A rate for each.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            table: Arc::default(),
        }
    }

    /// Counts one more of somebody's.
    ///
    /// # Errors
    ///
    /// `too-fast`, with the time to wait, where that is above the rate.
    pub fn check(&self, whose: impl Hash) -> Result<(), Error> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let bucket = table.bucket(whose, now);
        bucket.take(self.rate, now).map_err(Error::too_fast)
    }
}

/// The buckets that are not full.
#[derive(Debug, Default)]
struct Table {
    hasher: RandomState,
    buckets: HashMap<u64, Bucket>,
    /// At how many, and when, it was last looked for those that are full again.
    swept: Option<(usize, Instant)>,
    /// All those for whom there is no room share one.
    rest: Bucket,
}

impl Table {
    fn bucket(&mut self, whose: impl Hash, now: Instant) -> &mut Bucket {
        let key = self.hasher.hash_one(whose);
        if !self.buckets.contains_key(&key) {
            if self.is_sweep_due(now) {
                self.buckets.retain(|_, bucket| !bucket.is_full(now));
                self.swept = Some((self.buckets.len(), now));
            }
            if self.buckets.len() >= MAX_BUCKETS {
                return &mut self.rest;
            }
        }
        self.buckets.entry(key).or_default()
    }

    /// A sweep looks at all: so it is paid for by as many new ones, or by a second's time.
    fn is_sweep_due(&self, now: Instant) -> bool {
        let Some((left, at)) = self.swept else {
            return self.buckets.len() >= MIN_SWEEP;
        };
        self.buckets.len() >= (2 * left).max(MIN_SWEEP) || now >= at + Duration::from_secs(1)
    }
}

const MIN_SWEEP: usize = 1_024;

/// How many are counted apart at a time, some 50 bytes each. More have sent something within the last moments than that: those
/// who come then share one rate.
const MAX_BUCKETS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::per_second(10).burst(5);

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let begun = Instant::now();
        let mut bucket = Bucket::default();
        for _ in 0..5 {
            assert_eq!(bucket.take(RATE, begun), Ok(()));
        }
        assert_eq!(bucket.take(RATE, begun), Err(Duration::from_millis(100)));
        let mut passed = 0;
        for milli in 0..10_000 {
            let now = begun + Duration::from_millis(milli);
            passed += usize::from(bucket.take(RATE, now).is_ok());
        }
        assert!((99..=100).contains(&passed), "{passed}");
        let later = begun + Duration::from_secs(60);
        assert!((0..5).all(|_| bucket.take(RATE, later).is_ok()));
        assert!(bucket.take(RATE, later).is_err());
    }

    #[test]
    fn what_came_already_is_taken_on_credit_and_waited_for() {
        let begun = Instant::now();
        let mut bucket = Bucket::default();
        assert_eq!(bucket.charge(RATE, 5, begun), None);
        assert_eq!(bucket.charge(RATE, 20, begun), Some(Duration::from_secs(2)));
        assert_eq!(bucket.charge(RATE, 0, begun + Duration::from_secs(2)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_a_rate_of_its_own() {
        let limit = RateLimit::new(RATE);
        for _ in 0..5 {
            assert!(limit.check("a").is_ok() && limit.clone().check("b").is_ok());
        }
        let refused = limit.check("a").unwrap_err();
        assert_eq!(
            (refused.code(), refused.get_retry_after()),
            ("too-fast", Some(Duration::from_millis(100)))
        );
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(limit.check("a").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_bounded_and_those_at_rest_are_forgotten() {
        let limit = RateLimit::new(RATE);
        let mut refused = 0;
        for whose in 0..MAX_BUCKETS + 100 {
            refused += usize::from(limit.check(whose).is_err());
        }
        assert_eq!(refused, 95, "those beyond share one");
        let count = || limit.table.lock().unwrap().buckets.len();
        assert_eq!(count(), MAX_BUCKETS);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limit.check("one more").is_ok());
        assert_eq!(count(), 1);
    }
}
