//! What a client that comes back costs, and what it is told while the past is still asked for.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dualcast_core::{
    ChannelName, FanOut, History, Hub, Ingest, Local, Message, Page, Publishing, Transport, Wanted,
};
use dualcast_http::{Drive, Feed, Line, SessionOptions, admit};
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::Semaphore;
use tokio::time;

use crate::inbox::{Handlers, Inbox};
use crate::options::WsOptions;
use crate::peer::WsPeer;
use crate::wire::WsWire;

/// A socket that counts how often it is written to.
struct Counted {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What a client of `room` is told that comes back with a cursor.
fn back(hub: &Hub, cursor: &str, options: SessionOptions) -> Feed {
    let room = hub.channel("room").unwrap();
    let admitted = admit(Transport::WebSocket, room.subscribe(), Some(cursor), None).unwrap();
    admitted.into_feed(WsWire::get(false), options)
}

async fn publish(hub: &Hub, channel: &str, texts: &[&str]) -> Vec<String> {
    let channel = hub.channel(channel).unwrap();
    let mut positions = Vec::new();
    for text in texts {
        let message = Message::text("note", *text);
        positions.push(channel.publish(message).await.unwrap().to_string());
    }
    positions
}

#[tokio::test(start_paused = true)]
async fn all_that_a_client_missed_leaves_with_its_opening_in_one_write() {
    let hub = Hub::new();
    let positions = publish(&hub, "room", &["1", "2", "3"]).await;
    publish(&hub, "elsewhere", &["to others"]).await;
    for (cursor, missed) in [(&positions[0], 2), (&positions[2], 0)] {
        let (near, mut far) = duplex(1 << 16);
        let writes = Arc::new(AtomicUsize::new(0));
        let line = Line::new(Counted {
            io: near,
            writes: Arc::clone(&writes),
        });
        let options = WsOptions::default();
        let inbox = Inbox::new(Handlers::default(), &options, None);
        let peer = WsPeer::new(line, &[], inbox, &options);
        let mut session = Drive::new(back(&hub, cursor, options.session), peer);
        assert!((&mut session).now_or_never().is_none());
        assert_eq!(writes.load(Ordering::SeqCst), 1);
        let mut arrived = [0; 1_024];
        let length = far.read(&mut arrived).await.unwrap();
        let arrived = String::from_utf8_lossy(&arrived[..length]).into_owned();
        assert_eq!(arrived.matches(r#""event":"note""#).count(), missed, "{arrived}");
        let last = arrived.rsplit("\"control\":").next().unwrap();
        let expected = format!(r#""heartbeat","id":"{}""#, hub.position());
        assert!(last.starts_with(&expected), "{arrived}");
    }
}

/// Keeps a past that memory has trimmed, and takes its time to tell that there was nothing of it.
#[derive(Clone)]
struct Slow {
    local: Arc<Local>,
    gate: Arc<Semaphore>,
}

impl FanOut for Slow {
    fn publish<'a>(
        &'a self,
        ingest: &'a Ingest,
        channel: &'a ChannelName,
        message: Message,
    ) -> Publishing<'a> {
        self.local.publish(ingest, channel, message)
    }

    fn finish<'a>(&'a self, ingest: &'a Ingest, channel: &'a ChannelName) -> Publishing<'a> {
        self.local.finish(ingest, channel)
    }

    fn send_volatile(&self, ingest: &Ingest, channel: &ChannelName, message: Message) {
        self.local.send_volatile(ingest, channel, message);
    }

    fn history(&self, _: &Ingest, wanted: Wanted) -> Option<History> {
        let gate = Arc::clone(&self.gate);
        let history = async move {
            gate.acquire().await.unwrap().forget();
            Ok(Arc::new(Page::of_nothing(wanted.through)))
        };
        Some(history.boxed())
    }
}

fn text(out: &mut VecDeque<Bytes>) -> String {
    let bytes: Vec<u8> = out.drain(..).flatten().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(start_paused = true)]
async fn no_heartbeat_says_that_nothing_is_missing_while_the_past_is_asked_for() {
    let slow = Slow {
        local: Arc::default(),
        gate: Arc::new(Semaphore::new(0)),
    };
    let gate = Arc::clone(&slow.gate);
    let hub = Hub::builder().fan_out(slow).log(|log| log.max_records = 2);
    let hub = hub.build().unwrap();
    let positions = publish(&hub, "room", &["1", "2", "3", "4"]).await;
    let mut options = SessionOptions::default();
    options.heartbeat = Duration::from_secs(1);
    let (mut feed, mut out) = (back(&hub, &positions[0], options), VecDeque::new());
    feed.open(&mut out);
    assert!(
        text(&mut out).contains(&positions[0]),
        "the opening says where it was"
    );
    for _ in 0..2 {
        time::advance(Duration::from_millis(1_001)).await;
        assert!(poll_fn(|cx| feed.poll_stage(cx, &mut out)).await.is_ok());
        let alive = text(&mut out);
        assert!(
            alive.ends_with(r#"{"control":"heartbeat","interval":1000}"#),
            "{alive}"
        );
    }
    gate.add_permits(1);
    assert!(poll_fn(|cx| feed.poll_stage(cx, &mut out)).await.is_ok());
    let told = text(&mut out);
    let (three, four) = (told.find(r#""data":"3""#), told.find(r#""data":"4""#));
    let heartbeat = told.find(&format!(r#""heartbeat","id":"{}""#, positions[3]));
    assert!(three.is_some() && three < four && four < heartbeat, "{told}");
}
