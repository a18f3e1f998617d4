//! The requests that a connection has open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Context;

use futures::task::AtomicWaker;

/// How many requests a connection has open, and whom to tell when one is over.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    open: AtomicUsize,
    /// Whether one has begun since somebody looked.
    has_news: AtomicBool,
    waker: AtomicWaker,
}

impl Requests {
    /// Counts one more, until the guard is dropped.
    pub(super) fn open(&self) -> Request {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        self.0.has_news.store(true, Ordering::SeqCst);
        Request(Arc::clone(&self.0))
    }

    /// Whether any has begun since this was last asked.
    pub(super) fn have_begun(&self) -> bool {
        self.0.has_news.swap(false, Ordering::SeqCst)
    }

    /// Whether there are more than one.
    pub(super) fn are_several(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > 1
    }

    /// Whether there is none; wakes the task when one ends later.
    pub(super) fn are_over(&self, cx: &mut Context<'_>) -> bool {
        self.0.waker.register(cx.waker());
        self.0.open.load(Ordering::SeqCst) == 0
    }
}

/// A request that is open: its answer is not all sent, or its body has not all come.
#[derive(Debug)]
pub(super) struct Request(Arc<Count>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        self.0.waker.wake();
    }
}
