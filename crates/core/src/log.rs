//! The log of one channel: its newest records, bounded by count, bytes and age.
//!
//! Places in it are ordinals: the first record ever is 0, and a record keeps its ordinal when older ones are trimmed,
//! so that a reader finds its next record without a search.
//!
//! Invariants: the log knows no channel name, no clock and no reader. `trimmed_through` never falls. The newest
//! record of a key in `newest_by_key` is in the log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::clock::later;
use crate::config::LogLimits;
use crate::message::Message;
use crate::record::Record;

/// The bounded tail of a channel.
#[derive(Debug)]
pub(crate) struct Log {
    entries: VecDeque<Kept>,
    /// The ordinal of the oldest record kept, or of the next one where none is.
    first: u64,
    /// The sequence of the last record trimmed: a cursor below it may have lost something, any other has not.
    trimmed_through: u64,
    /// The cost of all records that ever were in it: the difference between two ends is what lies between.
    end_bytes: u64,
    newest_by_key: HashMap<Arc<str>, u64>,
    is_finished: bool,
    /// The ordinal of the newest end that something came behind: its name was used again.
    reused_at: Option<u64>,
}

#[derive(Debug)]
struct Kept {
    record: Arc<Record>,
    /// The cost of all records before it.
    start_bytes: u64,
}

impl Log {
    /// An empty log of a channel about which nothing is known up to `trimmed_through`.
    pub(crate) fn new(trimmed_through: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            trimmed_through,
            end_bytes: 0,
            newest_by_key: HashMap::new(),
            is_finished: false,
            reused_at: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether its last record is, or was, the channel's end.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether the channel's end stands at or behind an ordinal, and something behind that.
    pub(crate) fn is_reused_after(&self, ordinal: u64) -> bool {
        self.reused_at.is_some_and(|end| end >= ordinal)
    }

    /// The ordinal of the newest end that something came behind.
    pub(crate) fn reused_at(&self) -> Option<u64> {
        self.reused_at
    }

    pub(crate) fn trimmed_through(&self) -> u64 {
        self.trimmed_through
    }

    /// The sequence of the last record that ever was in it, or up to which nothing is known.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.entries
            .back()
            .map_or(self.trimmed_through, |newest| newest.record.sequence())
    }

    /// The ordinal of the oldest record kept.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The ordinal that the next record will have.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The cost of all records that ever were in it.
    pub(crate) fn end_bytes(&self) -> u64 {
        self.end_bytes
    }

    /// The cost of what is in it now.
    pub(crate) fn bytes(&self) -> usize {
        self.entries
            .front()
            .map_or(0, |oldest| (self.end_bytes - oldest.start_bytes) as usize)
    }

    /// Until when the oldest record may stay.
    pub(crate) fn expires_at(&self, limits: &LogLimits) -> Option<Instant> {
        self.entries
            .front()
            .map(|oldest| later(oldest.record.logged_at(), limits.max_age))
    }

    /// The ordinal of the first record after a sequence, and the cost of all before it.
    pub(crate) fn locate(&self, sequence: u64) -> (u64, u64) {
        let index = self
            .entries
            .partition_point(|kept| kept.record.sequence() <= sequence);
        (self.first + index as u64, self.start_bytes(index))
    }

    /// The ordinal of the oldest record kept, and the cost of all before it.
    pub(crate) fn start(&self) -> (u64, u64) {
        (self.first, self.start_bytes(0))
    }

    /// The cost of all records before the one at an ordinal, if that is kept, or is the next to come.
    pub(crate) fn bytes_before(&self, ordinal: u64) -> Option<u64> {
        let is_here = (self.first..=self.end()).contains(&ordinal);
        is_here.then(|| self.start_bytes((ordinal - self.first) as usize))
    }

    /// The record at an ordinal, if it is kept.
    pub(crate) fn get(&self, ordinal: u64) -> Option<&Arc<Record>> {
        let index = ordinal.checked_sub(self.first)?;
        self.entries.get(index as usize).map(|kept| &kept.record)
    }

    /// The records from an ordinal on, until they have so many bytes.
    pub(crate) fn run(&self, from: u64, max_bytes: usize) -> Vec<Arc<Record>> {
        let mut room = max_bytes.max(1);
        let mut run = Vec::new();
        while room > 0
            && let Some(record) = self.get(from + run.len() as u64)
        {
            room = room.saturating_sub(record.size());
            run.push(Arc::clone(record));
        }
        run
    }

