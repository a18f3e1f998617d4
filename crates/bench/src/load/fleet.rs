//! The load generator: a publisher and many subscribers in one thread, over non-blocking sockets.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use crate::load::handshake;
use crate::load::ledger::{Ledger, Tally, durations, record};
use crate::load::marker;
use crate::load::publisher::{Pace, Publisher};
use crate::load::subscriber::{Asked, Clamp, Subscriber, Turn};
use crate::target::{Target, Transport};

/// For how long nothing may happen that has to happen. Then the run is given up, and not reported.
const PATIENCE: Duration = Duration::from_secs(15);
const BUFFER_BYTES: usize = 256 << 10;
const PUBLISHER: Token = Token(usize::MAX);

/// Clients of one server, over one transport.
pub(crate) struct Fleet {
    target: Target,
    transport: Transport,
    clamp: Option<Clamp>,
    poll: Poll,
    subscribers: Vec<Subscriber>,
    publisher: Publisher,
    ledger: Ledger,
    buffer: Vec<u8>,
    events: Events,
    arrivals: Arrivals,
}

/// What a connection takes, from the first packet on.
#[derive(Debug)]
struct Arrivals {
    opened: usize,
    opening: Histogram<u64>,
    /// How many messages make a newcomer whole.
    wanted: u64,
    whole: usize,
    until_whole: Histogram<u64>,
}

impl Arrivals {
    fn of(wanted: u64) -> Self {
        Self {
            opened: 0,
            opening: durations(),
            wanted,
            whole: 0,
            until_whole: durations(),
        }
    }
}

/// A crowd that connects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) connections: usize,
    /// How many connect at a time.
    pub(crate) at_once: usize,
    /// Over how many channels they spread, from the first on.
    pub(crate) channels: usize,
}

impl Crowd {
    /// All on one channel, 200 at a time.
    pub(crate) fn of(connections: usize) -> Self {
        Self {
            connections,
            at_once: 200,
            channels: 1,
        }
    }
}

/// How a crowd connected.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) took: Duration,
    /// From connecting to the head of the answer, in nanoseconds.
    pub(crate) opening: Histogram<u64>,
    /// From connecting to the last message that was missed, in nanoseconds.
    pub(crate) until_whole: Histogram<u64>,
}

/// A run, in which nothing was lost.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) took: Duration,
    pub(crate) tally: Tally,
}

impl Fleet {
    /// Clients that know of so many channels.
    pub(crate) fn new(target: &Target, transport: Transport, channels: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let publisher = Publisher::connect(target, poll.registry(), PUBLISHER)?;
        Ok(Self {
            target: target.clone(),
            transport,
            clamp: None,
            poll,
            subscribers: Vec::new(),
            publisher,
            ledger: Ledger::new(channels),
            buffer: vec![0; BUFFER_BYTES],
            events: Events::with_capacity(1_024),
            arrivals: Arrivals::of(0),
        })
    }

    /// Connects clients whose kernel buffers are small.
    pub(crate) fn clamped(mut self) -> Self {
        self.clamp = Some(Clamp::NETWORK);
        self
    }

    /// Connects a crowd that follows its channels from now on.
    pub(crate) fn connect(&mut self, crowd: Crowd) -> Result<Connected> {
        let last = |ledger: &mut Ledger, channel| ledger.follow(channel);
        self.arrive(crowd, None, 0, last)
    }

    /// Everybody is cut off: the sockets are closed, and the server is told by resets.
    pub(crate) fn cut_all(&mut self) {
        self.subscribers.drain(..).for_each(Subscriber::cut);
    }

    /// Brings back a crowd that followed the first channel, with the cursor it had, and waits until each has what it missed.
    pub(crate) fn resume(&mut self, crowd: Crowd, cursor: &str, seen: u64, missed: u64) -> Result<Connected> {
        self.arrive(crowd, Some(cursor), missed, |_, _| seen)
    }

