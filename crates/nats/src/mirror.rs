//! The mirror: how far a node has followed the stream, what it knows to be missing, and whether it is still the same stream.
//!
//! It has no connection and no clock: its task hands in what was heard, read and asked ([`handle_live`](Mirror::handle_live) and the
//! others), then takes out what is next in the stream's order ([`next`](Mirror::next)), and does what it [wants](Mirror::wants).
//!
//! Invariants: what is handed out is in order and without a hole, but for the tears that are handed out themselves. A read that stops short is
//! taken as far as it goes and not believed beyond that. Only a number that the stream's leader says is gone counts as gone. Nothing is torn while the
//! broker is away, while it may be another stream, or while nothing waits behind the hole.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use dualcast_core::GapReason;

use crate::stream::State;

/// What a node has of the stream.
#[derive(Debug)]
pub(crate) struct Mirror<T> {
    options: MirrorOptions,
    /// When the stream was made: one that was made anew is another.
    created_ns: i64,
    head: u64,
    /// When the newest records up to the head were stored.
    times: VecDeque<i64>,
    /// The highest number that is known to be given out.
    known_last: u64,
    /// What was heard beyond a hole.
    aside: BTreeMap<u64, Stored<T>>,
    aside_bytes: usize,
    ready: VecDeque<Next<T>>,
    /// Since when the next record is missing, or was last come nearer to.
    missing_since: Option<Instant>,
    /// Whether something happened after which it may be another stream. Until that is settled nothing is shown.
    is_in_doubt: bool,
    /// How often in a row the leader said that the stream ends before the head.
    fallen: u32,
    is_other: bool,
}

/// The bounds of a mirror.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MirrorOptions {
    /// The most messages that are put aside beyond a hole. Further ones are read back.
    pub(crate) max_aside: usize,
    /// The most bytes of them.
    pub(crate) max_aside_bytes: usize,
    /// The most records that are read at a time.
    pub(crate) max_read: u64,
    /// For how long what is missing holds up what is there.
    pub(crate) hole_deadline: Duration,
}

/// A record, wherever it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored<T> {
    pub(crate) sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub(crate) time_ns: i64,
    /// What it counts for in memory.
    pub(crate) bytes: usize,
    pub(crate) content: T,
}

/// What is next in the stream's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next<T> {
    Record(Stored<T>),
    /// What stands between the last one and up to this number won't come.
    Tear {
        through: u64,
        reason: GapReason,
    },
}

/// What its task should do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Begin anew: it is another stream.
    NewLife,
    /// Look at how the stream stands, and when the record with this number was stored.
    Proof {
        of: u64,
    },
    /// Read these records, the first and the last included.
    Read {
        from: u64,
        through: u64,
    },
    Nothing,
}

/// What the leader says of a record, by which it is known to be the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It was not asked. That settles no doubt.
    None,
    /// It is gone, and proves nothing any more.
    Gone,
    /// When it was stored, in nanoseconds since 1970.
    StoredAt(i64),
}

/// What a read of the stream brought.
#[derive(Debug)]
pub(crate) struct ReadBack<T> {
    /// In order.
    pub(crate) records: Vec<Stored<T>>,
    /// The numbers of records that the leader says are gone.
    pub(crate) gone: Vec<(u64, u64)>,
}

impl<T> Mirror<T> {
    /// Has all up to a number, of a stream that was made then.
    pub(crate) fn new(options: MirrorOptions, created_ns: i64, head: u64) -> Self {
        Self {
            options,
            created_ns,
            head,
            times: VecDeque::new(),
            known_last: head,
            aside: BTreeMap::new(),
            aside_bytes: 0,
            ready: VecDeque::new(),
            missing_since: None,
            is_in_doubt: false,
            fallen: 0,
            is_other: false,
        }
    }

    /// The number of the last record that was handed out, or is ready to be.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Whether it knows of nothing that it lacks.
    pub(crate) fn is_whole(&self) -> bool {
        self.known_last <= self.head && !self.is_in_doubt && !self.is_other
    }

