//! A socket on loan to hyper, or to h2: one that tells what has come and gone, and whether hyper still has something to write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::gathering::Gathering;
use crate::serve::places::Place;
use crate::serve::prefix::Prefix;
use crate::serve::server::lock;
use crate::serve::traffic::Traffic;
use crate::serve::upgrades::Upgrade;
use crate::socket::Socket;

/// A socket that hyper reads and writes, with its place. Whoever upgrades the connection gets the loan from hyper, and so the place.
pub(super) struct Loan {
    lent: Arc<Lent>,
    /// What was read before hyper was there.
    prefix: Prefix,
}

/// What is on loan.
pub(super) struct Lent {
    out: Mutex<Gathering>,
    traffic: Traffic,
    place: Place,
    /// Set once hyper has passed the loan on.
    upgrade: Mutex<Option<Upgrade>>,
}

impl Loan {
    pub(super) fn new(socket: Socket, place: Place, prefix: Prefix, traffic: Traffic) -> Self {
        let lent = Lent {
            out: Mutex::new(Gathering::new(socket, traffic.clone())),
            traffic,
            place,
            upgrade: Mutex::default(),
        };
        Self {
            lent: Arc::new(lent),
            prefix,
        }
    }

    /// From now on what is written in a poll leaves when [`Lent::poll_let_go`] is asked at its end.
    pub(super) fn gather(&self) {
        self.out().gather(true);
    }

    /// What is on loan, for as long as anybody has it.
    pub(super) fn lent(&self) -> Weak<Lent> {
        Arc::downgrade(&self.lent)
    }

    /// Takes it back. hyper has read what came before it.
    pub(super) fn take_back(self) -> Option<(Socket, Place)> {
        let Lent { out, place, .. } = Arc::into_inner(self.lent)?;
        let Gathering { socket, .. } = out.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some((socket, place))
    }

    fn out(&self) -> MutexGuard<'_, Gathering> {
        lock(&self.lent.out)
    }
}

impl Lent {
    /// Gathers no more, once nothing is left that was gathered: somebody else may write soon, who asks for nothing at the end. Where the client is gone,
    /// that is for the next who writes to find.
    pub(super) fn poll_stop_gathering(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut out = lock(&self.out);
        drop(ready!(out.poll_let_go(cx)));
        out.gather(false);
        Poll::Ready(())
    }

    /// Lets go of what hyper wrote in a poll. While it is pending, there are bytes that must leave before anybody else writes.
    pub(super) fn poll_let_go(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.out).poll_let_go(cx)
    }

    /// Ends the connection, whoever has it.
    pub(super) fn shut(&self) {
        lock(&self.out).socket.shut();
    }

    /// Its deadlines are the application's from now on.
    pub(super) fn forget_deadline(&self) {
        lock(&self.out).socket.never_give_up();
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
            Pin::new(&mut self.out().socket).poll_read(cx, buf)
        } else {
            Poll::Pending
        };
        self.lent.traffic.note_read(buf.filled().len() - before);
        // What the socket says of itself it says again when it is asked alone.
        if has_given { Poll::Ready(Ok(())) } else { read }
    }
}

impl AsyncWrite for Loan {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.out().poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.out().socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out().poll_shutdown(cx)
    }
}
