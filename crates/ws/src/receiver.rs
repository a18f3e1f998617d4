//! Receivers: who gets what a client sends.

use std::task::{Context, Poll};

use bytes::Bytes;
use dualcast_core::CloseReason;
use dualcast_http::Feed;

/// A message from the client, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Letter {
    Text(String),
    Binary(Bytes),
}

/// Takes messages one at a time, and pushes back on the socket while it has no room.
pub(crate) trait Receiver: Unpin + Send {
    /// Whether a client that says goodbye still gets what was written for it before.
    const SPEAKS_LAST: bool;

    /// Whether the client may join channels.
    fn takes_subscriptions(&self) -> bool {
        false
    }

    /// Whether one more may be read.
    fn has_room(&self) -> bool;

    /// Takes one, after it was asked for room.
    fn put(&mut self, letter: Letter);

    /// Works on what is there. Ready when a message has come to something, which then [waits](Self::take_answer) for room on
    /// the line; pending when nothing is left, or it is busy.
    ///
    /// # Errors
    ///
    /// Where the session has to end.
    fn poll_done(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<Result<(), CloseReason>>;

    /// Lets what is done take effect. Answers the frame that says so, if anybody waits for one.
    fn take_answer(&mut self, feed: &mut Feed) -> Option<Bytes>;

    /// Drops what was read and not worked on yet: its client has no right to that any more.
    fn forget_unread(&mut self);

    /// Works on what is left, after which nothing comes. Ready when that is done.
    fn poll_idle(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<()>;
}
