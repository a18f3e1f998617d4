//! What is remembered of channels that left memory: how far each was trimmed.
//!
//! Without it a channel that comes back would take an old cursor for a whole one, and its lost messages would
//! be lost in silence. The table is bounded; what falls out of it raises `forgotten_through`, and from then on no channel
//! that isn't remembered is believed below that.
//!
//! Invariant: for every channel not in memory, [`Tombstones::trimmed_through`] is at or above the sequence of its
//! last trimmed record.

use std::collections::{BTreeMap, HashMap};

use crate::name::ChannelName;

/// How far channels were trimmed that are not in memory.
#[derive(Debug)]
pub(crate) struct Tombstones {
    by_name: HashMap<ChannelName, u64>,
    /// The same by sequence. A record belongs to one channel, so no two share one.
    by_sequence: BTreeMap<u64, ChannelName>,
    forgotten_through: u64,
    capacity: usize,
}

impl Tombstones {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            by_name: HashMap::new(),
            by_sequence: BTreeMap::new(),
            forgotten_through: 0,
            capacity,
        }
    }

    /// A channel leaves memory.
    pub(crate) fn bury(&mut self, name: &ChannelName, trimmed_through: u64) {
        if trimmed_through <= self.forgotten_through {
            return;
        }
        self.by_name.insert(name.clone(), trimmed_through);
        self.by_sequence.insert(trimmed_through, name.clone());
        // The lowest goes first: it raises `forgotten_through`, and with it everybody's doubt, the least.
        while self.by_name.len() > self.capacity
            && let Some((sequence, name)) = self.by_sequence.pop_first()
        {
            self.by_name.remove(&name);
            self.forgotten_through = sequence;
        }
    }

    /// A channel comes into memory: how far it counts as trimmed.
    pub(crate) fn exhume(&mut self, name: &ChannelName) -> u64 {
        match self.by_name.remove(name) {
            Some(trimmed_through) => {
                self.by_sequence.remove(&trimmed_through);
                trimmed_through
            }
            None => self.forgotten_through,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> ChannelName {
        ChannelName::parse(name).unwrap()
    }

    #[test]
    fn what_falls_out_casts_doubt_on_the_unknown_only() {
        let mut tombstones = Tombstones::new(2);
        tombstones.bury(&name("a"), 10);
        tombstones.bury(&name("b"), 30);
        assert_eq!(tombstones.exhume(&name("unknown")), 0);
        tombstones.bury(&name("c"), 20);
        assert_eq!(
            tombstones.exhume(&name("a")),
            10,
            "forgotten, so as far as the table forgot"
        );
        assert_eq!(tombstones.exhume(&name("unknown")), 10);
        assert_eq!(tombstones.exhume(&name("b")), 30);
        assert_eq!(tombstones.exhume(&name("c")), 20);
        assert!(tombstones.by_sequence.is_empty());
    }

    #[test]
    fn a_channel_that_lost_nothing_of_its_own_takes_no_room() {
        let mut tombstones = Tombstones::new(0);
        tombstones.bury(&name("a"), 10);
        tombstones.bury(&name("b"), 10);
        assert!(tombstones.by_name.is_empty());
        assert_eq!(tombstones.exhume(&name("b")), 10);
    }
}
