//! The volatile messages of one channel: a small shared ring, from which the oldest fall out unread. Of those with one conflation key only
//! the newest waits: who reads at once sees each of them, and who doesn't sees the last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::clock::later;
use crate::config::Limits;
use crate::record::Volatile;

/// What was sent lately without being logged.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// Each with its ordinal, the oldest first.
    messages: VecDeque<(u64, Arc<Volatile>)>,
    /// The ordinal that the next message will have.
    end: u64,
    /// Up to which ordinal the oldest have fallen out.
    dropped_through: u64,
    bytes: usize,
}

impl Ring {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The ordinal that the next message will have.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn push(&mut self, message: Arc<Volatile>, limits: &Limits) {
        if let Some(key) = message.message().get_conflation_key() {
            self.supersede(key);
        }
        self.bytes += message.cost();
        self.messages.push_back((self.end, message));
        self.end += 1;
        while self.messages.len() > limits.max_volatile_messages || self.bytes > limits.max_volatile_bytes {
            self.drop_oldest();
        }
    }

    /// What a reader that stands before `next` gets, each with its ordinal, and how many it missed up to the last that fell out. One of
    /// which a newer stands here is not missed.
    pub(crate) fn after(&self, next: u64) -> (u64, impl Iterator<Item = &(u64, Arc<Volatile>)>) {
        let dropped = self.dropped_through.saturating_sub(next);
        let from = self.messages.partition_point(|(ordinal, _)| *ordinal < next);
        (dropped, self.messages.range(from..))
    }

    pub(crate) fn drop_aged(&mut self, now: Instant, limits: &Limits) {
        while self
            .messages
            .front()
            .is_some_and(|(_, oldest)| later(oldest.sent_at(), limits.max_volatile_age) <= now)
        {
            self.drop_oldest();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.dropped_through = self.end;
        self.messages = VecDeque::new();
        self.bytes = 0;
    }

    /// A newer message of a key comes: there is at most one before it.
    fn supersede(&mut self, key: &Arc<str>) {
        let mut messages = self.messages.iter();
        let is_older =
            |(_, message): &(u64, Arc<Volatile>)| message.message().get_conflation_key() == Some(key);
        if let Some((_, older)) = messages
            .position(is_older)
            .and_then(|place| self.messages.remove(place))
        {
            self.bytes -= older.cost();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((ordinal, oldest)) = self.messages.pop_front() {
            self.bytes -= oldest.cost();
            self.dropped_through = ordinal + 1;
        }
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::Message;
    use crate::name::ChannelName;
    use crate::record::RECORD_OVERHEAD_BYTES;

    fn push(ring: &mut Ring, text: &str, now: Instant, limits: &Limits) {
        let channel = ChannelName::parse("c").unwrap();
        ring.push(
            Arc::new(Volatile::new(channel, Message::text("e", text), now)),
            limits,
        );
    }

    #[test]
    fn a_reader_that_lags_is_told_how_many_it_missed() {
        let limits = Limits {
            max_volatile_messages: 2,
            ..Limits::default()
        };
        let mut ring = Ring::default();
        let now = Instant::now();
        for text in ["1", "2", "3"] {
            push(&mut ring, text, now, &limits);
        }
        let (dropped, left) = ring.after(0);
        assert_eq!((dropped, left.count()), (1, 2));
        assert_eq!(ring.after(3).1.count(), 0);
    }

    #[test]
    fn of_one_key_only_the_newest_waits_and_nobody_reads_it_twice() {
        let limits = Limits {
            max_volatile_messages: 3,
            ..Limits::default()
        };
        let (mut ring, now) = (Ring::default(), Instant::now());
        let push = |ring: &mut Ring, text: &str, key: &str| {
            let message = Message::text("e", text).conflation_key(key);
            let channel = ChannelName::parse("c").unwrap();
            ring.push(Arc::new(Volatile::new(channel, message, now)), &limits);
        };
        let texts = |ring: &Ring, next: u64| {
            let (dropped, left) = ring.after(next);
            let left =
                left.map(|(ordinal, volatile)| format!("{ordinal}:{:?}", volatile.message().payload()));
            (dropped, left.collect::<Vec<_>>())
        };
        for text in ["a1", "b1", "a2", "a3"] {
            push(&mut ring, text, &text[..1]);
        }
        assert_eq!(
            texts(&ring, 0),
            (0, vec!["1:Text(\"b1\")".into(), "3:Text(\"a3\")".into()])
        );
        assert_eq!(
            texts(&ring, 2),
            (0, vec!["3:Text(\"a3\")".into()]),
            "who has read b"
        );
        assert_eq!(texts(&ring, 4).1, [""; 0]);
        for text in ["c1", "d1"] {
            push(&mut ring, text, &text[..1]);
        }
        assert_eq!(texts(&ring, 2).0, 0, "what fell out was before that");
        assert_eq!(texts(&ring, 0).0, 2);
        assert_eq!(ring.messages.len(), 3);
        let cost: usize = ring.messages.iter().map(|(_, message)| message.cost()).sum();
        assert_eq!(ring.bytes, cost);
    }

    #[test]
    fn bytes_and_age_bound_it_too() {
        let now = Instant::now();
        let limits = Limits {
            max_volatile_bytes: 2 * (RECORD_OVERHEAD_BYTES + 2),
            ..Limits::default()
        };
        let mut ring = Ring::default();
        for text in ["1", "2", "3"] {
            push(&mut ring, text, now, &limits);
        }
        assert_eq!(ring.messages.len(), 2);
        ring.drop_aged(now + Duration::from_secs(2), &limits);
        assert!(ring.is_empty());
        assert_eq!((ring.end(), ring.bytes), (3, 0));
    }
}
