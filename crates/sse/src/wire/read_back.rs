//! Whatever is published is read back by a reader of the HTML standard: every payload, on every kind of stream, however the stream
//! is batched, chunked and cut on its way.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use dualcast_core::{Hub, Message, Payload, Position};
use dualcast_event_stream::{Event, EventStream};
use dualcast_http::{Feed, SessionOptions, Source};
use futures::FutureExt;
use futures::task::noop_waker;
use proptest::prelude::*;

use super::*;

const CHANNELS: [&str; 3] = ["a", "b.c", "D_-"];

/// A message, and the channel that it goes to.
#[derive(Debug, Clone)]
struct Sent {
    channel: usize,
    event: String,
    payload: Payload,
    is_volatile: bool,
    /// Whether the stream is read at once, and not together with the next.
    is_last_of_batch: bool,
}

/// How a stream is written and read.
#[derive(Debug, Clone)]
struct Way {
    own: Own,
    is_multi: bool,
    is_chunked: bool,
    max_batch_bytes: usize,
    padding_bytes: usize,
    /// How many bytes arrive together, over and over.
    cuts: Vec<usize>,
}

/// What means something to the format, or to some reader of it.
fn text() -> impl Strategy<Value = String> {
    "(\\PC|\\pC|[\r\n\0: ]|\r\n|\n\n|data: |data|id: 1|event: x|retry: 1|: c|\u{feff}|\u{2028}|\u{85}|\u{1f600}){0,30}"
}

fn event() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("message".to_owned()),
        "(\\PC|[:/; ]|\u{feff}|\u{2028}|\u{1f600}){1,20}"
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        text().prop_map(|text| Payload::Text(text.into())),
        text().prop_map(|text| Payload::Json(serde_json::json!([text]).to_string().into())),
        // With white space of its own, as somebody else wrote it.
        Just(Payload::Json("{\r\n  \"a\": [\r1,\n2\n]\n}".into())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Payload::Binary(bytes.into())),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    (
        0..CHANNELS.len(),
        event(),
        payload(),
        prop::bool::weighted(0.2),
        any::<bool>(),
    )
        .prop_map(|(channel, event, payload, is_volatile, is_last_of_batch)| Sent {
            channel,
            event,
            payload,
            is_volatile,
            is_last_of_batch,
        })
}

fn way() -> impl Strategy<Value = Way> {
    let own = prop_oneof![Just(Own::Events), Just(Own::HeartbeatComments), Just(Own::Plain)];
    let cuts = prop::collection::vec(1..50_usize, 1..8);
    (
        own,
        any::<bool>(),
        any::<bool>(),
        1..2_000_usize,
        0..100_usize,
        cuts,
    )
        .prop_map(
            |(own, is_multi, is_chunked, max_batch_bytes, padding_bytes, cuts)| Way {
                own,
                is_multi,
                is_chunked,
                max_batch_bytes,
                padding_bytes,
                cuts,
            },
        )
}

impl Way {
    fn wire(&self) -> &'static SseWire {
        let wires = if self.is_chunked { &CHUNKED } else { &IN_BODY };
        let wire = wires
            .iter()
            .find(|wire| wire.own == self.own && wire.is_multi == self.is_multi);
        wire.expect("there is one for each way")
    }

    /// What a client reads of a stream that this came of.
    fn read(&self, pieces: VecDeque<Bytes>) -> EventStream {
        let bytes: Vec<u8> = pieces.into_iter().flatten().collect();
        let bytes = if self.is_chunked { unchunked(&bytes) } else { bytes };
        let mut stream = EventStream::default();
        let mut rest = &*bytes;
        for cut in self.cuts.iter().cycle() {
            let (arrived, left) = rest.split_at(rest.len().min(*cut));
            stream.feed(arrived);
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        stream
    }
}

/// The body in these chunks (RFC 9112 section 7.1), the last of which is still to come.
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line_end) = chunks.iter().position(|byte| *byte == b'\r') {
        let length = std::str::from_utf8(&chunks[..line_end]).expect("a length is text");
        let length = usize::from_str_radix(length, 16).expect("a length is hexadecimal");
        assert_ne!(length, 0, "an empty chunk would end the body");
        let chunk = &chunks[line_end + 2..];
        body.extend_from_slice(&chunk[..length]);
        assert!(chunk[length..].starts_with(b"\r\n"));
        chunks = &chunk[length + 2..];
    }
    assert!(chunks.is_empty());
    body
}

