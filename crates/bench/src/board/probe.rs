//! A probe: a viewer in a thread of its own, which looks at what it is told, and whose link may be slow.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Deserialize;
use socket2::{Domain, Socket, Type};

use super::{STREAM, durations};
use crate::load::{Scanner, record};

/// A viewer's connection.
pub(super) struct Probe {
    stream: TcpStream,
    /// How many bytes a second its link takes. None: as many as come.
    link: Option<usize>,
}

/// What it was told.
pub(super) struct Heard {
    bytes: usize,
    took: Duration,
    cursors: u64,
    /// Of the cursors that it was shown, the newest each time: how long ago it had been there, in nanoseconds.
    pub(super) age: Histogram<u64>,
    pub(super) strokes: u64,
}

/// Those cursors: `[user, x, y]`, where x is when that was.
#[derive(Deserialize)]
struct Cursors {
    cursors: Vec<(String, u64, i64)>,
}

impl Probe {
    /// Connects. A slow link is one of an Ethernet's segments, to somebody with little room.
    pub(super) fn connect(address: &str, link: Option<usize>) -> Result<Self> {
        let address: SocketAddr = address.parse().context("no address")?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if link.is_some() {
            socket.set_tcp_mss(1_400)?;
            socket.set_recv_buffer_size(4 << 10)?;
        }
        socket.connect(&address.into())?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(STEP))?;
        write!(stream, "GET {STREAM} HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
        Ok(Self { stream, link })
    }

    /// Listens until a moment.
    pub(super) fn listen(mut self, begun: Instant, until: Instant) -> Result<Heard> {
        let from = Instant::now();
        let mut heard = Heard {
            bytes: 0,
            took: Duration::ZERO,
            cursors: 0,
            age: durations(),
            strokes: 0,
        };
        let (mut scanner, mut last, mut line) = (Scanner::default(), None, Vec::new());
        let mut buffer = vec![0; self.link.map_or(64 << 10, |link| (link / PER_SECOND).max(1))];
        while Instant::now() < until {
            let read = match self.stream.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error.into()),
            };
            ensure!(read > 0, "a viewer's stream ended");
            let now = Instant::now();
            heard.bytes += read;
            let mut is_orderly = true;
            scanner.feed(&buffer[..read], |number| {
                is_orderly &= last.is_none_or(|last| number == last + 1);
                last = Some(number);
                heard.strokes += 1;
            });
            ensure!(is_orderly, "a stroke is missing, or came twice");
            for byte in &buffer[..read] {
                line.push(*byte);
                if *byte == b'\n' {
                    heard.look(&line, begun, now);
                    line.clear();
                }
            }
            if self.link.is_some() {
                thread::sleep(STEP);
            }
        }
        heard.took = from.elapsed();
        Ok(heard)
    }
}

impl Heard {
    /// A line that tells cursors has their data in it whole: chunks are cut between events.
    fn look(&mut self, line: &[u8], begun: Instant, now: Instant) {
        let Some(json) = line.strip_prefix(b"data: ") else {
            return;
        };
        let Ok(told) = serde_json::from_slice::<Cursors>(json) else {
            return;
        };
        self.cursors += 1;
        let newest = told.cursors.iter().map(|(_, x, _)| *x).max().unwrap_or_default();
        let at = begun + Duration::from_millis(newest);
        record(&mut self.age, now.saturating_duration_since(at));
    }

    pub(super) fn kib_per_second(&self) -> f64 {
        self.bytes as f64 / 1_024.0 / self.took.as_secs_f64()
    }

    pub(super) fn cursors_per_second(&self) -> f64 {
        self.cursors as f64 / self.took.as_secs_f64()
    }
}

/// How often a slow link brings something.
const PER_SECOND: usize = 20;
const STEP: Duration = Duration::from_millis(1_000 / PER_SECOND as u64);
