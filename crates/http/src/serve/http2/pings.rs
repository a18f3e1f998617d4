//! Pings (RFC 9113 section 6.7): a client that is silent is asked whether it is there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{self, Instant, Sleep};

use crate::options::{MAX_WAIT, or_never};
use crate::serve::options::Http2Options;

/// The pings of a connection.
pub(super) struct Pings {
    ping_pong: PingPong,
    interval: Duration,
    timeout: Duration,
    is_asked: bool,
    /// How much the client had sent when it last sent something, and when that was seen.
    heard: (u64, Instant),
    timer: Pin<Box<Sleep>>,
}

impl Pings {
    pub(super) fn new(ping_pong: PingPong, options: &Http2Options) -> Self {
        let interval = or_never(options.ping_interval);
        Self {
            ping_pong,
            interval,
            timeout: options.ping_timeout.min(MAX_WAIT),
            is_asked: false,
            heard: (0, Instant::now()),
            timer: Box::pin(time::sleep(interval)),
        }
    }

    /// The client has sent so many bytes until now. Ready once it has not answered a ping in time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, heard: u64) -> Poll<()> {
        if self.heard.0 != heard {
            self.heard = (heard, Instant::now());
        }
        loop {
            if self.is_asked {
                let Poll::Ready(answered) = self.ping_pong.poll_pong(cx) else {
                    return self.timer.as_mut().poll(cx);
                };
                // Without one the connection is over, as its own poll will say.
                if answered.is_err() {
                    return Poll::Pending;
                }
                self.is_asked = false;
                self.set_timer(self.heard.1 + self.interval);
            }
            ready!(self.timer.as_mut().poll(cx));
            let next = self.heard.1 + self.interval;
            if next > Instant::now() {
                self.set_timer(next);
            } else {
                self.is_asked = self.ping_pong.send_ping(Ping::opaque()).is_ok();
                self.set_timer(Instant::now() + self.timeout);
            }
        }
    }

    fn set_timer(&mut self, at: Instant) {
        self.timer.as_mut().reset(at);
    }
}
