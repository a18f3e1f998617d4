//! The volatile messages of one channel: a small shared ring, from which the oldest fall out unread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::clock::later;
use crate::config::Limits;
use crate::record::Volatile;

/// What was sent lately without being logged.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    messages: VecDeque<Arc<Volatile>>,
    /// The ordinal of the oldest message in it.
    first: u64,
    bytes: usize,
}

impl Ring {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The ordinal that the next message will have.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    pub(crate) fn push(&mut self, message: Arc<Volatile>, limits: &Limits) {
        self.bytes += message.cost();
        self.messages.push_back(message);
        while self.messages.len() > limits.max_volatile_messages || self.bytes > limits.max_volatile_bytes {
            self.drop_oldest();
        }
    }

    /// What a reader that stands before `next` gets, and how many it missed.
    pub(crate) fn after(&self, next: u64) -> (u64, impl Iterator<Item = &Arc<Volatile>>) {
        let dropped = self.first.saturating_sub(next);
        let from = next.saturating_sub(self.first) as usize;
        (dropped, self.messages.iter().skip(from))
    }

    pub(crate) fn drop_aged(&mut self, now: Instant, limits: &Limits) {
        while self
            .messages
            .front()
            .is_some_and(|oldest| later(oldest.sent_at(), limits.max_volatile_age) <= now)
        {
            self.drop_oldest();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.first = self.end();
        self.messages = VecDeque::new();
        self.bytes = 0;
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.bytes -= oldest.cost();
            self.first += 1;
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
