//! The throttle: a client that sends too much is not read from for a while.
//!
//! Nothing is lost that way: what it sends waits in its own socket. An error in place of each message would leave it to the
//! client to know which of them were dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{self, Instant, Sleep};

use crate::rate::{Bucket, Rate};

/// How much one client has sent of what it may.
#[derive(Default)]
pub struct Throttle {
    messages: Bucket,
    bytes: Bucket,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Throttle {
    /// Counts what was read, where so many messages and so many bytes may be.
    pub fn charge(&mut self, (messages, message_rate): (u64, Rate), (bytes, byte_rate): (u64, Rate)) {
        if messages == 0 && bytes == 0 {
            return;
        }
        let now = Instant::now();
        let for_messages = self.messages.charge(message_rate, messages, now);
        let for_bytes = self.bytes.charge(byte_rate, bytes, now);
        if let Some(wait) = for_messages.max(for_bytes) {
            // A timer's millisecond: a shorter pause would be none.
            self.pause = Some(Box::pin(time::sleep(wait.max(Duration::from_millis(1)))));
        }
    }

    /// Ready while more may be read.
    pub fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn wait(throttle: &mut Throttle) -> Duration {
        let begun = Instant::now();
        poll_fn(|cx| throttle.poll_passed(cx)).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn whichever_is_used_up_first_makes_the_pause() {
        let mut throttle = Throttle::default();
        let charge = |throttle: &mut Throttle, messages, bytes| {
            throttle.charge((messages, Rate::per_second(10)), (bytes, Rate::per_second(1_000)));
        };
        charge(&mut throttle, 10, 1_000);
        assert_eq!(wait(&mut throttle).await, Duration::ZERO);
        charge(&mut throttle, 10, 0);
        assert_eq!(wait(&mut throttle).await, SECOND);
        charge(&mut throttle, 0, 3_000);
        assert_eq!(wait(&mut throttle).await, 2 * SECOND);
    }
}
