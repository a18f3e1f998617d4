//! The client's end, whichever version of HTTP it speaks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::http2::Http2Stream;
use crate::socket::Socket;

/// What a client reads and writes.
#[derive(Debug)]
pub enum Io {
    /// A connection of its own.
    Http1(Socket),
    /// The same, encrypted.
    Tls(Box<TlsStream<Socket>>),
    /// A stream of one.
    Http2(Http2Stream),
}

impl Io {
    /// Reads at most so many bytes at a time from now on.
    pub fn set_bite(&mut self, bytes: usize) {
        match self {
            Self::Http1(socket) => socket.set_bite(bytes),
            Self::Tls(stream) => stream.get_mut().0.set_bite(bytes),
            Self::Http2(stream) => stream.set_bite(bytes),
        }
    }

    /// Vanishes: the other end is sent a reset.
    pub fn reset(self) {
        self.vanish(true);
    }

    /// Vanishes with a reset, or just closes its socket.
    pub(crate) fn vanish(self, is_reset: bool) {
        match self {
            Self::Http1(socket) if is_reset => socket.reset(),
            Self::Tls(stream) if is_reset => stream.into_inner().0.reset(),
            Self::Http1(_) | Self::Tls(_) => {}
            Self::Http2(stream) if is_reset => stream.http().reset(),
            Self::Http2(stream) => stream.http().hang_up(),
        }
    }

    fn get(self: Pin<&mut Self>) -> Pin<&mut dyn Both> {
        match self.get_mut() {
            Self::Http1(socket) => Pin::new(socket),
            Self::Tls(stream) => Pin::new(stream),
            Self::Http2(stream) => Pin::new(stream),
        }
    }
}

impl From<Socket> for Io {
    fn from(socket: Socket) -> Self {
        Self::Http1(socket)
    }
}

impl From<Http2Stream> for Io {
    fn from(stream: Http2Stream) -> Self {
        Self::Http2(stream)
    }
}

impl From<TlsStream<Socket>> for Io {
    fn from(stream: TlsStream<Socket>) -> Self {
        Self::Tls(Box::new(stream))
    }
}

trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get().poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get().poll_shutdown(cx)
    }
}
