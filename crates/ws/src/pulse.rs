//! The pulse: a silent client is pinged, and one that stays silent is given up.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{self, Instant, Sleep};

use crate::options::WsOptions;

/// Minds when a client was last heard.
pub(crate) struct Pulse {
    heard_at: Instant,
    /// When to look again. While a ping waits for a sign of life: when it has waited long enough.
    timer: Pin<Box<Sleep>>,
    has_pinged: bool,
}

/// What is to be done about a silence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Ping,
    GiveUp,
}

impl Pulse {
    pub(crate) fn new(options: &WsOptions) -> Self {
        let timer = Box::pin(time::sleep(jittered(options.ping_interval)));
        Self {
            heard_at: Instant::now(),
            timer,
            has_pinged: false,
        }
    }

    /// The client was heard, or could not be because nobody listened.
    pub(crate) fn hear(&mut self, options: &WsOptions) {
        self.heard_at = Instant::now();
        if mem::take(&mut self.has_pinged) {
            // It stood at the deadline, which may be later than the next ping.
            self.timer
                .as_mut()
                .reset(self.heard_at + jittered(options.ping_interval));
        }
    }

    /// Ready when there is something to be done. Registers the timer otherwise.
    pub(crate) fn poll_beat(&mut self, cx: &mut Context<'_>, options: &WsOptions) -> Poll<Beat> {
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.has_pinged {
                return Poll::Ready(Beat::GiveUp);
            }
            let now = Instant::now();
            // Drawn anew each time, so that a crowd that came at once is not pinged at once for ever.
            let ping_at = self.heard_at + jittered(options.ping_interval);
            if now < ping_at && now < self.heard_at + options.ping_interval {
                self.timer
                    .as_mut()
                    .reset(ping_at.max(now + Duration::from_millis(1)));
                continue;
            }
            self.has_pinged = true;
            self.timer.as_mut().reset(now + options.pong_timeout);
            return Poll::Ready(Beat::Ping);
        }
        Poll::Pending
    }
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PING: Duration = Duration::from_secs(25);
    const PONG: Duration = Duration::from_secs(10);

    fn options(ping_interval: Duration, pong_timeout: Duration) -> WsOptions {
        WsOptions {
            ping_interval,
            pong_timeout,
            ..WsOptions::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_pinged_and_then_given_up() {
        let begun = Instant::now();
        let options = options(PING, PONG);
        let mut pulse = Pulse::new(&options);
        assert_eq!(poll_fn(|cx| pulse.poll_beat(cx, &options)).await, Beat::Ping);
        let pinged = begun.elapsed();
        assert!(
            pinged >= PING.mul_f64(0.8) && pinged <= PING.mul_f64(1.25),
            "{pinged:?}"
        );
        assert_eq!(poll_fn(|cx| pulse.poll_beat(cx, &options)).await, Beat::GiveUp);
        assert!(begun.elapsed() - pinged >= PONG);
    }

    #[tokio::test(start_paused = true)]
    async fn each_silence_is_pinged_also_where_the_deadline_is_later_than_the_next_ping() {
        let options = options(PONG, PING);
        let mut pulse = Pulse::new(&options);
        for _ in 0..3 {
            let silent_since = Instant::now();
            assert_eq!(poll_fn(|cx| pulse.poll_beat(cx, &options)).await, Beat::Ping);
            assert!(silent_since.elapsed() <= PONG.mul_f64(1.25));
            pulse.hear(&options);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_heard_is_left_in_peace() {
        let options = options(PING, PONG);
        let mut pulse = Pulse::new(&options);
        for _ in 0..20 {
            time::sleep(Duration::from_secs(19)).await;
            pulse.hear(&options);
            assert!(!poll_fn(|cx| Poll::Ready(pulse.poll_beat(cx, &options).is_ready())).await);
        }
        assert_eq!(poll_fn(|cx| pulse.poll_beat(cx, &options)).await, Beat::Ping);
        pulse.hear(&options);
        assert_eq!(poll_fn(|cx| pulse.poll_beat(cx, &options)).await, Beat::Ping);
    }
}
