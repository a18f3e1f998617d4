//! Items and batches: what a subscription reads, for a program and for a wire.

use std::sync::Arc;

use crate::gap::{Gap, Merged};
use crate::position::Position;
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
}