/// What is to be read of a message. CR, LF and CRLF are each read as LF: the standard can't tell them apart.
fn expected(sent: &Sent, position: Option<Position>, is_multi: bool) -> Event {
    let mut event = sent.event.clone();
    if is_multi {
        event = format!("{}/{event}", CHANNELS[sent.channel]);
    }
    let data = match &sent.payload {
        Payload::Text(text) | Payload::Json(text) => text.replace("\r\n", "\n").replace('\r', "\n"),
        Payload::Binary(bytes) => {
            event.push_str(";base64");
            STANDARD.encode(bytes)
        }
    };
    let is_json = matches!(sent.payload, Payload::Json(_));
    Event {
        event,
        data,
        id: position.map(|position| position.to_string()),
        unknown: is_json.then(|| "type: json".to_owned()).into_iter().collect(),
    }
}

/// Lets a feed say what it has to say. True once it has said all.
fn say(feed: &mut Feed, out: &mut VecDeque<Bytes>) -> bool {
    let waker = noop_waker();
    loop {
        match feed.poll_stage(&mut Context::from_waker(&waker), out) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return true,
            Poll::Pending => return false,
        }
    }
}

/// A stream from its opening to its end, and what is to be read of it.
fn stream(all: &[Sent], way: &Way) -> (VecDeque<Bytes>, Vec<Event>) {
    let hub = Hub::new();
    let channels = CHANNELS.map(|name| hub.channel(name).expect("a name"));
    let followed = if way.is_multi {
        &channels[..]
    } else {
        &channels[..1]
    };
    let subscribe = hub.subscribe(followed.iter().map(|channel| channel.name().clone()));
    let source = Source::Subscription(Box::new(subscribe.open().expect("within limits")));
    let mut options = SessionOptions::default();
    options.max_batch_bytes = way.max_batch_bytes;
    let mut feed = Feed::new(way.wire(), None, source, options).padded(way.padding_bytes);
    let (mut out, mut expect) = (VecDeque::new(), Vec::new());
    say(&mut feed, &mut out);
    for sent in all {
        let channel = &channels[if way.is_multi { sent.channel } else { 0 }];
        let message = Message::new(sent.event.clone(), sent.payload.clone());
        let message = if sent.is_volatile {
            // In no order towards what is logged: so each goes alone.
            say(&mut feed, &mut out);
            message.volatile()
        } else {
            message
        };
        let published = channel.publish(message).now_or_never().expect("it never waits");
        let Ok(position) = published else { continue };
        expect.push(expected(
            sent,
            (!sent.is_volatile).then_some(position),
            way.is_multi,
        ));
        if sent.is_last_of_batch || sent.is_volatile {
            say(&mut feed, &mut out);
        }
    }
    for channel in followed {
        let end = channel.finish().now_or_never().expect("it never waits");
        assert!(end.is_ok());
    }
    assert!(say(&mut feed, &mut out), "it has come to its end");
    (out, expect)
}

proptest! {
    #[test]
    fn a_reader_of_the_standard_reads_what_was_published(
        sent in prop::collection::vec(sent(), 0..12),
        way in way(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("it starts");
        let _timers = runtime.enter();
        let (written, expect) = stream(&sent, &way);
        let mut read = way.read(written);
        let events: Vec<Event> = std::iter::from_fn(|| read.event()).collect();
        let is_own = |event: &Event| event.event.starts_with("dualcast:") || event.data == "[DONE]";
        let (own, events): (Vec<_>, Vec<_>) = events.into_iter().partition(is_own);
        prop_assert_eq!(events, expect);

        let mut names: Vec<_> = own.iter().map(|event| event.event.as_str()).collect();
        names.dedup();
        let expected_names: &[&str] = match way.own {
            Own::Events => &["dualcast:heartbeat", "dualcast:finished", "dualcast:closing"],
            Own::HeartbeatComments => &["dualcast:finished", "dualcast:closing"],
            Own::Plain => &["message"],
        };
        prop_assert_eq!(names, expected_names);
        prop_assert!(read.is_between_blocks() && !read.has_byte_order_mark());
        prop_assert!(read.retry().is_some());
    }
}
