//! The client of a WebSocket: its messages, its pings, its goodbye.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dualcast_core::CloseReason;
use dualcast_http::{Feed, Line, MAX_ROUNDS, Peer, Throttle};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::frame::{self, Opcode};
use crate::options::WsOptions;
use crate::pulse::{Beat, Pulse};
use crate::reader::{Incoming, READ_BYTES, Reader};
use crate::receiver::Receiver;

/// The client's side of the socket.
pub(crate) struct WsPeer<IO, R> {
    line: Line<IO>,
    reader: Reader,
    receiver: R,
    throttle: Throttle,
    pulse: Pulse,
    options: Arc<WsOptions>,
    written: u64,
    /// Why nothing more is read: it has said goodbye, or can't be understood any more.
    leaving: Option<CloseReason>,
    parting: Parting,
}

/// How far a session is that ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// The client's goodbye is still to come.
    Waiting,
    /// It came.
    InGoodOrder,
    /// It won't: what the client sends can't be read any more.
    Deaf,
    /// Our side is shut, and what still comes is thrown away.
    Shut,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + 'static, R: Receiver> WsPeer<IO, R> {
    pub(crate) fn new(line: Line<IO>, read_ahead: &[u8], receiver: R, options: &WsOptions) -> Self {
        let options = options.clone().shared();
        Self {
            line,
            reader: Reader::new(options.max_inbound_bytes, read_ahead),
            receiver,
            throttle: Throttle::default(),
            pulse: Pulse::new(&options),
            options,
            written: 0,
            leaving: None,
            parting: Parting::Waiting,
        }
    }

    /// Handles what was sent, and answers it when the line is free. A handler goes on also while its client doesn't read:
    /// it may hold what others wait for.
    fn poll_answer(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<Result<(), CloseReason>> {
        ready!(self.receiver.poll_done(cx, feed))?;
        // Nor does it overtake what is to be told of channels that came and went before.
        if !self.line.staged.is_empty() || feed.has_untold() {
            return Poll::Pending;
        }
        let answer = self.receiver.take_answer(feed);
        self.line.staged.extend(answer);
        Poll::Ready(Ok(()))
    }

    /// Reads at the most one message, if there is room for it and the client has not sent too much already.
    fn poll_read(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<Result<(), CloseReason>> {
        if !self.receiver.has_room() || self.throttle.poll_passed(cx).is_pending() {
            self.pulse.hear(&self.options);
            return Poll::Pending;
        }
        let before = self.line.received();
        let read = self.poll_incoming(cx);
        // Bytes from the client; or bytes that it takes of what waits for it, behind which a ping may stand. Only where the
        // line is full does a byte that leaves tell that another has arrived.
        let received = self.line.received() - before;
        let is_alive = received > 0 || !self.line.is_empty() && self.line.written() != self.written;
        self.written = self.line.written();
        if is_alive {
            self.pulse.hear(&self.options);
        }
        let is_message = matches!(&read, Poll::Ready(Ok(Some(Incoming::Letter(_)))));
        let WsOptions {
            message_rate,
            byte_rate,
            ..
        } = *self.options;
        self.throttle
            .charge((u64::from(is_message), message_rate), (received, byte_rate));
        feed.observed().received(u64::from(is_message), received);
        match ready!(read) {
            Ok(Some(Incoming::Letter(letter))) => self.receiver.put(letter),
            Ok(Some(Incoming::Goodbye)) => self.leaving = Some(CloseReason::Left),
            Ok(Some(Incoming::Ping) | None) => {}
            Err(CloseReason::Left) => return Poll::Ready(Err(CloseReason::Left)),
            Err(reason) => self.leaving = Some(reason),
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what was read and is there, or reads once. Ready with nothing where what came is the beginning of something.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Incoming>, CloseReason>> {
        if let Some(incoming) = self.reader.next()? {
            return Poll::Ready(Ok(Some(incoming)));
        }
        let line = Pin::new(&mut self.line);
        let read = match self.reader.fill(|room| poll_read_buf(line, cx, room)) {
            Some(filled) => ready!(filled).map(|count| (count > 0).then(|| self.reader.next())),
            None => {
                let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
                let mut buffer = ReadBuf::uninit(&mut buffer);
                let read = ready!(Pin::new(&mut self.line).poll_read(cx, &mut buffer));
                let fresh = buffer.filled();
                read.map(|()| (!fresh.is_empty()).then(|| self.reader.handle(fresh)))
            }
        };
        // Without a goodbye.
        Poll::Ready(read.ok().flatten().unwrap_or(Err(CloseReason::Left)))
    }

    /// Puts what is owed to the client on the line, between what is staged there. Pending where that is full of such already.
    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(answer) = self.reader.answer() {
            // A line takes all of it or nothing, and doesn't fail.
            let _ = ready!(Pin::new(&mut self.line).poll_write(cx, answer));
            self.reader.answered();
        }
        Poll::Ready(())
    }

    /// Ends what was begun with what the client sent before. Ready when nothing of it is left.
    fn poll_leave(
        &mut self,
        cx: &mut Context<'_>,
        feed: &mut Feed,
        reason: CloseReason,
    ) -> Poll<CloseReason> {
        // Who speaks Dualcast's protocol and breaks it is told so at once.
        if !R::SPEAKS_LAST && reason != CloseReason::Left {
            return Poll::Ready(reason);
        }
        ready!(self.receiver.poll_idle(cx, feed));
        if R::SPEAKS_LAST {
            feed.stage_last_pieces(&mut self.line.staged);
        }
        if reason == CloseReason::Left {
            return self.poll_goodbye(cx);
        }
        Poll::Ready(reason)
    }

    /// Sends the answer to the client's goodbye, and nothing behind it.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if R::SPEAKS_LAST && ready!(self.line.poll_drain(cx)).is_err() {
            return Poll::Ready(CloseReason::Left);
        }
        self.line.seal();
        loop {
            let is_said = self.poll_owed(cx).is_ready();
            let drained = ready!(self.line.poll_drain(cx));
            if is_said || drained.is_err() {
                return Poll::Ready(CloseReason::Left);
            }
        }
    }

    fn ping(&mut self, cx: &mut Context<'_>) {
        let mut ping = Vec::new();
        frame::write(Opcode::Ping, &[], &mut ping);
        // Where there is no room for it, pongs wait for a client that sends but doesn't read: no ping is needed.
        let _ = Pin::new(&mut self.line).poll_write(cx, &ping);
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static, R: Receiver> Peer for WsPeer<IO, R> {
    type Io = IO;

    fn line(&mut self) -> &mut Line<IO> {
        &mut self.line
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<CloseReason> {
        for _ in 0..MAX_ROUNDS {
            if let Some(reason) = self.leaving {
                return self.poll_leave(cx, feed, reason);
            }
            // Where it is full another ping may come first, and is answered in place of the one before.
            let _ = self.poll_owed(cx);
            // Before each message: whoever was sent away by one is not heard with the next.
            if let Poll::Ready(reason) = feed.poll_ordered(cx) {
                return Poll::Ready(reason);
            }
            let has_answered = match self.poll_answer(cx, feed) {
                Poll::Ready(Err(reason)) => return Poll::Ready(reason),
                answered => answered.is_ready(),
            };
            match self.poll_read(cx, feed) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(reason)) => return Poll::Ready(reason),
                Poll::Pending if has_answered => continue,
                Poll::Pending => {}
            }
            match ready!(self.pulse.poll_beat(cx, &self.options)) {
                Beat::Ping => self.ping(cx),
                Beat::GiveUp => return Poll::Ready(CloseReason::Unresponsive),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn forget_unheard(&mut self) {
        self.receiver.forget_unread();
    }

    fn poll_part(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<()> {
        let idle = self.receiver.poll_idle(cx, feed);
        if self.leaving.is_some() && self.parting == Parting::Waiting {
            self.parting = Parting::Deaf;
        }
        for round in 0.. {
            if self.parting != Parting::Waiting {
                break;
            }
            if round == MAX_ROUNDS {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // The close frame has left already: no ping is answered any more.
            match ready!(self.poll_incoming(cx)) {
                Ok(Some(Incoming::Goodbye)) => self.parting = Parting::InGoodOrder,
                Ok(_) => {}
                Err(_) => self.parting = Parting::Deaf,
            }
        }
        let io = self.line.io();
        if self.parting != Parting::Shut {
            let _ = ready!(Pin::new(&mut *io).poll_shutdown(cx));
            if self.parting == Parting::InGoodOrder {
                return idle;
            }
            self.parting = Parting::Shut;
        }
        ready!(poll_discard(io, cx));
        idle
    }
}

/// Reads and forgets what the client still sends. A socket that is closed with something unread resets the connection, and the
/// client may never read why.
fn poll_discard<IO: AsyncRead + Unpin>(io: &mut IO, cx: &mut Context<'_>) -> Poll<()> {
    for _ in 0..MAX_ROUNDS {
        let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer));
        if read.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests;
