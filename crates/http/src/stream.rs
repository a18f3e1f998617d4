//! A stream of HTTP/2 that two can send by, one at a time: its session, and the hub to which the session lends it.
//!
//! What is sent goes to the connection, which the streams share, and leaves when the client's windows and the socket have room. How much of it
//! is still to leave is counted here, since each piece tells when it has left: so a stream has room or it hasn't, as a socket does.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::{Buf, Bytes};
use dualcast_core::{Lane, Outlet};
use futures::task::AtomicWaker;
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time;

use crate::serve::lock;
use crate::stall::Stall;

/// A stream that somebody sends by.
pub(crate) struct Stream {
    shared: Arc<Shared>,
    /// None where its client says no more than the request, which is over: then all that is to be learned is that it leaves.
    hearing: Option<Box<Mutex<Hearing>>>,
}

/// What a stream shares with the portions that are on their way.
struct Shared {
    /// None once nobody has it any more.
    sender: Mutex<Option<SendStream<Portion>>>,
    /// What the connection has that has not left: in the upper half how many portions, in the lower how many bytes. The highest bit says that the stream has ended.
    state: AtomicU64,
    /// From how many bytes on it takes no more.
    max_unsent: u32,
    /// By which connection it leads.
    connection: u32,
    /// Who waits for some to leave.
    waiting: AtomicWaker,
}

/// Bytes on their way.
pub(crate) struct Portion {
    bytes: Bytes,
    of: Arc<Shared>,
}

impl Stream {
    /// A stream of a connection, whose answer has begun. It takes no more while so many bytes of it wait.
    pub(crate) fn new(sender: SendStream<Portion>, connection: u32, max_unsent: usize) -> Self {
        let shared = Shared {
            sender: Mutex::new(Some(sender)),
            state: AtomicU64::new(0),
            max_unsent: u32::try_from(max_unsent).unwrap_or(u32::MAX / 2).max(1),
            connection,
            waiting: AtomicWaker::new(),
        };
        Self {
            shared: Arc::new(shared),
            hearing: None,
        }
    }

    /// One whose client goes on speaking.
    pub(crate) fn heard(self, receiver: RecvStream) -> Self {
        let hearing = Hearing {
            receiver,
            rest: Bytes::new(),
        };
        Self {
            hearing: Some(Box::new(Mutex::new(hearing))),
            ..self
        }
    }

    /// How many bytes have not left.
    pub(crate) fn unsent(&self) -> u32 {
        self.shared.unsent() as u32
    }

    /// Sends the first of these bytes, and answers how many that are. Pending while too many wait already. Where these are the last, the stream ends
    /// with the last of them.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        bytes: &Bytes,
        are_last: bool,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx));
        Poll::Ready(self.send(bytes, are_last))
    }

    /// Ready once everything has left.
    pub(crate) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(cx, |shared| shared.unsent() == 0)
    }

    /// Done once nothing of what waits has left for so long.
    pub(crate) async fn stalled(&self, timeout: Duration) {
        let mut stall = Stall::default();
        poll_fn(|cx| {
            // What leaves wakes this.
            let _ = self.poll_left(cx);
            stall.poll(cx, u64::from(self.unsent()), timeout)
        })
        .await;
    }

    /// Ready once its client has reset it, or is gone.
    pub(crate) fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *lock(&self.shared.sender) {
            Some(sender) => sender.poll_reset(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    /// Whether all of it was sent that will be.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.has_ended()
    }

    /// Sends no more after this.
    pub(crate) fn end(&self) -> io::Result<()> {
        if self.has_ended() {
            return Ok(());
        }
        self.hand_over(Bytes::new(), true)
    }

    /// Ends with these.
    pub(crate) fn end_with(&self, trailers: HeaderMap) -> io::Result<()> {
        let mut sender = lock(&self.shared.sender);
        let sender = sender.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        self.shared.state.fetch_or(ENDED, Ordering::Relaxed);
        sender.send_trailers(trailers).map_err(io::Error::other)
    }

    /// Ends at once, and what has not left is dropped.
    pub(crate) fn reset(&self, reason: Reason) {
        if let Some(sender) = &mut *lock(&self.shared.sender) {
            sender.send_reset(reason);
        }
    }

    /// Nobody has it any more. What is on its way holds on to this, but to no stream: it may be dropped where the connection is locked.
    fn give_up(&self) {
        let sender = lock(&self.shared.sender).take();
        if let Some(mut sender) = sender
            && self.unsent() > 0
        {
            sender.send_reset(Reason::CANCEL);
        }
    }

    fn send(&self, bytes: &Bytes, are_last: bool) -> io::Result<usize> {
        let length = bytes.len().min(MAX_PORTION_BYTES);
        self.hand_over(bytes.slice(..length), are_last && length == bytes.len())?;
        Ok(length)
    }

    fn hand_over(&self, bytes: Bytes, is_last: bool) -> io::Result<()> {
        let mut sender = lock(&self.shared.sender);
        let sender = sender.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        if is_last {
            self.shared.state.fetch_or(ENDED, Ordering::Relaxed);
        }
        if !bytes.is_empty() {
            let portion = PORTION + bytes.len() as u64;
            self.shared.state.fetch_add(portion, Ordering::Relaxed);
        }
        let of = Arc::clone(&self.shared);
        let sent = sender.send_data(Portion { bytes, of }, is_last);
        sent.map_err(|_| ErrorKind::BrokenPipe.into())
    }

    /// Ready once it takes more.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(cx, Shared::has_room)
    }

    fn poll_until(&self, cx: &mut Context<'_>, is_enough: impl Fn(&Shared) -> bool) -> Poll<()> {
        if is_enough(&self.shared) {
            return Poll::Ready(());
        }
        self.shared.waiting.register(cx.waker());
        if is_enough(&self.shared) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Shared {
    /// The portions and bytes that have not left.
    fn unsent(&self) -> u64 {
        self.state.load(Ordering::Acquire) & !ENDED
    }

    fn has_ended(&self) -> bool {
        self.state.load(Ordering::Relaxed) & ENDED > 0
    }

    fn has_room(&self) -> bool {
        self.is_room(self.unsent())
    }

    /// Whether more is taken beside so much: each portion costs h2 some 300 bytes, however small it is.
    fn is_room(&self, unsent: u64) -> bool {
        (unsent as u32) < self.max_unsent && unsent < MAX_PORTIONS * PORTION
    }

    /// So many bytes of a portion have left, or never will; all of them, or there are more.
    fn left(&self, bytes: usize, are_all: bool) {
        let left = if are_all { PORTION } else { 0 } + bytes as u64;
        let before = self.state.fetch_sub(left, Ordering::AcqRel) & !ENDED;
        let now = before - left;
        if now == 0 || self.is_room(now) && !self.is_room(before) {
            self.waiting.wake();
        }
    }
}

impl Outlet for Stream {
    fn send(&self, bytes: &Bytes) -> usize {
        if !self.shared.has_room() {
            return 0;
        }
        Self::send(self, bytes, false).unwrap_or(0)
    }

    fn connection(&self) -> Option<u32> {
        Some(self.shared.connection)
    }

    fn fetch(&self) -> bool {
        self.shared.state.load(Ordering::Relaxed) == 0 && !self.shared.sender.is_poisoned()
    }
}

impl Buf for Portion {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        if count > 0 {
            self.bytes.advance(count);
            self.of.left(count, self.bytes.is_empty());
        }
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.of.left(self.bytes.len(), true);
        }
    }
}

