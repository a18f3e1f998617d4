//! Looks at which life of the log it is, for clients with cursors of lives that this node never heard of.
//!
//! An answer that was asked for before a client came says nothing of what it has seen since. So nobody takes an older one; but all who come
//! while a look is under way have the next one together, however many they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dualcast_core::count_broker_read;
use tokio::sync::Mutex;

use crate::epoch::{Epochs, Life};
use crate::together::Unread;

/// Looks, one at a time.
pub(crate) struct Looks {
    begun: AtomicU64,
    last: Mutex<Look>,
}

/// What a look has shown.
struct Look {
    /// The how manieth that was begun.
    number: u64,
    life: Result<Option<Life>, Unread>,
}

impl Looks {
    pub(crate) fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            last: Mutex::new(Look {
                number: 0,
                life: Ok(None),
            }),
        }
    }

    /// Which life it is, or none where nothing says so: not before this was asked.
    pub(crate) async fn look(&self, epochs: &Epochs) -> Result<Option<Life>, Unread> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.number <= begun_before {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            count_broker_read("epoch");
            let life = epochs.life().await.map_err(|error| Arc::new(error) as Unread);
            *last = Look { number, life };
        }
        last.life.clone()
    }
}
