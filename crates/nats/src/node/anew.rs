//! How a node comes into a life of the log: with what it has loaded when it starts, and anew when the stream turns out to be another.

use std::sync::Arc;

use async_nats::Subscriber;
use dualcast_core::{Hub, NewLife};
use tokio::time;

use super::{Node, PAUSE};
use crate::entry::{self, Entry};
use crate::envelope::{Incoming, Order};
use crate::life::{self, Loaded};
use crate::mirror::{Mirror, Next};
use crate::orders;
use crate::reckoning::Reckoning;
use crate::shared::Shared;

impl Node {
    /// The stream is another one.
    ///
    /// None once the hub is gone.
    pub(super) async fn begin_anew(&mut self) -> Option<()> {
        let shared = Arc::clone(&self.shared);
        shared
            .status
            .set_degraded(Some("the stream is another one".into()));
        // Until it has begun, nothing that is stored or read is of the log that is here.
        shared.landings.leave();
        self.tell_settled();
        (self.listening, self.reading, self.proving) = (None, None, None);
        let left = shared.life();
        let loaded = loop {
            self.live = None;
            match life::load(&shared, left.as_ref().map(|left| (left, self.reckoning))).await {
                Ok(loaded) => break loaded,
                Err(error) => {
                    let why = format!("the stream is another one, in which this node can't begin: {error}");
                    shared.status.set_degraded(Some(why.into()));
                    time::sleep(PAUSE).await;
                    self.hub.upgrade()?;
                }
            }
        };
        let hub = self.hub.upgrade()?;
        // Whoever is here may have missed an order in it. An older one was obeyed.
        for next in &loaded.tail {
            if let Next::Record(stored) = next {
                let Entry { logged_at, content } = &stored.content;
                if let Ok(Incoming::Order(Order::Nodes(told))) = content
                    && *logged_at >= self.reckoning.whole_at()
                {
                    orders::obey(&shared, &hub, told, *logged_at);
                }
            }
        }
        self.reckoning = Reckoning::new(loaded.clocks);
        self.doubts = loaded.doubts;
        self.link.mark_changed();
        (self.unproven, self.gone_since) = (None, None);
        let (mirror, live) = pour(&shared, &hub, loaded);
        (self.mirror, self.live) = (mirror, Some(live));
        if shared.has_begun_the_life() {
            orders::tell_of_life(&shared);
        }
        Some(())
    }
}

/// Begins a life with its tail. Answers with what follows it from there.
pub(super) fn pour(shared: &Shared, hub: &Hub, loaded: Loaded) -> (Mirror<Entry>, Subscriber) {
    let Loaded {
        life,
        head,
        tail,
        mirror,
        live,
        ..
    } = loaded;
    let ingest = hub.ingest();
    let steps = tail.into_iter().map(|next| entry::step(next, ingest.limits()));
    shared.enter(life.clone());
    ingest.begin_life(NewLife {
        epoch: life.epoch,
        before: life.before,
        head,
        fresh_after: life.fresh_after,
        tail: steps.collect(),
    });
    shared.landings.begin_anew(mirror.head());
    (mirror, live)
}
