//! The client of an event stream: it listens, and what it says means nothing until it leaves.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dualcast_core::CloseReason;
use dualcast_http::{Feed, Line, MAX_ROUNDS, Peer, Rate, Socket, Throttle};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of what means nothing is read, the rest of a request's body that nobody wanted, say: 1 MiB a second, 2 MiB at once, as from a
/// WebSocket. Whoever sends more has to wait.
const BYTE_RATE: Rate = Rate::per_second(1 << 20).burst(2 << 20);

/// Ends a chunked body (RFC 9112 section 7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The client's side of the socket.
pub(crate) struct SsePeer {
    line: Line<Socket>,
    throttle: Throttle,
    /// What is still to be said at its end.
    end: Option<&'static [u8]>,
}

impl SsePeer {
    /// One that has its socket to itself.
    pub(crate) fn on_socket(line: Line<Socket>) -> Self {
        Self {
            end: Some(LAST_CHUNK),
            ..Self::on_stream(line)
        }
    }

    /// One of several on a connection.
    pub(crate) fn on_stream(line: Line<Socket>) -> Self {
        Self {
            line,
            throttle: Throttle::default(),
            end: None,
        }
    }

    /// Reads and forgets what the client sends, until it sends no more for good.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..MAX_ROUNDS {
            ready!(self.throttle.poll_passed(cx));
            // Nothing is written to it where the client says nothing, which is nearly always.
            let mut buffer = [MaybeUninit::uninit(); 4_096];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            let read: io::Result<()> = ready!(Pin::new(self.line.io()).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
            let read = buffer.filled().len() as u64;
            self.throttle.charge((0, BYTE_RATE), (read, BYTE_RATE));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Peer for SsePeer {
    type Io = Socket;

    fn line(&mut self) -> &mut Line<Socket> {
        &mut self.line
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>, _feed: &mut Feed) -> Poll<CloseReason> {
        self.poll_left(cx).map(|()| CloseReason::Left)
    }

    fn poll_part(&mut self, cx: &mut Context<'_>, _feed: &mut Feed) -> Poll<()> {
        let end = self.end.take().map(Bytes::from_static);
        self.line.staged.extend(end);
        let parted = ready!(Pin::new(&mut self.line).poll_shutdown(cx));
        if parted.is_err() {
            return Poll::Ready(());
        }
        self.poll_left(cx)
    }
}
