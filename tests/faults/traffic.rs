//! Traffic: publishers and clients that go on whatever happens.
//!
//! The [truth](crate::truth) is what stands in the stream in the end. What a publisher was told has to agree with it, and what each client was
//! told: every record of its channels once and in order, or in a gap.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dualcast::{Hub, Message, Nats, NatsOptions, Position, PublishError, Transport};
use dualcast_tests::{Client, Dial, Told};
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time;

use crate::nodes::{Addresses, PATIENCE};
use crate::truth::{
    Followed, Life, Noted, Published, Summary, Witness, check_followed, check_published, hash,
};

/// Everything that publishes and listens.
pub(crate) struct Traffic {
    hub: Hub,
    shared: Arc<Shared>,
    publishers: JoinSet<Vec<Published>>,
    clients: JoinSet<Followed>,
    start: Position,
    /// What stood in the stream before it was trimmed.
    kept: Option<Life>,
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
    /// How many messages without a key are unconfirmed by now.
    unconfirmed: AtomicU64,
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
            unconfirmed: AtomicU64::new(0),
        });
        let start = hub.position();
        let mut publishers = JoinSet::new();
        for number in 0..size.publishers {
            let chance = Rng::with_seed(size.seed.wrapping_sub(1 + number as u64));
            publishers.spawn(publish(hub.clone(), Arc::clone(&shared), number, chance));
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
            kept: None,
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
        self.kept = Some(Life::read(url, prefix, self.start.epoch()).await);
    }

    /// How many messages without a key are unconfirmed by now.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.shared.unconfirmed.load(Ordering::SeqCst)
    }

    /// Ends it: publishes to every channel once more, waits until every client is there, and holds all that was told against the stream.
    pub(crate) async fn end(self, url: &str, prefix: &str) -> Summary {
        self.end_with(url, prefix, None).await
    }

    /// Ends it where another life began in the middle.
    pub(crate) async fn end_in_another_life(self, url: &str, prefix: &str, witness: &Witness) -> Summary {
        self.end_with(url, prefix, Some(witness)).await
    }

    async fn end_with(self, url: &str, prefix: &str, witness: Option<&Witness>) -> Summary {
        let Self {
            hub,
            shared,
            mut publishers,
            mut clients,
            start,
            kept,
        } = self;
        shared.is_publishing.store(false, Ordering::SeqCst);
        let mut published = Vec::new();
        while let Some(of_one) = publishers.join_next().await {
            published.extend(of_one.expect("a publisher comes to its end"));
        }
        let mut end = None;
        for channel in CHANNELS {
            end = Some(publish_end(&hub, channel, &mut published).await);
        }
        *shared.end.lock().unwrap() = end;
        let mut followed = Vec::new();
        while let Some(of_one) = clients.join_next().await {
            followed.push(of_one.expect("a client comes to its end"));
        }
        let mut lives: Vec<_> = witness
            .map(|witness| witness.first_life(start.epoch()))
            .into_iter()
            .collect();
        let newest = Life::read(url, prefix, hub.position().epoch()).await;
        lives.push(match kept {
            Some(kept) => kept.and(newest),
            None => newest,
        });
        let mut summary = Summary {
            messages: lives.iter().map(|life| life.records.len()).sum(),
            clients: followed.len(),
            reconnects: shared.reconnects.load(Ordering::SeqCst),
            ..Summary::default()
        };
        check_published(&published, &lives, &mut summary);
        check_followed(&followed, &lives, start, &mut summary);
        summary
    }
}

impl Published {
    async fn of(hub: &Hub, channel: &str, text: String, has_key: bool) -> Self {
        let mut message = Message::text("message", text.clone());
        if has_key {
            message = message.idempotency_key(&*text);
        }
        let outcome = hub
            .channel(channel)
            .expect("a channel's name")
            .publish(message)
            .await;
        let channel = channel.to_owned();
        Self {
            channel,
            text,
            has_key,
            outcome,
        }
    }
}

/// Publishes a channel's last message, as often as that takes: a connection that swallowed something a moment ago may be found dead only by now.
async fn publish_end(hub: &Hub, channel: &str, published: &mut Vec<Published>) -> Position {
    let begun = Instant::now();
    loop {
        let attempt = published.len();
        let last = Published::of(hub, channel, format!("the end, {attempt}"), false).await;
        let outcome = last.outcome.as_ref().copied().ok();
        published.push(last);
        if let Some(position) = outcome {
            return position;
        }
        assert!(begun.elapsed() < PATIENCE, "it can be published in the end");
    }
}

/// Publishes, about half of it with idempotency keys.
async fn publish(hub: Hub, shared: Arc<Shared>, publisher: usize, mut chance: Rng) -> Vec<Published> {
    let mut all = Vec::new();
    for number in 0.. {
        if !shared.is_publishing.load(Ordering::SeqCst) {
            break;
        }
        // The last channel hears little.
        let channel = CHANNELS[if number % 100 == 99 { 3 } else { number % 3 }];
        let has_key = chance.bool();
        let published = Published::of(&hub, channel, format!("{publisher}.{number}"), has_key).await;
        let is_unconfirmed = published
            .outcome
            .as_ref()
            .is_err_and(PublishError::is_unconfirmed);
        if is_unconfirmed && !has_key {
            shared.unconfirmed.fetch_add(1, Ordering::SeqCst);
        }
        all.push(published);
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
