//! The publisher: POSTs, one after the other or many under way, over one connection that stays open from the first of them on.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::target::Target;

/// One connection over which messages are published.
#[derive(Debug)]
pub(crate) struct Publisher {
    target: Target,
    registry: Registry,
    token: Token,
    /// None before there is something to send: a server may close a connection that asks for nothing.
    stream: Option<TcpStream>,
    /// Requests that wait: for the socket, or for an answer, where the server takes one at a time.
    waiting: VecDeque<String>,
    /// What of the last request the socket didn't take.
    unsent: Vec<u8>,
    unanswered: usize,
    answers: Vec<u8>,
}

impl Publisher {
    /// One whose socket is known to the registry by this token, once it is there.
    pub(crate) fn new(target: &Target, registry: Registry, token: Token) -> Self {
        Self {
            target: target.clone(),
            registry,
            token,
            stream: None,
            waiting: VecDeque::new(),
            unsent: Vec::new(),
            unanswered: 0,
            answers: Vec::new(),
        }
    }

    /// Takes a message on its way. It leaves with the next [`flush`](Self::flush).
    pub(crate) fn publish(&mut self, channel: usize, message: &str) {
        self.waiting.push_back(self.target.publish(channel, message));
    }

    /// How many messages the server has not yet said that it took.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered + self.waiting.len()
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        loop {
            if self.unsent.is_empty() {
                while (self.target.pipelines() || self.unanswered == 0)
                    && let Some(request) = self.waiting.pop_front()
                {
                    self.unsent.extend(request.as_bytes());
                    self.unanswered += 1;
                }
            }
            if self.unsent.is_empty() {
                return Ok(());
            }
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(connect(&self.target, &self.registry, self.token)?),
            };
            match stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("the server took no more messages"),
            }
        }
    }

    /// Reads the answers. One that is no success is an error.
    pub(crate) fn hear(&mut self) -> Result<()> {
        let mut buffer = [0; 16 << 10];
        let stream = self.stream.as_mut().context("an answer before a question")?;
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => bail!("the server closed the connection that publishes"),
                Ok(length) => self.answers.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("no answer to what was published"),
            }
        }
        let mut read = 0;
        while let Some(length) = answer(&self.answers[read..])? {
            read += length;
            self.unanswered = self.unanswered.checked_sub(1).context("an answer to nothing")?;
        }
        self.answers.drain(..read);
        self.flush()
    }
}

fn connect(target: &Target, registry: &Registry, token: Token) -> Result<TcpStream> {
    let stream = std::net::TcpStream::connect_timeout(&target.address(), Duration::from_secs(5))
        .with_context(|| format!("can't publish to {}", target.address()))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

/// How long a whole answer is. None if it isn't whole yet.
pub(crate) fn answer(bytes: &[u8]) -> Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).context("the answer is not HTTP")? else {
        return Ok(None);
    };
    let mut body = None;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            body = Some(std::str::from_utf8(header.value)?.trim().parse::<usize>()?);
        }
    }
    let status = response.code.unwrap_or_default();
    // No body without a length: all servers that we know send one for an answer this small.
    let body = if status == 204 {
        0
    } else {
        body.context("an answer without content-length")?
    };
    let Some(text) = bytes.get(head..head + body) else {
        return Ok(None);
    };
    ensure!(
        (200..300).contains(&status),
        "publishing was answered {status}: {}",
        String::from_utf8_lossy(text)
    );
    Ok(Some(head + body))
}

/// When the messages of an even stream are due.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Instant,
    every: Duration,
}

impl Pace {
    pub(crate) fn new(began: Instant, messages_per_second: f64) -> Self {
        Self {
            next: began,
            every: Duration::from_secs_f64(1.0 / messages_per_second),
        }
    }

    /// The next message that is due by now: the moment it was due, however late we are. So a generator that was held up counts
    /// against itself, and not in favour of the server.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next;
        (due <= now).then(|| {
            self.next += self.every;
            due
        })
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_however_they_come() {
        let answers = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n";
        let first = answer(answers).unwrap().unwrap();
        assert_eq!(answer(&answers[..first - 1]).unwrap(), None);
        assert_eq!(answer(&answers[first..]).unwrap(), Some(answers.len() - first));
    }

    #[test]
    fn a_refused_message_is_an_error() {
        let refused = answer(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").unwrap_err();
        assert_eq!(refused.to_string(), "publishing was answered 413: no");
    }

    #[test]
    fn a_late_pace_says_when_a_message_was_due() {
        let mut pace = Pace::new(Instant::now(), 50.0);
        let first = pace.next();
        let late = first + Duration::from_millis(45);
        let due: Vec<_> = std::iter::from_fn(|| pace.due(late))
            .map(|due| due - first)
            .collect();
        assert_eq!(due, [0, 20, 40].map(Duration::from_millis));
    }
}
