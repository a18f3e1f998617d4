//! The limit: one thread, each message encoded once, and written to each subscriber with one system call. Nothing else: no
//! deadlines, no origins, no heartbeats, no limits but the one that keeps it from taking all memory.
//!
//! The *joined* floor writes once for all messages that one wake of its thread brought.

mod asked;

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::ToSocketAddrs;
use std::time::Duration;

use anyhow::{Context, Result};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::servers::EPOCH;
use crate::target::Transport;
use asked::Asked;

/// How a server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Each message by itself.
    Each,
    /// All that came together, together.
    Joined,
}

/// What a subscriber that doesn't read may hold, in bytes. Then it is cut off.
const MAX_UNSENT: usize = 1 << 20;
/// How many messages of a channel are kept for those who resume.
const MAX_KEPT: usize = 1_000;
const LISTENER: Token = Token(usize::MAX);

pub(crate) fn run(writing: Writing) -> Result<()> {
    let address = super::address();
    let address = address
        .to_socket_addrs()?
        .next()
        .with_context(|| format!("no address: {address}"))?;
    let mut listener = TcpListener::bind(address)?;
    SockRef::from(&listener).listen(4_096)?;
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let mut floor = Floor {
        poll,
        listener,
        writing,
        connections: Slab::new(),
        channels: HashMap::new(),
        dirty: Vec::new(),
        buffer: vec![0; 64 << 10],
    };
    let mut events = Events::with_capacity(1_024);
    loop {
        floor.turn(&mut events)?;
    }
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    writing: Writing,
    connections: Slab<Connection>,
    channels: HashMap<String, Channel>,
    /// The channels that have something to write at the end of a turn.
    dirty: Vec<String>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a request.
    heard: Vec<u8>,
    /// What the socket didn't take.
    unsent: VecDeque<u8>,
    follows: Option<Follows>,
}

/// Which channel a connection follows, by which wire, and at which place among all who do.
struct Follows {
    channel: String,
    transport: Transport,
    place: usize,
}

#[derive(Default)]
struct Channel {
    last: u64,
    kept: VecDeque<Kept>,
    followers: [Followers; 2],
}

/// A message, encoded for each transport.
struct Kept {
    id: u64,
    encoded: [Vec<u8>; 2],
}

#[derive(Default)]
struct Followers {
    keys: Slab<usize>,
    /// Encoded, and not yet written.
    joined: Vec<u8>,
}

