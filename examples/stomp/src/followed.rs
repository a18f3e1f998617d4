//! What a client follows: a cursor for each SUBSCRIBE, read in turn.

use std::future;
use std::task::Poll;

use dualcast::{CloseReason, Item, Subscription};

/// How much is read at a time before it is written, in bytes of payload.
const MAX_BATCH_BYTES: usize = 64 << 10;

/// One subscription.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The client's name for it.
    pub(crate) id: String,
    pub(crate) destination: String,
    pub(crate) subscription: Subscription,
}

/// All of a client's.
#[derive(Debug, Default)]
pub(crate) struct AllFollowed {
    all: Vec<Followed>,
    /// Whose turn it is, so that a busy channel doesn't hold up the others.
    turn: usize,
}

impl AllFollowed {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.all.iter().any(|followed| followed.id == id)
    }

    pub(crate) fn add(&mut self, followed: Followed) {
        self.all.push(followed);
    }

    /// Whether there was one.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let before = self.all.len();
        self.all.retain(|followed| followed.id != id);
        self.all.len() < before
    }

    /// What stands next for one of them, or why nothing does any more. Waits where there is nothing for any.
    pub(crate) async fn next(&mut self) -> (&Followed, Result<Vec<Item>, CloseReason>) {
        let count = self.all.len();
        let (at, items) = future::poll_fn(|cx| {
            for offset in 0..count {
                let at = (self.turn + offset) % count;
                if let Poll::Ready(items) = self.all[at].subscription.poll_read(cx, MAX_BATCH_BYTES) {
                    return Poll::Ready((at, items));
                }
            }
            Poll::Pending
        })
        .await;
        self.turn = at + 1;
        (&self.all[at], items)
    }
}
