//! A socket on loan to hyper: one that tells what has come and gone, and whether hyper still has something to write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::places::Place;
use crate::serve::prefix::Prefix;
use crate::serve::server::lock;
use crate::serve::upgrades::Upgrade;
use crate::socket::Socket;

/// How hyper's reads and writes fare.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    is_blocked: AtomicBool,
    written: AtomicU64,
    read: AtomicU64,
}

impl Traffic {
    /// Whether the last write found no room: then hyper holds bytes that must leave before anybody else writes.
    pub(super) fn is_blocked(&self) -> bool {
        self.0.is_blocked.load(Ordering::Relaxed)
    }

    /// How many bytes have left.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// How many bytes have come.
    pub(super) fn read(&self) -> u64 {
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

/// A socket that hyper reads and writes, with its place. Whoever upgrades the connection gets the loan from hyper, and so the place.
pub(super) struct Loan {
    lent: Arc<Lent>,
    /// What was read before hyper was there.
    prefix: Prefix,
    traffic: Traffic,
}

/// What is on loan.
pub(super) struct Lent {
    socket: Mutex<Socket>,
    place: Place,
    /// Set once hyper has passed the loan on.
    upgrade: Mutex<Option<Upgrade>>,
}

impl Loan {
    pub(super) fn new(socket: Socket, place: Place, prefix: Prefix, traffic: Traffic) -> Self {
        let lent = Lent {
            socket: Mutex::new(socket),
            place,
            upgrade: Mutex::default(),
        };
        Self {
            lent: Arc::new(lent),
            prefix,
            traffic,
        }
    }

    /// What is on loan, for as long as anybody has it.
    pub(super) fn lent(&self) -> Weak<Lent> {
        Arc::downgrade(&self.lent)
    }

    /// Takes it back. hyper has read what came before it.
    pub(super) fn take_back(self) -> Option<(Socket, Place)> {
        let Lent { socket, place, .. } = Arc::into_inner(self.lent)?;
        Some((socket.into_inner().unwrap_or_else(PoisonError::into_inner), place))
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        lock(&self.lent.socket)
    }
}

impl Lent {
    /// Ends the connection, whoever has it.
    pub(super) fn shut(&self) {
        lock(&self.socket).shut();
    }

    /// Its deadlines are the application's from now on.
    pub(super) fn forget_deadline(&self) {
        lock(&self.socket).never_give_up();
    }

    pub(super) fn stay_listed(&self, upgrade: Upgrade) {
        *lock(&self.upgrade) = Some(upgrade);
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
            Pin::new(&mut *self.socket()).poll_read(cx, buf)
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.socket()).poll_write(cx, buf);
        self.traffic.note(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.socket()).poll_write_vectored(cx, slices);
        self.traffic.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket().is_write_vectored()
    }

    /// Under TLS a write that was taken may still wait here.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.socket()).poll_flush(cx);
        self.traffic
            .0
            .is_blocked
            .store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket()).poll_shutdown(cx)
    }
}
