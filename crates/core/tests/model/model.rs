//! The naive model: everything that was ever published, and what retention should have dropped of it.

use crate::ops::Bounds;
use crate::told::{ToldGap, sequence};

/// A logged message, or the end of its channel. Its sequence number is its index in the model's log and 1.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) sequence: u64,
    pub(crate) channel: usize,
    pub(crate) key: Option<u8>,
    pub(crate) sender: Option<u8>,
    /// None: the channel's end.
    pub(crate) text: Option<String>,
    pub(crate) cost: usize,
    /// In nanoseconds.
    expires_at: u64,
    pub(crate) is_trimmed: bool,
}

#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) channel: usize,
    pub(crate) sender: Option<u8>,
}

/// A channel: forgotten while it is not in memory.
#[derive(Debug, Default, Clone)]
pub(crate) struct Channel {
    pub(crate) is_in_memory: bool,
    pub(crate) is_finished: bool,
    pub(crate) followers: usize,
    /// A cursor below this one can't be proved to be whole.
    pub(crate) trimmed_through: u64,
}

pub(crate) struct Model {
    pub(crate) bounds: Bounds,
    /// In microseconds. No two records have the same.
    pub(crate) now: u64,
    pub(crate) log: Vec<Logged>,
    pub(crate) volatile: Vec<Sent>,
    /// How many volatile messages there were when old ones were last dropped.
    pub(crate) volatile_at_maintain: usize,
    pub(crate) channels: Vec<Channel>,
    /// How far channels that left memory were trimmed.
    tombstones: Vec<(u64, usize)>,
    forgotten_through: u64,
    /// Channel, sender, key; the first one's sequence, and until when it is remembered.
    #[allow(clippy::type_complexity)]
    repeats: Vec<((usize, Option<u8>, u8), u64, u64)>,
}

/// From where a subscription reads.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    Now,
    Cursor(String),
    Last(usize),
    Kept,
}

/// What a subscription should begin with.
pub(crate) struct Opening {
    /// For each channel: everything logged after it is owed.
    pub(crate) owed_after: Vec<u64>,
    /// For each channel: where its reader stands.
    pub(crate) place: Vec<u64>,
    pub(crate) gaps: Vec<ToldGap>,
}

