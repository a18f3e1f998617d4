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
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use dualcast_core::{Hub, WeakHub, count_broker_read};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task;
use tokio::time::{self, MissedTickBehavior};

use crate::connect::Link;
use crate::entry::{self, Entry};
use crate::envelope::{Incoming, Order, Outgoing, random_id};
use crate::epoch::Life;
use crate::garbage::leave_out;
use crate::landing::Landing;
use crate::life::{self, Loaded, Proven};
use crate::mirror::{Mirror, Next, ReadBack, Wants};
use crate::reads::ReadError;
use crate::reckoning::Reckoning;
use crate::shared::{Shared, Trouble};

/// A node that follows its stream.
pub(crate) struct Node {
    shared: Arc<Shared>,
    hub: WeakHub,
    life: Life,
    reckoning: Reckoning,
    mirror: Mirror<Entry>,
    /// None while the connection that it came by is over.
    live: Option<Subscriber>,
    link: watch::Receiver<Link>,
    doubts: u64,
    known: watch::Receiver<Landing>,
    listening: Work<Result<Subscriber, Trouble>>,
    reading: Work<Result<ReadBack<Entry>, ReadError>>,
    proving: Work<(u64, Result<Proven, Trouble>)>,
    /// When the stream's state was asked for last, and when it may be asked for again.
    proven_at: Instant,
    prove_at: Instant,
    heard_at: Instant,
    /// Since when it can't be had how the stream stands, and why.
    unproven: Option<(Instant, String)>,
    canary: Canary,
}

/// Something that is being done, or nothing.
type Work<T> = Option<BoxFuture<'static, T>>;

/// What happens to a node.
enum Event {
    Heard(Option<Message>),
    Link,
    Known,
    Listening(Result<Subscriber, Trouble>),
    Read(Result<ReadBack<Entry>, ReadError>),
    Proven(u64, Result<Proven, Trouble>),
    Time,
}

/// What a node sends round to see whether what is published comes back to it.
struct Canary {
    id: String,
    sent_at: Option<Instant>,
    has_returned: bool,
}

