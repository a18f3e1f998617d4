//! Lines: the way out to one client.
//!
//! Two kinds of bytes leave by it: staged pieces, each of whole entries and shared with other lines, and small
//! control frames, which a protocol library writes as if the line were its socket. A control frame goes in between
//! two pieces, never into one; and it waits for at most the piece under way, never for all that is staged.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::Socket;
use crate::stream::Stream;

/// How many bytes of control frames may wait. A peer that pings faster than it takes the pongs is not read from meanwhile.
const MAX_CONTROL_BYTES: usize = 1_024;

/// How many pieces go into one system call.
const MAX_SLICES: usize = 16;

/// For how many pieces there is room while none waits. One message is one piece.
pub(crate) const MAX_IDLE_PIECES: usize = 1;

/// A socket, and what waits to leave by it.
pub struct Line<IO> {
    io: IO,
    /// What waits, piece by piece.
    pub staged: VecDeque<Bytes>,
    /// Whether the first piece has begun to leave, or has to leave before anything else.
    is_mid_piece: bool,
    is_sealed: bool,
    /// Control frames, while any wait.
    control: Option<Box<BytesMut>>,
    written: u64,
    received: u64,
}

impl<IO> Line<IO> {
    /// A line over a socket.
    pub fn new(io: IO) -> Self {
        Self {
            io,
            staged: VecDeque::new(),
            is_mid_piece: false,
            is_sealed: false,
            control: None,
            written: 0,
            received: 0,
        }
    }

    /// Puts a piece in front of everything, control frames too: the head of a response, or the rest of a piece of which the beginning has left.
    pub fn begin_with(&mut self, head: Bytes) {
        self.staged.push_front(head);
        self.is_mid_piece = true;
    }

    /// From now on only control frames leave, once the piece is whole that is under way. What else waits or is
    /// staged later is dropped: after a goodbye nothing may follow.
    pub fn seal(&mut self) {
        self.is_sealed = true;
    }

    fn control_bytes(&self) -> usize {
        self.control.as_ref().map_or(0, |control| control.len())
    }

    /// How many bytes wait.
    pub fn unsent(&self) -> usize {
        self.control_bytes() + self.staged.iter().map(Bytes::len).sum::<usize>()
    }

    /// How many bytes have left so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes a protocol library has read so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The socket, to read from. What is to leave is staged.
    pub fn io(&mut self) -> &mut IO {
        &mut self.io
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty() && self.control.is_none()
    }
}

impl<IO: AsyncWrite + Unpin + 'static> Line<IO> {
    /// Sends all that waits. Pending while the client doesn't take it.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_sealed {
            self.staged.truncate(usize::from(self.is_mid_piece));
        }
        while !self.is_empty() {
            let written = match &mut self.control {
                Some(control) if !self.is_mid_piece => {
                    let written = ready!(Pin::new(&mut self.io).poll_write(cx, control))?;
                    control.advance(written);
                    if control.is_empty() {
                        self.control = None;
                    }
                    written
                }
                _ => ready!(self.poll_write_staged(cx))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written as u64;
        }
        // What a burst took is not kept for hours.
        self.staged.shrink_to(MAX_IDLE_PIECES);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_write_staged(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(stream) = stream(&self.io)
            && let Some(first) = self.staged.front()
        {
            let written = ready!(stream.poll_send(cx, first, false))?;
            self.take_written(written);
            return Poll::Ready(Ok(written));
        }
        // With a control frame waiting no further piece may begin than the one under way.
        let count = if self.control.is_none() { MAX_SLICES } else { 1 };
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(self.staged.iter().take(count)) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        let io = Pin::new(&mut self.io);
        let written = match &slices[..filled] {
            [only] => ready!(io.poll_write(cx, only))?,
            several => ready!(io.poll_write_vectored(cx, several))?,
        };
        self.take_written(written);
        Poll::Ready(Ok(written))
    }

    fn take_written(&mut self, mut written: usize) {
        while let Some(piece) = self.staged.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                self.is_mid_piece |= written > 0;
                return;
            }
            written -= piece.len();
            self.staged.pop_front();
            self.is_mid_piece = false;
        }
    }
}

/// The stream of HTTP/2 that a line leads to, where it does: it takes shared pieces as they are.
fn stream(io: &dyn Any) -> Option<&Stream> {
    io.downcast_ref::<Socket>()?.stream()
}

/// What a protocol library reads is the socket's.
impl<IO: AsyncRead + Unpin> AsyncRead for Line<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.received += (buf.filled().len() - before) as u64;
        read
    }
}

