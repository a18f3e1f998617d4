//! Asking together: who wants what another one is getting, or got a moment ago, gets the same.

use std::collections::HashMap;
use std::error::Error;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

/// Why there is nothing to get.
pub(crate) type Unread = Arc<dyn Error + Send + Sync>;

/// What is being got, by what it is.
pub(crate) struct Together<K, T: Clone> {
    kept: Mutex<HashMap<K, Kept<T>>>,
    capacity: usize,
}

struct Kept<T: Clone> {
    getting: Shared<BoxFuture<'static, Result<T, Unread>>>,
    since: Instant,
}

impl<K: Clone + Eq + Hash, T: Clone + Send + Sync + 'static> Together<K, T> {
    /// Keeps so many at a time.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            kept: Mutex::default(),
            capacity,
        }
    }

    /// Gets something as it says, unless another one is at it. What failed is got anew by the next who asks.
    pub(crate) async fn get(
        &self,
        key: K,
        get: impl Future<Output = Result<T, Unread>> + Send + 'static,
    ) -> Result<T, Unread> {
        let (getting, since) = {
            let mut kept = self.lock();
            let now = Instant::now();
            if kept.len() >= self.capacity && !kept.contains_key(&key) {
                forget_one(&mut kept);
            }
            let fresh = || Kept {
                getting: get.boxed().shared(),
                since: now,
            };
            let is_old = kept.get(&key).is_some_and(|kept| kept.is_old(now));
            let kept = if is_old {
                kept.insert(key.clone(), fresh());
                &kept[&key]
            } else {
                &*kept.entry(key.clone()).or_insert_with(fresh)
            };
            (kept.getting.clone(), kept.since)
        };
        let got = getting.await;
        if got.is_err() {
            let mut kept = self.lock();
            if kept.get(&key).is_some_and(|kept| kept.since == since) {
                kept.remove(&key);
            }
        }
        got
    }

    /// Forgets what was asked for a while ago.
    pub(crate) fn forget_old(&self) {
        let now = Instant::now();
        self.lock().retain(|_, kept| !kept.is_old(now));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Kept<T> {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= KEPT_FOR
    }
}

/// Makes room. Whoever waits for what is forgotten gets it all the same.
fn forget_one<K: Clone + Eq + Hash, T: Clone>(kept: &mut HashMap<K, Kept<T>>) {
    let oldest = kept.iter().min_by_key(|(_, kept)| kept.since);
    if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
        kept.remove(&oldest);
    }
}

/// For how long something is kept after it was asked for: longer than a storm of clients that come back takes to ask.
const KEPT_FOR: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::channel::oneshot;
    use futures::future;

    use super::*;

    fn counted(
        count: &Arc<AtomicUsize>,
        result: Result<u32, Unread>,
    ) -> impl Future<Output = Result<u32, Unread>> + use<> {
        let count = Arc::clone(count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            result
        }
    }

    #[tokio::test]
    async fn many_who_want_the_same_get_it_once() {
        let together = Together::new(2);
        let count = Arc::default();
        let asked = (0..100).map(|_| together.get("a", counted(&count, Ok(7))));
        let got = future::join_all(asked).await;
        assert!(got.into_iter().all(|got| got.unwrap() == 7));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        together.get("b", counted(&count, Ok(7))).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_failed_is_got_anew() {
        let together = Together::new(2);
        let count = Arc::default();
        let failed = Unread::from(Box::<dyn Error + Send + Sync>::from("no"));
        assert!(together.get(1, counted(&count, Err(failed))).await.is_err());
        assert_eq!(together.get(1, counted(&count, Ok(7))).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn whoever_waits_for_what_is_forgotten_gets_it() {
        let together = Together::new(1);
        let (sender, receiver) = oneshot::channel::<u32>();
        let waiting = together.get(1, async { Ok(receiver.await.unwrap()) });
        let mut waiting = Box::pin(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        together.get(2, future::ready(Ok(8))).await.unwrap();
        assert_eq!(together.lock().len(), 1);
        sender.send(7).unwrap();
        assert_eq!(waiting.await.unwrap(), 7);
    }
}
