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
                self.heard.1 = Instant::now();
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::Bytes;
    use h2::client::{self, SendRequest};
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    struct Scene {
        connection: h2::server::Connection<DuplexStream, Bytes>,
        pings: Pings,
        /// Without this its client would leave.
        _asks: SendRequest<Bytes>,
    }

    async fn scene() -> (Scene, client::Connection<DuplexStream, Bytes>) {
        let (near, far) = duplex(1 << 16);
        let (client, server) = tokio::join!(client::handshake(far), h2::server::handshake(near));
        let (asks, client) = client.unwrap();
        let mut connection: h2::server::Connection<_, Bytes> = server.unwrap();
        let ping_pong = connection.ping_pong().unwrap();
        let pings = Pings::new(ping_pong, &Http2Options::default());
        let scene = Scene {
            connection,
            pings,
            _asks: asks,
        };
        (scene, client)
    }

    impl Scene {
        /// After how long the client is given up, if that is before a time. It sends a byte whenever it is looked at, or none at all.
        async fn gives_up(&mut self, before: Duration, is_talking: bool) -> Option<Duration> {
            let begun = Instant::now();
            let mut heard = 0;
            let given_up = poll_fn(|cx| {
                let _ = self.connection.poll_accept(cx);
                heard += u64::from(is_talking);
                self.pings.poll(cx, heard)
            });
            time::timeout(before, given_up).await.ok()?;
            Some(begun.elapsed())
        }
    }

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[tokio::test(start_paused = true)]
    async fn who_answers_pings_may_be_silent_for_ever() {
        let (mut scene, client) = scene().await;
        tokio::spawn(client);
        assert_eq!(scene.gives_up(DAY, false).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_none_is_given_up() {
        let (mut scene, _client) = scene().await;
        let Http2Options {
            ping_interval,
            ping_timeout,
            ..
        } = Http2Options::default();
        assert_eq!(
            scene.gives_up(DAY, false).await,
            Some(ping_interval + ping_timeout)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_something_now_and_then_is_not_asked() {
        let (mut scene, _client) = scene().await;
        for _ in 0..100 {
            let pause = Http2Options::default().ping_interval / 2;
            assert_eq!(scene.gives_up(pause, true).await, None);
        }
    }
}
