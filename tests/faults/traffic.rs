//! Traffic: publishers and clients that go on whatever happens, and what is held against what they were told.
//!
//! The truth is what stands in the stream in the end. What a publisher was told has to agree with it, and what each client was told: every
//! record of its channels once and in order, or in a gap.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use dualcast::{Check, Epoch, Hub, Message, Nats, NatsOptions, Position, PublishError, Transport};
use dualcast_tests::{Client, Dial, Told};
use fastrand::Rng;
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
    /// What stood in the stream before it was trimmed.
    kept: Vec<Record>,
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
    channels: &'static [&'static str],
    told: Vec<Noted>,
}

/// Something that a client was told, as small as it can be kept: there are millions of them.
enum Noted {
    Message {
        /// Which of the client's channels.
        channel: u8,
        at: Position,
        text: u64,
    },
    Gap {
        channel: u8,
        from: Option<Position>,
        to: Position,
        reason: Box<str>,
    },
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

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages,
            refused,
            unconfirmed,
            clients,
            delivered,
            reconnects,
            gaps,
        } = self;
        write!(
            f,
            "{messages} messages, {refused} refused, {unconfirmed} unconfirmed; {clients} clients, {delivered} deliveries, \
             {reconnects} reconnects, gaps: {gaps:?}; lost: 0, twice: 0"
        )
    }
}

/// How much of it.
pub(crate) struct Size {
    pub(crate) publishers: usize,
    /// Between two messages of a publisher.
    pub(crate) pause: Duration,
    pub(crate) clients: usize,
    /// How long a client stays on one connection, about.
    pub(crate) stay: Duration,
    /// What the clients' choices follow from.
    pub(crate) seed: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            publishers: 4,
            pause: Duration::from_millis(5),
            clients: 24,
            stay: Duration::from_secs(2),
            seed: 0,
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
            let chance = Rng::with_seed(size.seed.wrapping_add(number as u64));
            let listened = LISTENED[number % LISTENED.len()];
            clients.spawn(follow(Arc::clone(&shared), listened, start, chance));
        }
        Self {
            hub,
            shared,
            publishers,
            clients,
            start,
            kept: Vec::new(),
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

    /// Keeps the truth of what stands in the stream now: some of it is about to be trimmed.
    pub(crate) async fn keep(&mut self, url: &str, prefix: &str) {
        self.kept = records_of(url, prefix, self.start.epoch()).await;
    }

    /// Ends it: publishes to every channel once more, waits until every client is there, and holds all that was told against the stream.
    pub(crate) async fn end(self, url: &str, prefix: &str) -> Summary {
        let Self {
            hub,
            shared,
            mut publishers,
            mut clients,
            start,
            kept: mut records,
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
        let newer = records_of(url, prefix, start.epoch()).await.into_iter();
        let kept = records.last().map_or(0, |last| last.position.sequence());
        records.extend(newer.filter(|record| record.position.sequence() > kept));
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
async fn follow(
    shared: Arc<Shared>,
    channels: &'static [&'static str],
    start: Position,
    mut chance: Rng,
) -> Followed {
    let mut followed = Followed {
        channels,
        told: Vec::new(),
    };
    let mut cursor = start;
    loop {
        let transport = [Transport::Sse, Transport::WebSocket][usize::from(chance.bool())];
        let address = shared.addresses.any(&mut chance);
        let Some(mut client) = connect(address, transport, channels, cursor).await else {
            time::sleep(Duration::from_millis(chance.u64(10..100))).await;
            continue;
        };
        let leaves_at = time::Instant::now() + shared.stay.mul_f64(chance.f64() * 2.0);
        while let Ok(told) = time::timeout_at(leaves_at, client.next()).await {
            cursor = client.position();
            let is_end = matches!(told, Told::End(_));
            followed.note(&told);
            if shared.end.lock().unwrap().is_some_and(|end| cursor >= end) {
                return followed;
            }
            if is_end {
                break;
            }
        }
        if chance.bool() {
            client.cut();
        }
        shared.reconnects.fetch_add(1, Ordering::SeqCst);
    }
}

impl Followed {
    fn note(&mut self, told: &Told) {
        let of = |name: &str| {
            let index = self.channels.iter().position(|channel| *channel == name);
            u8::try_from(index.expect("a channel that it follows")).unwrap()
        };
        let position = |text: &String| text.parse::<Position>().expect("it is a position");
        match told {
            Told::Message { id, channel, .. } => {
                let id = id.as_ref().expect("it was logged");
                self.told.push(Noted::Message {
                    channel: channel.as_deref().map_or(0, of),
                    at: position(id),
                    text: hash(told.text()),
                });
            }
            Told::Gap {
                channel,
                from,
                to,
                reason,
                ..
            } => self.told.push(Noted::Gap {
                channel: of(channel),
                from: from.as_ref().map(position),
                to: position(to.as_ref().expect("where it ends")),
                reason: reason.as_str().into(),
            }),
            _ => {}
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

async fn connect(
    address: SocketAddr,
    transport: Transport,
    channels: &[&str],
    cursor: Position,
) -> Option<Client> {
    let dial = Dial::to(address, transport)
        .channels(&channels.join(","))
        .cursor(&cursor.to_string());
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

/// Holds what clients were told against the stream: of each channel every record came, in order and once, or lies in a gap.
fn check_followed(followed: &[Followed], records: &[Record], start: Position, summary: &mut Summary) {
    let mut by_channel: HashMap<&str, Vec<&Record>> = HashMap::new();
    for record in records {
        by_channel.entry(&record.channel).or_default().push(record);
    }
    for Followed { channels, told } in followed {
        let records: Vec<_> = channels.iter().map(|channel| &*by_channel[channel]).collect();
        let behind = |channel: usize, place: Position| {
            records[channel].partition_point(|record| record.position.sequence() <= place.sequence())
        };
        let mut next: Vec<_> = (0..channels.len())
            .map(|channel| behind(channel, start))
            .collect();
        for noted in told {
            match noted {
                Noted::Message { channel, at, text } => {
                    let channel = usize::from(*channel);
                    let expected = records[channel]
                        .get(next[channel])
                        .expect("nothing comes that was not published");
                    let is_expected = expected.position == *at && hash(&expected.text) == *text;
                    assert!(
                        is_expected,
                        "{at} came on {}, not {}: {}",
                        channels[channel], expected.position, expected.text
                    );
                    next[channel] += 1;
                    summary.delivered += 1;
                }
                Noted::Gap {
                    channel,
                    from,
                    to,
                    reason,
                } => {
                    let channel = usize::from(*channel);
                    if let Some(from) = from {
                        let untold = behind(channel, *from);
                        assert!(
                            untold <= next[channel],
                            "a gap after {from} hides what stands before it"
                        );
                    }
                    next[channel] = next[channel].max(behind(channel, *to));
                    *summary.gaps.entry(reason.to_string()).or_default() += 1;
                }
            }
        }
        for (channel, next) in next.into_iter().enumerate() {
            let missing = records[channel].get(next).map(|record| record.position);
            assert_eq!(missing, None, "it is missing on {}", channels[channel]);
        }
    }
}
