//! Connecting: what a client asks for, whichever transport it is.

use std::io;
use std::net::SocketAddr;

use dualcast::Transport;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::client::{Client, Stream};
use crate::http::{Answer, Head, Http};
use crate::http2::{self, Http2, WINDOW_BYTES};
use crate::io::Io;
use crate::matrix::HttpVersion;
use crate::socket::Socket;
use crate::sse::SseStream;
use crate::tls::Tls;
use crate::ws::WsStream;

/// A connection to be made.
#[derive(Debug, Clone)]
#[must_use]
pub struct Dial {
    address: SocketAddr,
    transport: Transport,
    version: HttpVersion,
    /// The connection to go by, where there is one already.
    http2: Option<Http2>,
    tls: Option<Tls>,
    path: String,
    query: Vec<String>,
    headers: Vec<(String, Vec<u8>)>,
    is_multi: bool,
    is_told_all: bool,
    is_slow: bool,
    bite: usize,
}

impl Dial {
    pub(crate) fn new(address: SocketAddr, transport: Transport, version: HttpVersion) -> Self {
        let path = match transport {
            Transport::Sse => "/sse",
            Transport::WebSocket => "/ws",
        };
        Self {
            address,
            transport,
            version,
            http2: None,
            tls: None,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            is_multi: false,
            is_told_all: false,
            is_slow: false,
            bite: usize::MAX,
        }
    }

    /// To a server that is not of this process, over HTTP/1.1.
    pub fn to(address: SocketAddr, transport: Transport) -> Self {
        Self::new(address, transport, HttpVersion::Http1)
    }

    pub(crate) fn tls(mut self, tls: Option<&Tls>) -> Self {
        self.tls = tls.cloned();
        self
    }

    /// To these channels, joined by commas.
    pub fn channels(mut self, channels: &str) -> Self {
        self.is_multi = channels.contains(',');
        self.query(format!("channels={channels}"))
    }

