//! The fan-out itself: what a hub asks of it, and who does that.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dualcast_core::{
    ChannelName, FanOut, Health, History, Ingest, Message, Order, Position, PublishError, Publishing, Wanted,
    WeakHub,
};
use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time;

use crate::api::Api;
use crate::connect::{ConnectError, Connection, Purpose};
use crate::entry::check_of;
use crate::envelope::{Outgoing, random_id};
use crate::epoch::Epochs;
use crate::history::Histories;
use crate::landing::{Landing, Landings};
use crate::life::{self, Loaded};
use crate::mirror::MirrorOptions;
use crate::node;
use crate::options::NatsOptions;
use crate::orders::Orders;
use crate::presence::Presences;
use crate::publisher::{Failure, Publisher, Stored};
use crate::reads::Reads;
use crate::shared::{Shared, Trouble};
use crate::status::Status;
use crate::stream::{Stream, StreamError};
use crate::subjects::Subjects;
use crate::volatile::Volatiles;

/// The fan-out over NATS: the log of the hub is one JetStream stream, which all nodes of an application share.
///
/// ```no_run
/// use dualcast_core::Hub;
/// use dualcast_nats::{Nats, NatsOptions};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let nats = Nats::connect(NatsOptions::new(["nats://127.0.0.1:4222"])).await?;
/// let hub = Hub::builder().fan_out(nats).build()?;
/// # Ok(())
/// # }
/// ```
///
/// It works on the runtime that it was connected on, for as long as its hub lives.
pub struct Nats {
    shared: Arc<Shared>,
    /// What the hub begins with, until there is one.
    loaded: Mutex<Option<Loaded>>,
    histories: Arc<Histories>,
    volatiles: Volatiles,
    orders: Orders,
    presences: Presences,
    runtime: Handle,
}

/// Why a node has no fan-out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is no stream to work with.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The stream's tail could not be read, or the epoch that all nodes share not be agreed on.
    #[error("the node can't begin: {0}")]
    Begin(#[source] Trouble),
}

impl Nats {
    /// Connects, makes or checks the stream, and loads its tail.
    ///
    /// # Errors
    ///
    /// [`NatsError`], where any of that can't be done now. Whoever starts an application decides whether to try again.
    pub async fn connect(options: NatsOptions) -> Result<Self, NatsError> {
        // Whatever NATS' client awaits, where that is called from a task of any kind this is `Send`.
        let connecting: BoxFuture<'_, _> = Box::pin(Self::begin(options));
        connecting.await
    }

    async fn begin(options: NatsOptions) -> Result<Self, NatsError> {
        let (live, reading) = tokio::try_join!(
            Connection::open(&options, Purpose::Live),
            Connection::open(&options, Purpose::Reads),
        )?;
        let (live, reading) = (Arc::new(live), Arc::new(reading));
        let deadline = options.request_deadline;
        let domain = options.domain.as_deref();
        let api = Api::new(Arc::clone(&live), domain, deadline);
        let subjects = Subjects::new(&options.prefix);
        let stream = Stream::open(api.clone(), &subjects, &options).await?;
        let node_id = random_id();
        let shared = Arc::new(Shared {
            mirror_options: MirrorOptions {
                max_aside: options.max_aside,
                max_aside_bytes: options.max_aside_bytes,
                max_read: MAX_READ,
                hole_deadline: options.hole_deadline,
            },
            shown: Mutex::default(),
            reads: Reads::new(Api::new(Arc::clone(&reading), domain, deadline), stream.name()),
            live_reads: Reads::new(api.clone(), stream.name()),
            epochs: Epochs::new(api, stream.name(), options.stream.replicas, &node_id),
            publisher: Publisher::new(Arc::clone(&live), options.max_in_flight, options.publish_deadline),
            landings: Landings::default(),
            known: watch::Sender::default(),
            settled: watch::Sender::default(),
            look_at_life: Notify::new(),
            status: Status::default(),
            node_id,
            subjects,
            live,
            reading,
            stream,
            options,
        });
        let loaded = life::load(&shared, None).await.map_err(NatsError::Begin)?;
        Ok(Self {
            histories: Arc::new(Histories::new(Arc::clone(&shared))),
            volatiles: Volatiles::new(Arc::clone(&shared)),
            orders: Orders::new(Arc::clone(&shared)),
            presences: Presences::new(Arc::clone(&shared)),
            loaded: Mutex::new(Some(loaded)),
            runtime: Handle::current(),
            shared,
        })
    }