/// What a protocol library writes are its control frames: they are put aside until [`Line::poll_drain`].
impl<IO: AsyncWrite + Unpin + 'static> AsyncWrite for Line<IO> {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, frames: &[u8]) -> Poll<io::Result<usize>> {
        // Whole frames only. Whoever drives the line drains it and then asks the library again, so no waker is kept.
        if self.control.is_some() && self.control_bytes() + frames.len() > MAX_CONTROL_BYTES {
            return Poll::Pending;
        }
        self.control.get_or_insert_default().extend_from_slice(frames);
        Poll::Ready(Ok(frames.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    const PIECE: &str = "<dddddddddd>";
    const CONTROL: &str = "[c]";

    /// Sends pieces through a pipe of a few bytes, with a control frame to be sent at every chance, and reads what arrives.
    async fn through(pipe: usize, pieces: usize, mut controls: usize) -> String {
        let (near, mut far) = duplex(pipe);
        let mut line = Line::new(near);
        line.staged
            .extend(vec![Bytes::from_static(PIECE.as_bytes()); pieces]);
        let sending = async move {
            poll_fn(|cx| {
                if controls > 0 && line.control.is_none() {
                    controls -= 1;
                    assert!(Pin::new(&mut line).poll_write(cx, CONTROL.as_bytes()).is_ready());
                }
                line.poll_drain(cx)
            })
            .await
        };
        let mut arrived = String::new();
        let (sent, received) = tokio::join!(sending, far.read_to_string(&mut arrived));
        sent.unwrap();
        received.unwrap();
        arrived
    }

    #[tokio::test]
    async fn a_control_frame_never_lands_inside_a_piece_and_waits_for_one_at_the_most() {
        for pipe in [1, 3, 5, 8, 11, 64] {
            let arrived = through(pipe, 20, 10).await;
            assert_eq!(
                arrived.replace(CONTROL, ""),
                PIECE.repeat(20),
                "through {pipe} bytes: {arrived}"
            );
            // Such a pipe wakes the sender within each piece, when the last control frame has left.
            if pipe < PIECE.len() {
                let until_last = &arrived[..arrived.rfind(CONTROL).unwrap()];
                assert!(!until_last.contains("><"), "through {pipe} bytes: {arrived}");
            }
        }
    }

    /// Drains a line into a pipe, and answers what arrives until it is empty.
    async fn drained(line: &mut Line<tokio::io::DuplexStream>, far: &mut tokio::io::DuplexStream) -> Vec<u8> {
        let mut arrived = Vec::new();
        while line
            .poll_drain(&mut Context::from_waker(Waker::noop()))
            .is_pending()
            || !line.is_empty()
        {
            arrived.push(far.read_u8().await.unwrap());
        }
        while let Some(Ok(byte)) = far.read_u8().now_or_never() {
            arrived.push(byte);
        }
        arrived
    }

    #[tokio::test]
    async fn a_head_leaves_before_a_control_frame_that_was_there_first() {
        let (near, mut far) = duplex(2);
        let mut line = Line::new(near);
        let _ = Pin::new(&mut line).poll_write(&mut Context::from_waker(Waker::noop()), b"[c]");
        line.staged.push_back(Bytes::from_static(b"<d>"));
        line.begin_with(Bytes::from_static(b"head"));
        assert_eq!(drained(&mut line, &mut far).await, b"head[c]<d>");
    }

    #[tokio::test]
    async fn after_the_seal_only_the_piece_under_way_and_control_frames_leave() {
        let (near, mut far) = duplex(1);
        let mut line = Line::new(near);
        for piece in ["<1>", "<2>", "<3>"] {
            line.staged.push_back(piece.into());
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(line.poll_drain(&mut cx).is_pending());
        let _ = Pin::new(&mut line).poll_write(&mut cx, b"[bye]");
        line.seal();
        line.staged.push_back("<4>".into());
        assert_eq!(drained(&mut line, &mut far).await, b"<1>[bye]");
        line.staged.push_back("<5>".into());
        assert_eq!(drained(&mut line, &mut far).await, b"");
    }

    #[tokio::test]
    async fn a_flood_of_control_frames_is_bounded() {
        let (near, _far) = duplex(1);
        let mut line = Line::new(near);
        let mut cx = Context::from_waker(Waker::noop());
        let mut accepted = 0;
        while Pin::new(&mut line).poll_write(&mut cx, &[0; 100]).is_ready() {
            accepted += 1;
        }
        assert_eq!(accepted, 10);
    }
}