    fn arrive(
        &mut self,
        crowd: Crowd,
        cursor: Option<&str>,
        wanted: u64,
        last: impl Fn(&mut Ledger, usize) -> u64,
    ) -> Result<Connected> {
        let began = Instant::now();
        let all = self.subscribers.len() + crowd.connections;
        self.arrivals = Arrivals::of(wanted);
        self.subscribers.reserve(crowd.connections);
        let mut patience = Patience::new();
        while self.arrivals.opened < crowd.connections
            || (wanted > 0 && self.arrivals.whole < crowd.connections)
        {
            while self.subscribers.len() < all {
                let connecting = self.subscribers.len() + crowd.connections - all - self.arrivals.opened;
                if connecting >= crowd.at_once {
                    break;
                }
                let channel = self.subscribers.len() % crowd.channels;
                let asked = Asked {
                    request: handshake::request(&self.target, self.transport, channel, cursor)?,
                    hello: self.target.ws_hello(channel),
                    transport: self.transport,
                    channel,
                    last: last(&mut self.ledger, channel),
                };
                let token = Token(self.subscribers.len());
                let registry = self.poll.registry();
                let subscriber =
                    Subscriber::connect(self.target.address(), self.clamp, registry, token, asked)?;
                let is_first = self.subscribers.is_empty();
                self.subscribers.push(if is_first {
                    subscriber.with_tail()
                } else {
                    subscriber
                });
            }
            self.turn(Duration::from_millis(100))?;
            let (opened, whole) = (self.arrivals.opened, self.arrivals.whole);
            patience.mind((opened + whole) as u64, || {
                format!(
                    "{opened} of {} are connected, {whole} have what they missed",
                    crowd.connections
                )
            })?;
        }
        let arrivals = std::mem::replace(&mut self.arrivals, Arrivals::of(0));
        Ok(Connected {
            took: began.elapsed(),
            opening: arrivals.opening,
            until_whole: arrivals.until_whole,
        })
    }

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
    pub(crate) fn publish_to_each(&mut self, channels: std::ops::Range<usize>, bytes: usize) -> Result<()> {
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

    /// The latency of the last of them counts no more.
    pub(crate) fn overlook(&mut self, connections: usize) {
        let from = self.subscribers.len() - connections;
        for subscriber in &mut self.subscribers[from..] {
            subscriber.is_watched = false;
        }
    }

    /// The last of them read no more from here on.
    pub(crate) fn stall(&mut self, connections: usize) {
        let from = self.subscribers.len() - connections;
        for subscriber in &mut self.subscribers[from..] {
            subscriber.stall(&mut self.ledger);
        }
    }

    /// Those that stalled read again, until nothing more comes or each has so many messages. Answers how many have all of
    /// them, and how many the server had cut off.
    pub(crate) fn go_on(&mut self, messages: u64) -> Result<(usize, usize)> {
        for subscriber in self.subscribers.iter_mut().filter(|it| !it.is_in_ledger()) {
            drop(subscriber.go_on(&mut self.buffer, &mut self.ledger));
        }
        let mut quiet = Instant::now();
        let mut before = 0;
        loop {
            let stalled = || self.subscribers.iter().filter(|it| !it.is_in_ledger());
            let received = stalled().map(|it| it.received).sum();
            let whole = stalled().filter(|it| it.received == messages).count();
            let cut = stalled().filter(|it| it.ending().is_some()).count();
            if received != before {
                (before, quiet) = (received, Instant::now());
            }
            if whole + cut == stalled().count() || quiet.elapsed() > Duration::from_secs(3) {
                return Ok((whole, cut));
            }
            self.turn(Duration::from_millis(100))?;
        }
    }

    /// The id that came last to the first subscriber: what it would resume with.
    pub(crate) fn cursor(&self) -> Result<String> {
        let id = self.subscribers.first().and_then(Subscriber::last_id);
        id.context("no id came with the messages: this server can't be resumed at")
    }

    /// The message that came last to the first subscriber.
    pub(crate) fn seen(&self) -> u64 {
        self.ledger.last(0)
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

    /// Waits for a socket, at most this long, and goes on wherever one is ready.
    pub(crate) fn turn(&mut self, wait: Duration) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            polled => polled.context("can't wait for sockets")?,
        }
        for event in &self.events {
            if event.token() == PUBLISHER {
                self.publisher.hear()?;
                continue;
            }
            let Some(subscriber) = self.subscribers.get_mut(event.token().0) else {
                continue;
            };
            let before = subscriber.received;
            let turn = subscriber.turn(&mut self.buffer, &mut self.ledger)?;
            let arrivals = &mut self.arrivals;
            if turn == Turn::Opened {
                arrivals.opened += 1;
                record(&mut arrivals.opening, subscriber.began.elapsed());
            }
            if before < arrivals.wanted && subscriber.received >= arrivals.wanted {
                arrivals.whole += 1;
                record(&mut arrivals.until_whole, subscriber.began.elapsed());
            }
            if turn == Turn::Over && subscriber.is_in_ledger() {
                bail!(
                    "the server ended a connection: {}",
                    subscriber.ending().unwrap_or_default()
                );
            }
        }
        Ok(())
    }
}

/// What is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// The size of a payload.
    pub(crate) bytes: usize,
    /// Over how many channels the messages spread, from the first on.
    pub(crate) channels: usize,
}

/// Gives up on what does not get on.
struct Patience {
    since: Instant,
    at: u64,
}

impl Patience {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            at: u64::MAX,
        }
    }

    fn mind(&mut self, at: u64, state: impl Fn() -> String) -> Result<()> {
        if at != self.at {
            *self = Self {
                since: Instant::now(),
                at,
            };
        }
        ensure!(
            self.since.elapsed() < PATIENCE,
            "nothing happens any more: {}",
            state()
        );
        Ok(())
    }
}
