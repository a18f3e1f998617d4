//! Landings: publishers that wait until what they published has come round, and stands in this node's log.
//!
//! So whoever has published reads it on this node, as with the embedded fan-out.
//!
//! A number says nothing by itself once the log has begun anew: it is one of the how manieth beginning.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How far this node's log has come, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Landings {
    head: AtomicU64,
    /// How often it began.
    beginnings: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_sequence: BTreeMap<u64, Vec<oneshot::Sender<()>>>,
    /// Whether the log is on its way to another beginning: nothing that is stored now is of the one that is here.
    is_between: bool,
}

/// A number of this node's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Landing {
    /// Since how many beginnings.
    pub(crate) beginning: u64,
    pub(crate) sequence: u64,
}

impl Landings {
    /// How far the log has come.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::SeqCst)
    }

    /// How often it has begun. To be looked at before anybody is asked for a number.
    pub(crate) fn beginning(&self) -> u64 {
        self.beginnings.load(Ordering::SeqCst)
    }

    /// Waits until the log has come to a number. Answers `false` where the log began anew instead, also before it was waited for.
    pub(crate) async fn wait(&self, landing: Landing) -> bool {
        let sequence = landing.sequence;
        let landed = {
            let mut waiting = self.lock();
            if waiting.is_between || self.beginning() != landing.beginning {
                return false;
            }
            // Looked at under the lock: it moves first, and then whoever waits is told under it.
            if self.head() >= sequence {
                return true;
            }
            let (sender, landed) = oneshot::channel();
            waiting.by_sequence.entry(sequence).or_default().push(sender);
            landed
        };
        let mut patience = Patience {
            landings: self,
            sequence,
            landed,
        };
        (&mut patience.landed).await.is_ok()
    }

    /// The log has come to a number.
    pub(crate) fn land(&self, head: u64) {
        self.head.store(head, Ordering::SeqCst);
        let landed = {
            let mut waiting = self.lock();
            let still_waiting = waiting.by_sequence.split_off(&(head + 1));
            mem::replace(&mut waiting.by_sequence, still_waiting)
        };
        for sender in landed.into_values().flatten() {
            // Whoever waited may have given up.
            let _ = sender.send(());
        }
    }

    /// The log is no longer the one that is published into.
    pub(crate) fn leave(&self) {
        let mut waiting = self.lock();
        waiting.is_between = true;
        waiting.by_sequence.clear();
    }

    /// The log begins anew behind a number: what was waited for is of another one.
    pub(crate) fn begin_anew(&self, head: u64) {
        let mut waiting = self.lock();
        self.beginnings.fetch_add(1, Ordering::SeqCst);
        self.head.store(head, Ordering::SeqCst);
        *waiting = Waiting::default();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever waits. Those who give up leave nothing behind.
struct Patience<'a> {
    landings: &'a Landings,
    sequence: u64,
    landed: oneshot::Receiver<()>,
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        self.landed.close();
        let mut waiting = self.landings.lock();
        if let Entry::Occupied(mut senders) = waiting.by_sequence.entry(self.sequence) {
            senders.get_mut().retain(|sender| !sender.is_closed());
            if senders.get().is_empty() {
                senders.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn whoever_waits_is_told_once_the_log_is_there() {
        let landings = Landings::default();
        let at = |sequence| Landing {
            beginning: 0,
            sequence,
        };
        let mut first = Box::pin(landings.wait(at(1)));
        let mut third = Box::pin(landings.wait(at(3)));
        for _ in 0..3 {
            assert_eq!(landings.wait(at(4)).now_or_never(), None, "it gives up");
        }
        assert_eq!(first.as_mut().now_or_never(), None);
        assert_eq!(third.as_mut().now_or_never(), None);
        assert!(landings.lock().by_sequence.keys().eq(&[1, 3]));
        landings.land(2);
        assert_eq!(first.now_or_never(), Some(true));
        assert_eq!(third.as_mut().now_or_never(), None);
        assert_eq!(landings.wait(at(2)).now_or_never(), Some(true));
        landings.leave();
        assert_eq!(third.now_or_never(), Some(false));
        assert!(landings.lock().by_sequence.is_empty());
        assert_eq!(landings.wait(at(2)).now_or_never(), Some(false));
        landings.begin_anew(9);
        // It has come further than that, but with other records.
        assert_eq!(landings.wait(at(2)).now_or_never(), Some(false));
        let now = Landing {
            beginning: landings.beginning(),
            sequence: 9,
        };
        assert_eq!(landings.wait(now).now_or_never(), Some(true));
    }
}
