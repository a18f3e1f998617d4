//! Clients as they are, one at a time: an event stream over HTTP/1.1 or HTTP/2, a WebSocket, each with and without TLS, and POSTs beside them.
//!
//! Every byte of them goes through a socket that counts. HTTP/2 is the `h2` crate's, with a table of headers that grows, and with the
//! windows of Chromium.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use dualcast::rustls::client::Resumption;
use dualcast::rustls::pki_types::{CertificateDer, ServerName};
use dualcast::rustls::{ClientConfig, RootCertStore};
use h2::RecvStream;
use h2::client::SendRequest;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::said::{Reader, Said};
use super::socket::{Socket, Traffic};
use crate::load::{Control, Framing, PATIENCE, answer_length, handshake, text_frame};
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

/// What is sent with a request, beyond what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Manners {
    /// Nothing.
    Bare,
    /// What a page in Chromium 156 on a desktop sends to its own origin, as it was captured, with one cookie of 43 characters, as a session has it.
    Browser,
}

/// What is asked for: browsers send something else with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stream,
    WebSocket,
    Post,
}

const ALWAYS: &[(&str, &str)] = &[
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
    ("cookie", "session=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
];
const FETCH: &[(&str, &str)] = &[
    ("sec-ch-ua-platform", "\"Linux\""),
    ("sec-ch-ua", "\"Not:A-Brand\";v=\"8\", \"Chromium\";v=\"156\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
];
const UNCACHED: &[(&str, &str)] = &[("pragma", "no-cache"), ("cache-control", "no-cache")];

type Headers = Vec<(String, String)>;

impl Manners {
    /// The headers that it adds to a request to this origin. `is_http2`: where a connection isn't spoken of.
    fn headers(self, kind: Kind, origin: &str, is_http2: bool) -> Headers {
        if self == Self::Bare {
            return Vec::new();
        }
        let referer = format!("{origin}/");
        let mut headers = ALWAYS.to_vec();
        if kind != Kind::WebSocket {
            headers.extend(FETCH);
            headers.push(("referer", &referer));
            if !is_http2 {
                headers.push(("connection", "keep-alive"));
            }
        }
        match kind {
            Kind::Stream => headers.extend(UNCACHED),
            Kind::Post => headers.extend([("accept", "*/*"), ("origin", origin)]),
            Kind::WebSocket => {
                headers.extend(UNCACHED);
                headers.extend([
                    ("origin", origin),
                    (
                        "sec-websocket-extensions",
                        "permessage-deflate; client_max_window_bits",
                    ),
                ]);
            }
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        headers.into_iter().map(owned).collect()
    }
}

/// Whatever a client speaks over.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A server: where it listens, and who vouches for it where it has TLS.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    trust: Option<Arc<RootCertStore>>,
}

/// The name in the certificate.
pub(crate) const NAME: &str = "localhost";

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, certificate: Option<&CertificateDer<'static>>) -> Result<Self> {
        let mut trust = None;
        if let Some(certificate) = certificate {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone())?;
            trust = Some(Arc::new(roots));
        }
        Ok(Self { address, trust })
    }

    /// The same server, by another address: through a relay.
    pub(crate) fn by(&self, address: SocketAddr) -> Self {
        Self {
            address,
            trust: self.trust.clone(),
        }
    }

    fn origin(&self) -> String {
        let scheme = if self.trust.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What TLS is spoken with, if it is. Nothing of an earlier session helps: each handshake is a first one.
    pub(crate) fn connector(&self, is_http2: bool) -> Option<TlsConnector> {
        let mut config = ClientConfig::builder()
            .with_root_certificates(Arc::clone(self.trust.as_ref()?))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![if is_http2 {
            b"h2".into()
        } else {
            b"http/1.1".into()
        }];
        Some(TlsConnector::from(Arc::new(config)))
    }

    async fn speak_over(&self, socket: Socket, connector: Option<&TlsConnector>) -> Result<Box<dyn Io>> {
        let Some(connector) = connector else {
            return Ok(Box::new(socket));
        };
        let stream = connector.connect(ServerName::try_from(NAME)?, socket).await?;
        let session = stream.get_ref().1;
        ensure!(
            session.protocol_version() == Some(dualcast::rustls::ProtocolVersion::TLSv1_3),
            "the server spoke {:?}",
            session.protocol_version()
        );
        ensure!(session.alpn_protocol().is_some(), "no protocol was agreed on");
        Ok(Box::new(stream))
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

/// The streams' paths on our servers.
pub(crate) fn path_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Sse | Transport::SseHttp2 => "/sse",
        Transport::Ws => "/ws",
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
            |bytes| reader.feed(bytes),
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
        if let Some((length, framing)) = handshake::answer(&head, asked.transport)? {
            return Ok(Body::Raw {
                io,
                framing,
                buffer: head.split_off(length),
                end: None,
            });
        }
    }
}

/// A connection of HTTP/2.
pub(crate) struct Http2 {
    requests: SendRequest<Bytes>,
    driver: AbortHandle,
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Http2 {
    /// Connects, for as many streams as the server allows.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<(Self, Arc<Traffic>)> {
        let socket = Socket::connect(endpoint.address).await?;
        let traffic = socket.traffic();
        let io = endpoint
            .speak_over(socket, endpoint.connector(true).as_ref())
            .await?;
        Ok((Self::over(io).await?, traffic))
    }

    async fn over(io: Box<dyn Io>) -> Result<Self> {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(6 << 20)
            .initial_connection_window_size(15 << 20)
            .enable_push(false);
        let (requests, connection) = builder.handshake(io).await?;
        let driver = tokio::spawn(async move {
            // However it ends, its streams say so.
            drop(connection.await);
        });
        Ok(Self {
            requests,
            driver: driver.abort_handle(),
        })
    }