impl Model {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            bounds: bounds.clone(),
            now: 0,
            log: Vec::new(),
            volatile: Vec::new(),
            volatile_at_maintain: 0,
            channels: vec![Channel::default(); bounds.channels],
            tombstones: Vec::new(),
            forgotten_through: 0,
            repeats: Vec::new(),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.log.len() as u64
    }

    pub(crate) fn of(&self, channel: usize) -> impl DoubleEndedIterator<Item = &Logged> {
        self.log.iter().filter(move |logged| logged.channel == channel)
    }

    pub(crate) fn kept(&self, channel: usize) -> impl DoubleEndedIterator<Item = &Logged> {
        self.of(channel).filter(|logged| !logged.is_trimmed)
    }

    pub(crate) fn log_bytes(&self) -> usize {
        let kept = self.log.iter().filter(|logged| !logged.is_trimmed);
        kept.map(|logged| logged.cost).sum()
    }

    /// Whether a trimmed record of the channel lies after one place and up to another.
    pub(crate) fn is_lost(&self, channel: usize, from: u64, to: u64) -> bool {
        self.of(channel)
            .any(|logged| logged.is_trimmed && from < logged.sequence && logged.sequence <= to)
    }

    /// Whether tombstones fell out of the table that might have said more.
    pub(crate) fn is_doubted(&self, from: u64) -> bool {
        self.forgotten_through > from
    }

    pub(crate) fn first_of_repeat(&self, channel: usize, sender: Option<u8>, key: u8) -> Option<u64> {
        let of = (channel, sender, key);
        let now = self.now;
        let mut repeats = self.repeats.iter().rev();
        repeats
            .find(|repeat| repeat.0 == of && now < repeat.2)
            .map(|repeat| repeat.1)
    }

    pub(crate) fn remember_repeat(&mut self, channel: usize, sender: Option<u8>, key: u8) {
        let until = self.now + self.bounds.idempotency_window;
        self.repeats.push(((channel, sender, key), self.head(), until));
    }

    /// Logs a message, or the end of a channel. False: the channel is finished.
    pub(crate) fn append(
        &mut self,
        channel: usize,
        text: Option<String>,
        (key, sender): (Option<u8>, Option<u8>),
        cost: usize,
    ) -> bool {
        self.come(channel);
        if self.channels[channel].is_finished {
            return false;
        }
        self.channels[channel].is_finished = text.is_none();
        self.log.push(Logged {
            sequence: self.head() + 1,
            channel,
            key,
            sender,
            text,
            cost,
            expires_at: self.now * 1_000 + self.max_age(channel),
            is_trimmed: false,
        });
        while self.kept(channel).count() > self.max_records(channel)
            || self.kept(channel).map(|logged| logged.cost).sum::<usize>() > self.bounds.log_bytes
        {
            let oldest = self.kept(channel).next().unwrap().sequence;
            self.trim(oldest);
        }
        self.trim_aged(|logged| logged.channel == channel);
        while self.log_bytes() > self.bounds.hub_bytes {
            let kept = self.log.iter().filter(|logged| !logged.is_trimmed);
            let next = kept.min_by_key(|logged| logged.expires_at).unwrap().sequence;
            self.trim(next);
        }
        self.settle();
        true
    }

    pub(crate) fn maintain(&mut self) {
        self.trim_aged(|_| true);
        self.volatile_at_maintain = self.volatile.len();
        self.settle();
    }

    pub(crate) fn follow(&mut self, channel: usize) {
        self.come(channel);
        self.channels[channel].followers += 1;
    }

    pub(crate) fn unfollow(&mut self, channel: usize) {
        self.channels[channel].followers -= 1;
        self.settle();
    }

    /// What a subscription that is opened now should be told. Its channels are in memory.
    pub(crate) fn opening(&self, channels: &[usize], start: &Start, epoch: &str) -> Opening {
        let head = self.head();
        let all = |sequence: u64| vec![sequence; self.channels.len()];
        let trimmed: Vec<u64> = self
            .channels
            .iter()
            .map(|channel| channel.trimmed_through)
            .collect();
        let gap = |channel: usize, from: Option<&str>, to: u64, reason: &str| ToldGap {
            channel: name(channel),
            from: from.map(str::to_owned),
            to: Some(format!("{epoch}-{to}")),
            reason: reason.to_owned(),
        };
        let gaps = |from: Option<&str>, to: &[u64], reason: &str| {
            let gaps = channels.iter();
            gaps.map(|&channel| gap(channel, from, to[channel], reason))
                .collect()
        };
        match start {
            Start::Now if channels.iter().all(|&channel| self.channels[channel].is_finished) => {
                whole(trimmed)
            }
            Start::Now => whole(all(head)),
            Start::Kept => whole(trimmed),
            Start::Last(count) => {
                let messages = self.log.iter().rev().filter(|logged| {
                    !logged.is_trimmed && logged.text.is_some() && channels.contains(&logged.channel)
                });
                let oldest = messages.take(*count).last();
                let cursor = oldest.map_or(head, |oldest| oldest.sequence - 1);
                whole(trimmed.into_iter().map(|through| through.max(cursor)).collect())
            }
            Start::Cursor(text) => match (text.split_once('-'), sequence(text, epoch)) {
                (_, Some(cursor)) if cursor <= head => {
                    let place = trimmed.iter().map(|&through| through.max(cursor)).collect();
                    let lost = channels.iter().filter(|&&channel| trimmed[channel] > cursor);
                    let gaps = lost.map(|&channel| gap(channel, Some(text), trimmed[channel], "trimmed"));
                    Opening {
                        owed_after: all(cursor),
                        place,
                        gaps: gaps.collect(),
                    }
                }
                (_, Some(_)) => Opening {
                    gaps: gaps(Some(text), &all(head), "epoch"),
                    ..whole(all(head))
                },
                (Some(("0000000000", "0")), None) | (None, _) => Opening {
                    gaps: gaps(None, &all(head), "unreadable"),
                    ..whole(all(head))
                },
                (Some(_), None) => Opening {
                    gaps: gaps(Some(text), &trimmed, "epoch"),
                    ..whole(trimmed)
                },
            },
        }
    }

    fn come(&mut self, channel: usize) {
        if !self.channels[channel].is_in_memory {
            let remembered = self.tombstones.iter().find(|(_, of)| *of == channel);
            let trimmed_through = remembered.map_or(self.forgotten_through, |(through, _)| *through);
            self.tombstones.retain(|(_, of)| *of != channel);
            self.channels[channel] = Channel {
                is_in_memory: true,
                trimmed_through,
                ..Channel::default()
            };
        }
    }

    /// What is neither followed nor holds anything leaves memory.
    fn settle(&mut self) {
        for channel in 0..self.channels.len() {
            let is_quiet = self.channels[channel].followers == 0 && self.kept(channel).next().is_none();
            if !self.channels[channel].is_in_memory || !is_quiet {
                continue;
            }
            let left = std::mem::take(&mut self.channels[channel]);
            if left.trimmed_through > self.forgotten_through {
                self.tombstones.push((left.trimmed_through, channel));
            }
        }
        self.tombstones.sort_unstable();
        while self.tombstones.len() > self.bounds.max_tombstones {
            self.forgotten_through = self.tombstones.remove(0).0;
        }
    }

    fn trim_aged(&mut self, which: impl Fn(&Logged) -> bool) {
        let now = self.now * 1_000;
        let aged = |logged: &&Logged| !logged.is_trimmed && logged.expires_at <= now && which(logged);
        let aged: Vec<u64> = self
            .log
            .iter()
            .filter(aged)
            .map(|logged| logged.sequence)
            .collect();
        for sequence in aged {
            self.trim(sequence);
        }
    }

    fn trim(&mut self, sequence: u64) {
        let logged = &mut self.log[sequence as usize - 1];
        logged.is_trimmed = true;
        self.channels[logged.channel].trimmed_through = sequence;
    }

    fn max_records(&self, channel: usize) -> usize {
        if channel + 1 == self.bounds.channels {
            self.bounds.last_max_records
        } else {
            self.bounds.max_records
        }
    }

    /// In nanoseconds. The last channel's is its own, and never meets another's.
    pub(crate) fn max_age(&self, channel: usize) -> u64 {
        let max_age = self.bounds.max_age * 1_000;
        if channel + 1 == self.bounds.channels {
            max_age / 2 + 500 - max_age / 2 % 1_000
        } else {
            max_age
        }
    }
}

/// Nothing to be told, and owed from where the reader stands.
fn whole(place: Vec<u64>) -> Opening {
    Opening {
        owed_after: place.clone(),
        place,
        gaps: Vec::new(),
    }
}

pub(crate) fn name(channel: usize) -> String {
    format!("channel-{channel}")
}

pub(crate) fn index_of(name: &str) -> usize {
    name.strip_prefix("channel-").unwrap().parse().unwrap()
}