    /// Has something stored, and waits until this node has it, too.
    async fn log(&self, ingest: &Ingest, outgoing: Outgoing) -> Result<Position, PublishError> {
        let deadline = self.shared.publisher.deadline();
        let (beginning, head) = (self.shared.landings.beginning(), self.shared.landings.head());
        let stored = self.shared.publisher.publish(&outgoing, deadline).await?;
        let landing = Landing {
            beginning,
            sequence: stored.sequence,
        };
        // A number that was given out before is one of another stream, which this node has yet to hear of.
        let is_used = !stored.is_repeat && stored.sequence <= head;
        if is_used || !self.land(landing, deadline).await || !self.is_ours(ingest, stored, deadline).await {
            return Err(Failure::OtherLife.into());
        }
        if !stored.is_repeat {
            ingest.count_published();
        }
        Ok(ingest.position_of(stored.sequence))
    }

    /// Whether what a repeat repeats is the record that this node has at its number. Of what can't be looked at nothing speaks against it.
    async fn is_ours(&self, ingest: &Ingest, stored: Stored, deadline: time::Instant) -> bool {
        let known = ingest.position_of(stored.sequence).check();
        if !stored.is_repeat || known.is_none() {
            return true;
        }
        let read = self.shared.reads.time_of(stored.sequence, deadline).await;
        let stored_at = read.ok().flatten();
        stored_at.is_none_or(|time_ns| known == Some(check_of(time_ns)))
    }

    /// Waits until what is stored at a number has come round to this node. What is late is looked for. Answers `false` where the log
    /// began anew instead.
    async fn land(&self, landing: Landing, deadline: time::Instant) -> bool {
        let landings = &self.shared.landings;
        if let Ok(has_landed) = time::timeout(LATE, landings.wait(landing)).await {
            return has_landed;
        }
        self.shared.know(landing);
        // It is stored for sure: where this node doesn't come so far in time, that is no failure.
        time::timeout_at(deadline, landings.wait(landing))
            .await
            .unwrap_or(true)
    }
}

impl FanOut for Nats {
    fn start(&self, hub: WeakHub) {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It is called once, with a hub that is being built.
        let (Some(loaded), Some(strong)) = (loaded, hub.upgrade()) else {
            return;
        };
        self.shared.warn_of_max_payload(strong.limits().max_message_bytes);
        self.histories.start(hub.clone(), strong.limits());
        self.volatiles.start(hub.clone());
        self.presences.start(hub);
        self.runtime.spawn(node::start(&self.shared, &strong, loaded));
    }

    fn publish<'a>(
        &'a self,
        ingest: &'a Ingest,
        channel: &'a ChannelName,
        message: Message,
    ) -> Publishing<'a> {
        let publishing = async move {
            ingest.check(channel, Some(&message))?;
            let outgoing = Outgoing::message(&self.shared.subjects, channel, &message);
            self.log(ingest, outgoing).await
        };
        Either::Right(publishing.boxed())
    }

    fn finish<'a>(&'a self, ingest: &'a Ingest, channel: &'a ChannelName) -> Publishing<'a> {
        let finishing = async move {
            ingest.check(channel, None)?;
            let outgoing = Outgoing::finish(&self.shared.subjects, channel);
            self.log(ingest, outgoing).await
        };
        Either::Right(finishing.boxed())
    }

    /// To whoever follows here at once, and to the other nodes if they can be reached now.
    fn send_volatile(&self, ingest: &Ingest, channel: &ChannelName, message: Message) {
        let outgoing = Outgoing::message(&self.shared.subjects, channel, &message);
        if ingest.has_followers(channel) {
            ingest.send_volatile(channel, message);
        }
        if !self.shared.try_send(outgoing) {
            ingest.count_volatile_dropped();
        }
    }

    fn history(&self, ingest: &Ingest, wanted: Wanted) -> Option<History> {
        Some(self.histories.ask(ingest, wanted))
    }

    fn minds_followers(&self) -> bool {
        true
    }

    fn followed(&self, channel: &ChannelName) {
        self.volatiles.followed(channel);
    }

    fn unfollowed(&self, channel: &ChannelName) {
        self.volatiles.unfollowed(channel);
    }

    fn send_order(&self, order: Order) {
        self.orders.send(order);
    }

    fn shares_presence(&self) -> bool {
        true
    }

    fn presence_changed(&self) {
        self.presences.changed();
    }

    fn health(&self) -> Health {
        self.shared.status.health()
    }

    fn maintain(&self, _: &Ingest) {
        self.histories.maintain();
        self.volatiles.maintain();
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("stream", &self.shared.stream.name())
            .field("health", &self.shared.status.health())
            .finish_non_exhaustive()
    }
}

/// How many records are asked for at a time, of a hole or of the tail.
const MAX_READ: u64 = 4_096;

/// After how long an own message that is stored and has not come round is looked for.
const LATE: Duration = Duration::from_millis(250);
