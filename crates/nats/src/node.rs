//! A node: the task that keeps a hub's log the same as the stream.
//!
//! It hears what is published, looks for what it may have missed, reads that back by another connection, and hands all of it to the hub in
//! the stream's order. The [`Mirror`] decides; here is what that needs of the world.
//!
//! Invariants: it is the only one that brings anything into the hub's log. It doesn't keep the hub alive while it waits. An answer that was
//! asked for before a connection was made anew is not listened to: what was stored between the answer and the new subscription would
//! be heard by nobody.

use std::borrow::Cow;
use std::future;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use dualcast_core::{Hub, WeakHub, count_broker_read};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{self, MissedTickBehavior};

use crate::canary::Canary;
use crate::connect::Link;
use crate::entry::{self, Entry};
use crate::envelope::{Incoming, Order};
use crate::garbage::leave_out;
use crate::landing::Landing;
use crate::life::{self, Loaded, Proven, Unproven};
use crate::mirror::{Mirror, Next, ReadBack, Wants};
use crate::orders;
use crate::reads::ReadError;
use crate::reckoning::Reckoning;
use crate::shared::{Shared, Trouble};

mod anew;
mod links;
mod proof;

use anew::pour;

/// A node that follows its stream.
pub(crate) struct Node {
    shared: Arc<Shared>,
    hub: WeakHub,
    reckoning: Reckoning,
    mirror: Mirror<Entry>,
    /// None while the connection that it came by is over.
    live: Option<Subscriber>,
    link: watch::Receiver<Link>,
    doubts: u64,
    known: watch::Receiver<Landing>,
    listening: Work<Result<Subscriber, Trouble>>,
    reading: Work<Result<ReadBack<Entry>, ReadError>>,
    proving: Work<(u64, Result<Proven, Unproven>)>,
    /// When the stream's state was asked for last, and when it may be asked for again.
    proven_at: Instant,
    prove_at: Instant,
    heard_at: Instant,
    /// Since when it can't be had how the stream stands, and why.
    unproven: Option<(Instant, String)>,
    /// Since when the leader says that there is no stream.
    gone_since: Option<Instant>,
    /// Whether the last read failed: the next one goes by the other connection.
    has_failed_to_read: bool,
    /// How many connections the client had made when it was last looked at.
    connects: u64,
    /// Whether the answer that is under way is followed by another question in any case.
    is_to_ask_anew: bool,
    /// The reading connection is made anew.
    reviving: Option<JoinHandle<()>>,
    /// When it was last looked whether the server answers at all.
    mended_at: Instant,
    canary: Canary,
}

/// Something that is being done, or nothing.
type Work<T> = Option<BoxFuture<'static, T>>;

/// What was handed over since others could last run.
#[derive(Default)]
struct Handed {
    records: usize,
    bytes: usize,
    /// Up to which number.
    through: u64,
}

impl Handed {
    fn count(&mut self, next: &Next<Entry>) {
        let (through, bytes) = match next {
            Next::Record(stored) => (stored.sequence, stored.bytes),
            Next::Tear { through, .. } => (*through, 0),
        };
        self.through = through;
        self.records += 1;
        self.bytes += bytes;
    }
}

/// What happens to a node.
enum Event {
    Heard(Option<Message>),
    Link,
    Known,
    /// Somebody here knows of another life.
    Doubt,
    Listening(Result<Subscriber, Trouble>),
    Read(Result<ReadBack<Entry>, ReadError>),
    Proven(u64, Result<Proven, Unproven>),
    Time,
}

/// Pours what was loaded into a hub, and follows the stream from there until the hub is gone.
pub(crate) fn start(shared: &Arc<Shared>, hub: &Hub, loaded: Loaded) -> impl Future<Output = ()> + use<> {
    let (clocks, doubts) = (loaded.clocks, loaded.doubts);
    let (mirror, live) = pour(shared, hub, loaded);
    // Of an empty stream nobody can have another idea.
    if shared.has_begun_the_life() && mirror.head() > 0 {
        orders::tell_of_life(shared);
    }
    let (mut link, known) = (shared.live.link(), shared.known.subscribe());
    // Something may have happened to it since.
    link.mark_changed();
    shared.settled.send_modify(|settled| {
        settled.turn(true, doubts);
    });
    let (now, connects) = (Instant::now(), shared.live.connects());
    let node = Node {
        doubts,
        shared: Arc::clone(shared),
        hub: hub.downgrade(),
        reckoning: Reckoning::new(clocks),
        mirror,
        live: Some(live),
        link,
        known,
        listening: None,
        reading: None,
        proving: None,
        proven_at: now,
        prove_at: now,
        heard_at: now,
        unproven: None,
        gone_since: None,
        has_failed_to_read: false,
        connects,
        is_to_ask_anew: false,
        reviving: None,
        mended_at: now,
        canary: Canary::new(),
    };
    node.follow()
}