/// Pours what was loaded into a hub, and follows the stream from there until the hub is gone.
pub(crate) fn start(shared: &Arc<Shared>, hub: &Hub, loaded: Loaded) -> impl Future<Output = ()> + use<> {
    let Loaded {
        life,
        is_new: _,
        head,
        tail,
        mirror,
        live,
        clocks,
    } = loaded;
    pour(shared, hub, &life, head, tail, mirror.head());
    let (link, known) = (shared.live.link(), shared.known.subscribe());
    let (now, doubts) = (Instant::now(), link.borrow().doubts);
    shared.settled.send_replace(doubts);
    let node = Node {
        doubts,
        shared: Arc::clone(shared),
        hub: hub.downgrade(),
        life,
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
            Event::Listening(listening) => match listening {
                Ok(live) => {
                    self.live = Some(live);
                    self.doubt();
                }
                Err(error) => tracing::debug!(%error, "the stream can't be listened to"),
            },
            Event::Read(read) => {
                if let Err(error) = &read {
                    tracing::warn!(%error, "what is missing could not be read");
                }
                self.mirror.handle_read(read, now);
            }
            Event::Proven(of, proof) => self.take_proof(of, proof, now),
            Event::Time => {
                let is_connected = self.link.borrow().is_connected;
                self.mirror.handle_time(is_connected, now);
                self.look_for_silent_holes(now);
                self.send_canary(now);
            }
        }
        if self.mirror.wants() == Wants::NewLife {
            self.begin_anew().await?;
        }
        if !self.mirror.is_in_doubt() {
            self.shared.settled.send_replace(self.doubts);
        }
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
        let (subjects, stream) = (&self.shared.subjects, self.shared.stream.name());
        match entry::heard(message, subjects, stream, now) {
            Ok(stored) => self.mirror.handle_live(stored, now),
            Err(garbage) => leave_out(&garbage),
        }
    }

    fn look_at_link(&mut self) {
        let (doubts, is_over) = {
            let link = self.link.borrow_and_update();
            (link.doubts, link.is_over)
        };
        if is_over {
            self.live = None;
        }
        if doubts != self.doubts {
            self.doubts = doubts;
            self.doubt();
        }
    }

    fn doubt(&mut self) {
        self.proving = None;
        self.prove_at = Instant::now();
        self.mirror.handle_doubt();
    }

    fn take_proof(&mut self, of: u64, proof: Result<Proven, Trouble>, now: Instant) {
        self.proven_at = now;
        // Where that settles nothing it is asked again, but not at once.
        self.prove_at = now + PAUSE;
        self.unproven = proof.as_ref().err().map(|error| {
            let since = self.unproven.as_ref().map_or(now, |(since, _)| *since);
            (since, error.to_string())
        });
        match proof {
            Ok(Proven { life: Some(life), .. }) if life.generation > self.life.generation => {
                self.mirror.handle_other_life();
            }
            Ok(Proven {
                state, proof, clocks, ..
            }) => {
                self.mirror.handle_state(&state, of, proof, now);
                self.reckoning = match self.mirror.is_whole() {
                    true => Reckoning::new(clocks),
                    false => self.reckoning.with(clocks),
                };
            }
            Err(error) => {
                tracing::debug!(%error, "the stream's state can't be had");
                self.mirror.handle_doubt();
            }
        }
    }

    /// A record that was stored and never sent out shows in no message. So the leader is asked when nothing comes.
    fn look_for_silent_holes(&mut self, now: Instant) {
        let is_silent = |since: Instant| now.saturating_duration_since(since) >= SILENCE;
        if self.proving.is_none() && is_silent(self.heard_at) && is_silent(self.proven_at) {
            self.prove(None);
        }
    }

    fn prove(&mut self, of: Option<u64>) {
        let (shared, asked_at) = (Arc::clone(&self.shared), self.mirror.head());
        let makes_it = self.is_unproven_for(LONG_GONE, Instant::now());
        let proof = async move { (asked_at, life::prove(&shared, of, makes_it).await) };
        self.proving = Some(proof.boxed());
    }

    fn is_unproven_for(&self, time: Duration, now: Instant) -> bool {
        let since = self.unproven.as_ref().map(|(since, _)| *since);
        since.is_some_and(|since| now.saturating_duration_since(since) >= time)
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
                let reading = async move {
                    let read = life::read(&shared, from, through, reckoning).await;
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
            for _ in 0..MAX_HANDED_OVER {
                match self.mirror.next() {
                    Some(next) => self.hand(&hub, next),
                    None => {
                        self.shared.landings.land(self.mirror.head());
                        return true;
                    }
                }
            }
            drop(hub);
            // Others have to run, too.
            task::yield_now().await;
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
        hub.ingest().step(entry::step(next));
    }

    fn obey(&mut self, hub: &Hub, order: &Order, logged_at: Instant) {
        match order {
            Order::Nodes(order) => {
                hub.obey(order, logged_at);
            }
            Order::Canary(id) if *id == self.canary.id => {
                self.canary.has_returned = true;
                self.shared.status.is_ready_now();
            }
            Order::Canary(_) => {}
            // Somebody begins another life: whether that is so is asked of whoever knows.
            Order::Life => self.doubt(),
        }
    }

    /// The stream is another one.
    ///
    /// None once the hub is gone.
    async fn begin_anew(&mut self) -> Option<()> {
        self.shared
            .status
            .set_degraded(Some("the stream is another one".into()));
        (self.listening, self.reading, self.proving) = (None, None, None);
        let loaded = loop {
            self.live = None;
            match life::load(&self.shared, Some((&self.life, self.reckoning))).await {
                Ok(loaded) => break loaded,
                Err(error) => {
                    tracing::warn!(%error, "the log can't begin anew yet");
                    time::sleep(PAUSE).await;
                    self.hub.upgrade()?;
                }
            }
        };
        let hub = self.hub.upgrade()?;
        // Whoever is here may have missed an order in it.
        for next in &loaded.tail {
            if let Next::Record(stored) = next
                && let Ok(Incoming::Order(Order::Nodes(order))) = &stored.content.content
            {
                hub.obey(order, stored.content.logged_at);
            }
        }
        pour(
            &self.shared,
            &hub,
            &loaded.life,
            loaded.head,
            loaded.tail,
            loaded.mirror.head(),
        );
        self.life = loaded.life;
        self.reckoning = Reckoning::new(loaded.clocks);
        self.unproven = None;
        self.mirror = loaded.mirror;
        self.live = Some(loaded.live);
        self.doubts = self.link.borrow_and_update().doubts;
        if loaded.is_new {
            self.tell_of_life();
        }
        Some(())
    }

    /// Tells the other nodes, who may have seen nothing of what this one saw.
    fn tell_of_life(&self) {
        let shared = Arc::clone(&self.shared);
        let order = Outgoing::order(&shared.subjects, &Order::Life);
        tokio::spawn(async move {
            if let Err(error) = shared
                .publisher
                .publish(&order, shared.publisher.deadline())
                .await
            {
                tracing::warn!(%error, "the other nodes don't hear that another life has begun");
            }
        });
    }

    fn send_canary(&mut self, now: Instant) {
        let is_time = self
            .canary
            .sent_at
            .is_none_or(|at| now.saturating_duration_since(at) >= CANARY_PAUSE);
        if self.canary.has_returned || !is_time {
            return;
        }
        self.canary.sent_at = Some(now);
        let shared = Arc::clone(&self.shared);
        let canary = Outgoing::order(&shared.subjects, &Order::Canary(self.canary.id.clone()));
        tokio::spawn(async move {
            if let Err(error) = shared
                .publisher
                .publish(&canary, time::Instant::now() + CANARY_PAUSE)
                .await
            {
                tracing::warn!(%error, "nothing can be published");
            }
        });
    }

    fn tell_status(&self, now: Instant) {
        let link = self.link.borrow();
        let is_missing = !self.mirror.is_whole()
            && (self.shared.status.is_degraded() || self.mirror.missing_for(now) >= SILENCE);
        let why: Option<Cow<'static, str>> = if !link.is_connected {
            let trouble = link.trouble.as_deref().unwrap_or("it is being made");
            Some(format!("no connection to NATS: {trouble}").into())
        } else if let Some((_, error)) = &self.unproven
            && self.is_unproven_for(SILENCE, now)
        {
            Some(format!("how the stream stands can't be had: {error}").into())
        } else if is_missing {
            Some("records are missing and being read back".into())
        } else {
            None
        };
        self.shared.status.set_degraded(why);
    }
}

impl Canary {
    fn new() -> Self {
        Self {
            id: random_id(),
            sent_at: None,
            has_returned: false,
        }
    }
}

/// Begins a life with its tail.
fn pour(shared: &Shared, hub: &Hub, life: &Life, head: u64, tail: Vec<Next<Entry>>, end: u64) {
    let steps = tail.into_iter().map(entry::step).collect();
    hub.ingest().begin_life(life.epoch, head, life.fresh_after, steps);
    shared.landings.begin_anew(end);
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

/// After how long without it the stream is made anew: whoever deleted it has had time to do so.
const LONG_GONE: Duration = Duration::from_secs(5);

/// How long to wait before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// After how long a canary that has not come back is followed by another.
const CANARY_PAUSE: Duration = Duration::from_secs(2);

/// How many messages that are there already are heard before anything else is done.
const MAX_HEARD: usize = 1_024;

/// How many records are handed over before others may run.
const MAX_HANDED_OVER: usize = 256;
