//! What was published and who has yet to get it: nothing is reported that was not delivered, once and in order, to everyone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;

/// The numbers of the messages, from one on, and the deliveries that are due.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The number of the first message in `due`.
    first: u64,
    due: VecDeque<Due>,
    in_flight: usize,
    /// The number of each channel's last message, and how many follow it.
    channels: Vec<Channel>,
    tally: Tally,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    channel: usize,
    /// The message before it on its channel.
    previous: u64,
    /// How many have yet to get it.
    followers: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    last: u64,
    followers: u32,
}

/// What was delivered since somebody last asked.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    /// From publishing to each delivery, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        Self {
            messages: 0,
            deliveries: 0,
            latency: durations(),
        }
    }
}

impl Ledger {
    pub(crate) fn new(channels: usize) -> Self {
        Self {
            first: 1,
            due: VecDeque::new(),
            in_flight: 0,
            channels: vec![Channel::default(); channels],
            tally: Tally::new(),
        }
    }

    /// Somebody follows a channel from now on. Answers the message that it is taken to have seen last.
    pub(crate) fn follow(&mut self, channel: usize) -> u64 {
        self.channels[channel].followers += 1;
        self.channels[channel].last
    }

    /// Somebody won't read what comes from now on; its deliveries are counted elsewhere.
    pub(crate) fn leave(&mut self, channel: usize) {
        self.channels[channel].followers -= 1;
    }

    /// Numbers a message that was due to be published at this moment.
    pub(crate) fn publish(&mut self, channel: usize, at: Instant) -> u64 {
        let number = self.first + self.due.len() as u64;
        let Channel { last, followers } = &mut self.channels[channel];
        self.due.push_back(Due {
            at,
            channel,
            previous: *last,
            followers: *followers,
        });
        *last = number;
        self.tally.messages += 1;
        self.in_flight += 1;
        if *followers == 0 {
            self.arrived();
        }
        number
    }

    /// A subscriber of a channel got a message. `last` is the one it got before, `now` the moment, if its latency counts.
    pub(crate) fn deliver(
        &mut self,
        number: u64,
        channel: usize,
        last: &mut u64,
        now: Option<Instant>,
    ) -> Result<()> {
        let due = number
            .checked_sub(self.first)
            .and_then(|at| self.due.get_mut(usize::try_from(at).ok()?));
        let Some(due) = due else {
            bail!("message {number} was delivered twice, or never published; the one before was {last}");
        };
        ensure!(
            due.channel == channel,
            "a subscriber of channel {channel} got message {number} of channel {}",
            due.channel
        );
        ensure!(
            due.previous == *last,
            "a subscriber got message {number} after {last}: in between stands {}",
            due.previous
        );
        *last = number;
        due.followers = due
            .followers
            .checked_sub(1)
            .with_context(|| format!("message {number} came twice"))?;
        if let Some(now) = now {
            record(&mut self.tally.latency, now.saturating_duration_since(due.at));
        }
        self.tally.deliveries += 1;
        if due.followers == 0 {
            self.arrived();
        }
        Ok(())
    }

    /// How many messages somebody has yet to get.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The last message of a channel.
    pub(crate) fn last(&self, channel: usize) -> u64 {
        self.channels[channel].last
    }

    /// Says how many deliveries are missing, and of which message.
    pub(crate) fn missing(&self) -> String {
        let missing: u64 = self.due.iter().map(|due| u64::from(due.followers)).sum();
        let first = self
            .due
            .iter()
            .position(|due| due.followers > 0)
            .unwrap_or_default();
        format!(
            "{missing} deliveries are missing, the first of message {}",
            self.first + first as u64
        )
    }

    /// Answers what was delivered so far, and counts anew.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::replace(&mut self.tally, Tally::new())
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    fn arrived(&mut self) {
        self.in_flight -= 1;
        while self.due.front().is_some_and(|due| due.followers == 0) {
            self.due.pop_front();
            self.first += 1;
        }
    }
}

/// A histogram of durations in nanoseconds, from a microsecond to ten minutes, to three digits.
pub(crate) fn durations() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 600_000_000_000, 3).expect("bounds that hold together")
}

pub(crate) fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_in_flight_until_all_its_followers_have_it() {
        let (mut ledger, now) = (Ledger::new(2), Instant::now());
        let (mut ann, mut bob, mut other) = (ledger.follow(0), ledger.follow(0), ledger.follow(1));
        let first = ledger.publish(0, now);
        let second = ledger.publish(1, now);
        assert_eq!(ledger.in_flight(), 2);
        ledger.deliver(second, 1, &mut other, Some(now)).unwrap();
        ledger.deliver(first, 0, &mut ann, Some(now)).unwrap();
        assert_eq!(ledger.in_flight(), 1);
        assert_eq!(
            ledger.missing(),
            "1 deliveries are missing, the first of message 1"
        );
        ledger.deliver(first, 0, &mut bob, Some(now)).unwrap();
        assert_eq!(ledger.in_flight(), 0);
        assert_eq!(ledger.take_tally().deliveries, 3);
        assert_eq!(ledger.tally().deliveries, 0);
    }

    #[test]
    fn what_is_missing_doubled_or_out_of_order_is_an_error() {
        let (mut ledger, now) = (Ledger::new(1), Instant::now());
        let (mut ann, mut bob) = (ledger.follow(0), ledger.follow(0));
        let [first, second] = [ledger.publish(0, now), ledger.publish(0, now)];
        assert!(
            ledger.deliver(second, 0, &mut ann, Some(now)).is_err(),
            "the first is missing"
        );
        ledger.deliver(first, 0, &mut ann, Some(now)).unwrap();
        assert!(ledger.deliver(first, 0, &mut ann, Some(now)).is_err(), "twice");
        ledger.deliver(first, 0, &mut bob, Some(now)).unwrap();
        assert!(
            ledger.deliver(first, 0, &mut bob, Some(now)).is_err(),
            "twice, and everybody has it"
        );
        assert!(
            ledger.deliver(second + 1, 0, &mut bob, Some(now)).is_err(),
            "never published"
        );
    }

    #[test]
    fn a_message_of_another_channel_is_an_error() {
        let (mut ledger, now) = (Ledger::new(2), Instant::now());
        let [mut ann, mut bob] = [ledger.follow(0), ledger.follow(1)];
        let [first, second] = [ledger.publish(0, now), ledger.publish(1, now)];
        assert!(ledger.deliver(second, 0, &mut ann, Some(now)).is_err());
        assert!(ledger.deliver(first, 1, &mut bob, Some(now)).is_err());
    }

    #[test]
    fn a_message_that_nobody_follows_has_arrived() {
        let mut ledger = Ledger::new(1);
        ledger.publish(0, Instant::now());
        assert_eq!(ledger.in_flight(), 0);
        assert_eq!(ledger.follow(0), 1);
    }
}
