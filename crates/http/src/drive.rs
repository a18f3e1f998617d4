//! The drive loop of a session that owns a socket: the same for both transports.
//!
//! Hear what the client says, send what is staged, stage what comes next, and mind the deadlines. Nothing is staged before
//! the last of it has left.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use dualcast_core::CloseReason;
use tokio::io::AsyncWrite;
use tokio::time::{self, Sleep};

use crate::feed::Feed;
use crate::line::Line;

/// What a client says, and the line that it hears us by. Here the two transports differ.
pub trait Peer: Unpin + Send {
    /// Their socket.
    type Io: AsyncWrite + Unpin;

    /// The way out.
    fn line(&mut self) -> &mut Line<Self::Io>;

    /// Hears what the client says until it pauses. Ready when that ends the session.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason>;

    /// Parts in good order, after the closing was sent: says the last word and waits for the client's.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A session under way. Ends with the reason that its hooks are told.
pub struct Drive<P> {
    feed: Feed,
    peer: P,
    phase: Phase,
    /// Runs while something is staged that the client doesn't take, and while the session closes.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What had been written when the deadline was set.
    written: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The closing is staged.
    Closing,
    /// The closing has left.
    Parting,
}

impl<P: Peer> Drive<P> {
    /// A session that begins.
    pub fn new(feed: Feed, peer: P) -> Self {
        Self {
            feed,
            peer,
            phase: Phase::Running,
            deadline: None,
            written: 0,
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.peer.poll_hear(cx) {
                Poll::Ready(CloseReason::Left) => return self.end(CloseReason::Left),
                Poll::Ready(reason) => return self.begin_closing(reason, cx),
                Poll::Pending => {}
            }
            let line = self.peer.line();
            let had_staged = !line.is_empty();
            match line.poll_drain(cx) {
                Poll::Ready(Ok(())) => self.deadline = None,
                Poll::Ready(Err(_)) => return self.end(CloseReason::Left),
                Poll::Pending => return self.poll_blocked(cx),
            }
            match self.feed.poll_stage(cx, &mut self.peer.line().staged) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(reason)) => return self.begin_closing(reason, cx),
                // A peer that waited for room on the line may have more to say.
                Poll::Pending if had_staged => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The client doesn't take what is staged.
    fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(reason) = self.feed.poll_interrupt(cx) {
            return self.begin_closing(reason, cx);
        }
        let written = self.peer.line().written();
        if self.deadline.is_none() || written != self.written {
            self.written = written;
            self.deadline = Some(Box::pin(time::sleep(self.feed.options().write_timeout)));
        }
        ready!(self.poll_deadline(cx));
        self.end(CloseReason::Stalled)
    }

    fn end(&mut self, reason: CloseReason) -> Poll<()> {
        self.feed.end(reason);
        Poll::Ready(())
    }

    fn begin_closing(&mut self, reason: CloseReason, cx: &mut Context<'_>) -> Poll<()> {
        self.feed.close(reason, &mut self.peer.line().staged);
        self.phase = Phase::Closing;
        self.deadline = Some(Box::pin(time::sleep(self.feed.options().close_timeout)));
        self.poll_closing(cx)
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_deadline(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.phase == Phase::Closing {
            if ready!(self.peer.line().poll_drain(cx)).is_err() {
                return Poll::Ready(());
            }
            self.phase = Phase::Parting;
        }
        self.peer.poll_part(cx)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<P: Peer> Future for Drive<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.phase {
            Phase::Running => self.poll_running(cx),
            Phase::Closing | Phase::Parting => self.poll_closing(cx),
        }
    }
}
