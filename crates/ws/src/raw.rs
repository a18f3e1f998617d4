//! Raw sockets: for an application that speaks a protocol of its own, in the bounds of every session.
//!
//! Its handler runs within the session's task. It reads and writes through two short queues, so that it is held up by a
//! client that doesn't read, and the client by a handler that doesn't.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dualcast_core::{CloseReason, Entry, Form, Message, Wire};
use dualcast_http::{Closing, Dialect, Feed, Heartbeat, MAX_WAIT, Opening, Piece, ServerHandle, Source};
use tokio::sync::mpsc;
use tokio::time::{self, Sleep};
use tokio_util::sync::PollSender;

use crate::frame::{self, Opcode};
use crate::guard::{Handling, guarded, let_finish};
use crate::receiver::{Letter, Receiver};

/// How many messages wait for a client's turn to be written, beside those that are staged.
const MAX_WAITING: usize = 16;

/// A WebSocket message without meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawMessage {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// A WebSocket for a protocol of the application's own. Pings, pongs, deadlines and the closing handshake are taken care of.
#[derive(Debug)]
pub struct RawSocket {
    inbound: mpsc::Receiver<RawMessage>,
    /// Set once its client was sent away.
    is_deaf: Arc<AtomicBool>,
    sender: RawSender,
}

/// The way out of a [`RawSocket`], for as many tasks as need one.
#[derive(Debug, Clone)]
pub struct RawSender(mpsc::Sender<Piece>);

/// The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is over")]
pub struct Disconnected;

impl RawSocket {
    /// The client's next message. `None` when the session is over: the client left, was cut or sent away, the server shuts down.
    pub async fn recv(&mut self) -> Option<RawMessage> {
        let message = self.inbound.recv().await;
        message.filter(|_| !self.is_deaf.load(Ordering::SeqCst))
    }

    /// Sends a message, once there is room for it.
    ///
    /// # Errors
    ///
    /// When the session is over.
    pub async fn send(&self, message: RawMessage) -> Result<(), Disconnected> {
        self.sender.send(message).await
    }

    /// Says goodbye with a code and a text of the application's own protocol; nothing follows it. A handler that just returns
    /// closes with 1000.
    ///
    /// # Errors
    ///
    /// When the session is over.
    pub async fn close(self, code: u16, text: &str) -> Result<(), Disconnected> {
        self.sender.close(code, text).await
    }

    /// Another way out, for a task that has only something to say. It keeps nothing alive.
    #[must_use]
    pub fn sender(&self) -> RawSender {
        self.sender.clone()
    }
}

impl RawSender {
    /// As [`RawSocket::send`].
    ///
    /// # Errors
    ///
    /// When the session is over.
    pub async fn send(&self, message: RawMessage) -> Result<(), Disconnected> {
        let mut out = Vec::new();
        match &message {
            RawMessage::Text(text) => frame::write(Opcode::Text, &[text.as_bytes()], &mut out),
            RawMessage::Binary(bytes) => frame::write(Opcode::Binary, &[bytes], &mut out),
        }
        self.put(Piece::Message(out.into())).await
    }

    /// As [`RawSocket::close`]. A code that may not stand in a close frame (RFC 6455 section 7.4) is sent as 1000, and a text
    /// is cut at the 123 bytes that fit.
    ///
    /// # Errors
    ///
    /// When the session is over.
    pub async fn close(&self, code: u16, text: &str) -> Result<(), Disconnected> {
        let is_sendable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let mut out = Vec::new();
        let mut end = text.len().min(123);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        frame::write_close(if is_sendable { code } else { 1000 }, &text[..end], &mut out);
        self.put(Piece::Goodbye(out.into())).await
    }

    async fn put(&self, piece: Piece) -> Result<(), Disconnected> {
        self.0.send(piece).await.map_err(|_| Disconnected)
    }
}

/// The session's side of a raw socket: what it is fed from, and who gets what the client sends.
pub(crate) fn open<F, Fut>(
    handler: F,
    close_timeout: Duration,
    server: Option<ServerHandle>,
) -> (Source, RawReceiver)
where
    F: FnOnce(RawSocket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (inbound, received) = mpsc::channel(1);
    let (sender, pieces) = mpsc::channel(MAX_WAITING);
    let is_deaf = Arc::new(AtomicBool::new(false));
    let socket = RawSocket {
        inbound: received,
        is_deaf: Arc::clone(&is_deaf),
        sender: RawSender(sender),
    };
    let sender = socket.sender();
    let handling = guarded(async move {
        handler(socket).await;
        // Behind what it sent. Where it said goodbye itself nobody hears this any more.
        let _ = sender.close(1000, "").await;
    });
    let receiver = RawReceiver {
        inbound: PollSender::new(inbound),
        next: None,
        handling: Some(handling),
        has_begun: false,
        is_deaf,
        server,
        close_timeout: close_timeout.min(MAX_WAIT),
        close_by: None,
    };
    (Source::Pieces(pieces), receiver)
}