/// A stream as whoever answers its request has it: like a socket.
pub(crate) struct StreamSocket(Arc<Lane<Stream>>);

/// What a client says.
struct Hearing {
    receiver: RecvStream,
    /// What came, and was not read.
    rest: Bytes,
}

impl StreamSocket {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(Arc::new(Lane::new(stream)))
    }

    pub(crate) fn lane(&self) -> &Arc<Lane<Stream>> {
        &self.0
    }

    pub(crate) fn stream(&self) -> &Stream {
        self.0.outlet()
    }
}

impl Drop for StreamSocket {
    fn drop(&mut self) {
        let Stream { shared, hearing } = self.stream();
        let stream = Stream {
            shared: Arc::clone(shared),
            hearing: None,
        };
        // Who can be spoken to is told the end, as by a socket that is closed, unless it takes nothing. An answer that breaks off is no whole one.
        if hearing.is_some() && shared.has_room() {
            drop(stream.end());
        }
        let ending = Ending(stream);
        if shared.has_ended()
            && ending.0.unsent() > 0
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let left = poll_fn(|cx| ending.0.poll_left(cx));
                drop(time::timeout(LINGER, left).await);
            });
        }
    }
}

/// A stream that nobody has any more once this is dropped, wherever that is.
struct Ending(Stream);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl AsyncRead for StreamSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.stream();
        if let Some(hearing) = &stream.hearing {
            return lock(hearing).poll_read(cx, buf);
        }
        let is_over = stream.has_ended() && stream.poll_left(cx).is_ready();
        if is_over || stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl Hearing {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.receiver.poll_data(cx)) {
                Some(data) => self.rest = data.map_err(io::Error::other)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest.split_to(length));
        // More than came was never taken.
        drop(self.receiver.flow_control().release_capacity(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamSocket {
    /// Copies. What is shared is [sent](Stream::poll_send).
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.stream();
        ready!(stream.poll_room(cx));
        let portion = &buf[..buf.len().min(MAX_PORTION_BYTES)];
        Poll::Ready(stream.send(&Bytes::copy_from_slice(portion), false))
    }

    /// What was taken leaves by itself.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().end()?;
        self.stream().poll_left(cx).map(Ok)
    }
}

/// For how long a client may take what was sent to it when its session is over already. The kernel does the same for a socket that is closed.
const LINGER: Duration = Duration::from_secs(5);

/// How much is sent in one piece, in bytes: what a frame holds (RFC 9113 section 6.5.2, `SETTINGS_MAX_FRAME_SIZE`). That a slow client takes something is
/// seen in steps of this.
pub(crate) const MAX_PORTION_BYTES: usize = 16 << 10;

/// How many pieces of a stream may wait.
const MAX_PORTIONS: u64 = 64;

/// One of them, as they are counted.
const PORTION: u64 = 1 << 32;

/// A stream that has ended.
const ENDED: u64 = 1 << 63;

#[cfg(test)]
pub(crate) mod tests;
