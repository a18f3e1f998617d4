//! One channel of a subscription: where its reader stands, and what it finds when it looks.

use std::sync::Arc;
use std::task::Waker;

use crate::cell::{Cell, State};
use crate::lag::Lag;
use crate::logs::Logs;
use crate::message::Identity;
use crate::name::ChannelName;
use crate::record::{Record, Volatile};
use crate::sleepers::Place;

/// A channel that a subscription follows, and its place in it.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) cell: Arc<Cell>,
    /// The ordinal of the next record to read.
    pub(crate) next: u64,
    /// The cost of all records before it.
    pub(crate) next_bytes: u64,
    /// The ordinal of the next volatile message to read.
    pub(crate) next_volatile: u64,
    pub(crate) place: Option<Place>,
}

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
    pub(crate) volatile: Vec<Arc<Volatile>>,
    /// The ordinal of the first of them.
    pub(crate) volatile_from: u64,
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

impl Followed {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self {
            cell,
            next: 0,
            next_bytes: 0,
            next_volatile: 0,
            place: None,
        }
    }

    pub(crate) fn name(&self) -> &ChannelName {
        &self.cell.name
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.cell.lock().log.is_finished()
    }

    /// Whether at most the channel's end is left to read.
    pub(crate) fn is_exhausted(&self) -> bool {
        let state = self.cell.lock();
        state.log.is_finished() && state.log.end() - self.next <= 1
    }

    /// Whether it has read the channel's end.
    pub(crate) fn has_ended(&self) -> bool {
        let state = self.cell.lock();
        state.log.is_finished() && state.log.end() == self.next
    }

    /// Stands after a sequence. Answers up to where records are missing behind it, if they are.
    pub(crate) fn place_after(&mut self, sequence: u64) -> Option<u64> {
        let state = self.cell.lock();
        (self.next, self.next_bytes) = state.log.locate(sequence);
        self.next_volatile = state.ring.end();
        let trimmed_through = state.log.trimmed_through();
        (trimmed_through > sequence).then_some(trimmed_through)
    }

    /// Stands at the start of what is kept. Answers up to where the log was trimmed, and the first sequence kept.
    pub(crate) fn place_at_start(&mut self) -> (u64, Option<u64>) {
        let state = self.cell.lock();
        (self.next, self.next_bytes) = state.log.start();
        self.next_volatile = state.ring.end();
        (
            state.log.trimmed_through(),
            state.log.get(self.next).map(|record| record.sequence()),
        )
    }

    /// Up to where the log was trimmed, and the sequences of the last messages kept up to the head, newest first.
    pub(crate) fn last_sequences(&self, head: u64, count: usize) -> (u64, Vec<u64>) {
        let state = self.cell.lock();
        let messages = state.log.newest_first().filter(|record| !record.is_finish());
        let sequences = messages.map(|record| record.sequence());
        let sequences = sequences.filter(|sequence| *sequence <= head).take(count);
        (state.log.trimmed_through(), sequences.collect())
    }

    /// How far behind the end of the log it is.
    pub(crate) fn lag(&self, state: &State) -> Lag {
        Lag {
            records: state.log.end() - self.next,
            bytes: state.log.end_bytes() - self.next_bytes,
        }
    }

    /// Waits for what comes next.
    pub(crate) fn sleep(&mut self, waker: &Waker) {
        let given_up = self.cell.lock().sleepers.enter(&mut self.place, waker);
        drop(given_up);
    }

    /// Jumps behind the head. Answers, if that leaves anything out, up to where: more may have been published since the head
    /// was read, and trimmed.
    pub(crate) fn skip_to(&mut self, head: u64) -> Option<u64> {
        let state = self.cell.lock();
        let before = self.next;
        (self.next, self.next_bytes) = state.log.locate(head);
        (self.next > before).then(|| state.log.trimmed_through().max(head))
    }

    /// Follows no longer.
    pub(crate) fn leave(self, logs: &Logs) {
        let mut given_up = None;
        logs.unfollow(&self.cell, |state| {
            given_up = self.place.and_then(|place| state.sleepers.leave(place));
        });
        drop(given_up);
    }

    /// Looks at what stands after its place, up to the head, and as far as the limit allows. Takes no step.
    pub(crate) fn look(&self, reading: Reading<'_>) -> Found {
        let state = self.cell.lock();
        let log = &state.log;
        let mut found = Found {
            lag: log.end() - self.next,
            ..Found::default()
        };
        let mut end = (self.next, self.next_bytes);
        if log.first() > self.next {
            found.trimmed_through = Some(log.trimmed_through());
            end = log.start();
        }
        found.start = end;
        let mut room = reading.limit;
        while let Some(record) = log.get(end.0) {
            if record.sequence() > reading.head {
                break;
            }
            if room == 0 {
                found.is_cut = true;
                break;
            }
            let ordinal = end.0;
            end = (ordinal + 1, end.1 + record.cost() as u64);
            let is_own = record.is_from(reading.without);
            if is_own || reading.is_conflating && log.is_superseded(ordinal, record) {
                found.skipped.push(Skipped {
                    sequence: record.sequence(),
                    end,
                    is_merged: !is_own,
                });
                continue;
            }
            room = room.saturating_sub(record.size());
            found.records.push(Candidate {
                record: Arc::clone(record),
                end,
            });
        }
        found.end = end;
        found.is_finished = log.is_finished() && end.0 == log.end();
        let (dropped, volatile) = state.ring.after(self.next_volatile);
        found.volatile_dropped = dropped;
        found.volatile.extend(volatile.cloned());
        found.volatile_from = state.ring.end() - found.volatile.len() as u64;
        found
    }
}
