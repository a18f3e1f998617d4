//! What a reader finds when it looks at a channel: records that may be read, and those that are left out.

use std::sync::Arc;

use crate::message::Identity;
use crate::record::{Record, Volatile};

/// How one reads: how much, how far, and what one leaves out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) head: u64,
    pub(crate) limit: usize,
    pub(crate) without: Option<&'a Identity>,
    pub(crate) is_conflating: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Up to where records are missing, if the trim came first.
    pub(crate) trimmed_through: Option<u64>,
    /// The place from which it was looked: behind what was trimmed.
    pub(crate) start: (u64, u64),
    pub(crate) records: Vec<Candidate>,
    pub(crate) skipped: Vec<Skipped>,
    /// The place behind all of this.
    pub(crate) end: (u64, u64),
    /// Whether the limit, not the head, ended it.
    pub(crate) is_cut: bool,
    /// How many records stand after its place, all in all.
    pub(crate) lag: u64,
    /// Each with its ordinal.
    pub(crate) volatile: Vec<(u64, Arc<Volatile>)>,
    /// The ordinal behind the last of them.
    pub(crate) volatile_end: u64,
    pub(crate) volatile_dropped: u64,
    /// Whether nothing can follow.
    pub(crate) is_finished: bool,
}

/// A record that may be read now.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) record: Arc<Record>,
    /// The place behind it.
    pub(crate) end: (u64, u64),
}

/// A record that is left out.
#[derive(Debug)]
pub(crate) struct Skipped {
    pub(crate) sequence: u64,
    /// The place behind it.
    pub(crate) end: (u64, u64),
    /// Whether for a newer one with its key. Else it is the subscriber's own.
    pub(crate) is_merged: bool,
}

impl Found {
    /// Whether the channel's end is the last of the records.
    pub(crate) fn has_the_end(&self) -> bool {
        let last = self.records.last();
        last.is_some_and(|candidate| candidate.record.is_finish())
    }

    /// Takes records one after another from its start on, up to the head, or the channel's end, and as far as the limit allows.
    pub(crate) fn gather<'a>(
        &mut self,
        reading: Reading<'_>,
        get: impl Fn(u64) -> Option<&'a Arc<Record>>,
        is_superseded: impl Fn(u64, &Record) -> bool,
    ) {
        let mut end = self.start;
        let mut room = reading.limit;
        while let Some(record) = get(end.0) {
            if record.sequence() > reading.head {
                break;
            }
            if room == 0 {
                self.is_cut = true;
                break;
            }
            let ordinal = end.0;
            end = (ordinal + 1, end.1 + record.cost() as u64);
            let is_own = record.is_from(reading.without);
            if is_own || reading.is_conflating && is_superseded(ordinal, record) {
                self.skipped.push(Skipped {
                    sequence: record.sequence(),
                    end,
                    is_merged: !is_own,
                });
                continue;
            }
            room = room.saturating_sub(record.size());
            self.records.push(Candidate {
                record: Arc::clone(record),
                end,
            });
            if record.is_finish() {
                self.is_finished = true;
                break;
            }
        }
        self.end = end;
    }
}
