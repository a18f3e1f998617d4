//! A socket on loan to hyper: one that tells what has come and gone, and whether hyper still has something to write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::Prefix;
use crate::socket::Socket;

/// How hyper's reads and writes fare.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    is_blocked: AtomicBool,
    written: AtomicU64,
    read: AtomicU64,
}

impl Traffic {
    /// Whether the last write found no room: then hyper holds bytes that must leave before anybody else writes.
    pub(crate) fn is_blocked(&self) -> bool {
        self.0.is_blocked.load(Ordering::Relaxed)
    }

    /// How many bytes have left.
    pub(crate) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// How many bytes have come.
    pub(crate) fn read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.0.is_blocked.store(written.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Ok(bytes)) = written {
            self.0.written.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

/// A socket that hyper reads and writes.
pub(crate) struct Loan {
    socket: Socket,
    /// What was read before hyper was there.
    prefix: Prefix,
    traffic: Traffic,
}

impl Loan {
    pub(crate) fn new(socket: Socket, prefix: Prefix, traffic: Traffic) -> Self {
        Self {
            socket,
            prefix,
            traffic,
        }
    }

    /// The socket. hyper has read what came before it.
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }
}

impl AsyncRead for Loan {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        self.prefix.give_to(buf);
        let has_given = buf.filled().len() > before;
        let read = if buf.remaining() > 0 || !has_given {
            Pin::new(&mut self.socket).poll_read(cx, buf)
        } else {
            Poll::Pending
        };
        let count = buf.filled().len() - before;
        self.traffic.0.read.fetch_add(count as u64, Ordering::Relaxed);
        // What the socket says of itself it says again when it is asked alone.
        if has_given { Poll::Ready(Ok(())) } else { read }
    }
}

impl AsyncWrite for Loan {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.traffic.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.traffic.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// Under TLS a write that was taken may still wait here.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.traffic
            .0
            .is_blocked
            .store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
