//! What is published to a fleet: as fast as it arrives, at a rate, or while nobody listens.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;

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
        let mut turns = 0..;
        let mut patience = Patience::new();
        self.ledger.take_tally();
        loop {
            let now = Instant::now();
            while now < end && self.ledger.in_flight() < in_flight {
                let channel = turns.next().unwrap_or_default() % load.channels;
                self.publish(channel, load.bytes, now);
            }
            self.publisher.flush()?;
            if self.ledger.in_flight() == 0 {
                break;
            }
            self.turn(Duration::from_millis(100))?;
            patience.mind(self.ledger.tally().deliveries, || self.ledger.missing())?;
        }
        let took = began.elapsed();
        self.await_answers()?;
        Ok(Run {
            took,
            tally: self.ledger.take_tally(),
        })
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
        let mut pace = Pace::new(messages_per_second);
        let mut turns = 0..;
        let mut patience = Patience::new();
        self.ledger.take_tally();
        loop {
            while pace.next() < end
                && let Some(due) = pace.due(Instant::now())
            {
                let channel = turns.next().unwrap_or_default() % load.channels;
                self.publish(channel, load.bytes, due);
            }
            self.publisher.flush()?;
            if pace.next() >= end && self.ledger.in_flight() == 0 {
                break;
            }
            let wait = pace.next().saturating_duration_since(Instant::now());
            let wait = if pace.next() < end {
                wait
            } else {
                Duration::from_millis(100)
            };
            self.turn(wait)?;
            patience.mind(self.ledger.tally().deliveries, || self.ledger.missing())?;
        }
        let took = began.elapsed();
        self.await_answers()?;
        Ok(Run {
            took,
            tally: self.ledger.take_tally(),
        })
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
