//! What a client does that pings, floods, is silent, leaves or stalls, and what it costs.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dualcast_core::Hub;
use dualcast_http::{Drive, Inbound, Socket, Source};
use futures::{FutureExt, stream};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time;

use super::*;
use crate::inbox::{Handlers, Inbox};
use crate::wire::WsWire;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn feed(source: Source, options: &WsOptions) -> Feed {
    Feed::new(WsWire::get(false), None, source, options.session.clone())
}

fn quiet_feed() -> Feed {
    feed(Source::Nothing, &WsOptions::default())
}

fn peer(near: DuplexStream, options: &WsOptions) -> WsPeer<DuplexStream, Inbox> {
    let inbox = Inbox::new(Handlers::default(), options, None);
    WsPeer::new(Line::new(near), &[], inbox, options)
}

/// All that comes before a second in which nothing does.
async fn until_silent(far: &mut DuplexStream) -> Vec<u8> {
    let mut arrived = Vec::new();
    let mut buffer = [0; 64];
    while let Ok(read) = time::timeout(Duration::from_secs(1), far.read(&mut buffer)).await {
        arrived.extend_from_slice(&buffer[..read.unwrap()]);
    }
    arrived
}

/// An empty ping from a client, masked with zeros, and the pong that answers it.
const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];
const PONG_BYTES: usize = 2;

#[tokio::test(start_paused = true)]
async fn a_client_that_pings_without_reading_costs_no_more_than_a_few_pongs() {
    const PINGS: usize = 5_000;
    let (near, mut far) = duplex(64);
    let mut peer = peer(near, &WsOptions::default());
    let mut feed = quiet_feed();
    let mut session = pin!(poll_fn(move |cx| {
        let _ = peer.line().poll_drain(cx);
        peer.poll_hear(cx, &mut feed)
    }));
    let client = async {
        far.write_all(&PING.repeat(PINGS)).await.unwrap();
        until_silent(&mut far).await
    };
    let arrived = tokio::select! {
        reason = &mut session => panic!("{reason}"),
        arrived = client => arrived,
    };
    let pongs = arrived.len() / PONG_BYTES;
    assert!(pongs > 0 && pongs < PINGS / 2, "{pongs} pongs were kept");
}

