//! Sockets: how a client's bytes come and go, whichever way they are wrapped.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dualcast_core::Lane;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use crate::stream::{Stream, StreamSocket};
use crate::tcp::Tcp;

/// A client's connection, with TLS or without, or a stream of one.
pub struct Socket(Kind);

enum Kind {
    /// One whose way out can be lent.
    Plain(Arc<Lane<Tcp>>),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<TcpStream>>),
    /// One of several that share a connection of HTTP/2.
    Stream(StreamSocket),
}

impl From<StreamSocket> for Socket {
    fn from(stream: StreamSocket) -> Self {
        Self(Kind::Stream(stream))
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Kind::Plain(Arc::new(Lane::new(Tcp(stream)))))
    }
}

#[cfg(feature = "tls")]
impl From<TlsStream<TcpStream>> for Socket {
    fn from(mut stream: TlsStream<TcpStream>) -> Self {
        stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        Self(Kind::Tls(Box::new(stream)))
    }
}

impl Socket {
    /// Lets the kernel give up a client that acknowledges nothing for twice a session's write deadline: one whose network is gone,
    /// without a goodbye. What is sent to it fits into the send buffer for long, so that to us it seems to have left.
    ///
    /// Twice, since the kernel also counts a client that doesn't read, and tells nothing of why a connection ends: where something waits
    /// here, too, the deadline comes first, and the client is known to have stalled.
    pub(crate) fn give_up_after(&self, write_timeout: Duration) {
        if let Some(tcp) = self.tcp() {
            give_up_after(tcp, write_timeout);
        }
    }

    /// Leaves it to the kernel again when a client is given up.
    pub(crate) fn never_give_up(&self) {
        if let Some(tcp) = self.tcp() {
            set_user_timeout(tcp, None);
        }
    }

    /// Whether nobody on the way can read it, as far as is known here.
    pub(crate) fn is_encrypted(&self) -> bool {
        !matches!(self.0, Kind::Plain(_) | Kind::Stream(_))
    }

    /// The stream that it is, where it is one of several.
    pub(crate) fn stream(&self) -> Option<&Stream> {
        match &self.0 {
            Kind::Stream(stream) => Some(stream.stream()),
            _ => None,
        }
    }

    /// Its way out, where that can be lent: under TLS what leaves has to be encrypted first.
    pub(crate) fn lane(&self) -> Option<Arc<Lane>> {
        match &self.0 {
            Kind::Plain(lane) => Some(Arc::clone(lane) as Arc<Lane>),
            #[cfg(feature = "tls")]
            Kind::Tls(_) => None,
            Kind::Stream(stream) => Some(Arc::clone(stream.lane()) as Arc<Lane>),
        }
    }

    /// Ends the connection, both ways: what was written still leaves, and whoever waits for the socket is woken. Not an error where the
    /// client is gone already.
    pub(crate) fn shut(&self) {
        if let Some(tcp) = self.tcp() {
            drop(SockRef::from(tcp).shutdown(Shutdown::Both));
        }
    }

    /// The connection, where nobody shares it.
    fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::Plain(lane) => Some(&lane.outlet().0),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Some(stream.get_ref().0),
            Kind::Stream(_) => None,
        }
    }
}

/// As [`Socket::give_up_after`].
pub(crate) fn give_up_after(stream: &TcpStream, write_timeout: Duration) {
    // The kernel counts milliseconds in 32 bits; none of them would mean its own default.
    let longest = Duration::from_secs(u32::MAX as u64 / 1_000);
    let timeout = write_timeout.saturating_mul(2);
    set_user_timeout(stream, Some(timeout.clamp(Duration::from_millis(1), longest)));
}

/// RFC 5482; `tcp(7)`. Other systems have no such deadline.
fn set_user_timeout(stream: &TcpStream, timeout: Option<Duration>) {
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(timeout) {
        tracing::debug!(%error, "a connection is gone before it was told a deadline");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, timeout);
}

/// Does the same with whichever it is.
macro_rules! with {
    ($socket:expr, $stream:ident => $body:expr) => {
        match &mut $socket.get_mut().0 {
            Kind::Plain(lane) => {
                let $stream = &mut lane.outlet();
                $body
            }
            #[cfg(feature = "tls")]
            Kind::Tls($stream) => $body,
            Kind::Stream($stream) => $body,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Plain(_) => true,
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => stream.is_write_vectored(),
            Kind::Stream(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// How much may wait encrypted for a client that doesn't read, in bytes: one record. rustls would take 64 KiB.
#[cfg(feature = "tls")]
const TLS_BUFFER_BYTES: usize = 16 << 10;
