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
    /// The number of the life that all of this is said of.
    life: u64,
    by_name: HashMap<ChannelName, u64>,
    /// The same by sequence. A record belongs to one channel, so no two share one.
    by_sequence: BTreeMap<u64, ChannelName>,
    forgotten_through: u64,
    capacity: usize,
}

impl Tombstones {
    pub(crate) fn new(capacity: usize, life: u64) -> Self {
        Self {
            life,
            by_name: HashMap::new(),
            by_sequence: BTreeMap::new(),
            forgotten_through: 0,
            capacity,
        }
    }

    /// A channel leaves memory, or had no room in it. What is said of another life is not heard.
    pub(crate) fn bury(&mut self, life: u64, name: &ChannelName, trimmed_through: u64) {
        if life != self.life || trimmed_through <= self.forgotten_through {
            return;
        }
        if let Some(before) = self.by_name.insert(name.clone(), trimmed_through) {
            self.by_sequence.remove(&before);
        }
        self.by_sequence.insert(trimmed_through, name.clone());
        // The lowest goes first: it raises `forgotten_through`, and with it everybody's doubt, the least.
        while self.by_name.len() > self.capacity
            && let Some((sequence, name)) = self.by_sequence.pop_first()
        {
            self.by_name.remove(&name);
            self.forgotten_through = sequence;
        }
    }

    /// A channel comes into memory: in which life, and how far it counts as trimmed.
    pub(crate) fn exhume(&mut self, name: &ChannelName) -> (u64, u64) {
        let trimmed_through = match self.by_name.remove(name) {
            Some(trimmed_through) => {
                self.by_sequence.remove(&trimmed_through);
                trimmed_through
            }
            None => self.forgotten_through,
        };
        (self.life, trimmed_through)
    }

    /// Nothing is known of any channel up to a sequence, which no record lies behind yet.
    pub(crate) fn doubt_through(&mut self, sequence: u64) {
        self.by_name = HashMap::new();
        self.by_sequence = BTreeMap::new();
        self.forgotten_through = sequence;
    }

    /// Another life begins: nothing is known of it up to a sequence.
    pub(crate) fn begin_anew(&mut self, life: u64, forgotten_through: u64) {
        self.life = life;
        self.doubt_through(forgotten_through);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> ChannelName {
        ChannelName::parse(name).unwrap()
    }

    fn trimmed(tombstones: &mut Tombstones, channel: &str) -> u64 {
        tombstones.exhume(&name(channel)).1
    }

    #[test]
    fn what_falls_out_casts_doubt_on_the_unknown_only() {
        let mut tombstones = Tombstones::new(2, 1);
        tombstones.bury(1, &name("a"), 10);
        tombstones.bury(1, &name("b"), 30);
        assert_eq!(trimmed(&mut tombstones, "unknown"), 0);
        tombstones.bury(1, &name("c"), 20);
        assert_eq!(
            trimmed(&mut tombstones, "a"),
            10,
            "forgotten, so as far as the table forgot"
        );
        assert_eq!(trimmed(&mut tombstones, "unknown"), 10);
        assert_eq!(trimmed(&mut tombstones, "b"), 30);
        assert_eq!(trimmed(&mut tombstones, "c"), 20);
        assert!(tombstones.by_sequence.is_empty());
    }

    #[test]
    fn a_channel_that_lost_nothing_of_its_own_takes_no_room() {
        let mut tombstones = Tombstones::new(0, 1);
        tombstones.bury(1, &name("a"), 10);
        tombstones.bury(1, &name("b"), 10);
        assert!(tombstones.by_name.is_empty());
        assert_eq!(trimmed(&mut tombstones, "b"), 10);
    }

    #[test]
    fn a_new_life_knows_nothing_of_the_one_before() {
        let mut tombstones = Tombstones::new(2, 1);
        tombstones.bury(1, &name("a"), 10);
        tombstones.begin_anew(2, 3);
        tombstones.bury(1, &name("b"), 20);
        for channel in ["a", "b"] {
            assert_eq!(tombstones.exhume(&name(channel)), (2, 3));
        }
    }

    #[test]
    fn a_channel_that_is_buried_twice_stands_under_the_later_sequence() {
        let mut tombstones = Tombstones::new(1, 1);
        tombstones.bury(1, &name("a"), 10);
        tombstones.bury(1, &name("a"), 20);
        tombstones.bury(1, &name("b"), 15);
        assert_eq!(trimmed(&mut tombstones, "a"), 20);
    }
}
