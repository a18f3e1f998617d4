//! A subscriber: one connection that follows one channel, by one stream or by many.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockRef, Socket, Type};

use crate::load::framing::{self, Control, Framing};
use crate::load::handshake;
use crate::load::ledger::Ledger;
use crate::load::marker::Scanner;
use crate::target::Transport;

/// How little the kernel may hold for a subscriber. On loopback a segment has up to 64 KiB and one socket that isn't read takes
/// megabytes, so that hundreds of them reach the kernel's memory pressure: a picture of no network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clamp {
    pub(crate) segment_bytes: u32,
    pub(crate) receive_buffer_bytes: usize,
}

impl Clamp {
    /// An Ethernet's segments, and the buffer that a phone may have.
    pub(crate) const NETWORK: Self = Self {
        segment_bytes: 1_400,
        receive_buffer_bytes: 16 << 10,
    };
}

/// One connection to a server.
#[derive(Debug)]
pub(crate) struct Subscriber {
    socket: TcpStream,
    state: State,
    transport: Transport,
    pub(crate) channel: usize,
    pub(crate) began: Instant,
    streams: Box<[Stream]>,
    /// How many messages it got.
    pub(crate) received: u64,
    /// Whether it reads. One that didn't for a while is out of the ledger for good, and minds the order by itself.
    is_stalled: bool,
    is_in_ledger: bool,
    is_orderly: bool,
    /// Whether its latency counts.
    pub(crate) is_watched: bool,
    /// The end of what came, where somebody wants to know its last id.
    tail: Option<Vec<u8>>,
    /// What of a short answer, to a ping say, the socket didn't take.
    unsent: Vec<u8>,
}

#[derive(Debug)]
struct Stream {
    /// The message that it got last.
    last: u64,
    scanner: Scanner,
}

#[derive(Debug)]
enum State {
    /// With the request that goes out once the connection stands.
    Connecting(Vec<u8>),
    /// With what came of the answer's head.
    Asked(Vec<u8>),
    Open(Framing),
    /// The server ended it, so.
    Over(String),
}

impl Stream {
    fn behind(last: u64) -> Self {
        Self {
            last,
            scanner: Scanner::default(),
        }
    }
}

/// What a turn at a subscriber's socket came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Nothing,
    /// Its stream has begun.
    Opened,
    /// The server ended it.
    Over,
}

