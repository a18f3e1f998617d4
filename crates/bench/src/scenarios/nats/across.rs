//! One message at a time, from a node to a client of another one.
//!
//! Core NATS is the limit: a publisher, and a subscriber on another connection. JetStream alone tells what it costs that a message is stored
//! before it is heard. `Local`, with the publisher, the hub and the server in this process, tells what the hop to a client's socket costs. All of
//! them take turns, message by message.

use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use async_nats::{Client, Subscriber};
use dualcast::{Channel, Hub, Message};
use futures::{FutureExt, StreamExt};
use hdrhistogram::Histogram;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

use super::{CORE, JETSTREAM, LOCAL, NATS, Sides};
use crate::broker::{Broker, live_subjects, log_subject};
use crate::figure::{self, Figure};
use crate::load::{Crowd, Fleet, PATIENCE, durations, payload, record};
use crate::scenarios::{Sizes, milliseconds};
use crate::server::{Server, rooms_dialect};
use crate::servers::rooms;
use crate::target::{Target, Transport};

const PREFIX: &str = "across";
const BARE: &str = "across-bare";
/// What the generator's first channel is called by the nodes.
const CHANNEL: &str = "room.0";

pub(in crate::scenarios) fn run(transport: Transport, sizes: &Sizes) -> Result<Sides> {
    let broker = Broker::start()?;
    let runtime = &broker.runtime;
    let node = Server::node(vec![
        (rooms::NATS_URL, broker.url()),
        (rooms::NATS_PREFIX, PREFIX.into()),
    ])?;
    let node = node.start()?;
    let local = Hub::new();
    let here = serve(runtime, local.clone())?;
    let mut ways = [
        (CORE, runtime.block_on(Way::core(&broker))?),
        (JETSTREAM, runtime.block_on(Way::jetstream(&broker))?),
        (LOCAL, Way::to_client(&here, transport, &local)?),
        (
            NATS,
            Way::to_client(&node.target, transport, &runtime.block_on(broker.hub(PREFIX))?)?,
        ),
    ];
    // Of the first so many nothing counts.
    let warm_up = sizes.across / 10;
    for number in 0..warm_up + sizes.across {
        for (name, way) in &mut ways {
            if number == warm_up {
                way.forget();
            }
            way.pass(runtime.handle(), sizes.message_bytes).context(*name)?;
        }
    }
    let [core, jetstream, local, nats] = ways.map(|(_, way)| way.latency());
    let figures = |latency: &Histogram<u64>| {
        vec![
            Figure::new("", figure::LATENCY_P50, milliseconds(latency, 0.5)),
            Figure::new("", figure::LATENCY_P99, milliseconds(latency, 0.99)),
        ]
    };
    let mut sides = vec![
        (CORE, figures(&core)),
        (JETSTREAM, figures(&jetstream)),
        (LOCAL, figures(&local)),
        (NATS, figures(&nats)),
    ];
    let p50 = |latency| milliseconds(latency, 0.5);
    let without = "without the hop to a client";
    for (at, value) in [
        (0, p50(&core)),
        (1, p50(&jetstream)),
        (3, p50(&nats) - p50(&local)),
    ] {
        let figure = Figure::new(without, figure::LATENCY_P50, value);
        sides[at].1.push(figure);
    }
    Ok(sides)
}

/// Serves a hub in this process.
fn serve(runtime: &Runtime, hub: Hub) -> Result<Target> {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?.to_string();
    // It ends with the runtime.
    runtime.spawn(async move { dualcast::serve(listener, rooms::routes(hub)).await });
    Target::new(&address, rooms_dialect())
}

/// How a message gets from one who publishes to one who receives.
enum Way {
    Bare(Box<Bare>),
    ToClient(Box<Fleet>, Channel),
}

/// A publisher and a subscriber of async-nats, on a connection each.
struct Bare {
    publisher: Publisher,
    subject: String,
    published: u64,
    /// What the subscriber's task got, and when.
    heard: Receiver<(Instant, async_nats::Message)>,
    latency: Histogram<u64>,
}

#[derive(Clone)]
enum Publisher {
    Core(Client),
    JetStream(async_nats::jetstream::Context),
}

