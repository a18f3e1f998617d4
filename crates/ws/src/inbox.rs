//! The inbox: a client's messages, handled one at a time and in order.
//!
//! While one is handled the next may be read ahead, and no more: a slow handler pushes back on the socket, not into memory.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use bytes::Bytes;
use dualcast_http::{Error, Inbound, InboundHandler, Reply};
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::frame::{self, Opcode};

/// A message from the client, as it came.
pub(crate) enum Letter {
    Text(Utf8Bytes),
    Binary(Bytes),
}

/// What a client sent and still waits for.
pub(crate) struct Inbox {
    handler: Option<Arc<dyn InboundHandler>>,
    next: Option<Letter>,
    handling: Option<BoxFuture<'static, Reply>>,
    /// The `ref` of the message that is handled.
    reference: Option<Box<RawValue>>,
    /// Its connection is gone already.
    is_orphaned: bool,
}

impl Inbox {
    pub(crate) fn new(handler: Option<Arc<dyn InboundHandler>>) -> Self {
        Self {
            handler,
            next: None,
            handling: None,
            reference: None,
            is_orphaned: false,
        }
    }

    /// Whether one more may be read.
    pub(crate) fn has_room(&self) -> bool {
        self.next.is_none()
    }

    pub(crate) fn put(&mut self, letter: Letter) {
        self.next = Some(letter);
    }

    /// Handles what is there. Ready with a frame that answers a message; pending when nothing is left, or a handler is busy.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            if let Some(handling) = &mut self.handling {
                let reply = ready!(handling.as_mut().poll(cx));
                self.handling = None;
                let reference = self.reference.take();
                // Without a `ref` nobody waits for a word; but an error is said in any case.
                if reference.is_some() || reply.is_error() {
                    return Poll::Ready(reply_frame(&reply, reference.as_deref()));
                }
            }
            let Some(letter) = self.next.take() else {
                return Poll::Pending;
            };
            if let Err(refused) = self.open(&letter) {
                let reference = self.reference.take();
                return Poll::Ready(reply_frame(&Reply::from(refused), reference.as_deref()));
            }
        }
    }

    /// Handles what is left, for nobody's ears. Ready when nothing is.
    pub(crate) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.poll_reply(cx) {
                Poll::Ready(_) => {}
                Poll::Pending if self.next.is_none() && self.handling.is_none() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn open(&mut self, letter: &Letter) -> Result<(), Error> {
        let (message, reference) = match letter {
            Letter::Text(text) => Inbound::parse(text)?,
            Letter::Binary(frame) => Inbound::parse_binary(frame)?,
        };
        self.reference = reference;
        let Some(handler) = &self.handler else {
            let message = "this connection takes no messages";
            return Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, "no-inbound", message));
        };
        self.handling = Some(handler.handle(message));
        Ok(())
    }
}

/// What a handler has begun it may finish, however the connection ended: half of "store it, then publish it" would leave
/// others with something that they are never told of. And what was read before the end was sent before it.
impl Drop for Inbox {
    fn drop(&mut self) {
        let handling = self.handling.take();
        // Twice means that the runtime ends, too: it would drop a third one as it drops this.
        if self.is_orphaned || handling.is_none() && self.next.is_none() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut rest = Self::new(self.handler.take());
        rest.handling = handling;
        rest.next = self.next.take();
        rest.is_orphaned = true;
        runtime.spawn(async move {
            poll_fn(|cx| rest.poll_idle(cx)).await;
        });
    }
}

fn reply_frame(reply: &Reply, reference: Option<&RawValue>) -> Bytes {
    let mut out = Vec::new();
    frame::write(Opcode::Text, &[reply.to_json(reference).as_bytes()], &mut out);
    out.into()
}