    /// Whether it may be another stream than it was.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt || self.is_other
    }

    /// For how long what is known to be missing has been missing.
    pub(crate) fn missing_for(&self, now: Instant) -> Duration {
        self.missing_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// A record was heard.
    pub(crate) fn handle_live(&mut self, stored: Stored<T>, now: Instant) {
        if self.is_other {
            return;
        }
        self.known_last = self.known_last.max(stored.sequence);
        if stored.sequence <= self.head {
            // Heard twice, or a number that is given out twice.
            match self.time_of(stored.sequence) {
                Some(time_ns) if time_ns == stored.time_ns => {}
                Some(_) => self.is_other = true,
                None => self.is_in_doubt = true,
            }
        } else if stored.sequence == self.head + 1 && !self.is_in_doubt {
            self.take(stored, now);
        } else {
            self.put_aside(stored);
        }
        self.settle(now);
    }

    /// A record of this number is stored, says who published it.
    pub(crate) fn handle_known(&mut self, sequence: u64, now: Instant) {
        self.known_last = self.known_last.max(sequence);
        self.settle(now);
    }

    /// Something happened after which messages may be missing, or the stream be another: a connection was made, a buffer was full, the
    /// leader gave no answer.
    pub(crate) fn handle_doubt(&mut self) {
        self.is_in_doubt = true;
        // What was heard before may be of a stream that is none any more: a broker that was killed may have lost its last records.
        self.aside.clear();
        self.aside_bytes = 0;
    }

    /// Another node says that it is another stream.
    pub(crate) fn handle_other_life(&mut self) {
        self.is_other = true;
    }

    /// How the stream stands, says its leader, who was asked when the head was `asked_at`; and what it says of the record there.
    pub(crate) fn handle_state(&mut self, state: &State, asked_at: u64, proof: Proof, now: Instant) {
        let is_other_record =
            |sequence, time_ns| self.time_of(sequence).is_some_and(|known: i64| known != time_ns);
        // An empty stream says nothing of its last record.
        let is_other_last =
            state.records > 0 && is_other_record(state.last_sequence, state.last_timestamp_ns);
        let is_other_proof = matches!(proof, Proof::StoredAt(time_ns) if is_other_record(asked_at, time_ns));
        if state.created_ns != self.created_ns || is_other_last || is_other_proof {
            self.is_other = true;
            return;
        }
        if state.last_sequence < asked_at {
            // A server that has just become the leader may not have caught up with what it knows to be stored.
            self.is_in_doubt = true;
            self.fallen += 1;
            self.is_other = self.fallen >= FALLEN;
            return;
        }
        self.fallen = 0;
        if self.is_in_doubt && proof != Proof::None {
            self.is_in_doubt = false;
            // What was known before may be of another, too.
            let heard = self.aside.keys().next_back().copied();
            self.known_last = heard.unwrap_or(0).max(self.head);
        }
        self.known_last = self.known_last.max(state.last_sequence);
        if !self.is_in_doubt && state.first_sequence > self.head + 1 {
            self.tear(state.first_sequence - 1, GapReason::Trimmed, now);
        }
        self.settle(now);
    }

    /// The read that it wanted is over. An error: nothing could be read.
    pub(crate) fn handle_read<E>(&mut self, read: Result<ReadBack<T>, E>, now: Instant) {
        let Ok(ReadBack { records, gone }) = read else {
            return;
        };
        if self.is_in_doubt || self.is_other {
            // Of which stream it is can't be said.
            return;
        }
        let is_other = |stored: &Stored<T>| {
            self.time_of(stored.sequence)
                .is_some_and(|known| known != stored.time_ns)
        };
        if records.iter().any(is_other) {
            self.is_other = true;
            return;
        }
        let mut gone = gone.into_iter().peekable();
        for stored in records {
            self.pass_gone(&mut gone, stored.sequence, now);
            if stored.sequence == self.head + 1 {
                self.take(stored, now);
            } else if stored.sequence > self.head {
                // It stopped short here: what comes behind is read again, or was heard.
                break;
            }
        }
        self.pass_gone(&mut gone, u64::MAX, now);
        self.settle(now);
    }

    /// Time has passed. What is missing for too long, while others wait behind it, is given up.
    pub(crate) fn handle_time(&mut self, is_connected: bool, now: Instant) {
        let Some(since) = self.missing_since else {
            return;
        };
        if !is_connected || self.is_in_doubt {
            // Nothing can be read now, and nothing is to be blamed on the hole.
            self.missing_since = Some(now);
        } else if now.saturating_duration_since(since) >= self.options.hole_deadline
            && let Some(first) = self.aside.keys().next().copied()
        {
            self.tear(first - 1, GapReason::Unavailable, now);
            self.settle(now);
        }
    }

    /// What is next in the stream's order.
    pub(crate) fn next(&mut self) -> Option<Next<T>> {
        self.ready.pop_front()
    }

    /// What is to be done for it now, unless it is being done.
    pub(crate) fn wants(&self) -> Wants {
        if self.is_other {
            return Wants::NewLife;
        }
        if self.is_in_doubt {
            return Wants::Proof { of: self.head };
        }
        if self.known_last <= self.head {
            return Wants::Nothing;
        }
        // The head itself comes with it where that can be compared: then what follows is of the same stream.
        let is_comparable = self.time_of(self.head).is_some();
        let before_aside = self
            .aside
            .keys()
            .next()
            .map_or(self.known_last, |first| first - 1);
        Wants::Read {
            from: self.head + u64::from(!is_comparable),
            through: before_aside.min(self.head + self.options.max_read),
        }
    }

    fn take(&mut self, stored: Stored<T>, now: Instant) {
        self.head = stored.sequence;
        self.times.push_back(stored.time_ns);
        if self.times.len() > KEPT_TIMES {
            self.times.pop_front();
        }
        self.missing_since = Some(now);
        self.ready.push_back(Next::Record(stored));
    }

    fn put_aside(&mut self, stored: Stored<T>) {
        let is_full = self.aside.len() >= self.options.max_aside
            || self.aside_bytes + stored.bytes > self.options.max_aside_bytes;
        if !is_full {
            self.aside_bytes += stored.bytes;
            if let Some(before) = self.aside.insert(stored.sequence, stored) {
                self.aside_bytes -= before.bytes;
            }
        }
    }

    /// Gives up what is missing up to a number.
    fn tear(&mut self, through: u64, reason: GapReason, now: Instant) {
        self.head = through;
        self.times.clear();
        self.known_last = self.known_last.max(through);
        self.missing_since = Some(now);
        self.ready.push_back(Next::Tear { through, reason });
    }

    /// Passes what is gone right behind the head, below a number.
    fn pass_gone(
        &mut self,
        gone: &mut std::iter::Peekable<impl Iterator<Item = (u64, u64)>>,
        below: u64,
        now: Instant,
    ) {
        while let Some((from, through)) = gone.next_if(|(from, _)| *from < below) {
            if from <= self.head + 1 && through > self.head {
                self.tear(through, GapReason::Trimmed, now);
            }
        }
    }

    /// Takes what was put aside, as far as it goes on from the head, and drops what is behind the head by now.
    fn settle(&mut self, now: Instant) {
        while !self.is_in_doubt
            && let Some(entry) = self.aside.first_entry()
            && *entry.key() <= self.head + 1
        {
            let stored = entry.remove();
            self.aside_bytes -= stored.bytes;
            if stored.sequence == self.head + 1 {
                self.take(stored, now);
            } else if self
                .time_of(stored.sequence)
                .is_some_and(|time| time != stored.time_ns)
            {
                self.is_other = true;
            }
        }
        if self.known_last <= self.head {
            self.missing_since = None;
        } else {
            self.missing_since.get_or_insert(now);
        }
    }

    /// When the record with this number was stored, where that is remembered.
    fn time_of(&self, sequence: u64) -> Option<i64> {
        let behind = self.head.checked_sub(sequence)? as usize;
        let index = self.times.len().checked_sub(behind + 1)?;
        self.times.get(index).copied()
    }
}

/// How often the leader has to say so before it is believed that the stream ends before the head.
const FALLEN: u32 = 3;

/// Of how many records it is remembered when they were stored: more than are ever heard again after the record that follows them.
const KEPT_TIMES: usize = 1_024;

#[cfg(test)]
mod tests;
