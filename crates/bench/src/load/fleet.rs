//! A fleet: a publisher and many subscribers in one thread, over non-blocking sockets.

mod loops;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use crate::load::handshake;
use crate::load::ledger::{Ledger, durations, record};
use crate::load::marker;
use crate::load::patience::Patience;
use crate::load::publisher::Publisher;
use crate::load::subscriber::{Asked, Clamp, Subscriber, Turn};
use crate::target::{Target, Transport};

pub(crate) use loops::{Load, Run};

const BUFFER_BYTES: usize = 256 << 10;
const PUBLISHER: Token = Token(usize::MAX);

/// Clients of one server, over one transport.
pub(crate) struct Fleet {
    target: Target,
    transport: Transport,
    /// How many streams a connection has.
    streams: usize,
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

impl Fleet {
    /// Clients that know of so many channels.
    pub(crate) fn new(target: &Target, transport: Transport, channels: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let publisher = Publisher::new(target, poll.registry().try_clone()?, PUBLISHER);
        Ok(Self {
            target: target.clone(),
            transport,
            streams: 1,
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

    /// Opens so many streams on each connection.
    pub(crate) fn with_streams(mut self, streams: usize) -> Self {
        self.streams = streams;
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
                    request: handshake::request(&self.target, self.transport, self.streams, channel, cursor)?,
                    hello: self.target.ws_hello(channel),
                    transport: self.transport,
                    channel,
                    last: (0..self.streams)
                        .map(|_| last(&mut self.ledger, channel))
                        .collect(),
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

    /// The latency of all but each fifth counts no more.
    pub(crate) fn overlook(&mut self) {
        for subscriber in all_but_each_fifth(&mut self.subscribers) {
            subscriber.is_watched = false;
        }
    }

    /// All but each fifth read no more from here on. Spread out: a server that writes to its clients in the order in which they came
    /// would look better or worse by who stalls.
    pub(crate) fn stall(&mut self) {
        for subscriber in all_but_each_fifth(&mut self.subscribers) {
            subscriber.stall(&mut self.ledger);
        }
    }

    /// Those that stalled read again, until nothing more comes or each has everything or was cut off. Answers how many have everything,
    /// in order, and how many the server had cut off.
    pub(crate) fn go_on(&mut self) -> Result<(usize, usize)> {
        for subscriber in self.subscribers.iter_mut().filter(|it| !it.is_in_ledger()) {
            subscriber.go_on(&mut self.buffer, &mut self.ledger)?;
        }
        let through = self.ledger.last(0);
        let (mut since, mut before) = (Instant::now(), 0);
        loop {
            let stalled = || self.subscribers.iter().filter(|it| !it.is_in_ledger());
            let whole = stalled().filter(|it| it.is_whole(through)).count();
            let cut = stalled().filter(|it| it.ending().is_some()).count();
            let is_over = stalled().all(|it| it.is_whole(through) || it.ending().is_some());
            let received = stalled().map(|it| it.received).sum();
            if received != before {
                (before, since) = (received, Instant::now());
            }
            if is_over || since.elapsed() > Duration::from_secs(3) {
                return Ok((whole, cut));
            }
            self.turn(Duration::from_millis(100))?;
        }
    }

    /// Lets the server come to rest, and listens: what was delivered already must not come again.
    pub(crate) fn rest(&mut self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Nobody is held to the ledger any more: they read, and what they get counts nowhere.
    pub(crate) fn let_go(&mut self) {
        for subscriber in &mut self.subscribers {
            subscriber.let_go(&mut self.ledger);
        }
    }

    /// A WebSocket client says something.
    pub(crate) fn say(&mut self, client: usize, text: &str) -> Result<()> {
        self.subscribers[client].say(text)
    }

    /// Numbers a message that somebody else publishes to the first channel now. Answers its payload.
    pub(crate) fn expect(&mut self, bytes: usize) -> String {
        marker::payload(self.ledger.publish(0, Instant::now()), bytes)
    }

    /// How many messages have not reached everybody.
    pub(crate) fn in_flight(&self) -> usize {
        self.ledger.in_flight()
    }

    /// The id that came last to the first subscriber: what it would resume with.
    pub(crate) fn cursor(&self) -> Result<String> {
        let id = self.subscribers.first().and_then(Subscriber::last_id);
        id.context("no id came with the messages: this server can't be resumed at")
    }

    /// The first channel's last message.
    pub(crate) fn last_published(&self) -> u64 {
        self.ledger.last(0)
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
            let is_ended = event.is_read_closed() || event.is_error();
            let turn = subscriber.turn(&mut self.buffer, &mut self.ledger, is_ended)?;
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

fn all_but_each_fifth(subscribers: &mut [Subscriber]) -> impl Iterator<Item = &mut Subscriber> {
    let numbered = subscribers.iter_mut().enumerate();
    numbered
        .filter(|(at, _)| at % 5 != 0)
        .map(|(_, subscriber)| subscriber)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::target::Dialect;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

    #[test]
    fn who_is_cut_off_while_it_stalls_is_found_cut() {
        for is_reset in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (cut, told) = mpsc::channel();
            thread::spawn(move || {
                // The first is the one that goes on reading.
                let accept = || listener.accept().unwrap().0;
                let mut followers: Vec<TcpStream> = (0..5).map(|_| accept()).collect();
                for follower in &mut followers {
                    let _ = follower.read(&mut [0; 4_096]).unwrap();
                    follower.write_all(HEAD).unwrap();
                }
                told.recv().unwrap();
                for mut follower in followers.drain(1..) {
                    follower.write_all(b"data: bye\n\n").unwrap();
                    let linger = is_reset.then_some(Duration::ZERO);
                    socket2::SockRef::from(&follower).set_linger(linger).unwrap();
                }
                // Until the test is over.
                let _ = told.recv();
            });
            let dialect: Dialect = serde_json::from_str(r#"{"sse":"/","publish":"/"}"#).unwrap();
            let target = Target::new(&address, dialect).unwrap();
            let mut fleet = Fleet::new(&target, Transport::Sse, 1).unwrap();
            fleet.connect(Crowd::of(5)).unwrap();
            fleet.stall();
            cut.send(()).unwrap();
            // The sockets tell of their end while nobody reads.
            fleet.rest(Duration::from_millis(100)).unwrap();
            let (_, cut_off) = fleet.go_on().unwrap();
            assert_eq!(cut_off, 4, "by a reset: {is_reset}");
        }
    }
}
