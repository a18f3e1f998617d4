//! Expiry: a session whose right to be there runs out.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::{self, Instant, Sleep};

use crate::options::MAX_WAIT;

/// When a session ends, if it does. A token says so by the wall clock; once it is set it runs by the monotonic one, which
/// nobody sets back.
#[derive(Debug, Default)]
pub(crate) struct Expiry(Option<Pin<Box<Sleep>>>);

impl Expiry {
    /// Sets or moves it. Answers after how long that is.
    pub(crate) fn set(&mut self, at: SystemTime) -> Duration {
        let remaining = at.duration_since(SystemTime::now()).unwrap_or_default();
        let deadline = Instant::now() + remaining.min(MAX_WAIT);
        match &mut self.0 {
            Some(timer) => timer.as_mut().reset(deadline),
            None => self.0 = Some(Box::pin(time::sleep_until(deadline))),
        }
        remaining
    }

    /// For how long the session may still live.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let timer = self.0.as_ref()?;
        Some(timer.deadline().saturating_duration_since(Instant::now()))
    }

    /// Ready once it is past.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_past_at_its_time_and_a_renewal_moves_that() {
        let begun = Instant::now();
        let mut expiry = Expiry::default();
        assert_eq!(expiry.remaining(), None);
        expiry.set(SystemTime::now() + Duration::from_secs(60));
        time::sleep(Duration::from_secs(50)).await;
        expiry.set(SystemTime::now() + Duration::from_secs(60));
        poll_fn(|cx| expiry.poll(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 110);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_is_past_already_has_come() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.set(SystemTime::UNIX_EPOCH), Duration::ZERO);
        poll_fn(|cx| expiry.poll(cx)).await;
    }
}
