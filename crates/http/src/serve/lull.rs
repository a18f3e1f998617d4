//! Lulls: a connection without a request, for too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{self, Instant, Sleep};

use crate::options::MAX_WAIT;
use crate::serve::requests::Requests;

/// The deadlines of a connection that has no request: for the next one to begin, and for its head to be whole.
pub(super) struct Lull {
    idle_timeout: Duration,
    head_timeout: Duration,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// There is a request, or an answer that is not all sent.
    Busy,
    /// Nothing has come since this much had.
    Idle { heard: u64, until: Instant },
    /// A head has begun.
    Head { until: Instant },
}

impl Lull {
    /// A new connection, whose first head has to be there by a time.
    pub(super) fn new(idle_timeout: Duration, head_timeout: Duration, head_by: Instant) -> Self {
        Self {
            idle_timeout: idle_timeout.min(MAX_WAIT),
            head_timeout: head_timeout.min(MAX_WAIT),
            phase: Phase::Head { until: head_by },
            timer: Box::pin(time::sleep_until(head_by)),
        }
    }

    /// There is something to do.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Busy;
    }

    /// So many bytes have come until now. Ready once there has been no request for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, requests: &Requests, heard: u64) -> Poll<()> {
        let are_over = requests.are_over(cx);
        // Most are over before anybody could have seen them open.
        if requests.have_begun() || !are_over {
            self.end();
        }
        if !are_over {
            return Poll::Pending;
        }
        let until = match self.phase {
            Phase::Busy => {
                let until = Instant::now() + self.idle_timeout;
                self.phase = Phase::Idle { heard, until };
                until
            }
            Phase::Idle { heard: before, .. } if before != heard => {
                let until = Instant::now() + self.head_timeout;
                self.phase = Phase::Head { until };
                until
            }
            Phase::Idle { until, .. } | Phase::Head { until } => until,
        };
        if self.timer.deadline() != until {
            self.timer.as_mut().reset(until);
        }
        self.timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const IDLE: Duration = Duration::from_secs(75);
    const HEAD: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_is_given_no_more_time_than_another() {
        let (begun, requests) = (Instant::now(), Requests::default());
        let mut lull = Lull::new(IDLE, HEAD, begun + HEAD);
        for heard in 0..3 {
            let over = poll_fn(|cx| lull.poll(cx, &requests, heard));
            assert!(time::timeout(Duration::from_secs(9), over).await.is_err());
        }
        poll_fn(|cx| lull.poll(cx, &requests, 4)).await;
        assert_eq!(begun.elapsed(), HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_requests_there_is_more_time() {
        let (begun, requests) = (Instant::now(), Requests::default());
        let mut lull = Lull::new(IDLE, HEAD, begun + HEAD);
        drop(requests.open());
        poll_fn(|cx| lull.poll(cx, &requests, 100)).await;
        assert_eq!(begun.elapsed(), IDLE);

        let begun = Instant::now();
        drop(requests.open());
        let over = poll_fn(|cx| lull.poll(cx, &requests, 100));
        assert!(time::timeout(Duration::from_secs(70), over).await.is_err());
        poll_fn(|cx| lull.poll(cx, &requests, 101)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(70) + HEAD);
    }
}