    /// To another path.
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    /// With one more query parameter, written as it is.
    pub fn query(mut self, parameter: impl Into<String>) -> Self {
        self.query.push(parameter.into());
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Back again, with a cursor: by the header, as an `EventSource` sends it, or by the query, as a browser's WebSocket has to.
    pub fn cursor(self, cursor: &str) -> Self {
        match self.transport {
            Transport::Sse => self.header("last-event-id", cursor),
            Transport::WebSocket => self.query(format!("last-event-id={cursor}")),
        }
    }

    /// Not passing over the heartbeat that tells a client which came back that it has all it missed.
    pub fn told_all(mut self) -> Self {
        self.is_told_all = true;
        self
    }

    /// As one more stream of a connection.
    pub fn over(mut self, http2: &Http2) -> Self {
        self.version = HttpVersion::Http2;
        self.http2 = Some(http2.clone());
        self
    }

    /// With a kernel buffer, or over HTTP/2 a window, that takes a few KiB only.
    pub fn slow(mut self) -> Self {
        self.is_slow = true;
        self
    }

    /// Reading at most so many bytes at a time.
    pub fn bites(mut self, bytes: usize) -> Self {
        self.bite = bytes;
        self
    }

    /// Connects, and reads the opening.
    ///
    /// # Panics
    ///
    /// If the server answers anything else.
    pub async fn open(self) -> Client {
        self.connect().await.open().await
    }

    /// Connects, and reads nothing of the stream yet.
    ///
    /// # Panics
    ///
    /// If the server answers anything else than a stream.
    pub async fn connect(self) -> Client {
        match self.attempt().await {
            Ok(client) => client,
            Err(answer) => panic!("refused: {} {}", answer.status(), answer.text()),
        }
    }

    /// Connects, and answers what the server says where it doesn't answer with a stream.
    ///
    /// # Errors
    ///
    /// The server's answer.
    pub async fn attempt(self) -> Result<Client, Answer> {
        let is_catching_up = self.has_cursor() && !self.is_told_all;
        let mut client = self.attempt_by_its_way().await?;
        if is_catching_up {
            client.catching_up();
        }
        Ok(client)
    }

    fn has_cursor(&self) -> bool {
        let mut headers = self.headers.iter();
        let mut query = self.query.iter();
        let in_query = |parameter: &String| {
            let cursor = parameter.strip_prefix("last-event-id=");
            cursor.is_some_and(|cursor| !cursor.is_empty())
        };
        headers.any(|(name, value)| name == "last-event-id" && !value.is_empty()) || query.any(in_query)
    }

    async fn attempt_by_its_way(self) -> Result<Client, Answer> {
        if self.version == HttpVersion::Http2 {
            return self.attempt_http2().await;
        }
        let socket = Socket::connect(self.address, self.is_slow)
            .await
            .expect("the server listens");
        let io = match &self.tls {
            Some(tls) => tls
                .connect(socket, self.version)
                .await
                .expect("TLS is spoken")
                .into(),
            None => Io::from(socket),
        };
        match self.transport {
            Transport::Sse => self.attempt_sse(io).await,
            Transport::WebSocket => self.attempt_ws(io).await,
        }
    }

    async fn attempt_sse(self, io: Io) -> Result<Client, Answer> {
        let mut http = Http::over(io);
        let mut request =
            format!("GET {} HTTP/1.1\r\nhost: {}\r\n", self.target(), self.address).into_bytes();
        for (name, value) in &self.headers {
            request.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        request.extend_from_slice(b"\r\n");
        http.send(request).await.expect("the request is sent");
        let head = http.head().await.expect("the server answers");
        if head.status != 200 {
            let mut framing = head.body();
            let mut body = Vec::new();
            while let Some(piece) = http.body(&mut framing).await.expect("the answer is whole") {
                body.extend_from_slice(&piece);
            }
            return Err(Answer { head, body });
        }
        assert_eq!(head.get("content-type"), Some("text/event-stream"));
        http.io().set_bite(self.bite);
        let stream = SseStream::http1(http, head, self.is_multi);
        Ok(Client::new(Stream::Sse(Box::new(stream))))
    }

    async fn attempt_ws(self, io: Io) -> Result<Client, Answer> {
        let url = format!("ws://{}{}", self.address, self.target());
        let mut request = url.into_client_request().expect("the request is one");
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a header's name");
            request
                .headers_mut()
                .append(name, HeaderValue::from_bytes(value).expect("a header's value"));
        }
        let config = ws_config();
        match client_async_with_config(request, io, Some(config)).await {
            Ok((mut stream, response)) => {
                // Only now: tungstenite takes a handshake in small bites for an attack.
                stream.get_mut().set_bite(self.bite);
                let head = Head::from_response(&response);
                Ok(Client::new(Stream::Ws(Box::new(WsStream::new(stream, head)))))
            }
            Err(WsError::Http(response)) => {
                let head = Head::from_response(&response);
                let body = response.into_body().unwrap_or_default();
                Err(Answer { head, body })
            }
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    async fn connect_http2(&self, window_bytes: u32) -> io::Result<Http2> {
        let Some(tls) = &self.tls else {
            return Http2::connect(self.address, window_bytes).await;
        };
        let socket = Socket::connect(self.address, false).await?;
        Http2::over_tls(tls.connect(socket, self.version).await?, window_bytes).await
    }

    async fn attempt_http2(self) -> Result<Client, Answer> {
        let window_bytes = if self.is_slow {
            SLOW_WINDOW_BYTES
        } else {
            WINDOW_BYTES
        };
        let http2 = match &self.http2 {
            Some(http2) => http2.clone(),
            None => self
                .connect_http2(window_bytes)
                .await
                .expect("the server listens"),
        };
        let mut request = match self.transport {
            Transport::Sse => http2::get(self.address, &self.target()),
            Transport::WebSocket => http2::connect(self.address, &self.target(), "websocket"),
        };
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a header's name");
            let value = HeaderValue::from_bytes(value).expect("a header's value");
            request.headers_mut().append(name, value);
        }
        let (response, mut stream) = http2.request(request).await.expect("the server answers");
        let head = Head::from_response(&response);
        if head.status != 200 {
            let mut body = Vec::new();
            while let Some(piece) = stream.piece().await.expect("the answer is whole") {
                body.extend_from_slice(&piece);
            }
            return Err(Answer { head, body });
        }
        stream.set_bite(self.bite);
        if self.transport == Transport::Sse {
            assert_eq!(head.get("content-type"), Some("text/event-stream"));
            let stream = SseStream::http2(stream, head, self.is_multi);
            return Ok(Client::new(Stream::Sse(Box::new(stream))));
        }
        let config = Some(ws_config());
        let stream = WebSocketStream::from_raw_socket(Io::Http2(stream), Role::Client, config).await;
        Ok(Client::new(Stream::Ws(Box::new(WsStream::new(stream, head)))))
    }

    fn target(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        format!("{}?{}", self.path, self.query.join("&"))
    }
}

fn ws_config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BYTES)
}

const SLOW_WINDOW_BYTES: u32 = 8_192;

/// How much is read ahead at the most: little, since a client that stops reading must stop.
const READ_BYTES: usize = 8_192;