/// Hands messages to the application.
pub(crate) struct RawReceiver {
    inbound: PollSender<RawMessage>,
    next: Option<RawMessage>,
    handling: Option<Handling<()>>,
    has_begun: bool,
    is_deaf: Arc<AtomicBool>,
    server: Option<ServerHandle>,
    close_timeout: Duration,
    /// Until when it may answer a client that has said goodbye.
    close_by: Option<Pin<Box<Sleep>>>,
}

impl RawReceiver {
    /// Runs no handler: the client is only told why it is sent away.
    pub(crate) fn forget(&mut self) {
        self.handling = None;
    }

    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let Some(handling) = &mut self.handling else {
            return Poll::Ready(Ok(()));
        };
        self.has_begun = true;
        let outcome = ready!(handling.as_mut().poll(cx));
        self.handling = None;
        Poll::Ready(outcome)
    }

    /// Ready when nothing waits for the application.
    fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_some() {
            let has_room = ready!(self.inbound.poll_reserve(cx)).is_ok();
            if let Some(message) = self.next.take_if(|_| has_room) {
                // It was reserved.
                let _ = self.inbound.send_item(message);
            }
            self.next = None;
        }
        Poll::Ready(())
    }
}

impl Receiver for RawReceiver {
    const SPEAKS_LAST: bool = true;

    fn has_room(&self) -> bool {
        self.next.is_none()
    }

    fn put(&mut self, letter: Letter) {
        self.next = Some(match letter {
            Letter::Text(text) => RawMessage::Text(text),
            Letter::Binary(bytes) => RawMessage::Binary(bytes),
        });
    }

    /// Delivers, and lets the handler run. When that is done its goodbye waits among the pieces.
    fn poll_done(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<Result<(), CloseReason>> {
        loop {
            // A handler may have sent its own client away.
            if let Poll::Ready(reason) = feed.poll_ordered(cx) {
                return Poll::Ready(Err(reason));
            }
            let is_delivered = self.poll_delivered(cx).is_ready();
            if let Poll::Ready(Err(reason)) = self.poll_handler(cx) {
                return Poll::Ready(Err(reason));
            }
            // The handler that took a message may have made room for the next.
            if is_delivered || self.poll_delivered(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn take_answer(&mut self, _feed: &mut Feed) -> Option<Bytes> {
        None
    }

    fn forget_unread(&mut self) {
        self.next = None;
        self.is_deaf.store(true, Ordering::SeqCst);
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>, _feed: &mut Feed) -> Poll<()> {
        let timeout = self.close_timeout;
        let close_by = self
            .close_by
            .get_or_insert_with(|| Box::pin(time::sleep(timeout)));
        if close_by.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let is_delivered = self.poll_delivered(cx).is_ready();
            if is_delivered {
                self.inbound.close();
            }
            if self.poll_handler(cx).is_ready() {
                return Poll::Ready(());
            }
            if is_delivered || self.poll_delivered(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// What a handler has begun it may finish: it finds the connection over when it reads or writes. One that never got its socket, where a
/// layer refused the client after the route let it in, has nothing to finish.
impl Drop for RawReceiver {
    fn drop(&mut self) {
        let Some(handling) = self.handling.take_if(|_| self.has_begun) else {
            return;
        };
        self.inbound.close();
        let_finish(self.server.as_ref(), async move {
            let _ = handling.await;
        });
    }
}

/// A wire with nothing of Dualcast's on it but the close frame.
#[derive(Debug)]
pub(crate) struct RawWire;

impl Wire for RawWire {
    fn form(&self) -> Form {
        // Of nobody's: such a session reads no records.
        Form::new(3, 0)
    }

    /// Such a session follows no channel.
    fn write(&self, _entry: Entry<'_>, _out: &mut Vec<u8>) {}
}

impl Dialect for RawWire {
    fn write_opening(&self, _opening: &Opening<'_>, _out: &mut Vec<u8>) {}

    fn write_heartbeat(&self, _heartbeat: &Heartbeat, _out: &mut Vec<u8>) {}

    fn write_closing(&self, closing: &Closing, out: &mut Vec<u8>) {
        let reason = closing.reason;
        frame::write_close(reason.code(), reason.text(), out);
    }

    fn write_message(&self, _message: &Message, _out: &mut Vec<u8>) {}

    fn naming_channels(&self) -> &'static dyn Dialect {
        &Self
    }
}