impl Subscriber {
    pub(crate) fn connect(
        address: SocketAddr,
        clamp: Option<Clamp>,
        registry: &Registry,
        token: Token,
        asked: Asked,
    ) -> Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)
            .context("no socket for a subscriber")?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(clamp) = clamp {
            socket.set_tcp_mss(clamp.segment_bytes)?;
            socket.set_recv_buffer_size(clamp.receive_buffer_bytes)?;
        }
        let began = Instant::now();
        match socket.connect(&address.into()) {
            Err(error) if !is_under_way(&error) => return Err(error).context("can't connect"),
            _ => {}
        }
        let mut socket = TcpStream::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            socket,
            state: State::Connecting(asked.request),
            transport: asked.transport,
            channel: asked.channel,
            began,
            streams: asked.last.into_iter().map(Stream::behind).collect(),
            received: 0,
            is_stalled: false,
            is_in_ledger: true,
            is_orderly: true,
            is_watched: true,
            tail: None,
            unsent: asked.hello.map(|hello| framing::text(&hello)).unwrap_or_default(),
        })
    }

    /// Keeps what is needed to answer its last id.
    pub(crate) fn with_tail(mut self) -> Self {
        self.tail = Some(Vec::new());
        self
    }

    /// The last id that came: an `id:` line of an event stream, or the member `"id"` of a JSON object.
    pub(crate) fn last_id(&self) -> Option<String> {
        let text = String::from_utf8_lossy(self.tail.as_ref()?);
        let id = match self.transport {
            Transport::Sse | Transport::SseHttp2 => {
                text.lines().rev().find_map(|line| line.strip_prefix("id:"))?
            }
            Transport::Ws => text.rsplit_once("\"id\":")?.1.split([',', '}']).next()?,
        };
        Some(id.trim().trim_matches('"').into())
    }

    /// Goes on where its socket is ready; `is_ended` where no more will come than what the socket holds.
    pub(crate) fn turn(&mut self, buffer: &mut [u8], ledger: &mut Ledger, is_ended: bool) -> Result<Turn> {
        if let State::Connecting(request) = &self.state {
            if let Some(error) = self.socket.take_error()? {
                return Err(error).context("can't connect");
            }
            match self.socket.peer_addr() {
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(Turn::Nothing),
                connected => connected?,
            };
            let sent = self.socket.write(request)?;
            ensure!(
                sent == request.len(),
                "a new socket took {sent} of {} bytes",
                request.len()
            );
            self.state = State::Asked(Vec::new());
        }
        if self.is_stalled {
            return Ok(Turn::Nothing);
        }
        if !self.unsent.is_empty() && matches!(self.state, State::Open(_)) {
            self.answer()?;
        }
        self.read(buffer, ledger, is_ended)
    }

    fn read(&mut self, buffer: &mut [u8], ledger: &mut Ledger, to_the_end: bool) -> Result<Turn> {
        let mut turn = Turn::Nothing;
        while !matches!(self.state, State::Over(_)) {
            let length = match self.socket.read(buffer) {
                Ok(0) => {
                    self.end("the connection's end");
                    return Ok(Turn::Over);
                }
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if is_cut(&error) => {
                    self.end("a reset");
                    return Ok(Turn::Over);
                }
                Err(error) => return Err(error.into()),
            };
            let is_all = length < buffer.len();
            if self.take(&buffer[..length], ledger)? {
                turn = Turn::Opened;
            }
            if let State::Over(_) = self.state {
                return Ok(Turn::Over);
            }
            // A socket that gave less than was asked for is empty, and says so when it isn't any more; but not behind an end.
            if is_all && !to_the_end {
                break;
            }
        }
        Ok(turn)
    }

    /// Takes what came. Answers whether the stream begins with it.
    fn take(&mut self, bytes: &[u8], ledger: &mut Ledger) -> Result<bool> {
        match &mut self.state {
            State::Asked(head) => {
                head.extend_from_slice(bytes);
                let Some((length, framing)) = handshake::answer(head, self.transport, self.streams.len())?
                else {
                    return Ok(false);
                };
                let first = head.split_off(length);
                self.state = State::Open(framing);
                self.answer()?;
                self.unframe(&first, ledger)?;
                Ok(true)
            }
            State::Open(_) => self.unframe(bytes, ledger).map(|()| false),
            State::Connecting(_) | State::Over(_) => Ok(false),
        }
    }

    fn unframe(&mut self, bytes: &[u8], ledger: &mut Ledger) -> Result<()> {
        let State::Open(framing) = &mut self.state else {
            return Ok(());
        };
        let (mut failed, mut end, mut answers) = (None, None, Vec::new());
        let (streams, received) = (&mut self.streams, &mut self.received);
        let now = self.is_watched.then(Instant::now);
        let (is_in_ledger, tail, channel) = (self.is_in_ledger, &mut self.tail, self.channel);
        let is_orderly = &mut self.is_orderly;
        let payload = |stream: usize, payload: &[u8]| {
            let Stream { last, scanner } = &mut streams[stream];
            if let Some(tail) = tail {
                tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
                tail.extend_from_slice(payload);
            }
            scanner.feed(payload, |number| {
                *received += 1;
                if !is_in_ledger {
                    // Who stalls is on the only channel, whose messages have consecutive numbers.
                    *is_orderly &= number == *last + 1;
                    *last = number;
                } else if let Err(error) = ledger.deliver(number, channel, last, now) {
                    failed.get_or_insert(error);
                }
            });
        };
        let control = |said| match said {
            Control::Answer(bytes) => answers.extend(bytes),
            Control::End(how) => end = Some(how),
        };
        framing.feed(bytes, payload, control)?;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(how) = end {
            self.end(&how);
        } else if !answers.is_empty() {
            self.unsent.extend(answers);
            self.answer()?;
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Its end is still to be read.
                Err(error) if is_cut(&error) => self.unsent.clear(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn end(&mut self, how: &str) {
        self.state = State::Over(how.into());
    }

    /// How the server ended it, if it did.
    pub(crate) fn ending(&self) -> Option<&str> {
        match &self.state {
            State::Over(how) => Some(how),
            _ => None,
        }
    }

    pub(crate) fn is_in_ledger(&self) -> bool {
        self.is_in_ledger
    }

    /// Whether one that stalled has every message up to this one, in order.
    pub(crate) fn is_whole(&self, through: u64) -> bool {
        self.is_orderly && self.streams.iter().all(|stream| stream.last == through)
    }

    /// Reads no more. What comes to it later is counted by itself.
    pub(crate) fn stall(&mut self, ledger: &mut Ledger) {
        self.is_stalled = true;
        self.let_go(ledger);
    }

    /// Is held to the ledger no longer, and goes on reading.
    pub(crate) fn let_go(&mut self, ledger: &mut Ledger) {
        self.is_in_ledger = false;
        self.streams.iter().for_each(|_| ledger.leave(self.channel));
    }

    /// Says something on a WebSocket.
    pub(crate) fn say(&mut self, text: &str) -> Result<()> {
        self.unsent.extend(framing::text(text));
        self.answer()
    }

    /// Reads again: all that waits, and its end, of which the socket has told while nobody read.
    pub(crate) fn go_on(&mut self, buffer: &mut [u8], ledger: &mut Ledger) -> Result<Turn> {
        self.is_stalled = false;
        self.read(buffer, ledger, true)
    }

    /// Closes the connection with a reset, which leaves nothing behind in the kernel.
    pub(crate) fn cut(self) {
        // A socket that can't linger is gone already.
        drop(SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO)));
    }
}

/// How much is kept to find the last id in: more than a message of those runs that ask for one.
const TAIL_BYTES: usize = 4 << 10;

/// What a new subscriber asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Vec<u8>,
    pub(crate) hello: Option<String>,
    pub(crate) transport: Transport,
    pub(crate) channel: usize,
    /// The message that each of its streams got last.
    pub(crate) last: Vec<u64>,
}

/// Whether the other side is gone.
fn is_cut(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn is_under_way(error: &io::Error) -> bool {
    // EINPROGRESS has no kind of its own in stable Rust.
    const EINPROGRESS: i32 = 115;
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}
