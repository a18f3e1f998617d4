//! Room: how much a node holds in memory of what it has read for clients that were away for long.
//!
//! Whoever opens a first page waits for room. Who goes on from a page has that page's, and waits for nobody: else those who have some could wait for
//! each other. What a page takes is given back once nobody reads it any more.

use std::sync::Arc;

use dualcast_core::Lease;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// All the room that there is.
pub(crate) struct Room {
    /// Of so many KiB.
    left: Arc<Semaphore>,
    all: u32,
}

/// Room for a page that is being read.
pub(crate) enum Taken {
    /// As much as a page may take.
    Own(OwnedSemaphorePermit),
    /// That of the page before it.
    OfThePageBefore(Lease),
}

impl Room {
    /// So many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let all = u32::try_from(bytes / KIB).unwrap_or(most).clamp(1, most);
        Self {
            left: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// Waits until there is room for a page of so many bytes, unless a page was read before it.
    ///
    /// # Errors
    ///
    /// None: the semaphore is never closed.
    pub(crate) async fn take(&self, bytes: usize, before: Option<Lease>) -> Result<Taken, AcquireError> {
        let left = Arc::clone(&self.left);
        let needed = self.in_kib(bytes);
        match before {
            None => left.acquire_many_owned(needed).await.map(Taken::Own),
            Some(lease) => {
                let own = left.try_acquire_many_owned(needed).map(Taken::Own);
                Ok(own.unwrap_or(Taken::OfThePageBefore(lease)))
            }
        }
    }

    /// Keeps so many bytes of what was taken: most pages take less than they may.
    pub(crate) fn keep(&self, taken: Taken, bytes: usize) -> Lease {
        match taken {
            Taken::Own(mut own) => {
                let too_much = own.num_permits().saturating_sub(self.in_kib(bytes) as usize);
                drop(own.split(too_much));
                Arc::new(own)
            }
            Taken::OfThePageBefore(lease) => lease,
        }
    }

    /// A page that is larger than all the room takes all of it.
    fn in_kib(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(KIB))
            .unwrap_or(u32::MAX)
            .min(self.all)
    }
}

const KIB: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn take(room: &Room, before: Option<Lease>) -> Option<Taken> {
        room.take(600 * KIB, before).now_or_never().map(Result::unwrap)
    }

    #[test]
    fn a_first_page_waits_and_one_behind_another_does_not() {
        let room = Room::new(1_000 * KIB);
        let first = room.keep(take(&room, None).unwrap(), 500 * KIB);
        assert!(take(&room, None).is_none(), "500 are left");
        let next = take(&room, Some(Arc::clone(&first))).unwrap();
        assert!(matches!(next, Taken::OfThePageBefore(_)));
        drop(first);
        assert!(take(&room, None).is_none(), "it has the room of the page before");
        let next = room.keep(next, 600 * KIB);
        drop(next);
        assert!(take(&room, None).is_some());
    }

    #[test]
    fn a_page_that_is_larger_than_the_room_takes_all_of_it() {
        let room = Room::new(1);
        let taken = take(&room, None).unwrap();
        assert!(take(&room, None).is_none());
        drop(room.keep(taken, 9_000 * KIB));
        assert!(take(&room, None).is_some());
    }
}
