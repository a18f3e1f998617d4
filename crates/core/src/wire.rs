//! What core asks of a transport's wire: to write an entry down, so that the bytes can be kept and shared.
//!
//! Invariant: nothing here knows how any transport frames anything.

use std::cell::Cell;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::gap::{Gap, Merged};
use crate::position::Position;
use crate::presence::PresenceUpdate;
use crate::record::{Record, Volatile};

/// How a transport writes entries down. Its adapters implement it; one value serves all connections of that kind.
pub trait Wire: Send + Sync {
    /// Which bytes this wire makes. Two wires of one form write the same bytes for the same record: all of the
    /// options that change them are in the form.
    fn form(&self) -> Form;

    /// Appends one entry.
    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>);

    /// Whether nothing of the channel may follow a gap: where clients know no notices, what came behind one would pass for whole.
    /// Of several channels the rest of a batch still does.
    fn ends_at_gap(&self) -> bool {
        false
    }

    /// Whether it can say who is present. Else that is left out.
    fn tells_presence(&self) -> bool {
        true
    }

    /// How many bytes [`Wire::seal`] wants free in front of what it seals.
    fn headroom(&self) -> usize {
        0
    }

    /// Turns written entries, behind [`Wire::headroom`] bytes to fill, into what goes out in one piece. Where there is no
    /// headroom, a record that goes out alone is not sealed: it is the piece that all share.
    fn seal(&self, out: Vec<u8>) -> Bytes {
        Bytes::from(out)
    }
}

/// One thing that a subscriber is told.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// A logged message, or the end of its channel. Its position is its id.
    Record(&'a Record),
    /// A message without a position.
    Volatile(&'a Volatile),
    /// Messages are missing here. `id` is the subscription's cursor, which only on a subscription to one channel is the
    /// gap's end.
    Gap {
        /// What is missing.
        gap: &'a Gap,
        /// The cursor to come back with.
        id: Position,
    },
    /// Messages were left out of what follows, since newer ones with their key are in it.
    Merged {
        /// How many, of which channel.
        merged: &'a Merged,
        /// The cursor to come back with.
        id: Position,
    },
    /// Who is present on a channel, or what has changed of that. It moves no cursor.
    Presence(&'a PresenceUpdate),
}

/// What commonly stands around a message: its id, and the names of its fields.
const ENVELOPE_BYTES: usize = 96;

/// Up to how many bytes a thread keeps to write the next entry in.
const MAX_SCRATCH_BYTES: usize = 16 << 10;

thread_local! {
    /// Where an entry is written before it is known how long it is: an allocation that is cut to its length leaves a splinter behind each record.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How many forms of one record are kept.
const SLOTS: usize = 4;

/// Which bytes a [`Wire`] makes for a record, and how it seals them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    slot: u8,
    finish_slot: u8,
    seal: u8,
}

impl Form {
    /// The form of a wire: `slot` (0 to 3) tells apart the bytes of a record, `seal` the ways of sealing them.
    ///
    /// # Panics
    ///
    /// If `slot` is above 3.
    #[must_use]
    pub const fn new(slot: u8, seal: u8) -> Self {
        assert!((slot as usize) < SLOTS, "a form's slot is 0 to 3");
        Self {
            slot,
            finish_slot: slot,
            seal,
        }
    }

    /// The form of a wire that writes messages as others of its slot do, but the end of a channel as those of another. Both are
    /// slots of records, and no record is both.
    ///
    /// # Panics
    ///
    /// If `slot` is above 3.
    #[must_use]
    pub const fn with_finish_slot(mut self, slot: u8) -> Self {
        assert!((slot as usize) < SLOTS, "a form's slot is 0 to 3");
        self.finish_slot = slot;
        self
    }

    fn slot_of(self, entry: Entry<'_>) -> usize {
        let is_finish = matches!(entry, Entry::Record(record) if record.message().is_none());
        usize::from(if is_finish { self.finish_slot } else { self.slot })
    }
}

/// A record's bytes in each form that somebody has asked for: encoded once, shared by all.
#[derive(Debug, Default)]
pub(crate) struct Encodings([OnceLock<Bytes>; SLOTS]);

impl Encodings {
    /// The bytes of an entry whose message has so many.
    pub(crate) fn get_or_write(&self, wire: &dyn Wire, entry: Entry<'_>, size: usize) -> &Bytes {
        self.0[wire.form().slot_of(entry)].get_or_init(|| {
            let expected = size + ENVELOPE_BYTES;
            let mut out = if expected <= MAX_SCRATCH_BYTES {
                SCRATCH.take()
            } else {
                Vec::new()
            };
            out.reserve_exact(expected);
            wire.write(entry, &mut out);
            // Kept as long as the record is: no more than it takes.
            if out.capacity() > MAX_SCRATCH_BYTES {
                return Bytes::from(out.into_boxed_slice());
            }
            let bytes = Bytes::copy_from_slice(&out);
            out.clear();
            SCRATCH.set(out);
            bytes
        })
    }
}
