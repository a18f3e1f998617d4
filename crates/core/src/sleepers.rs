//! Who waits on a channel, and how all of them are woken without a lock being held.
//!
//! A sleeper enters under the channel's lock, after it found nothing to read there; a publisher appends under the
//! same lock, takes all sleepers, unlocks, and only then wakes. So nobody can fall asleep between a record
//! and its wake-up, and a wake of 100,000 makes no other publisher wait.

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
    /// Puts a task to sleep, or renews the waker of one that sleeps already.
    pub(crate) fn enter(&mut self, place: Option<Place>, waker: &Waker) -> Place {
        if let Some(place) = place
            && place.round == self.round
            && let Some(known) = self.wakers.get_mut(place.index)
        {
            known.clone_from(waker);
            return place;
        }
        Place {
            index: self.wakers.insert(waker.clone()),
            round: self.round,
        }
    }

    /// Takes out a task that won't wait any longer. Its waker keeps the whole task in memory.
    pub(crate) fn leave(&mut self, place: Place) {
        if place.round == self.round {
            self.wakers.try_remove(place.index);
        }
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
        let first = sleepers.enter(None, &noop_waker());
        sleepers.take().wake();
        let second = sleepers.enter(Some(first), &noop_waker());
        assert_ne!(first, second);
        sleepers.leave(first);
        assert_eq!(sleepers.wakers.len(), 1);
        sleepers.leave(second);
        assert!(sleepers.wakers.is_empty());
    }

    #[test]
    fn a_task_that_sleeps_already_keeps_its_place() {
        let mut sleepers = Sleepers::default();
        let place = sleepers.enter(None, &noop_waker());
        assert_eq!(sleepers.enter(Some(place), &noop_waker()), place);
        assert_eq!(sleepers.wakers.len(), 1);
    }
}
