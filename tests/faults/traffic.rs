//! Traffic: publishers and clients that go on whatever happens, and what is held against what they were told.
//!
//! The truth is what stands in the stream in the end. What a publisher was told has to agree with it, and what each client was told: every
//! record of its channels once and in order, or in a gap.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use dualcast::{Check, Epoch, Hub, Message, Nats, NatsOptions, Position, PublishError, Transport};
use dualcast_tests::{Client, Dial, End, Ledger, Told};
use futures::StreamExt;
use tokio::task::JoinSet;
use tokio::time;

use crate::nodes::{Addresses, PATIENCE};

/// Everything that publishes and listens.
pub(crate) struct Traffic {
    hub: Hub,
    shared: Arc<Shared>,
    publishers: JoinSet<Vec<Published>>,
    clients: JoinSet<Followed>,
    start: Position,
}

struct Shared {
    addresses: Addresses,
    is_publishing: AtomicBool,
    /// Where the last message stands, once all are published.
    end: Mutex<Option<Position>>,
    pause: Duration,
    /// How long a client stays, about.
    stay: Duration,
    reconnects: AtomicU64,
}

/// A message, and what its publisher was told.
struct Published {
    channel: String,
    text: String,
    outcome: Result<Position, PublishError>,
}

/// A client, and what it was told over all of its connections.
struct Followed {
    channels: Vec<&'static str>,
    told: Vec<Told>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) messages: usize,
    pub(crate) refused: usize,
    pub(crate) unconfirmed: usize,
    pub(crate) clients: usize,
    pub(crate) delivered: usize,
    pub(crate) reconnects: u64,
    pub(crate) gaps: BTreeMap<String, usize>,
}

/// How much of it.
pub(crate) struct Size {
    pub(crate) publishers: usize,
    /// Between two messages of a publisher.
    pub(crate) pause: Duration,
    pub(crate) clients: usize,
    /// How long a client stays on one connection, about.
    pub(crate) stay: Duration,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            publishers: 4,
            pause: Duration::from_millis(5),
            clients: 24,
            stay: Duration::from_secs(2),
        }
    }
}

const CHANNELS: [&str; 4] = ["a", "b", "c.d", "quiet"];

/// What the clients listen to, one after the other: one channel or several.
const LISTENED: [&[&str]; 5] = [&["a"], &["b"], &["a", "c.d"], &["quiet", "b"], &["quiet"]];

impl Traffic {
    /// Begins. The publishers have a hub of their own, without any client.
    pub(crate) async fn begin(mut options: NatsOptions, addresses: &Addresses, size: Size) -> Self {
        options.stream.max_bytes = 64 << 20;
        options.request_deadline = Duration::from_secs(2);
        let nats = Nats::connect(options).await.expect("NATS is there");
        let hub = Hub::builder()
            .fan_out(nats)
            .build()
            .expect("the limits hold together");
        let shared = Arc::new(Shared {
            addresses: addresses.clone(),
            is_publishing: AtomicBool::new(true),
            end: Mutex::default(),
            pause: size.pause,
            stay: size.stay,
            reconnects: AtomicU64::new(0),
        });
        let start = hub.position();
        let mut publishers = JoinSet::new();
        for number in 0..size.publishers {
            publishers.spawn(publish(hub.clone(), Arc::clone(&shared), number));
        }
        let mut clients = JoinSet::new();
        for number in 0..size.clients {
            clients.spawn(follow(
                Arc::clone(&shared),
                LISTENED[number % LISTENED.len()],
                start,
            ));
        }
        Self {
            hub,
            shared,
            publishers,
            clients,
            start,
        }
    }

