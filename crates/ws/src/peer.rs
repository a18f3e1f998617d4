//! The client of a WebSocket: its messages, its pings, its goodbye.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dualcast_core::CloseReason;
use dualcast_http::{InboundHandler, Line, Peer};
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::frame::{self, Opcode};
use crate::inbox::{Inbox, Letter};
use crate::options::WsOptions;
use crate::pulse::{Beat, Pulse};

/// How much is read at a time. Every connection has a buffer of this size; a larger message still is read whole.
const READ_BUFFER_BYTES: usize = 1_024;

/// The client's side of the socket.
pub(crate) struct WsPeer<IO> {
    stream: WebSocketStream<Line<IO>>,
    inbox: Inbox,
    pulse: Pulse,
    received: u64,
    /// It has said goodbye.
    is_leaving: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WsPeer<IO> {
    pub(crate) async fn new(
        line: Line<IO>,
        read_ahead: Bytes,
        handler: Option<Arc<dyn InboundHandler>>,
        options: &WsOptions,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(options.max_inbound_bytes))
            .max_frame_size(Some(options.max_inbound_bytes));
        let stream =
            WebSocketStream::from_partially_read(line, read_ahead.into(), Role::Server, Some(config)).await;
        let pulse = Pulse::new(options.ping_interval, options.pong_timeout);
        Self {
            stream,
            inbox: Inbox::new(handler),
            pulse,
            received: 0,
            is_leaving: false,
        }
    }

    /// Answers what was sent, when the line is free for an answer.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.stream.get_ref().staged.is_empty() {
            return Poll::Pending;
        }
        let reply = ready!(self.inbox.poll_reply(cx));
        self.stream.get_mut().staged.push_back(reply);
        Poll::Ready(())
    }

    /// Reads one message into the inbox, if it has room.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if !self.inbox.has_room() {
            self.pulse.hear();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.stream).poll_next(cx);
        let received = self.stream.get_ref().received();
        if received != self.received {
            self.received = received;
            self.pulse.hear();
        }
        match ready!(read) {
            Some(Ok(Message::Text(text))) => self.inbox.put(Letter::Text(text)),
            Some(Ok(Message::Binary(frame))) => self.inbox.put(Letter::Binary(frame)),
            Some(Ok(Message::Close(_))) => self.is_leaving = true,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(reason(&error))),
            None => return Poll::Ready(Err(CloseReason::Left)),
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the answer to the client's goodbye, which tungstenite has ready.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut self.stream).poll_next(cx) {}
        self.stream.get_mut().poll_drain(cx).map(|_| CloseReason::Left)
    }

    fn ping(&mut self, cx: &mut Context<'_>) {
        let mut ping = Vec::new();
        frame::write(Opcode::Ping, &[], &mut ping);
        // Where there is no room for it, pongs wait for a client that sends but doesn't read: no ping is needed.
        let _ = Pin::new(self.stream.get_mut()).poll_write(cx, &ping);
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Peer for WsPeer<IO> {
    type Io = IO;

    fn line(&mut self) -> &mut Line<IO> {
        self.stream.get_mut()
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            if self.is_leaving {
                return self.poll_leave(cx);
            }
            let has_answered = self.poll_answer(cx).is_ready();
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(reason)) => return Poll::Ready(reason),
                Poll::Pending if has_answered => continue,
                Poll::Pending => {}
            }
            match ready!(self.pulse.poll_beat(cx)) {
                Beat::Ping => self.ping(cx),
                Beat::GiveUp => return Poll::Ready(CloseReason::Unresponsive),
            }
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The close frame has left already: what tungstenite would still answer stays unsent.
        while let Some(Ok(message)) = ready!(Pin::new(&mut self.stream).poll_next(cx)) {
            if message.is_close() {
                break;
            }
        }
        Pin::new(self.stream.get_mut().io()).poll_shutdown(cx).map(|_| ())
    }
}

/// What a failed read says of the client.
fn reason(error: &tungstenite::Error) -> CloseReason {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    match error {
        Error::Capacity(_) => CloseReason::TooLarge,
        Error::Utf8(_) => CloseReason::NotUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => CloseReason::Left,
        Error::Protocol(_) => CloseReason::Protocol,
        _ => CloseReason::Left,
    }
}
