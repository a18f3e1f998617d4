//! Heartbeats: when the next one is due.
//!
//! After a silence; and once, without one, behind what a client had missed that came back: so that it knows when it has all of that.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dualcast_core::Position;
use tokio::time::{self, Instant, Sleep};

/// When a session shows its next sign of life.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    /// When it showed the last one.
    last_at: Instant,
    /// Set to an earlier moment than the next one is due where something was sent since: it is looked at when it rings, and not with each message.
    timer: Pin<Box<Sleep>>,
    /// Where the log ended when the client came back that waits for one.
    owed_at: Option<Box<Position>>,
}

impl Heartbeats {
    pub(crate) fn new(interval: Duration) -> Self {
        let last_at = Instant::now();
        Self {
            last_at,
            timer: Box::pin(time::sleep_until(last_at + interval)),
            owed_at: None,
        }
    }

    /// Something else is one.
    pub(crate) fn put_off(&mut self) {
        self.last_at = Instant::now();
    }

    /// Something else was one, so long ago.
    pub(crate) fn put_off_before(&mut self, ago: Duration) {
        let now = Instant::now();
        self.last_at = now.checked_sub(ago).unwrap_or(now);
    }

    /// A client has come back. It is told as soon as it has all up to where the log ends now: whatever is published later could keep it
    /// waiting for ever.
    pub(crate) fn owe(&mut self, end: Position) {
        self.owed_at = Some(Box::new(end));
    }

    /// Up to where its client has to have all before it is told so. None where nobody waits for that.
    pub(crate) fn owed_at(&self) -> Option<Position> {
        self.owed_at.as_deref().copied()
    }

    /// It is told, or there is nothing to tell any more.
    pub(crate) fn pay(&mut self) {
        self.owed_at = None;
    }

    /// Whether the timer has rung and nobody has looked at it since: it wakes nobody any more.
    pub(crate) fn has_rung(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Ready once after each silence of this length.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>, interval: Duration) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let is_due = self.last_at + interval <= Instant::now();
            if is_due {
                self.put_off();
            }
            self.timer.as_mut().reset(self.last_at + interval);
            if is_due {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn one_is_due_after_each_silence_and_what_is_said_puts_it_off() {
        let begun = Instant::now();
        let mut heartbeats = Heartbeats::new(INTERVAL);
        poll_fn(|cx| heartbeats.poll_due(cx, INTERVAL)).await;
        assert_eq!(begun.elapsed().as_secs(), 10);
        for _ in 0..3 {
            time::sleep(Duration::from_secs(9)).await;
            heartbeats.put_off();
        }
        poll_fn(|cx| heartbeats.poll_due(cx, INTERVAL)).await;
        assert_eq!(begun.elapsed().as_secs(), 47);
    }
}
