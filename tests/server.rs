//! A server under test, on a port of its own.

use std::fmt::Display;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::serve::ListenerExt;
use dualcast::{Channel, Hub, Message, Position, ServerOptions, Transport};
use serde_json::Value;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time;

use crate::dial::Dial;
use crate::frames::Frames;
use crate::http::{Answer, Http};
use crate::http2::{Http2, WINDOW_BYTES, connect};
use crate::matrix::{HttpServer, HttpVersion, Under};
use crate::socket::Socket;
use crate::tls::Tls;

/// A server that runs until it is told to stop, or dropped.
#[derive(Debug)]
pub struct Server {
    /// Its hub.
    pub hub: Hub,
    /// Where it listens.
    pub address: SocketAddr,
    /// The other nodes of its application.
    pub others: Vec<Server>,
    /// Which node is next.
    turn: AtomicUsize,
    under: Under,
    tls: Option<Tls>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(
        under: Under,
        hub: Hub,
        app: Router,
        options: Box<dyn FnOnce(&mut ServerOptions) + Send>,
        send_buffer_bytes: usize,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let tls = under.is_tls.then(Tls::new);
        let serving = match under.server {
            HttpServer::Dualcast => {
                let mut serve = dualcast::serve(listener, app);
                if let Some(tls) = &tls {
                    serve = serve.tls(tls.server());
                }
                let serve = serve
                    .options(|o| o.send_buffer_bytes = send_buffer_bytes)
                    .options(options)
                    .with_graceful_shutdown(stopped);
                tokio::spawn(serve.into_future())
            }
            HttpServer::Axum => {
                let listener = listener.tap_io(move |stream| {
                    stream.set_nodelay(true).unwrap();
                    SockRef::from(&*stream)
                        .set_send_buffer_size(send_buffer_bytes)
                        .unwrap();
                });
                let serve = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
                    .with_graceful_shutdown(stopped);
                tokio::spawn(serve.into_future())
            }
        };
        Self {
            hub,
            address,
            others: Vec::new(),
            turn: AtomicUsize::new(0),
            under,
            tls,
            stop: Some(stop),
            serving,
        }
    }

    /// The nodes of its application.
    pub fn nodes(&self) -> impl Iterator<Item = &Self> {
        iter::once(self).chain(&self.others)
    }