impl Node {
    async fn follow(mut self) {
        let mut ticks = time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !self.hand_over().await {
                return;
            }
            self.set_to_work();
            let event = tokio::select! {
                message = next(&mut self.live) => Event::Heard(message),
                _ = self.link.changed() => Event::Link,
                _ = self.known.changed() => Event::Known,
                () = self.shared.look_at_life.notified() => Event::Doubt,
                listening = done(&mut self.listening) => Event::Listening(listening),
                read = done(&mut self.reading) => Event::Read(read),
                (of, proof) = done(&mut self.proving) => Event::Proven(of, proof),
                _ = ticks.tick() => Event::Time,
            };
            if self.handle(event).await.is_none() {
                return;
            }
        }
    }

    /// None once the hub is gone.
    async fn handle(&mut self, event: Event) -> Option<()> {
        let now = Instant::now();
        match event {
            Event::Heard(Some(message)) => self.hear(&message, now),
            Event::Heard(None) => self.live = None,
            Event::Link => self.look_at_link(),
            Event::Known => {
                let known = *self.known.borrow_and_update();
                if known.beginning == self.shared.landings.beginning() {
                    self.mirror.handle_known(known.sequence, now);
                }
            }
            Event::Doubt => self.ask_anew(),
            Event::Listening(listening) => match listening {
                Ok(live) => {
                    self.live = Some(live);
                    self.doubt();
                }
                Err(error) => tracing::debug!(%error, "the stream can't be listened to"),
            },
            Event::Read(read) => {
                self.has_failed_to_read = read.is_err() && !self.has_failed_to_read;
                if let Err(error) = &read {
                    tracing::warn!(%error, "what is missing could not be read");
                }
                self.mirror.handle_read(read, now);
            }
            Event::Proven(of, proof) => {
                self.take_proof(of, proof, now);
                if mem::take(&mut self.is_to_ask_anew) {
                    self.doubt();
                }
            }
            Event::Time => {
                self.look_after_links(now);
                let is_connected = self.link.borrow().is_connected;
                self.mirror.handle_time(is_connected, now);
                self.look_for_silent_holes(now);
                self.canary.send(&self.shared, now);
            }
        }
        if self.mirror.wants() == Wants::NewLife {
            self.begin_anew().await?;
        }
        self.tell_settled();
        self.tell_status(now);
        Some(())
    }

    /// Takes this message, and those that wait behind it.
    fn hear(&mut self, first: &Message, now: Instant) {
        self.heard_at = now;
        self.take(first, now);
        for _ in 1..MAX_HEARD {
            match next(&mut self.live).now_or_never() {
                Some(Some(message)) => self.take(&message, now),
                // Its end is met again.
                Some(None) | None => return,
            }
        }
    }

    fn take(&mut self, message: &Message, now: Instant) {
        // What it is told of a new connection may come behind the first that is heard by it.
        let connects = self.shared.live.connects();
        if connects != self.connects {
            self.connects = connects;
            self.doubt();
        }
        let (subjects, stream) = (&self.shared.subjects, self.shared.stream.name());
        match entry::heard(message, subjects, stream, now) {
            Ok(stored) => self.mirror.handle_live(stored, now),
            Err(garbage) => leave_out(&garbage),
        }
    }

    fn set_to_work(&mut self) {
        if self.live.is_none() && self.listening.is_none() {
            let shared = Arc::clone(&self.shared);
            let listening = async move {
                let listening = shared.listen().await;
                if listening.is_err() {
                    time::sleep(PAUSE).await;
                }
                listening
            };
            self.listening = Some(listening.boxed());
        }
        match self.mirror.wants() {
            Wants::Proof { of } if self.proving.is_none() && self.prove_at <= Instant::now() => {
                self.prove(Some(of));
            }
            Wants::Read { from, through } if self.reading.is_none() => {
                count_broker_read("hole");
                let (shared, reckoning) = (Arc::clone(&self.shared), self.reckoning);
                let is_by_live = self.has_failed_to_read;
                let reading = async move {
                    let reads = if is_by_live {
                        &shared.live_reads
                    } else {
                        &shared.reads
                    };
                    let read = life::read(&shared, reads, from, through, reckoning).await;
                    if read.is_err() {
                        time::sleep(PAUSE).await;
                    }
                    read
                };
                self.reading = Some(reading.boxed());
            }
            Wants::Proof { .. } | Wants::Read { .. } | Wants::NewLife | Wants::Nothing => {}
        }
    }

    /// Hands over what is next in the stream's order. Answers `false` once the hub is gone.
    async fn hand_over(&mut self) -> bool {
        loop {
            let Some(hub) = self.hub.upgrade() else {
                return false;
            };
            let mut handed = Handed::default();
            while handed.records < MAX_HANDED_OVER && handed.bytes < MAX_HANDED_OVER_BYTES {
                let Some(next) = self.mirror.next() else {
                    self.shared.landings.land(self.mirror.head());
                    return true;
                };
                handed.count(&next);
                self.hand(&hub, next);
            }
            self.shared.landings.land(handed.through);
            drop(hub);
            time::sleep(READING).await;
        }
    }

    fn hand(&mut self, hub: &Hub, next: Next<Entry>) {
        if let Next::Record(stored) = &next {
            let Entry { logged_at, content } = &stored.content;
            match content {
                Ok(Incoming::Order(order)) => self.obey(hub, order, *logged_at),
                Ok(Incoming::Message(..) | Incoming::Finish(_)) => {}
                Err(garbage) => leave_out(garbage),
            }
        }
        let ingest = hub.ingest();
        ingest.step(entry::step(next, ingest.limits()));
    }

    fn obey(&mut self, hub: &Hub, order: &Order, logged_at: Instant) {
        match order {
            Order::Nodes(told) => orders::obey(&self.shared, hub, told, logged_at),
            Order::Canary(id) => {
                if self.canary.hear(id) {
                    self.shared.status.is_ready_now();
                }
            }
            // Somebody begins another life: whether that is so is asked of whoever knows.
            Order::Life => self.ask_anew(),
        }
    }

    /// What is read for clients counts only as long as it is of the stream that is shown.
    fn tell_settled(&self) {
        let (is_settled, doubts) = (!self.mirror.is_in_doubt(), self.doubts);
        self.shared
            .settled
            .send_if_modified(|settled| settled.turn(is_settled, doubts));
    }

    fn tell_status(&self, now: Instant) {
        let is_long = |since: &Instant| now.saturating_duration_since(*since) >= SILENCE;
        let (link, reading) = (self.link.borrow(), self.shared.reading.link());
        let reading = reading.borrow();
        let is_missing = !self.mirror.is_whole()
            && (self.shared.status.is_degraded() || self.mirror.missing_for(now) >= SILENCE);
        let why: Option<Cow<'static, str>> = if !link.is_connected {
            let trouble = link.trouble.as_deref().unwrap_or("it is being made");
            Some(format!("no connection to NATS: {trouble}").into())
        } else if let Some((since, error)) = &self.unproven
            && is_long(since)
        {
            Some(format!("how the stream stands can't be had: {error}").into())
        } else if is_missing {
            Some("records are missing and being read back".into())
        } else if !reading.is_connected {
            let trouble = reading.trouble.as_deref().unwrap_or("it is being made");
            Some(format!("no second connection to NATS, to read the stream: {trouble}").into())
        } else {
            None
        };
        self.shared.status.set_degraded(why);
    }
}

/// The next message, if there is a subscription at all.
async fn next(live: &mut Option<Subscriber>) -> Option<Message> {
    match live {
        Some(live) => live.next().await,
        None => future::pending().await,
    }
}

/// Waits for what is being done, and then nothing is.
async fn done<T>(work: &mut Work<T>) -> T {
    let outcome = match work {
        Some(work) => work.await,
        None => future::pending().await,
    };
    *work = None;
    outcome
}

/// How often a node looks around.
const TICK: Duration = Duration::from_millis(250);

/// After how long without a message the leader is asked whether there was none.
const SILENCE: Duration = Duration::from_secs(1);

/// How long to wait before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// How many messages that are there already are heard before anything else is done.
const MAX_HEARD: usize = 1_024;

/// How many records are handed over at once, and how many bytes: a quarter of what a log holds by default, or its trim would overtake those who
/// read as fast as they can.
const MAX_HANDED_OVER: usize = 256;
const MAX_HANDED_OVER_BYTES: usize = 1 << 20;

/// How long whoever follows has to read them, before more are handed over. To let others run is not enough: who reads may be on a thread that has to
/// wait for a processor, or behind a socket that is full. So up to some eighty thousand a second are handed over.
const READING: Duration = Duration::from_millis(2);