/// A ping with a payload, masked with zeros.
fn ping(payload: u8) -> [u8; 7] {
    [0x89, 0x81, 0, 0, 0, 0, payload]
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_found_no_room_leaves_by_itself_once_there_is_some() {
    const LAST: u8 = 200;
    let (near, mut far) = duplex(64);
    let mut session = peer(near, &WsOptions::default());
    // The line is full, and nothing else will ever be written.
    session.line().staged.push_back(Bytes::from(vec![b'd'; 1_000]));
    let mut session = pin!(Drive::new(quiet_feed(), session));
    for payload in 0..=LAST {
        far.write_all(&ping(payload)).await.unwrap();
        assert!((&mut session).now_or_never().is_none());
    }
    let arrived = tokio::select! {
        reason = &mut session => panic!("{reason}"),
        arrived = until_silent(&mut far) => arrived,
    };
    let is_answered = arrived.windows(3).any(|bytes| bytes == [0x8a, 1, LAST]);
    assert!(is_answered, "the newest ping is, whichever of the others are");
}

/// All in one go: the line is full when the goodbye comes, and free at once when it is looked at again.
#[tokio::test(start_paused = true)]
async fn a_goodbye_is_answered_though_the_line_is_full_of_pongs() {
    const GOODBYE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
    const PINGS: usize = 20;
    // Of such pongs the line takes 16, and then nothing.
    const PONG_BYTES: usize = 64;
    let (near, mut far) = duplex(1 << 16);
    let ping = [&[0x89, 0x80 | 62, 0, 0, 0, 0][..], &[b'p'; PONG_BYTES - 2]].concat();
    far.write_all(&[&ping.repeat(PINGS), &GOODBYE[..]].concat())
        .await
        .unwrap();
    let session = Drive::new(quiet_feed(), peer(near, &WsOptions::default()));
    assert_eq!(session.await, CloseReason::Left);
    let mut arrived = Vec::new();
    far.read_to_end(&mut arrived).await.unwrap();
    assert!(arrived.len() < PINGS * PONG_BYTES, "the line was full");
    assert_eq!(arrived.last_chunk(), Some(&[0x88, 2, 0x03, 0xe9]));
}

/// By the real clock: the other stands still as long as anybody has something to do.
#[tokio::test]
async fn a_flood_behind_the_closing_does_not_keep_a_session_alive() {
    let options = WsOptions::default();
    let (near, mut far) = duplex(4 << 20);
    let mut feed = feed(Source::Refused(CloseReason::Busy), &options);
    let mut session = peer(near, &options);
    feed.open(&mut session.line().staged);
    let flood = [0x81, 0x80, 0, 0, 0, 0].repeat(1 << 16);
    let flooding = tokio::spawn(async move { while far.write_all(&flood).await.is_ok() {} });
    let ended = time::timeout(Duration::from_secs(20), Drive::new(feed, session)).await;
    assert_eq!(ended.ok(), Some(CloseReason::Busy));
    flooding.await.unwrap();
}

/// More than is read at a time, and in pieces of all sizes.
#[tokio::test(start_paused = true)]
async fn a_large_message_is_handled_whole_and_so_is_the_one_behind_it() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let handlers = Handlers {
        message: Some(Arc::new(move |message: Inbound| {
            let told = told.clone();
            async move { told.send(message.text().unwrap().to_owned()).unwrap() }
        })),
        ..Handlers::default()
    };
    for pipe in [64, 5_000, 1 << 20] {
        let (near, far) = duplex(pipe);
        let options = WsOptions::default();
        let inbox = Inbox::new(handlers.clone(), &options, None);
        let session = Drive::new(quiet_feed(), WsPeer::new(Line::new(near), &[], inbox, &options));
        let session = tokio::spawn(session);
        let long = "é".repeat(30_000);
        let mut sent = Vec::new();
        for text in [&*long, "short", &long] {
            let message = format!(r#"{{"event":"e","data":"{text}"}}"#);
            match u16::try_from(message.len()).unwrap() {
                length @ ..126 => sent.extend([0x81, 0x80 | length as u8]),
                length => sent.extend([&[0x81, 0xfe][..], &length.to_be_bytes()].concat()),
            }
            sent.extend([0; 4]);
            sent.extend(message.into_bytes());
        }
        let (mut told, mut far) = io::split(far);
        let reading = tokio::spawn(async move { io::copy(&mut told, &mut io::sink()).await });
        far.write_all(&sent).await.unwrap();
        for text in [&*long, "short", &long] {
            let message = time::timeout(HOUR, heard.recv()).await;
            assert!(message.unwrap().unwrap() == text, "through {pipe} bytes");
        }
        far.shutdown().await.unwrap();
        assert_eq!(session.await.unwrap(), CloseReason::Left);
        reading.await.unwrap().unwrap();
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_session_that_idles_is_small() {
    // 488, also where the socket may have TLS.
    let bytes = size_of::<Drive<WsPeer<Socket, Inbox>>>();
    assert!(bytes <= 496, "{bytes} bytes");
}

fn sleepy() -> WsOptions {
    let mut options = WsOptions::default();
    options.session.heartbeat = Duration::ZERO;
    options.session.write_timeout = 2 * HOUR;
    options.ping_interval = Duration::ZERO;
    options
}

/// How often a session is polled in an hour, beside a client that does this at the other end.
async fn polls_in_an_hour(
    source: Source,
    options: WsOptions,
    client: impl AsyncFnOnce(&mut DuplexStream),
) -> usize {
    let (near, mut far) = duplex(64);
    let mut session = Box::pin(Drive::new(feed(source, &options), peer(near, &options)));
    let polls = Arc::new(AtomicUsize::new(0));
    // In a task of its own: what wakes the client is not to wake it.
    let running = tokio::spawn({
        let polls = Arc::clone(&polls);
        poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::SeqCst);
            session.as_mut().poll(cx)
        })
    });
    let _ = time::timeout(HOUR, client(&mut far)).await;
    assert!(!running.is_finished());
    polls.load(Ordering::SeqCst)
}

/// Takes what comes, and answers each time.
async fn lively(far: &mut DuplexStream) {
    const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
    let mut buffer = [0; 256];
    loop {
        assert!(far.read(&mut buffer).await.unwrap() > 0);
        far.write_all(&PONG).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_nothing_to_do_sleeps() {
    let polls = polls_in_an_hour(Source::Nothing, sleepy(), lively).await;
    assert!(polls < 20, "{polls} polls with intervals of zero");
    let with_signs_of_life = WsOptions::default();
    let polls = polls_in_an_hour(Source::Nothing, with_signs_of_life, lively).await;
    assert!((240..2_000).contains(&polls), "{polls} polls for 240 heartbeats");
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_client_takes_nothing_sleeps() {
    let takes_nothing = async |_: &mut DuplexStream| pending().await;
    let message = dualcast_core::Message::text("e", "x".repeat(1_000));
    let endless = Source::stream(stream::repeat(message.clone()));
    let polls = polls_in_an_hour(endless, sleepy(), takes_nothing).await;
    assert!(polls < 20, "{polls} polls");

    // Nor is it woken by what is published meanwhile, and overtaken by the trim.
    let hub = Hub::builder().log(|log| log.max_records = 10).build().unwrap();
    let channel = hub.channel("room").unwrap();
    channel.publish(message.clone()).await.unwrap();
    let subscription = channel.subscribe().from_start().open().unwrap();
    let publishing = async |_: &mut DuplexStream| loop {
        channel.publish(message.clone()).await.unwrap();
        time::sleep(Duration::from_secs(1)).await;
    };
    let source = Source::Subscription(Box::new(subscription));
    let polls = polls_in_an_hour(source, sleepy(), publishing).await;
    assert!(polls < 20, "{polls} polls for 3,600 messages that it can't send");
}
