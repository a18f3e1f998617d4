//! Upkeep: which channel holds the record that goes next, what all logs cost together, and what has to cool down.
//!
//! Each channel with records stands in the queue once, under the time at which its oldest record expired when it was put
//! there. A log that trimmed itself since stands too early; that is found, and put right, when its turn comes. So an
//! append costs nothing here but the first one of a channel.
//!
//! Invariant: a cell with `is_indexed` is in the queue, or in the hands of whoever took it out.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use crate::cell::{Cell, State};
use crate::config::Limits;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// What a hub has to look after.
#[derive(Default)]
pub(crate) struct Upkeep {
    queue: Mutex<BinaryHeap<Expiring>>,
    warm: Mutex<Vec<Arc<Cell>>>,
    bytes: AtomicUsize,
}

impl Upkeep {
    /// A log has changed: it stands in the queue from its first record on.
    pub(crate) fn note_records(&self, cell: &Arc<Cell>, state: &mut State) {
        if !state.is_indexed
            && let Some(at) = state.log.expires_at(&cell.log_limits)
        {
            state.is_indexed = true;
            self.queue.lock().push(Expiring {
                at,
                cell: Arc::clone(cell),
            });
        }
    }

    /// A channel has volatile messages or joined stretches, which age fast.
    pub(crate) fn note_warmth(&self, cell: &Arc<Cell>, state: &mut State) {
        if !state.is_warm {
            state.is_warm = true;
            self.warm.lock().push(Arc::clone(cell));
        }
    }

    /// Adds to what all logs cost. To be called under the channel's lock.
    pub(crate) fn count_bytes(&self, grown: isize) {
        self.bytes.fetch_add(grown as usize, Ordering::SeqCst);
    }

    /// What all logs cost, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Takes out a channel whose oldest record may have expired by now.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Arc<Cell>> {
        let mut queue = self.queue.lock();
        if queue.peek()?.at > now {
            return None;
        }
        queue.pop().map(|expiring| expiring.cell)
    }

    /// Takes out the channel whose oldest record is the nearest to expire.
    pub(crate) fn next_to_expire(&self) -> Option<Arc<Cell>> {
        loop {
            let Expiring { at, cell } = self.queue.lock().pop()?;
            let mut state = cell.lock();
            if state.log.expires_at(&cell.log_limits) == Some(at) {
                drop(state);
                return Some(cell);
            }
            state.is_indexed = false;
            self.note_records(&cell, &mut state);
        }
    }

    /// Drops the joined stretches of all channels, and the volatile messages that waited long enough.
    pub(crate) fn cool(&self, now: Instant, limits: &Limits) {
        let warm = std::mem::take(&mut *self.warm.lock());
        for cell in warm {
            let mut state = cell.lock();
            state.stretches.clear();
            state.ring.drop_aged(now, limits);
            state.is_warm = false;
            if !state.ring.is_empty() {
                self.note_warmth(&cell, &mut state);
            }
        }
    }
}

/// A channel, under the time at which its oldest record may go.
struct Expiring {
    at: Instant,
    cell: Arc<Cell>,
}

impl Ord for Expiring {
    /// The earliest is the greatest: the queue hands out its greatest.
    fn cmp(&self, other: &Self) -> Order {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Expiring {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Expiring {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Expiring {}
