//! Joined stretches: what a crowd of followers reads from the same place to the same end, joined once.

use std::time::Instant;

use bytes::Bytes;

use crate::wire::Form;

/// How many stretches a channel keeps: a few wires, or two groups of followers some messages apart.
const KEPT: usize = 4;

/// The records from one ordinal up to another, as they go out on one wire.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) form: Form,
    /// The byte limit that it was made under: another limit would cut elsewhere.
    pub(crate) limit: usize,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Whether the limit, not the end of the log, ended it.
    pub(crate) is_cut: bool,
    /// The sequence of its last record.
    pub(crate) sequence: u64,
    /// The cost of all records of the channel before `to`.
    pub(crate) end_bytes: u64,
    /// When its first record was logged.
    pub(crate) logged_at: Instant,
    /// The records, sealed.
    pub(crate) bytes: Bytes,
}

/// The last stretches that were joined on a channel.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    kept: Vec<Stretch>,
    next: usize,
}

impl Stretches {
    /// The stretch from a place to the log's end, or as far as the limit allows.
    pub(crate) fn find(&self, form: Form, limit: usize, from: u64, end: u64) -> Option<&Stretch> {
        self.kept.iter().find(|stretch| {
            stretch.from == from
                && stretch.form == form
                && stretch.limit == limit
                && (stretch.to == end || stretch.is_cut)
        })
    }

    pub(crate) fn keep(&mut self, stretch: Stretch) {
        if self.kept.len() < KEPT {
            self.kept.push(stretch);
        } else {
            self.kept[self.next] = stretch;
            self.next = (self.next + 1) % KEPT;
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
