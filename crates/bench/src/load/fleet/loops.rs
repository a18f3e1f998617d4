//! What is published to a fleet: as fast as it arrives, at a rate, or while nobody listens.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Fleet;
use crate::load::ledger::Tally;
use crate::load::marker;
use crate::load::patience::Patience;
use crate::load::publisher::Pace;

/// What is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// The size of a payload.
    pub(crate) bytes: usize,
    /// Over how many channels the messages spread, from the first on.
    pub(crate) channels: usize,
}

impl Load {
    /// Of this size, on one channel.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { bytes, channels: 1 }
    }
}

/// A run, in which nothing was lost.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) took: Duration,
    pub(crate) tally: Tally,
}

impl Fleet {
    /// Publishes as fast as messages arrive: so many are in flight, over the first so many channels in turn.
    pub(crate) fn closed_loop(&mut self, load: Load, in_flight: usize, duration: Duration) -> Result<Run> {
        let began = Instant::now();
        let end = began + duration;
        let mut turns = (0..load.channels).cycle();
        let mut patience = Patience::new();
        self.ledger.take_tally();
        loop {
            let now = Instant::now();
            while now < end && self.ledger.in_flight() < in_flight {
                self.publish(turns.next().unwrap_or_default(), load.bytes, now);
            }
            self.publisher.flush()?;
            if self.ledger.in_flight() == 0 {
                return self.end(began);
            }
            self.turn(Duration::from_millis(100))?;
            patience.mind(self.ledger.tally().deliveries, || self.ledger.missing())?;
        }
    }

    /// Publishes at a fixed rate, whatever becomes of it, until so long after the start; then waits for what is under way.
    pub(crate) fn open_loop(
        &mut self,
        load: Load,
        messages_per_second: f64,
        duration: Duration,
    ) -> Result<Run> {
        let began = Instant::now();
        let end = began + duration;
        let mut pace = Pace::new(began, messages_per_second);
        let mut turns = (0..load.channels).cycle();
        let mut patience = Patience::new();
        self.ledger.take_tally();
        loop {
            while pace.next() < end
                && let Some(due) = pace.due(Instant::now())
            {
                self.publish(turns.next().unwrap_or_default(), load.bytes, due);
            }
            self.publisher.flush()?;
            let is_over = pace.next() >= end;
            if is_over && self.ledger.in_flight() == 0 {
                return self.end(began);
            }
            let wait = pace.next().saturating_duration_since(Instant::now());
            self.turn(if is_over { Duration::from_millis(100) } else { wait })?;
            if self.ledger.in_flight() > 0 {
                patience.mind(self.ledger.tally().deliveries, || self.ledger.missing())?;
            } else {
                patience = Patience::new();
            }
        }
    }

    /// Publishes so many messages at once, and waits until everybody has all of them.
    pub(crate) fn burst(&mut self, load: Load, messages: usize) -> Result<Run> {
        let began = Instant::now();
        let mut patience = Patience::new();
        self.ledger.take_tally();
        for channel in (0..load.channels).cycle().take(messages) {
            self.publish(channel, load.bytes, began);
        }
        while self.ledger.in_flight() > 0 {
            self.publisher.flush()?;
            self.turn(Duration::from_millis(100))?;
            patience.mind(self.ledger.tally().deliveries, || self.ledger.missing())?;
        }
        self.end(began)
    }

    fn end(&mut self, began: Instant) -> Result<Run> {
        let took = began.elapsed();
        self.await_answers()?;
        let tally = self.ledger.take_tally();
        ensure!(tally.deliveries > 0, "nothing was delivered in this time");
        Ok(Run { took, tally })
    }

    /// Publishes one message to the first channel, and waits until everybody has it.
    pub(crate) fn publish_once(&mut self, bytes: usize) -> Result<()> {
        self.publish(0, bytes, Instant::now());
        let mut patience = Patience::new();
        while self.ledger.in_flight() > 0 {
            self.publisher.flush()?;
            self.turn(Duration::from_millis(100))?;
            patience.mind(self.ledger.tally().deliveries, || self.ledger.missing())?;
        }
        self.await_answers()
    }

    /// Has somebody else publish one message to the first channel, by its payload, and waits until everybody has it.
    pub(crate) fn await_from_elsewhere<T>(
        &mut self,
        bytes: usize,
        publish: impl FnOnce(String) -> T,
    ) -> Result<T> {
        let number = self.ledger.publish(0, Instant::now());
        let published = publish(marker::payload(number, bytes));
        let mut patience = Patience::new();
        while self.ledger.in_flight() > 0 {
            self.turn(Duration::from_millis(100))?;
            patience.mind(self.ledger.tally().deliveries, || self.ledger.missing())?;
        }
        Ok(published)
    }

    /// Answers what was delivered so far, and counts anew.
    pub(crate) fn take_tally(&mut self) -> Tally {
        self.ledger.take_tally()
    }

    /// Publishes so many messages to the first channel while its followers are away.
    pub(crate) fn publish_to_nobody(&mut self, messages: u64, bytes: usize) -> Result<()> {
        for _ in 0..messages {
            self.publish(0, bytes, Instant::now());
        }
        self.await_answers()
    }

    /// Publishes one message to each of these channels, and waits until the server has taken all of them.
    pub(crate) fn publish_to_each(&mut self, channels: Range<usize>, bytes: usize) -> Result<()> {
        const UNDER_WAY: usize = 256;
        let mut patience = Patience::new();
        for channel in channels {
            self.publish(channel, bytes, Instant::now());
            while self.publisher.unanswered() >= UNDER_WAY {
                self.publisher.flush()?;
                self.turn(Duration::from_millis(100))?;
                patience.mind(channel as u64, || {
                    format!("channel {channel} is not published to")
                })?;
            }
        }
        self.await_answers()
    }

    fn publish(&mut self, channel: usize, bytes: usize, at: Instant) {
        let number = self.ledger.publish(channel, at);
        self.publisher.publish(channel, &marker::payload(number, bytes));
    }

    fn await_answers(&mut self) -> Result<()> {
        let mut patience = Patience::new();
        while self.publisher.unanswered() > 0 {
            self.publisher.flush()?;
            self.turn(Duration::from_millis(100))?;
            let unanswered = self.publisher.unanswered();
            patience.mind(unanswered as u64, || {
                format!("{unanswered} messages are not answered")
            })?;
        }
        Ok(())
    }
}