impl Floor {
    fn turn(&mut self, events: &mut Events) -> Result<()> {
        match self.poll.poll(events, Some(Duration::from_secs(60))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter() {
            if event.token() == LISTENER {
                self.accept()?;
            } else {
                self.serve(event);
            }
        }
        for channel in std::mem::take(&mut self.dirty) {
            self.write(&channel);
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("can't accept"),
            };
            stream.set_nodelay(true)?;
            let entry = self.connections.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut stream, Token(entry.key()), interest)?;
            entry.insert(Connection {
                stream,
                heard: Vec::new(),
                unsent: VecDeque::new(),
                follows: None,
            });
        }
    }

    fn serve(&mut self, event: &Event) {
        let Token(key) = event.token();
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if event.is_writable() && connection.send_on().is_err() {
            return self.remove(key);
        }
        if !event.is_readable() {
            return;
        }
        loop {
            let Some(connection) = self.connections.get_mut(key) else {
                return;
            };
            let length = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return self.remove(key),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.remove(key),
            };
            // What a subscriber says is nothing to us.
            if connection.follows.is_some() {
                continue;
            }
            connection.heard.extend_from_slice(&self.buffer[..length]);
            if self.answer(key).is_err() {
                return self.remove(key);
            }
        }
    }

    fn answer(&mut self, key: usize) -> Result<()> {
        let mut heard = std::mem::take(&mut self.connections[key].heard);
        let mut read = 0;
        let mut answers = Vec::new();
        while let Some((length, asked)) = Asked::read(&heard[read..])? {
            read += length;
            let (channel, what) = asked.path.rsplit_once('/').context("no route")?;
            match what {
                "publish" => {
                    let id = self.publish(channel, asked.body);
                    let text = format!("{id}\n");
                    let length = text.len();
                    answers
                        .extend(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}").bytes());
                }
                "sse" => self.follow(key, channel, Transport::Sse, &asked)?,
                "ws" => self.follow(key, channel, Transport::Ws, &asked)?,
                _ => answers.extend(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
            }
        }
        heard.drain(..read);
        let connection = &mut self.connections[key];
        connection.heard = heard;
        connection.send(&answers)?;
        Ok(())
    }

    fn publish(&mut self, name: &str, text: String) -> u64 {
        if !self.channels.contains_key(name) {
            self.channels.insert(name.into(), Channel::default());
        }
        let Some(channel) = self.channels.get_mut(name) else {
            return 0;
        };
        channel.last += 1;
        let id = channel.last;
        let is_clean = channel
            .followers
            .iter()
            .all(|followers| followers.joined.is_empty());
        let encoded = Transport::BOTH.map(|transport| encode(transport, id, &text));
        for (followers, encoded) in channel.followers.iter_mut().zip(&encoded) {
            if !followers.keys.is_empty() {
                followers.joined.extend_from_slice(encoded);
            }
        }
        channel.kept.push_back(Kept { id, encoded });
        if channel.kept.len() > MAX_KEPT {
            channel.kept.pop_front();
        }
        match self.writing {
            Writing::Each => self.write(name),
            Writing::Joined if is_clean => self.dirty.push(name.into()),
            Writing::Joined => {}
        }
        id
    }

    fn write(&mut self, name: &str) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        let mut gone = Vec::new();
        for followers in &mut channel.followers {
            for (_, key) in &followers.keys {
                if self.connections[*key].send(&followers.joined).is_err() {
                    gone.push(*key);
                }
            }
            followers.joined.clear();
        }
        for key in gone {
            self.remove(key);
        }
    }

    fn follow(&mut self, key: usize, name: &str, transport: Transport, asked: &Asked) -> Result<()> {
        let mut first = match (transport, &asked.websocket_key) {
            (Transport::Sse | Transport::SseHttp2, _) => {
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
                    .to_vec()
            }
            (Transport::Ws, Some(key)) => format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            )
            .into_bytes(),
            (Transport::Ws, None) => anyhow::bail!("no handshake"),
        };
        let channel = self.channels.entry(name.into()).or_default();
        if let Some(last_id) = asked.last_id {
            let at = channel.kept.partition_point(|kept| kept.id <= last_id);
            for kept in channel.kept.range(at..) {
                first.extend_from_slice(&kept.encoded[transport as usize]);
            }
        }
        let place = channel.followers[transport as usize].keys.insert(key);
        let connection = &mut self.connections[key];
        connection.follows = Some(Follows {
            channel: name.into(),
            transport,
            place,
        });
        connection.send(&first)?;
        Ok(())
    }

    fn remove(&mut self, key: usize) {
        let connection = self.connections.remove(key);
        if let Some(follows) = connection.follows
            && let Some(channel) = self.channels.get_mut(&follows.channel)
        {
            channel.followers[follows.transport as usize]
                .keys
                .remove(follows.place);
        }
    }
}

impl Connection {
    /// Writes at once, unless something waits already.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = if self.unsent.is_empty() {
            self.write(bytes)?
        } else {
            0
        };
        self.unsent.extend(&bytes[sent..]);
        if self.unsent.len() > MAX_UNSENT {
            return Err(ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    /// Goes on with what waits, now that the socket has room.
    fn send_on(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let (first, _) = self.unsent.as_slices();
            match self.stream.write(first) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.unsent = VecDeque::new();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

/// Puts a message into its envelope, which has the same parts as Dualcast's, and as many bytes.
fn encode(transport: Transport, id: u64, text: &str) -> Vec<u8> {
    match transport {
        Transport::Sse | Transport::SseHttp2 => {
            let event = format!("id: {EPOCH}{id}\ndata: {text}\n\n");
            format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
        }
        Transport::Ws => {
            let data = serde_json::Value::from(text);
            let json = format!(r#"{{"id":"{EPOCH}{id}","event":"message","data":{data}}}"#);
            let mut bytes = vec![0x81];
            match u16::try_from(json.len()) {
                Ok(length @ 0..126) => bytes.push(length as u8),
                Ok(length) => {
                    bytes.push(126);
                    bytes.extend(length.to_be_bytes());
                }
                Err(_) => {
                    bytes.push(127);
                    bytes.extend((json.len() as u64).to_be_bytes());
                }
            }
            bytes.extend(json.bytes());
            bytes
        }
    }
}
