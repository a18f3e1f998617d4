//! The drive loop of a session that owns a socket: the same for both transports.
//!
//! Send what is staged, hear what the client says, stage what comes next, and mind the deadlines. Nothing is staged before
//! the last of it has left.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dualcast_core::{CloseReason, Lane};
use tokio::io::AsyncWrite;
use tokio::time::{self, Sleep};

use crate::feed::Feed;
use crate::line::Line;
use crate::socket::Socket;
use crate::stall::Stall;

/// How much a peer hears in one go before others get their turn: a client that never pauses must not use up the time in which
/// deadlines are minded and messages sent.
pub const MAX_ROUNDS: usize = 32;

/// What a client says, and the line that it hears us by. Here the two transports differ.
pub trait Peer: Unpin + Send {
    /// Their socket.
    type Io: AsyncWrite + Unpin + 'static;

    /// The way out.
    fn line(&mut self) -> &mut Line<Self::Io>;

    /// Hears what the client says until it pauses, and does to the feed what it asks for. Ready when that ends the session.
    fn poll_hear(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<CloseReason>;

    /// Forgets what the client sent and nobody has looked at: it has no right to that any more.
    fn forget_unheard(&mut self) {}

    /// Parts in good order, after the closing was sent: says the last word and waits for the client's.
    fn poll_part(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<()>;
}

/// A session under way.
pub struct Drive<P> {
    feed: Feed,
    peer: P,
    phase: Phase,
    stall: Stall,
    /// Until when the closing may take.
    close_by: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The opening is staged.
    Opening,
    Running,
    /// The closing is staged.
    Closing(CloseReason),
    /// The closing has left.
    Parting(CloseReason),
}

impl<P: Peer> Drive<P> {
    /// A session that begins: with its opening, before anything that the client says can be answered.
    pub fn new(mut feed: Feed, mut peer: P) -> Self {
        feed.open(&mut peer.line().staged);
        Self {
            feed,
            peer,
            phase: Phase::Opening,
            stall: Stall::default(),
            close_by: None,
        }
    }

    /// What a client missed that came back leaves together with its opening: one system call for all of it.
    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.phase = Phase::Running;
        if self.feed.is_catching_up()
            && let Poll::Ready(Err(reason)) = self.feed.poll_stage(cx, &mut self.peer.line().staged)
        {
            return self.begin_closing(reason, cx);
        }
        self.poll_running(cx)
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        // Whether the client was heard until it paused, and nothing of what that came to waits for the line.
        let mut is_heard = false;
        loop {
            let drained = self.peer.line().poll_drain(cx);
            if let Poll::Ready(Ok(())) = drained {
                self.stall.end();
                self.feed.observed().written();
                if is_heard && self.feed.is_asleep() {
                    return self.wait(cx);
                }
            }
            // Between the drain and the stage, where the line is free: an answer finds room however busy the channels are.
            // And also when the line is blocked: pings and goodbyes don't wait for that.
            // Not again behind each batch: what wakes the task when it says more is set.
            if is_heard && drained.is_ready() {
                is_heard = false;
            } else {
                match self.peer.poll_hear(cx, &mut self.feed) {
                    Poll::Ready(CloseReason::Left) => return self.end(CloseReason::Left),
                    Poll::Ready(reason) => return self.begin_closing(reason, cx),
                    Poll::Pending => is_heard = self.peer.line().is_empty() && !self.feed.has_untold(),
                }
            }
            match drained {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.end(CloseReason::Left),
                Poll::Pending => return self.poll_blocked(cx),
            }
            match self.feed.poll_stage(cx, &mut self.peer.line().staged) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(reason)) => return self.begin_closing(reason, cx),
                Poll::Pending if self.peer.line().is_empty() => return self.wait(cx),
                // An answer to what was heard.
                Poll::Pending => {}
            }
        }
    }

    /// There is nothing to do. Meanwhile the hub may send by itself what comes next.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Some(lane) = lane(self.peer.line()) {
            self.feed.lend(cx, &lane);
        }
        Poll::Pending
    }

    /// Before anything else is done.
    fn take_back(&mut self) {
        let line = self.peer.line();
        if let Some(lane) = lane(line) {
            self.feed.take_back(&lane, line);
        }
    }

    /// The client doesn't take what is staged.
    fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Poll::Ready(reason) = self.feed.poll_interrupt(cx) {
            return self.begin_closing(reason, cx);
        }
        let unsent = self.peer.line().unsent();
        self.feed.observed().blocked(unsent);
        let written = self.peer.line().written();
        let timeout = self.feed.options().write_timeout;
        ready!(self.stall.poll(cx, written, timeout));
        self.end(CloseReason::Stalled)
    }

    fn end(&mut self, reason: CloseReason) -> Poll<CloseReason> {
        self.feed.end(reason);
        Poll::Ready(reason)
    }

    fn begin_closing(&mut self, reason: CloseReason, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let reason = self.feed.close(reason, &mut self.peer.line().staged);
        if reason.ends_access() {
            self.peer.forget_unheard();
        }
        self.phase = Phase::Closing(reason);
        self.close_by = Some(Box::pin(time::sleep(self.feed.options().close_timeout)));
        self.poll_closing(cx).map(|()| reason)
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // First: a client that floods must not use up the time in which its deadline is looked at (tokio's budget of a task).
        let close_by = self.close_by.as_mut();
        let is_late = close_by.is_some_and(|close_by| close_by.as_mut().poll(cx).is_ready());
        // However short the deadline is: what the socket takes at once leaves.
        let parted = self.poll_parting(cx);
        if is_late { Poll::Ready(()) } else { parted }
    }

    fn poll_parting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Phase::Closing(reason) = self.phase {
            if ready!(self.peer.line().poll_drain(cx)).is_err() {
                return Poll::Ready(());
            }
            self.phase = Phase::Parting(reason);
        }
        self.peer.poll_part(cx, &mut self.feed)
    }
}

/// A line's way out, where it can be lent: one that leads to a bare socket.
fn lane<IO: 'static>(line: &mut Line<IO>) -> Option<Arc<Lane>> {
    let io: &dyn Any = line.io();
    io.downcast_ref::<Socket>()?.lane()
}

impl<P: Peer> Future for Drive<P> {
    /// Why it ended.
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let span = self.feed.observed().span();
        let _inside = span.enter();
        self.take_back();
        match self.phase {
            Phase::Opening => self.poll_opening(cx),
            Phase::Running => self.poll_running(cx),
            Phase::Closing(reason) | Phase::Parting(reason) => self.poll_closing(cx).map(|()| reason),
        }
    }
}
