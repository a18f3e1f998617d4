//! What comes and goes on a socket that hyper has, as whoever minds the connection's deadlines sees it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

/// How hyper's reads and writes fare.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    is_blocked: AtomicBool,
    written: AtomicU64,
    read: AtomicU64,
}

impl Traffic {
    /// Whether what hyper asked for last has to wait: then hyper holds bytes that must leave before anybody else writes.
    pub(super) fn is_blocked(&self) -> bool {
        self.0.is_blocked.load(Ordering::Relaxed)
    }

    /// How many bytes have left.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// How many bytes have come.
    pub(super) fn read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    pub(super) fn note_read(&self, bytes: usize) {
        self.0.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.0.written.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        written
    }

    /// How it went with the last thing that hyper asked for.
    pub(super) fn note_blocked<T>(&self, asked: Poll<T>) -> Poll<T> {
        self.0.is_blocked.store(asked.is_pending(), Ordering::Relaxed);
        asked
    }
}