    /// Opens an event stream.
    pub(crate) async fn stream(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<RecvStream> {
        let mut headers = handshake::headers(asked.transport, asked.cursor);
        headers.extend(asked.manners.headers(Kind::Stream, &endpoint.origin(), true));
        let (status, stream) = self
            .send(endpoint, Method::GET, asked.path, &headers, None)
            .await?;
        ensure!(status == StatusCode::OK, "the server answered {status}");
        Ok(stream)
    }

    /// Sends a POST, and answers what comes back.
    pub(crate) async fn post(&self, endpoint: &Endpoint, post: &Post<'_>) -> Result<Vec<u8>> {
        let headers = post.headers(endpoint, true);
        let body = Bytes::copy_from_slice(post.body);
        let (status, mut stream) = self
            .send(endpoint, Method::POST, post.path, &headers, Some(body))
            .await?;
        let mut answer = Vec::new();
        while let Some(piece) = stream.data().await {
            let piece = piece?;
            stream.flow_control().release_capacity(piece.len())?;
            answer.extend_from_slice(&piece);
        }
        ensure!(status.is_success(), "the server answered {status}");
        Ok(answer)
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        headers: &Headers,
        body: Option<Bytes>,
    ) -> Result<(StatusCode, RecvStream)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", endpoint.origin()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut send) = requests.send_request(request.body(())?, body.is_none())?;
        if let Some(body) = body {
            send.reserve_capacity(body.len());
            // What is sent here fits into the window that a stream begins with.
            while send.capacity() < body.len() {
                poll_fn(|cx| send.poll_capacity(cx))
                    .await
                    .context("the stream is over")??;
            }
            send.send_data(body, true)?;
        }
        let (head, stream) = response.await?.into_parts();
        Ok((head.status, stream))
    }
}

/// A request that brings something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Post<'a> {
    pub(crate) path: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) manners: Manners,
}

impl Post<'_> {
    /// A text for all who follow.
    pub(crate) fn text<'a>(path: &'a str, text: &'a str) -> Post<'a> {
        Post {
            path,
            content_type: "text/plain",
            body: text.as_bytes(),
            manners: Manners::Bare,
        }
    }

    fn headers(&self, endpoint: &Endpoint, is_http2: bool) -> Headers {
        let mut headers = vec![
            ("content-type".into(), self.content_type.into()),
            ("content-length".into(), self.body.len().to_string()),
        ];
        headers.extend(self.manners.headers(Kind::Post, &endpoint.origin(), is_http2));
        headers
    }
}

/// A connection of HTTP/1.1 that is kept alive, for one request after another.
pub(crate) struct Http1 {
    endpoint: Endpoint,
    io: Box<dyn Io>,
    traffic: Arc<Traffic>,
    buffer: Vec<u8>,
}

impl Http1 {
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self> {
        let socket = Socket::connect(endpoint.address).await?;
        let traffic = socket.traffic();
        let io = endpoint
            .speak_over(socket, endpoint.connector(false).as_ref())
            .await?;
        Ok(Self {
            endpoint: endpoint.clone(),
            io,
            traffic,
            buffer: Vec::new(),
        })
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    pub(crate) async fn post(&mut self, post: &Post<'_>) -> Result<()> {
        let mut request = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\n",
            post.path, self.endpoint.address
        );
        for (name, value) in post.headers(&self.endpoint, false) {
            request = format!("{request}{name}: {value}\r\n");
        }
        let mut request = (request + "\r\n").into_bytes();
        request.extend_from_slice(post.body);
        self.io.write_all(&request).await?;
        self.io.flush().await?;
        let answered = async {
            loop {
                if let Some(length) = answer_length(&self.buffer)? {
                    self.buffer.drain(..length);
                    return Ok(());
                }
                let mut piece = [0; 4 << 10];
                let read = self.io.read(&mut piece).await?;
                ensure!(read > 0, "the server closed the connection before it answered");
                self.buffer.extend_from_slice(&piece[..read]);
            }
        };
        timeout(PATIENCE, answered)
            .await
            .context("nothing happens any more: no answer comes")?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads that Chromium 156 sent, without what each request needs by itself, had so many bytes; it calls itself
    /// `HeadlessChrome` where it is.
    #[test]
    fn a_browsers_headers_are_as_long_as_they_were_captured() {
        let length = |kind| {
            let headers = Manners::Browser.headers(kind, "http://127.0.0.1:39023", false);
            let all = headers.iter();
            all.map(|(name, value)| name.len() + value.len() + ": \r\n".len())
                .sum::<usize>()
        };
        let without = |whole: usize, own: &str| whole - "Headless".len() - own.len();
        let stream = "GET /sse HTTP/1.1\r\nHost: 127.0.0.1:39023\r\nAccept: text/event-stream\r\n\r\n";
        assert_eq!(length(Kind::Stream), without(608, stream));
        let post = "POST /say HTTP/1.1\r\nHost: 127.0.0.1:39023\r\nContent-Length: 2\r\n\
                    content-type: application/json\r\n\r\n";
        assert_eq!(length(Kind::Post), without(635, post));
        let socket = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:39023\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: 0QCR4xx02Nnf/5MVJBv4kA==\r\n\
                      Sec-WebSocket-Protocol: dualcast.v1\r\n\r\n";
        assert_eq!(length(Kind::WebSocket), without(597, socket));
        assert!(Manners::Bare.headers(Kind::Post, "http://a", false).is_empty());
    }
}
