//! Sources: where a session's messages come from.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use dualcast_core::{CloseReason, Message, Subscription};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

/// Where a session's messages come from.
pub enum Source {
    /// Channels.
    Subscription(Box<Subscription>),
    /// A stream of the application's own, for one client. It may fail, with a reason.
    Stream(BoxStream<'static, Result<Message, CloseReason>>),
    /// Nothing but what the client joins.
    Nothing,
    /// What the application writes itself, framed already.
    Pieces(mpsc::Receiver<Piece>),
    /// Nowhere: the client is sent away.
    Refused(CloseReason),
}

impl Source {
    /// A stream of the application's own. If it panics, that ends its session with [`CloseReason::Internal`], and no other.
    pub fn stream(messages: impl Stream<Item = Message> + Send + 'static) -> Self {
        // Nobody sees what a stream leaves behind in the middle of a panic: it is dropped.
        let messages = AssertUnwindSafe(messages).catch_unwind().map(|message| {
            let message = message.map_err(|_| {
                tracing::error!("a stream of messages panicked: its session ends");
                CloseReason::Internal
            })?;
            // Nobody published it, where that is checked: an event name must not break out of its field.
            message.check().map_err(|error| {
                tracing::error!(%error, "a stream has a message that can't be sent: its session ends");
                CloseReason::Internal
            })?;
            Ok(message)
        });
        Self::Stream(messages.boxed())
    }
}

/// What an application writes that speaks a protocol of its own.
#[derive(Debug)]
pub enum Piece {
    /// A whole message.
    Message(Bytes),
    /// Its last word: a goodbye of its own, behind which nothing follows.
    Goodbye(Bytes),
}
