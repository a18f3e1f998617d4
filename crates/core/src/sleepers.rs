//! Who waits on a channel, and how all of them are woken without a lock being held.
//!
//! A sleeper enters under the channel's lock, after it found nothing to read there; a publisher appends under the
//! same lock, takes all sleepers, unlocks, and only then wakes. So nobody can fall asleep between a record
//! and its wake-up, and a wake of 100,000 makes no other publisher wait.
//!
//! A waker that is given up is handed out, to be dropped with no lock held: it may be the last that holds its task, and the
//! task may hold other subscriptions to the same channel.

use std::mem;
use std::task::Waker;

use slab::Slab;

/// The tasks that wait for a channel's next message.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    wakers: Slab<Waker>,
    /// Rises when all are taken, so that a place of an earlier round is known to be void.
    round: u64,
}

/// A sleeper's place, void once it was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    index: usize,
    round: u64,
}

/// All who slept on a channel. To be woken with no lock held.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Woken(Slab<Waker>);

impl Sleepers {
    /// Puts a task to sleep, or renews the waker of one that sleeps already. Answers the waker that was there.
    pub(crate) fn enter(&mut self, place: &mut Option<Place>, waker: &Waker) -> Option<Waker> {
        if let Some(place) = place
            && place.round == self.round
            && let Some(known) = self.wakers.get_mut(place.index)
        {
            let is_other = !known.will_wake(waker);
            return is_other.then(|| mem::replace(known, waker.clone()));
        }
        *place = Some(Place {
            index: self.wakers.insert(waker.clone()),
            round: self.round,
        });
        None
    }

    /// Takes out a task that won't wait any longer. Its waker keeps the whole task in memory.
    pub(crate) fn leave(&mut self, place: Place) -> Option<Waker> {
        let is_asleep = place.round == self.round;
        is_asleep.then(|| self.wakers.try_remove(place.index)).flatten()
    }

    /// Takes all of them out.
    pub(crate) fn take(&mut self) -> Woken {
        if self.wakers.is_empty() {
            return Woken::default();
        }
        self.round += 1;
        Woken(mem::take(&mut self.wakers))
    }
}

impl Woken {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn wake(mut self) {
        for waker in self.0.drain() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker;

    use super::*;

    #[test]
    fn a_place_of_an_earlier_round_takes_nobody_out() {
        let mut sleepers = Sleepers::default();
        let mut place = None;
        sleepers.enter(&mut place, &noop_waker());
        let first = place.unwrap();
        sleepers.take().wake();
        sleepers.enter(&mut place, &noop_waker());
        let second = place.unwrap();
        assert_ne!(first, second);
        assert!(sleepers.leave(first).is_none());
        assert!(sleepers.leave(second).is_some());
        assert!(sleepers.wakers.is_empty());
    }

    #[test]
    fn a_task_that_sleeps_already_keeps_its_place() {
        let mut sleepers = Sleepers::default();
        let mut place = None;
        sleepers.enter(&mut place, &noop_waker());
        let first = place;
        assert!(sleepers.enter(&mut place, &noop_waker()).is_none());
        assert_eq!(place, first);
        assert_eq!(sleepers.wakers.len(), 1);
    }
}