    /// The hub that publishes.
    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Waits until so many more messages were published, whatever that takes.
    pub(crate) async fn goes_on(&self, messages: u64) {
        let (begun, until) = (Instant::now(), self.hub.position().sequence() + messages);
        while self.hub.position().sequence() < until {
            assert!(begun.elapsed() < PATIENCE, "nothing can be published any more");
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it: publishes to every channel once more, waits until every client is there, and holds all that was told against the stream.
    pub(crate) async fn end(self, url: &str, prefix: &str) -> Summary {
        let Self {
            hub,
            shared,
            mut publishers,
            mut clients,
            start,
        } = self;
        shared.is_publishing.store(false, Ordering::SeqCst);
        let mut published = Vec::new();
        while let Some(of_one) = publishers.join_next().await {
            published.extend(of_one.expect("a publisher comes to its end"));
        }
        let mut end = None;
        for channel in CHANNELS {
            let last = Published::of(&hub, channel, "the end".into()).await;
            end = Some(*last.outcome.as_ref().expect("it can be published in the end"));
            published.push(last);
        }
        *shared.end.lock().unwrap() = end;
        let mut followed = Vec::new();
        while let Some(of_one) = clients.join_next().await {
            followed.push(of_one.expect("a client comes to its end"));
        }
        let records = records_of(url, prefix, start.epoch()).await;
        let mut summary = Summary {
            messages: records.len(),
            clients: followed.len(),
            reconnects: shared.reconnects.load(Ordering::SeqCst),
            ..Summary::default()
        };
        check_published(&published, &records, &mut summary);
        check_followed(&followed, &records, start, &mut summary);
        summary
    }
}

impl Published {
    async fn of(hub: &Hub, channel: &str, text: String) -> Self {
        let message = Message::text("message", text.clone());
        let outcome = hub
            .channel(channel)
            .expect("a channel's name")
            .publish(message)
            .await;
        let channel = channel.to_owned();
        Self {
            channel,
            text,
            outcome,
        }
    }
}

async fn publish(hub: Hub, shared: Arc<Shared>, publisher: usize) -> Vec<Published> {
    let mut all = Vec::new();
    for number in 0.. {
        if !shared.is_publishing.load(Ordering::SeqCst) {
            break;
        }
        // The last channel hears little.
        let channel = CHANNELS[if number % 100 == 99 { 3 } else { number % 3 }];
        all.push(Published::of(&hub, channel, format!("{publisher}.{number}")).await);
        time::sleep(shared.pause).await;
    }
    all
}

/// Comes to a node by one of the transports, again and again, with the last id that it saw.
async fn follow(shared: Arc<Shared>, channels: &[&'static str], start: Position) -> Followed {
    let mut told = Vec::new();
    let mut cursor = start.to_string();
    loop {
        let transport = fastrand::choice([Transport::Sse, Transport::WebSocket]).expect("two");
        let client = connect(shared.addresses.any(), transport, channels, &cursor).await;
        let Some(mut client) = client else {
            time::sleep(Duration::from_millis(fastrand::u64(10..100))).await;
            continue;
        };
        let leaves_at = time::Instant::now() + shared.stay.mul_f64(fastrand::f64() * 2.0);
        loop {
            let Ok(next) = time::timeout_at(leaves_at, client.next()).await else {
                // Where nothing was read yet there is no id.
                cursor = client.last_id().to_owned();
                if fastrand::bool() {
                    client.cut();
                }
                break;
            };
            if let Some(id) = next.id() {
                cursor = id.to_owned();
            }
            if let Some(end) = *shared.end.lock().unwrap()
                && cursor.parse::<Position>().is_ok_and(|here| here >= end)
            {
                told.push(next);
                return Followed {
                    channels: channels.to_vec(),
                    told,
                };
            }
            if matches!(next, Told::End(End::Complete(_) | End::Cut)) {
                break;
            }
            told.push(next);
        }
        shared.reconnects.fetch_add(1, Ordering::SeqCst);
    }
}

async fn connect(
    address: SocketAddr,
    transport: Transport,
    channels: &[&str],
    cursor: &str,
) -> Option<Client> {
    let dial = Dial::to(address, transport)
        .channels(&channels.join(","))
        .cursor(cursor);
    // A node that is killed at this moment breaks off what it says.
    let opening = time::timeout(Duration::from_secs(5), tokio::spawn(dial.open()));
    opening.await.ok()?.ok()
}

/// A record of the stream.
struct Record {
    position: Position,
    channel: String,
    text: String,
}

/// All that stands in a hub's stream, but for what is of no channel, as another client of NATS reads it.
async fn records_of(url: &str, prefix: &str, epoch: Epoch) -> Vec<Record> {
    let client = async_nats::connect(url.split(',').collect::<Vec<_>>())
        .await
        .expect("NATS is there");
    let stream = jetstream::new(client)
        .get_stream(prefix)
        .await
        .expect("the stream is there");
    let mut records = Vec::new();
    if stream.cached_info().state.messages == 0 {
        return records;
    }
    let consumer = stream
        .create_consumer(OrderedConfig::default())
        .await
        .expect("it can be read");
    let mut messages = consumer.messages().await.expect("it can be read");
    let before_channel = format!("{prefix}.log.");
    while let Some(message) = messages.next().await {
        let message = message.expect("it can be read");
        let info = message.info().expect("it is a record");
        let nanos = u64::try_from(info.published.unix_timestamp_nanos()).expect("it is after 1970");
        let position = format!("{epoch}-{}-{}", info.stream_sequence, Check::of(nanos));
        let channel = message
            .subject
            .strip_prefix(&*before_channel)
            .expect("it is a record's subject");
        if !channel.starts_with('$') {
            records.push(Record {
                position: position.parse().expect("it is a position"),
                channel: channel.to_owned(),
                text: String::from_utf8(message.payload.to_vec()).expect("it is text"),
            });
        }
        if info.pending == 0 {
            break;
        }
    }
    records
}

/// Holds what publishers were told against the stream.
fn check_published(published: &[Published], records: &[Record], summary: &mut Summary) {
    let mut stored: HashMap<(&str, &str), Vec<Position>> = HashMap::new();
    for record in records {
        let places = stored.entry((&record.channel, &record.text)).or_default();
        places.push(record.position);
    }
    for Published {
        channel,
        text,
        outcome,
    } in published
    {
        let places = stored.get(&(&**channel, &**text)).map_or(&[][..], Vec::as_slice);
        match outcome {
            Ok(position) => {
                let [place] = places else {
                    panic!("{channel}: {text} was published once, and stands at {places:?}");
                };
                assert_eq!(place.sequence(), position.sequence(), "{channel}: {text}");
                // A node that lagged when it said so had not seen the record itself.
                assert!(
                    position.check().is_none_or(|_| place == position),
                    "{channel}: {text}"
                );
            }
            Err(error) if error.is_unconfirmed() => {
                assert!(places.len() <= 1, "{channel}: {text} was published once");
                summary.unconfirmed += 1;
            }
            Err(error) => {
                assert!(places.is_empty(), "{channel}: {text} was not published: {error}");
                summary.refused += 1;
            }
        }
    }
}

/// Holds what clients were told against the stream.
fn check_followed(followed: &[Followed], records: &[Record], start: Position, summary: &mut Summary) {
    let mut ledger = Ledger::default();
    for record in records {
        ledger.note(&record.channel, record.position, &record.text);
    }
    for Followed { channels, told } in followed {
        ledger.check(start, channels, told);
        for told in told {
            match told {
                Told::Message { .. } => summary.delivered += 1,
                Told::Gap { reason, .. } => *summary.gaps.entry(reason.clone()).or_default() += 1,
                _ => {}
            }
        }
    }
}
