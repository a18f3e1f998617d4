//! A TCP connection that two can send by, one at a time: its session, and the hub to which the session lends it.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dualcast_core::Outlet;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The connection.
#[derive(Debug)]
pub(crate) struct Tcp(pub(crate) TcpStream);

impl Outlet for Tcp {
    /// Past tokio, whose notes of the socket lie elsewhere in memory. To tokio it stays writable where this finds it full. The session's next write goes by
    /// tokio, finds that out, and waits: for an event that comes behind its own look.
    fn send(&self, bytes: &Bytes) -> usize {
        let socket = SockRef::from(&self.0);
        socket.send_with_flags(bytes, NO_SIGNAL).unwrap_or(0)
    }
}

/// A client that is gone is an error, and no signal that ends a process which has not asked to ignore it. Apple's sockets and Windows know no such signal.
#[cfg(all(unix, not(target_vendor = "apple")))]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const NO_SIGNAL: i32 = 0;

impl Tcp {
    /// Reads or writes once. What was less than there was room for has emptied, or filled, the kernel's buffer: to know that saves
    /// the system call that would find it out. So it is with epoll and kqueue.
    fn poll_act(
        &self,
        interest: Interest,
        room: usize,
        cx: &mut Context<'_>,
        mut act: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if interest.is_readable() {
                ready!(self.0.poll_read_ready(cx))?;
            } else {
                ready!(self.0.poll_write_ready(cx))?;
            }
            let mut partial = None;
            let done = self.0.try_io(interest, || {
                let count = act()?;
                if cfg!(unix) && 0 < count && count < room {
                    partial = Some(count);
                    return Err(ErrorKind::WouldBlock.into());
                }
                Ok(count)
            });
            match partial.map_or(done, Ok) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for &Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        let read = self.poll_act(Interest::READABLE, room, cx, || self.0.try_read_buf(buf));
        read.map_ok(|_| ())
    }
}

impl AsyncWrite for &Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_act(Interest::WRITABLE, buf.len(), cx, || self.0.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = slices.iter().map(|slice| slice.len()).sum();
        self.poll_act(Interest::WRITABLE, room, cx, || self.0.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.0).shutdown(Shutdown::Write))
    }
}
