//! Items and batches: what a subscription reads, for a program and for a wire.

use std::sync::Arc;
use std::time::Instant;

use crate::gap::{Gap, Merged};
use crate::meters::{count_gap, hub_meters};
use crate::position::Position;
use crate::presence::PresenceUpdate;
use crate::record::{Record, Volatile};

/// One thing that a subscription reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Item {
    /// A logged message, or the end of its channel.
    Record(Arc<Record>),
    /// A message that was not logged.
    Volatile(Arc<Volatile>),
    /// Messages are missing here.
    Gap {
        /// Which, and why.
        gap: Gap,
        /// The cursor at this place.
        id: Position,
    },
    /// Messages were left out of what follows, for newer ones with their key.
    Merged {
        /// How many, of which channel.
        merged: Merged,
        /// The cursor at this place.
        id: Position,
    },
    /// Who is present on a channel, or what has changed of that.
    Presence(Arc<PresenceUpdate>),
}

/// What a batch held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Batch {
    /// Whether anything in it bears an id: then the client's cursor has moved.
    pub has_id: bool,
    /// Whether a gap is told in it.
    pub has_gap: bool,
    /// How many bytes it has.
    pub bytes: usize,
    /// How many messages it has.
    pub messages: usize,
    /// How many stood after the cursor, of which these are the first.
    pub lag: u64,
    /// Whether they were there before the subscription had caught up for the first time.
    pub is_replay: bool,
    /// When the oldest of its logged messages was logged.
    pub logged_at: Option<Instant>,
    /// Whether nothing follows it yet, and the task that asked for it is woken once something does: it need not ask again to be.
    pub is_asleep: bool,
}

impl Batch {
    /// What some items are in this many bytes. Tells the meters what was left out of them.
    pub(crate) fn of(items: &[Item], bytes: usize) -> Self {
        let mut batch = Self {
            bytes,
            ..Self::default()
        };
        for item in items {
            match item {
                Item::Record(record) => {
                    batch.has_id = true;
                    batch.messages += usize::from(!record.is_finish());
                    batch.logged_at.get_or_insert(record.logged_at());
                }
                Item::Volatile(_) => batch.messages += 1,
                Item::Presence(_) => {}
                Item::Gap { gap, .. } => {
                    batch.has_id = true;
                    batch.has_gap = true;
                    count_gap(gap.reason);
                }
                Item::Merged { merged, .. } => {
                    batch.has_id = true;
                    hub_meters().merged.increment(merged.count);
                }
            }
        }
        batch
    }
}
