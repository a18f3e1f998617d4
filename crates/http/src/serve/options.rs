//! What a server can be told.

use std::time::Duration;

use crate::shutdown::DRAIN_WINDOW;

/// The bounds of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// For how long a client may take to send a request's head: from the connection's beginning, or from the head's first byte on a
    /// connection that was used before. Default 30 seconds. Then its connection is cut.
    pub head_timeout: Duration,
    /// For how long a connection may wait for its next request. Default 75 seconds: longer than proxies keep an unused connection
    /// (mostly 60), since one that the server closes first costs them a failed request. Then it is closed.
    pub idle_timeout: Duration,
    /// For how long a client may take nothing of an ordinary response. Default 30 seconds. Then its connection is cut; over HTTP/2
    /// its stream is reset, and the connection lasts. Sessions have [their own](crate::SessionOptions::write_timeout).
    ///
    /// What a client takes is seen in steps: over TCP when the kernel has a third of its send buffer free again (43 KiB by default, so
    /// that a client slower than 1.4 KiB a second looks as if it took nothing), with TLS a record of 16 KiB later, over HTTP/2 by
    /// 16 KiB (0.5 KiB a second). Give slower clients more time, or the connection a smaller
    /// [send buffer](Self::send_buffer_bytes).
    pub write_timeout: Duration,
    /// The largest head of a request, in bytes. Default 64 KiB: more than any browser's cookies, and what one connection
    /// can make the server hold before it has said what it wants. So all of them together can make it hold so much times
    /// [`max_connections`](Self::max_connections), 6.1 GiB by default. A larger one is answered 431. Over HTTP/1.1 no less than 8 KiB,
    /// and looked at between two reads: what one read brings may go beyond it, to twice as much at the most.
    pub max_head_bytes: usize,
    /// For how long a client may send nothing of a request's body that the application waits for. Default 30 seconds. Then the request
    /// is answered 408, with what layers have said in the head. It begins anew with each piece: whoever sends a byte now and then
    /// may go on for ever, and an application that minds puts a deadline on the whole.
    pub body_timeout: Duration,
    /// How many connections there may be. Default 100,000: each may have sessions, whose own limit is the hub's, and this
    /// one bounds what comes before, and what the application upgrades by itself. One above it is closed without a word, and its
    /// client comes back; an answer of HTTP would make an `EventSource` give up for good.
    pub max_connections: usize,
    /// How many of them may come from one address, of IPv6 from one /64. Default none, since behind a proxy all clients share
    /// one address.
    pub max_connections_per_address: Option<usize>,
    /// The kernel's send buffer for each connection, in bytes. Default 64 KiB, which Linux doubles. Left to itself the
    /// kernel takes megabytes for a client that stalls, and nobody learns of it.
    pub send_buffer_bytes: usize,
    /// How many connections may wait to be accepted. Default 4,096: a storm of clients that all come back at once should
    /// not have to retry, which costs each of them a second. The system's own limit (`net.core.somaxconn`) applies.
    pub backlog: i32,
    /// Over how long sessions are told that the server shuts down, one batch after another. Default 1 second, which a thousand sessions
    /// hardly notice and a hundred thousand need. At most half of [`drain_timeout`](Self::drain_timeout).
    pub drain_window: Duration,
    /// For how long ordinary requests may go on after a shutdown began, and sessions that have leave to
    /// [finish](crate::SessionOptions::shutdown_grace). Default 10 seconds. Then they are dropped.
    pub drain_timeout: Duration,
    /// For how long a handler of a client's message that is still at work then may go on. Default 5 seconds. Then it is dropped where it
    /// waits, and the server is over.
    pub handler_grace: Duration,
    /// What holds for connections that speak HTTP/2.
    pub http2: Http2Options,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            max_head_bytes: 64 << 10,
            body_timeout: Duration::from_secs(30),
            max_connections: 100_000,
            max_connections_per_address: None,
            send_buffer_bytes: 64 << 10,
            backlog: 4_096,
            drain_window: DRAIN_WINDOW,
            drain_timeout: Duration::from_secs(10),
            handler_grace: Duration::from_secs(5),
            http2: Http2Options::default(),
        }
    }
}

/// The bounds of a connection that speaks HTTP/2.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2Options {
    /// How many requests one connection may have open, event streams and WebSockets among them. Default 250: a browser opens one
    /// connection to a site for all of its tabs.
    pub max_streams: u32,
    /// How much a client may send of one request, or on one WebSocket, before the application has read it, in bytes. Default 64 KiB: a slow
    /// handler pushes back on its client.
    pub stream_window_bytes: u32,
    /// The same for all requests of a connection together. Default 16 MiB, which holds the windows of all streams: a proxy may bring many
    /// users over one connection, and none of them may shut the others out.
    pub connection_window_bytes: u32,
    /// How much is taken ahead for a client that doesn't read, for each stream, in bytes. Default 64 KiB, as the kernel's
    /// send buffer for a connection of HTTP/1.1. A frame of 16 KiB may come on top. Less than a frame counts as one. Nor
    /// are more than 64 pieces taken, however small they are: each costs some 300 bytes beside its own.
    pub max_send_bytes: usize,
    /// How often a connection is pinged, in order to find out that its client has vanished. Default 25 seconds.
    /// Zero means never.
    pub ping_interval: Duration,
    /// For how long a ping may stay unanswered. Default 20 seconds. Then the connection is cut.
    pub ping_timeout: Duration,
}

impl Default for Http2Options {
    fn default() -> Self {
        Self {
            max_streams: 250,
            stream_window_bytes: 64 << 10,
            connection_window_bytes: 16 << 20,
            max_send_bytes: 64 << 10,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
        }
    }
}