    /// The newest records, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.entries.iter().rev().map(|kept| &kept.record)
    }

    /// Whether a newer record with the same conflation key is in the log.
    pub(crate) fn is_superseded(&self, ordinal: u64, record: &Record) -> bool {
        key_of(record)
            .and_then(|key| self.newest_by_key.get(key))
            .is_some_and(|newest| *newest > ordinal)
    }

    /// Appends a record and trims what is too much by now.
    pub(crate) fn append(&mut self, record: Arc<Record>, now: Instant, limits: &LogLimits) {
        if let Some(key) = key_of(&record) {
            self.newest_by_key.insert(Arc::clone(key), self.end());
        }
        if self.is_finished {
            self.reused_at = Some(self.end() - 1);
        }
        self.is_finished = record.is_finish();
        let start_bytes = self.end_bytes;
        self.end_bytes += record.cost() as u64;
        self.entries.push_back(Kept { record, start_bytes });
        while self.entries.len() > limits.max_records || self.bytes() > limits.max_bytes {
            self.trim_oldest();
        }
        self.trim_aged(now, limits);
    }

    /// Trims what is past its age.
    pub(crate) fn trim_aged(&mut self, now: Instant, limits: &LogLimits) {
        while self.expires_at(limits).is_some_and(|at| at <= now) {
            self.trim_oldest();
        }
    }

    /// Trims the oldest record.
    pub(crate) fn trim_oldest(&mut self) {
        let Some(Kept { record, .. }) = self.entries.pop_front() else {
            return;
        };
        if let Some(key) = key_of(&record)
            && self.newest_by_key.get(key) == Some(&self.first)
        {
            self.newest_by_key.remove(key);
        }
        self.first += 1;
        self.trimmed_through = record.sequence();
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
            self.newest_by_key = HashMap::new();
        }
    }

    fn start_bytes(&self, index: usize) -> u64 {
        self.entries
            .get(index)
            .map_or(self.end_bytes, |kept| kept.start_bytes)
    }
}

fn key_of(record: &Record) -> Option<&Arc<str>> {
    record.message().and_then(Message::get_conflation_key)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::name::ChannelName;
    use crate::position::{Epoch, Position};
    use crate::record::RECORD_OVERHEAD_BYTES;

    fn limits(max_records: usize, max_bytes: usize) -> LogLimits {
        LogLimits {
            max_records,
            max_bytes,
            max_age: Duration::from_secs(60),
        }
    }

    fn append(log: &mut Log, sequence: u64, key: Option<&str>, now: Instant, limits: &LogLimits) {
        let mut message = Message::text("e", "");
        if let Some(key) = key {
            message = message.conflation_key(key);
        }
        let position = Position::new(Epoch::random(), sequence, None);
        let channel = ChannelName::parse("c").unwrap();
        log.append(
            Arc::new(Record::new(position, channel, Some(message), now)),
            now,
            limits,
        );
    }

    fn sequences(log: &Log) -> Vec<u64> {
        (log.first()..log.end())
            .map(|ordinal| log.get(ordinal).unwrap().sequence())
            .collect()
    }

    #[test]
    fn each_bound_trims_the_oldest() {
        let now = Instant::now();
        let mut by_count = Log::new(0);
        let mut by_bytes = Log::new(0);
        for sequence in 1..=5 {
            append(&mut by_count, sequence, None, now, &limits(3, usize::MAX));
            append(
                &mut by_bytes,
                sequence,
                None,
                now,
                &limits(99, 2 * (RECORD_OVERHEAD_BYTES + 1)),
            );
        }
        assert_eq!(
            (sequences(&by_count), by_count.trimmed_through()),
            (vec![3, 4, 5], 2)
        );
        assert_eq!(
            (sequences(&by_bytes), by_bytes.trimmed_through()),
            (vec![4, 5], 3)
        );

        let limits = limits(99, usize::MAX);
        let mut by_age = Log::new(0);
        append(&mut by_age, 1, None, now, &limits);
        append(&mut by_age, 2, None, now + Duration::from_secs(1), &limits);
        by_age.trim_aged(now + Duration::from_secs(60), &limits);
        assert_eq!((sequences(&by_age), by_age.trimmed_through()), (vec![2], 1));
        assert_eq!(by_age.bytes(), RECORD_OVERHEAD_BYTES + 1);
    }

    #[test]
    fn a_place_survives_the_trim_of_older_records() {
        let now = Instant::now();
        let limits = limits(3, usize::MAX);
        let mut log = Log::new(0);
        for sequence in [2, 4, 6] {
            append(&mut log, sequence, None, now, &limits);
        }
        assert_eq!(log.locate(3), (1, RECORD_OVERHEAD_BYTES as u64 + 1));
        assert_eq!(log.locate(4).0, 2);
        append(&mut log, 8, None, now, &limits);
        assert_eq!(log.get(2).unwrap().sequence(), 6);
        assert_eq!((log.locate(0).0, log.locate(9).0), (1, 4));
    }

    #[test]
    fn a_key_is_forgotten_with_its_newest_record() {
        let now = Instant::now();
        let limits = limits(2, usize::MAX);
        let mut log = Log::new(0);
        append(&mut log, 1, Some("k"), now, &limits);
        append(&mut log, 2, Some("k"), now, &limits);
        let oldest = Arc::clone(log.get(0).unwrap());
        assert!(log.is_superseded(0, &oldest));
        append(&mut log, 3, None, now, &limits);
        append(&mut log, 4, None, now, &limits);
        assert!(log.newest_by_key.is_empty());
    }
}
