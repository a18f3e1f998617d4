//! Presence between nodes: each writes whom it has into a key-value bucket, in a few parts, and hears what the others write.
//!
//! What is written lives for a time and is written again before that is over, so a node that is killed takes its people with it, and none that
//! starts finds more than there is. A member who moved to another node by then is in that one's parts already, and is never seen to go.
//!
//! Writing goes by node and interval, not by person: however many come and go, a part is written at most each [`INTERVAL`].
//!
//! Invariants: while the broker is away nobody is forgotten. What may have been missed, by whatever trouble, is read back from the bucket.

mod bucket;
mod others;
mod part;
mod parts;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use dualcast_core::{Hub, WeakHub};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{self, MissedTickBehavior};

use crate::connect::Link;
use crate::garbage::{Garbage, leave_out};
use crate::shared::{Shared, Trouble};

use bucket::Bucket;
use others::Others;
use part::Told;
use parts::Parts;

/// What a node tells others of presence, and hears of it. Nothing until somebody here has to do with it.
pub(crate) struct Presences {
    shared: Arc<Shared>,
    hub: OnceLock<WeakHub>,
    runtime: Handle,
    changed: Arc<Notify>,
    task: OnceLock<AbortHandle>,
}

impl Presences {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            hub: OnceLock::new(),
            runtime: Handle::current(),
            changed: Arc::default(),
            task: OnceLock::new(),
        }
    }

    pub(crate) fn start(&self, hub: WeakHub) {
        // A fan-out is of one hub.
        let _ = self.hub.set(hub);
    }

    /// Somebody watches, comes, or goes.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
        let Some(hub) = self.hub.get() else { return };
        self.task.get_or_init(|| {
            let neighbour = Neighbour {
                bucket: Bucket::new(&self.shared),
                shared: Arc::clone(&self.shared),
                hub: hub.clone(),
                changed: Arc::clone(&self.changed),
                parts: Parts::default(),
                others: Others::default(),
            };
            self.runtime.spawn(neighbour.live()).abort_handle()
        });
    }
}

impl Drop for Presences {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// A node among others.
struct Neighbour {
    shared: Arc<Shared>,
    hub: WeakHub,
    bucket: Bucket,
    changed: Arc<Notify>,
    parts: Parts,
    others: Others,
}

/// Why it begins anew.
enum Again {
    /// Something may have been missed.
    Doubt,
    Trouble(Trouble),
}

impl From<Trouble> for Again {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Neighbour {
    async fn live(mut self) {
        loop {
            match self.follow().await {
                Ok(()) => return,
                Err(Again::Doubt) => {}
                Err(Again::Trouble(error)) => {
                    // What is said of the connection itself, others say.
                    if self.shared.live.link().borrow().is_connected {
                        tracing::warn!(%error, "who is present can't be told to other nodes, or heard of them, just now");
                    }
                    time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Tells and hears until the hub is gone, which is no error.
    async fn follow(&mut self) -> Result<(), Again> {
        let mut link = self.shared.live.link();
        link.mark_unchanged();
        let doubts = link.borrow().doubts;
        let lifetime = self.bucket.open().await?;
        // First, so that nothing falls between what is read and what is heard.
        let mut heard = self.shared.listen_to(self.bucket.every_part()).await?;
        self.others.renew(Instant::now() + lifetime);
        for (part, age) in self.bucket.read().await? {
            let until = Instant::now() + lifetime.saturating_sub(age);
            self.take(&part.subject, &part.payload, until);
        }
        self.parts.doubt();
        let mut ticks = time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Some(hub) = self.hub.upgrade() else {
                return Ok(());
            };
            if is_doubted(&link, doubts) {
                return Err(Again::Doubt);
            }
            self.look_around(&hub, lifetime).await?;
            drop(hub);
            self.hear(&mut heard, &mut link, lifetime, ticks.tick()).await?;
        }
    }

    /// Writes what has changed here, and what is about to be forgotten; and forgets what others have not written again.
    async fn look_around(&mut self, hub: &Hub, lifetime: Duration) -> Result<(), Trouble> {
        if !self.shared.live.link().borrow().is_connected {
            return Ok(());
        }
        let max_bytes = self.bucket.max_part_bytes().await?;
        for held in hub.ingest().take_presence() {
            self.parts.set(held, max_bytes);
        }
        while let Some((number, part)) = self.parts.next_due(Instant::now(), lifetime / REFRESHES) {
            self.bucket.write(number, part).await?;
            self.parts.written(number, Instant::now());
        }
        for (node, gone) in self.others.expire(Instant::now()) {
            for held in gone {
                hub.ingest().set_presence(&node, held);
            }
        }
        Ok(())
    }

    /// Hears what others write until the next tick, or until something here has changed that may be told at once.
    async fn hear(
        &mut self,
        heard: &mut Subscriber,
        link: &mut watch::Receiver<Link>,
        lifetime: Duration,
        tick: impl Future,
    ) -> Result<(), Again> {
        let mut tick = std::pin::pin!(tick);
        loop {
            tokio::select! {
                _ = &mut tick => return Ok(()),
                () = self.changed.notified(), if self.parts.may_write_at_once(Instant::now()) => return Ok(()),
                _ = link.changed() => return Ok(()),
                message = heard.next() => {
                    let Some(Message { subject, payload, .. }) = message else {
                        return Err(Again::Doubt);
                    };
                    self.take(&subject, &payload, Instant::now() + lifetime);
                }
            }
        }
    }

    fn take(&mut self, subject: &str, payload: &[u8], until: Instant) {
        let Some((node, number)) = self.bucket.place(subject) else {
            return leave_out(&Garbage::Subject);
        };
        if *node == *self.shared.node_id {
            return;
        }
        let Some(hub) = self.hub.upgrade() else { return };
        let Some(told) = Told::read(payload, hub.limits()) else {
            return leave_out(&Garbage::Json);
        };
        for held in self.others.take(&node, number, told, until) {
            hub.ingest().set_presence(&node, held);
        }
    }
}

/// Whether something may have been missed since. While there is no connection nothing can be done about it.
fn is_doubted(link: &watch::Receiver<Link>, doubts: u64) -> bool {
    let link = link.borrow();
    link.is_connected && link.doubts != doubts
}

/// How often a node looks what it has to write. What follows a pause goes at once.
const INTERVAL: Duration = Duration::from_millis(200);

/// How often a part is written within its lifetime, changed or not: one that fails may be made good.
const REFRESHES: u32 = 3;

/// How long to wait after something failed.
const PAUSE: Duration = Duration::from_secs(1);
