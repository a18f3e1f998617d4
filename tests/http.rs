//! HTTP/1.1 by hand (RFC 9112), or any other bytes: a client that sees every byte, may send what it likes, and reads only when it is asked to.

use std::io;
use std::net::SocketAddr;

use axum::http::Response;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::io::Io;
use crate::socket::Socket;

/// A connection.
#[derive(Debug)]
pub struct Http {
    io: Io,
    /// What was read and not yet looked at.
    buffer: Vec<u8>,
}

/// A response's head.
#[derive(Debug, Clone)]
pub struct Head {
    /// `HTTP/1.1`, say.
    pub version: String,
    /// The status.
    pub status: u16,
    /// The headers, with their names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

/// How much of a response's body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Chunks, each with its length.
    Chunked {
        /// How much of the chunk under way is still to come.
        left: usize,
        /// Whether there is one, whose end is still to come.
        is_inside: bool,
    },
    /// So many bytes.
    Length(usize),
    /// All until the connection is closed.
    UntilClose,
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(Socket::connect(address, false).await?))
    }

    /// Speaks over a socket.
    #[must_use]
    pub fn over(io: impl Into<Io>) -> Self {
        Self {
            io: io.into(),
            buffer: Vec::new(),
        }
    }

    /// The socket. What was read ahead of it is lost.
    #[must_use]
    pub fn into_socket(self) -> Io {
        self.io
    }

    /// The socket.
    pub fn io(&mut self) -> &mut Io {
        &mut self.io
    }

    /// Sends these bytes.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.io.write_all(bytes.as_ref()).await
    }

    /// Reads a response's head.
    ///
    /// # Errors
    ///
    /// The socket's, or that it ended before.
    pub async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(Head::parse(
                    std::str::from_utf8(&head[..end]).expect("a head is text"),
                ));
            }
            self.read_more().await?;
        }
    }

    /// Reads more of a body, at least one byte; None at its end.
    ///
    /// # Errors
    ///
    /// The socket's, or that it ended before the body did.
    pub async fn body(&mut self, body: &mut Body) -> io::Result<Option<Vec<u8>>> {
        match body {
            Body::Chunked { left, is_inside } => {
                if *left == 0 {
                    if std::mem::replace(is_inside, true) {
                        assert_eq!(self.exactly(2).await?, b"\r\n", "a chunk ends with CRLF");
                    }
                    *left = self.chunk_length().await?;
                    if *left == 0 {
                        assert_eq!(self.exactly(2).await?, b"\r\n", "no trailers");
                        return Ok(None);
                    }
                }
                // A client sees what has come of a chunk, also if the rest never does.
                self.some(left).await.map(Some)
            }
            Body::Length(0) => Ok(None),
            Body::Length(left) => self.some(left).await.map(Some),
            Body::UntilClose => {
                if self.buffer.is_empty() {
                    match self.read_more().await {
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                        other => other?,
                    }
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
        }
    }

    /// Reads a whole response.
    ///
    /// # Errors
    ///
    /// The socket's, or that it ended before.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let head = self.head().await?;
        let mut framing = head.body();
        let mut body = Vec::new();
        while let Some(piece) = self.body(&mut framing).await? {
            body.extend_from_slice(&piece);
        }
        Ok(Answer { head, body })
    }

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    ///
    /// The socket's, or that it ended before.
    pub async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.read_more().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads whatever comes until the other end closes, and answers how much that was.
    ///
    /// # Errors
    ///
    /// The socket's: a reset.
    pub async fn drain(&mut self) -> io::Result<usize> {
        let mut drained = self.buffer.len();
        loop {
            self.buffer.clear();
            match self.read_more().await {
                Ok(()) => drained += self.buffer.len(),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(drained),
                Err(error) => return Err(error),
            }
        }
    }

    /// At least one byte, and at most as many as are left.
    async fn some(&mut self, left: &mut usize) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.read_more().await?;
        }
        let taken = self.buffer.len().min(*left);
        *left -= taken;
        Ok(self.buffer.drain(..taken).collect())
    }

    async fn chunk_length(&mut self) -> io::Result<usize> {
        let length = self.line().await?;
        let is_plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_plain, "a chunk's length is hexadecimal: {length:?}");
        Ok(usize::from_str_radix(&length, 16).expect("a chunk fits into memory"))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8(line[..end].to_vec()).expect("a line is text"));
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let read = self.io.read(&mut self.buffer[before..]).await;
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        if read? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl Head {
    /// A head that came over HTTP/2.
    #[must_use]
    pub fn from_response<T>(response: &Response<T>) -> Self {
        let headers = response.headers().iter().map(|(name, value)| {
            let value = value.to_str().expect("a header is text");
            (name.as_str().to_owned(), value.to_owned())
        });
        Self {
            version: format!("{:?}", response.version()),
            status: response.status().as_u16(),
            headers: headers.collect(),
        }
    }

    fn parse(head: &str) -> Self {
        let (status_line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut parts = status_line.splitn(3, ' ');
        let version = parts.next().unwrap().to_owned();
        let status = parts.next().unwrap().parse().expect("a status is a number");
        let headers = headers.split("\r\n").filter(|line| !line.is_empty());
        let headers = headers.map(|line| {
            let (name, value) = line.split_once(':').expect("a header has a name");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            version,
            status,
            headers: headers.collect(),
        }
    }

    /// A header's value. All of them must be one where there are several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "one {name} in {:?}", self.headers);
        value
    }

    /// How the body is framed (RFC 9112 section 6.3).
    #[must_use]
    pub fn body(&self) -> Body {
        let has_none = matches!(self.status, 100..=199 | 204 | 304);
        match (self.get("transfer-encoding"), self.get("content-length")) {
            _ if has_none => Body::Length(0),
            (Some("chunked"), None) => Body::Chunked {
                left: 0,
                is_inside: false,
            },
            (None, Some(length)) => Body::Length(length.parse().expect("a length is a number")),
            (None, None) => Body::UntilClose,
            both => panic!("no framing: {both:?}"),
        }
    }
}

impl Answer {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Its body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// Its body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// How much is read ahead at the most: little, since a client that stops reading must stop.
const READ_BYTES: usize = 8_192;