impl Way {
    async fn core(broker: &Broker) -> Result<Self> {
        let publisher = Publisher::Core(broker.client().await?);
        Self::bare(broker, publisher, "core.room".into(), "core.>".into()).await
    }

    async fn jetstream(broker: &Broker) -> Result<Self> {
        let publisher = Publisher::JetStream(broker.jetstream(BARE).await?);
        Self::bare(broker, publisher, log_subject(BARE, CHANNEL), live_subjects(BARE)).await
    }

    async fn bare(broker: &Broker, publisher: Publisher, subject: String, heard_on: String) -> Result<Self> {
        let client = broker.client().await?;
        let subscriber = client.subscribe(heard_on).await?;
        // The server knows of it once it has answered.
        client.flush().await?;
        Ok(Self::Bare(Box::new(Bare {
            publisher,
            subject,
            published: 0,
            heard: listen(subscriber),
            latency: durations(),
        })))
    }

    /// To one client, which follows what this hub publishes.
    fn to_client(target: &Target, transport: Transport, hub: &Hub) -> Result<Self> {
        let mut fleet = Fleet::new(target, transport, 1)?;
        fleet.connect(Crowd::of(1))?;
        Ok(Self::ToClient(Box::new(fleet), hub.channel(CHANNEL)?))
    }

    /// One message, until it is received and its publisher has been answered.
    fn pass(&mut self, runtime: &Handle, bytes: usize) -> Result<()> {
        let publishing = match self {
            Self::Bare(bare) => bare.pass(runtime, bytes)?,
            Self::ToClient(fleet, channel) => fleet.await_from_elsewhere(bytes, |text| {
                let channel = channel.clone();
                begin(runtime, async move {
                    channel.publish(Message::text("message", text)).await?;
                    Ok(())
                })
            })?,
        };
        match publishing {
            Publishing::Done(done) => done,
            Publishing::UnderWay(publishing) => runtime.block_on(publishing)?,
        }
    }

    fn forget(&mut self) {
        match self {
            Self::Bare(bare) => bare.latency.reset(),
            Self::ToClient(fleet, _) => drop(fleet.take_tally()),
        }
    }

    fn latency(self) -> Histogram<u64> {
        match self {
            Self::Bare(bare) => bare.latency,
            Self::ToClient(mut fleet, _) => fleet.take_tally().latency,
        }
    }
}

impl Bare {
    fn pass(&mut self, runtime: &Handle, bytes: usize) -> Result<Publishing> {
        self.published += 1;
        let began = Instant::now();
        let text = payload(self.published, bytes);
        let (publisher, subject) = (self.publisher.clone(), self.subject.clone());
        let payload = text.clone().into();
        let publishing = begin(runtime, async move {
            match publisher {
                Publisher::Core(client) => client.publish(subject, payload).await?,
                Publisher::JetStream(jetstream) => drop(jetstream.publish(subject, payload).await?.await?),
            }
            Ok(())
        });
        let (at, message) = self.heard.recv_timeout(PATIENCE).context("nothing was heard")?;
        ensure!(message.payload == text, "another message was heard: {message:?}");
        record(&mut self.latency, at.saturating_duration_since(began));
        Ok(publishing)
    }
}

/// Notes when messages come, in a task of its own.
fn listen(mut subscriber: Subscriber) -> Receiver<(Instant, async_nats::Message)> {
    let (say, heard) = mpsc::channel();
    tokio::spawn(async move {
        while let Some(message) = subscriber.next().await {
            if say.send((Instant::now(), message)).is_err() {
                return;
            }
        }
    });
    heard
}

enum Publishing {
    Done(Result<()>),
    UnderWay(JoinHandle<Result<()>>),
}

/// Publishes from where we are, as a handler would, and leaves it to the runtime to wait for the answer.
fn begin(runtime: &Handle, publishing: impl Future<Output = Result<()>> + Send + 'static) -> Publishing {
    let _entered = runtime.enter();
    let mut publishing = publishing.boxed();
    match publishing.as_mut().now_or_never() {
        Some(done) => Publishing::Done(done),
        None => Publishing::UnderWay(runtime.spawn(publishing)),
    }
}