    /// One node after the other.
    fn next(&self) -> &Self {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst) % (self.others.len() + 1);
        turn.checked_sub(1).map_or(self, |other| &self.others[other])
    }

    /// A client to be, of these channels.
    pub fn dial(&self, channels: &str) -> Dial {
        self.dial_by(self.under.transport, channels)
    }

    /// A client to be, by another transport than the test's.
    pub fn dial_by(&self, transport: Transport, channels: &str) -> Dial {
        self.next().dial_here(transport, channels)
    }

    /// A client to be of this node, whose turn ever it is.
    pub fn dial_here(&self, transport: Transport, channels: &str) -> Dial {
        Dial::new(self.address, transport, self.under.version)
            .tls(self.tls.as_ref())
            .channels(channels)
    }

    /// A client to be, of no channel.
    pub fn dial_path(&self, path: &str) -> Dial {
        Dial::new(self.address, self.under.transport, self.under.version)
            .tls(self.tls.as_ref())
            .path(path)
    }

    /// A connection that speaks HTTP by hand.
    pub async fn http(&self) -> Http {
        Http::connect(self.address).await.expect("the server listens")
    }

    /// An ordinary HTTP/1.1 client whose kernel buffer takes a few KiB only, over TLS where the server speaks it.
    ///
    /// # Panics
    ///
    /// Where it can't connect.
    pub async fn small_http(&self) -> Http {
        let socket = Socket::connect(self.address, true)
            .await
            .expect("the server listens");
        match &self.tls {
            Some(tls) => Http::over(
                tls.connect(socket, HttpVersion::Http1)
                    .await
                    .expect("TLS is spoken"),
            ),
            None => Http::over(socket),
        }
    }

    /// How its clients speak TLS, where it does.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("the server speaks TLS")
    }

    /// A WebSocket that is framed by hand.
    pub async fn frames(&self, channels: &str) -> Frames {
        if self.under.version == HttpVersion::Http1 {
            return self.frames_over(self.http().await, channels).await;
        }
        let http2 = Http2::connect(self.address, WINDOW_BYTES)
            .await
            .expect("the server listens");
        let request = connect(self.address, &format!("/ws?channels={channels}"), "websocket");
        let (response, stream) = http2.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Frames::new(Http::over(stream))
    }

    /// A WebSocket that is framed by hand, on a connection that is there.
    pub async fn frames_over(&self, mut http: Http, channels: &str) -> Frames {
        let request = self.ws_request(&format!("/ws?channels={channels}"));
        http.send(request).await.unwrap();
        let head = http.head().await.unwrap();
        assert_eq!(head.status, 101, "{head:?}");
        assert_eq!(
            head.get("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        Frames::new(http)
    }

    /// The request that opens a WebSocket, with the key of RFC 6455 section 1.3.
    #[must_use]
    pub fn ws_request(&self, target: &str) -> String {
        format!(
            "GET {target} HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        )
    }

    /// Sends one request and reads the answer.
    pub async fn request(&self, request: impl Display) -> Answer {
        let mut http = self.http().await;
        http.send(request.to_string()).await.unwrap();
        http.answer().await.unwrap()
    }

    /// Sends an inbound message by the companion POST.
    pub async fn say(&self, channels: &str, message: &Value) -> Answer {
        self.say_text(channels, &message.to_string(), "").await
    }

    /// Sends any text by the companion POST, with more headers, each ended by CRLF.
    pub async fn say_text(&self, channels: &str, text: &str, headers: &str) -> Answer {
        let (address, length) = (self.address, text.len());
        let head = format!(
            "POST /say?channels={channels} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n"
        );
        self.request(head + text).await
    }

    /// A channel.
    pub fn channel(&self, name: &str) -> Channel {
        self.hub.channel(name).expect("a channel's name")
    }

    /// Publishes a text.
    pub async fn publish(&self, channel: &str, text: impl Into<Box<str>>) -> Position {
        let message = Message::text("message", text);
        let publishing = self
            .next()
            .hub
            .channel(channel)
            .expect("a channel's name")
            .publish(message)
            .await;
        let position = publishing.expect("it is published");
        for node in &self.others {
            eventually("every node has it", || node.hub.position() >= position).await;
        }
        eventually("this node has it", || self.hub.position() >= position).await;
        position
    }

    /// Publishes a text as soon as somebody follows: for a client that can't tell when it does.
    pub async fn publish_when_followed(&self, channel: &str, text: &str) -> Position {
        let is_followed = || self.nodes().any(|node| node.channel(channel).followers() > 0);
        eventually("it is followed", is_followed).await;
        self.publish(channel, text).await
    }

    /// Publishes numbered texts.
    pub async fn publish_numbers(
        &self,
        channel: &str,
        numbers: std::ops::RangeInclusive<u32>,
    ) -> Vec<Position> {
        let mut positions = Vec::new();
        for number in numbers {
            positions.push(self.publish(channel, number.to_string()).await);
        }
        positions
    }

    /// Waits until nothing is left of any client.
    pub async fn is_free_of(&self, channels: &[&str]) {
        for node in self.nodes() {
            eventually("every session is over", || node.hub.session_count() == 0).await;
            for name in channels {
                let channel = node.channel(name);
                eventually("every follower is gone", || channel.followers() == 0).await;
            }
        }
    }

    /// Begins to shut down, as the test's server does. Under axum's that is to tell the hub beside it.
    pub fn begin_shutdown(&mut self) {
        if self.under.server == HttpServer::Axum {
            let hub = self.hub.clone();
            tokio::spawn(async move { dualcast::shutdown(&hub).await });
        }
        self.stop();
    }

    /// Begins to shut down the server alone.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server is over.
    ///
    /// # Panics
    ///
    /// If it failed, or goes on for ever.
    pub async fn is_over(&mut self) {
        let over = time::timeout(PATIENCE, &mut self.serving).await;
        over.expect("the server comes to its end")
            .expect("the server does not panic")
            .expect("the server ends well");
    }

    /// Whether the server still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.serving.is_finished()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Waits until something holds.
///
/// # Panics
///
/// If it doesn't in the end.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not so in the end: {what}");
        time::sleep(Duration::from_millis(2)).await;
    }
}

/// Far longer than anything takes: it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);
