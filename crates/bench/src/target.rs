//! A server to be measured: where it listens, how it is followed, and how it is published to.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A client wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// Server-Sent Events over HTTP/1.1.
    Sse,
    /// WebSocket.
    Ws,
    /// Server-Sent Events over HTTP/2. Not every scenario has it.
    #[value(name = "sse-http2")]
    #[serde(rename = "sse-http2")]
    SseHttp2,
}

impl Transport {
    pub(crate) const BOTH: [Self; 2] = [Self::Sse, Self::Ws];
    pub(crate) const ALL: [Self; 3] = [Self::Sse, Self::SseHttp2, Self::Ws];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sse => "SSE",
            Self::SseHttp2 => "SSE over HTTP/2",
            Self::Ws => "WebSocket",
        }
    }
}

/// How a server is spoken to. In every text, `{channel}` is replaced by the number of a channel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dialect {
    /// The path that answers with an event stream. None if the server has none.
    pub(crate) sse: Option<String>,
    /// The path that upgrades to WebSocket. None if the server has none.
    pub(crate) ws: Option<String>,
    /// A text that a WebSocket client sends once it is open: to subscribe, where the path doesn't.
    pub(crate) ws_hello: Option<String>,
    /// Headers of a subscriber's request, with `{channel}` or `{key}` in them: `authorization: …`. A key is the channel's number, in 43
    /// digits.
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    /// The path to publish to, by POST.
    pub(crate) publish: String,
    /// The body of that POST, with `{message}` in it.
    #[serde(default = "bare_message")]
    pub(crate) publish_body: String,
    /// Headers of that POST.
    #[serde(default)]
    pub(crate) publish_headers: Vec<String>,
    /// Whether several POSTs may be under way on one connection, and are answered in order (RFC 9112 section 9.3.2).
    #[serde(default = "yes")]
    pub(crate) pipelining: bool,
    /// Whether a subscriber that brings its last id gets what it missed.
    #[serde(default)]
    pub(crate) resumes: bool,
    /// Whether it has more than one channel.
    #[serde(default)]
    pub(crate) many_channels: bool,
}

impl Dialect {
    pub(crate) fn has(&self, transport: Transport) -> bool {
        self.of(transport).is_some()
    }

    fn of(&self, transport: Transport) -> Option<&String> {
        match transport {
            Transport::Sse | Transport::SseHttp2 => self.sse.as_ref(),
            Transport::Ws => self.ws.as_ref(),
        }
    }
}

fn bare_message() -> String {
    MESSAGE.into()
}

fn yes() -> bool {
    true
}

const KEY: &str = "{key}";
const KEY_LENGTH: usize = 43;
const CHANNEL: &str = "{channel}";
const MESSAGE: &str = "{message}";

/// A server that runs.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    dialect: Dialect,
}

impl Target {
    pub(crate) fn new(address: &str, dialect: Dialect) -> Result<Self> {
        let resolved = address
            .to_socket_addrs()
            .with_context(|| format!("no address: {address}"))?
            .next();
        let address = resolved.with_context(|| format!("no address for {address}"))?;
        Ok(Self { address, dialect })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn headers(&self, channel: usize) -> impl Iterator<Item = String> {
        let key = format!("{channel:0KEY_LENGTH$}");
        let headers = self.dialect.headers.iter();
        headers.map(move |header| with_channel(header, channel).replace(KEY, &key))
    }

    pub(crate) fn pipelines(&self) -> bool {
        self.dialect.pipelining
    }

    pub(crate) fn path(&self, transport: Transport, channel: usize) -> Result<String> {
        let path = self.dialect.of(transport);
        let path = path.with_context(|| format!("the server has no {}", transport.name()))?;
        Ok(with_channel(path, channel))
    }

    pub(crate) fn ws_hello(&self, channel: usize) -> Option<String> {
        self.dialect
            .ws_hello
            .as_ref()
            .map(|hello| with_channel(hello, channel))
    }

    /// A whole request that publishes a message.
    pub(crate) fn publish(&self, channel: usize, message: &str) -> String {
        let path = with_channel(&self.dialect.publish, channel);
        let body = with_channel(&self.dialect.publish_body, channel).replace(MESSAGE, message);
        let mut headers = format!("host: {}\r\ncontent-length: {}\r\n", self.address, body.len());
        for header in &self.dialect.publish_headers {
            headers = format!("{headers}{header}\r\n");
        }
        format!("POST {path} HTTP/1.1\r\n{headers}\r\n{body}")
    }
}

fn with_channel(text: &str, channel: usize) -> String {
    text.replace(CHANNEL, &channel.to_string())
}
