//! Followers as they are, one at a time: an event stream over HTTP/1.1 or HTTP/2, a WebSocket, each with and without TLS.
//!
//! Every byte of them goes through a socket that counts.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use h2::RecvStream;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::endpoint::{Endpoint, Io};
use super::http::Http2;
use super::manners::{Kind, Manners};
use super::said::{Reader, Said};
use super::socket::{Socket, Traffic};
use crate::load::{Control, Framing, PATIENCE, handshake, text_frame};
use crate::target::Transport;

/// A transport, and whether it is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) tls: bool,
}

impl Way {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [false, true]
            .into_iter()
            .flat_map(|tls| Transport::ALL.map(|transport| Self { transport, tls }))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { ", TLS" } else { "" };
        write!(f, "{}{tls}", self.transport.name())
    }
}

/// What a follower asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) transport: Transport,
    pub(crate) path: &'a str,
    pub(crate) cursor: Option<&'a str>,
    pub(crate) manners: Manners,
}

impl Asked<'_> {
    /// What is told from now on, where our servers have it, with nothing said that needn't be.
    pub(crate) fn bare(transport: Transport) -> Self {
        Self {
            transport,
            path: match transport {
                Transport::Sse | Transport::SseHttp2 => "/sse",
                Transport::Ws => "/ws",
            },
            cursor: None,
            manners: Manners::Bare,
        }
    }
}

/// A client that follows.
pub(crate) struct Follower {
    body: Body,
    reader: Reader,
    traffic: Arc<Traffic>,
}

enum Body {
    Raw {
        io: Box<dyn Io>,
        framing: Framing,
        buffer: Vec<u8>,
        /// How it ended, once all that came before is read.
        end: Option<String>,
    },
    Http2 {
        stream: RecvStream,
        /// Holds the connection open.
        _connection: Arc<Http2>,
    },
}

impl Follower {
    /// Connects and asks. The stream is open when its head is there.
    pub(crate) async fn open(endpoint: &Endpoint, asked: Asked<'_>) -> Result<Self> {
        let connector = endpoint.connector(asked.transport == Transport::SseHttp2);
        let socket = Socket::connect(endpoint.address).await?;
        Self::open_over(endpoint, socket, connector.as_ref(), asked).await
    }

    /// The same, over a socket that is connected.
    pub(crate) async fn open_over(
        endpoint: &Endpoint,
        socket: Socket,
        connector: Option<&TlsConnector>,
        asked: Asked<'_>,
    ) -> Result<Self> {
        let traffic = socket.traffic();
        let io = endpoint.speak_over(socket, connector).await?;
        let body = match asked.transport {
            Transport::SseHttp2 => {
                let connection = Arc::new(Http2::over(io).await?);
                let stream = connection.stream(endpoint, &asked).await?;
                Body::Http2 {
                    stream,
                    _connection: connection,
                }
            }
            Transport::Sse | Transport::Ws => open_raw(io, endpoint, &asked).await?,
        };
        let mut follower = Self {
            body,
            reader: Reader::of(asked.transport),
            traffic,
        };
        if let Body::Raw { buffer, .. } = &mut follower.body {
            let first = std::mem::take(buffer);
            follower.unframe(&first).await?;
        }
        Ok(follower)
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What is said next, whatever it is. An end is an error.
    pub(crate) async fn next(&mut self) -> Result<Said> {
        loop {
            if let Some(said) = self.reader.next()? {
                return Ok(said);
            }
            self.read().await?;
        }
    }

    /// The next message; notices are passed over.
    pub(crate) async fn message(&mut self) -> Result<Said> {
        let next = async {
            loop {
                let said = self.next().await?;
                if !said.is_notice {
                    return Ok(said);
                }
            }
        };
        timeout(PATIENCE, next)
            .await
            .context("nothing happens any more: no message comes")?
    }

    /// Reads what comes next, for whoever puts it together himself. Answers what is within the frames.
    pub(crate) async fn piece(&mut self) -> Result<Vec<u8>> {
        loop {
            let bytes = self.reader.take();
            if !bytes.is_empty() {
                return Ok(bytes);
            }
            timeout(PATIENCE, self.read())
                .await
                .context("nothing happens any more: no byte comes")??;
        }
    }

    /// Says something on a WebSocket.
    pub(crate) async fn say(&mut self, text: &str) -> Result<()> {
        let Body::Raw { io, .. } = &mut self.body else {
            bail!("an event stream can't be spoken to");
        };
        io.write_all(&text_frame(text)).await?;
        Ok(io.flush().await?)
    }

    async fn read(&mut self) -> Result<()> {
        match &mut self.body {
            Body::Raw { io, buffer, end, .. } => {
                if let Some(end) = end {
                    bail!("the stream is over: {end}");
                }
                let mut piece = std::mem::take(buffer);
                piece.resize(BUFFER_BYTES, 0);
                let read = io.read(&mut piece).await?;
                ensure!(read > 0, "the stream is over: the connection's end");
                self.unframe(&piece[..read]).await?;
                if let Body::Raw { buffer, .. } = &mut self.body {
                    *buffer = piece;
                }
            }
            Body::Http2 { stream, .. } => {
                let piece = stream.data().await.context("the stream is over")??;
                stream.flow_control().release_capacity(piece.len())?;
                self.reader.feed(&piece);
            }
        }
        Ok(())
    }

    async fn unframe(&mut self, piece: &[u8]) -> Result<()> {
        let Body::Raw { io, framing, end, .. } = &mut self.body else {
            return Ok(());
        };
        let (mut answers, reader) = (Vec::new(), &mut self.reader);
        framing.feed(
            piece,
            |_, bytes| reader.feed(bytes),
            |control| match control {
                Control::Answer(bytes) => answers.extend(bytes),
                Control::End(how) => *end = Some(how),
            },
        )?;
        if !answers.is_empty() {
            io.write_all(&answers).await?;
            io.flush().await?;
        }
        Ok(())
    }
}

const BUFFER_BYTES: usize = 128 << 10;

async fn open_raw(mut io: Box<dyn Io>, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<Body> {
    let path = handshake::path(asked.path, asked.transport, asked.cursor);
    let mut headers = handshake::headers(asked.transport, asked.cursor);
    let kind = match asked.transport {
        Transport::Sse | Transport::SseHttp2 => Kind::Stream,
        Transport::Ws => Kind::WebSocket,
    };
    headers.extend(asked.manners.headers(kind, &endpoint.origin(), false));
    let borrowed: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let request = handshake::http1(&endpoint.address.to_string(), &path, &borrowed);
    io.write_all(&request).await?;
    io.flush().await?;
    let (mut head, mut piece) = (Vec::new(), vec![0; BUFFER_BYTES]);
    loop {
        let read = io.read(&mut piece).await?;
        ensure!(read > 0, "the server closed the connection before it answered");
        head.extend_from_slice(&piece[..read]);
        if let Some((length, framing)) = handshake::answer(&head, asked.transport, 1)? {
            return Ok(Body::Raw {
                io,
                framing,
                buffer: head.split_off(length),
                end: None,
            });
        }
    }
}
