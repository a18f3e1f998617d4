//! The naive truth: all that was ever stored, in each history, and what the node still keeps of it.

use std::collections::VecDeque;

use dualcast_core::Position;

use crate::ops::What;

/// What stands at one number of a history.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) what: What,
    /// Never twice in any history.
    pub(crate) text: String,
    /// Whether a node gave it up: then it may come from the broker later, or not.
    pub(crate) is_torn: bool,
}

/// A stream from its first record on. One that was put back goes on as another history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    pub(crate) epoch: String,
    pub(crate) facts: Vec<Fact>,
    /// Nothing up to here may follow a cursor of another epoch.
    pub(crate) fresh_after: u64,
    /// Up to here the broker forgot.
    pub(crate) trimmed_through: u64,
}

#[derive(Default)]
pub(crate) struct Truth {
    /// The last is the one that there is.
    pub(crate) histories: Vec<Past>,
    /// What the node keeps of each channel.
    kept: Vec<VecDeque<u64>>,
    /// Up to where the node does not have it, for each channel.
    pub(crate) lacks_through: Vec<u64>,
    pub(crate) head: u64,
    texts: usize,
}

impl Truth {
    pub(crate) fn now(&self) -> &Past {
        &self.histories[self.index()]
    }

    pub(crate) fn index(&self) -> usize {
        self.histories.len() - 1
    }

    pub(crate) fn last(&self) -> u64 {
        self.now().facts.len() as u64
    }

    pub(crate) fn store(&mut self, what: What) -> String {
        self.texts += 1;
        let text = format!("t{}", self.texts);
        let history = self.histories.last_mut().unwrap();
        history.facts.push(Fact {
            what,
            text: text.clone(),
            is_torn: false,
        });
        text
    }

    pub(crate) fn mirror(&mut self, count: usize, max_records: usize) {
        for _ in 0..count.min((self.last() - self.head) as usize) {
            self.head += 1;
            let channel = self.now().facts[self.head as usize - 1].what.channel;
            let Some(channel) = channel else { continue };
            self.kept[channel].push_back(self.head);
            if self.kept[channel].len() > max_records {
                self.lacks_through[channel] = self.kept[channel].pop_front().unwrap();
            }
        }
    }

    pub(crate) fn tear(&mut self, count: u64) {
        for _ in 0..count {
            let history = self.histories.last_mut().unwrap();
            history.facts[self.head as usize].is_torn = true;
            self.head += 1;
        }
    }

    pub(crate) fn age_out(&mut self) {
        for (kept, lacks_through) in self.kept.iter_mut().zip(&mut self.lacks_through) {
            *lacks_through = kept.back().copied().unwrap_or(*lacks_through);
            kept.clear();
        }
    }

    /// What the node has of a channel begins behind this.
    pub(crate) fn kept_after(&self, channel: usize) -> u64 {
        self.kept[channel].front().map_or(self.head, |first| first - 1)
    }

    /// The node has nothing up to a number.
    pub(crate) fn begin(&mut self, channels: usize, head: u64) {
        self.head = head;
        self.kept = vec![VecDeque::new(); channels];
        self.lacks_through = vec![head; channels];
    }

    /// Another history, which has the first so many in common with the one before.
    pub(crate) fn put_back(&mut self, last: u64, epoch: String, fresh_after: u64) {
        let mut history = self.histories.last().cloned().unwrap_or_default();
        history.facts.truncate(last as usize);
        history.epoch = epoch;
        history.fresh_after = fresh_after;
        history.trimmed_through = history.trimmed_through.min(last);
        self.histories.push(history);
    }

    /// Whether a position of one history is one of that which there is. None where it can't be told.
    pub(crate) fn holds(&self, position: Position, history: usize) -> Option<bool> {
        let (now, index) = (self.now(), position.sequence() as usize);
        if position.epoch().to_string() != now.epoch {
            return Some(false);
        }
        let text = |past: &Past| {
            past.facts
                .get(index.checked_sub(1)?)
                .map(|fact| fact.text.clone())
        };
        let is_same = index <= now.facts.len() && (index == 0 || text(now) == text(&self.histories[history]));
        (is_same || position.check().is_some()).then_some(is_same)
    }
}

impl Past {
    /// The facts of a channel after one number and up to another, with their numbers.
    pub(crate) fn of(&self, channel: usize, after: u64, through: u64) -> impl Iterator<Item = (u64, &Fact)> {
        let numbered = (1..).zip(&self.facts);
        numbered.filter(move |(number, fact)| {
            fact.what.channel == Some(channel) && *number > after && *number <= through
        })
    }
}
