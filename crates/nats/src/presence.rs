//! Presence between nodes: each writes whom it has into a key-value bucket, in a few parts, and hears what the others write.
//!
//! What is written lives for a time and is written again before that is over, so a node that is killed takes its people with it, and none that
//! starts finds more than there is. A member who moved to another node by then is in that one's parts already, and is never seen to go.
//!
//! Writing goes by node and interval, not by person: however many come and go, a part is written at most each [`INTERVAL`].
//!
//! Invariants: nobody is forgotten but by proof that what others tell could be heard: an answer to what was asked after that was due. So while the
//! broker is away, or slow, all stays as it was. What can't be written keeps nobody from being heard, nor another part from being written.

mod bucket;
mod others;
mod part;
mod parts;

use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use dualcast_core::WeakHub;
use futures::future::{self, BoxFuture};
use futures::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{self, MissedTickBehavior};

use crate::api::ApiError;
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
            let neighbour = Neighbour::new(&self.shared, hub.clone(), &self.changed);
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
    bucket: Arc<Bucket>,
    changed: Arc<Notify>,
    parts: Parts,
    others: Others,
    asking: Option<BoxFuture<'static, Asked>>,
    /// When it was asked what was answered last: what others told before that was heard.
    proven_at: Instant,
    /// At which doubt of the connection the others were given time.
    pardoned_at: Option<u64>,
    /// Whether the last write failed, and the operator knows.
    is_failing: bool,
}

/// Something that the broker was asked, and how it ended.
struct Asked {
    at: Instant,
    /// Which part it was to write, if it was one.
    part: Option<usize>,
    answer: Result<(), ApiError>,
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
    fn new(shared: &Arc<Shared>, hub: WeakHub, changed: &Arc<Notify>) -> Self {
        Self {
            bucket: Arc::new(Bucket::new(shared)),
            shared: Arc::clone(shared),
            hub,
            changed: Arc::clone(changed),
            parts: Parts::new(shared.options.presence_lifetime),
            others: Others::default(),
            asking: None,
            proven_at: Instant::now(),
            pardoned_at: None,
            is_failing: false,
        }
    }

    async fn live(mut self) {
        loop {
            match self.follow().await {
                Ok(()) => return,
                Err(Again::Doubt) => {}
                Err(Again::Trouble(error)) => {
                    self.fail(&error);
                    time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Tells and hears until the hub is gone, which is no error.
    async fn follow(&mut self) -> Result<(), Again> {
        let Some(()) = self.collect() else {
            return Ok(());
        };
        let mut link = self.shared.live.link();
        link.mark_unchanged();
        let doubts = link.borrow().doubts;
        self.asking = None;
        self.bucket.open().await.map_err(Trouble::from)?;
        // First, so that nothing falls between what is read and what is heard.
        let mut heard = self.shared.listen_to(self.bucket.every_part()).await?;
        if self.pardoned_at != Some(doubts) {
            self.pardoned_at = Some(doubts);
            self.others.pardon(Instant::now());
        }
        for (part, age) in self.bucket.read().await? {
            self.take(&part.subject, &part.payload, age);
        }
        self.parts.doubt();
        let mut ticks = time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.collect().is_some() {
            if is_doubted(&link, doubts) {
                return Err(Again::Doubt);
            }
            self.hear_all(&mut heard)?;
            self.forget();
            self.ask();
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.changed.notified(), if self.asking.is_none() => {}
                _ = link.changed() => {}
                asked = answered(&mut self.asking) => self.learn(asked)?,
                message = heard.next() => self.hear(message)?,
            }
        }
        Ok(())
    }

    /// Takes up what has changed here. None: the hub is gone.
    fn collect(&mut self) -> Option<()> {
        let hub = self.hub.upgrade()?;
        let max_payload = self.bucket.max_payload();
        for held in hub.ingest().take_presence() {
            self.parts.set(held, max_payload);
        }
        Some(())
    }

    /// What has come already comes before what follows from that something has not.
    fn hear_all(&mut self, heard: &mut Subscriber) -> Result<(), Again> {
        while let Some(message) = heard.next().now_or_never() {
            self.hear(message)?;
        }
        Ok(())
    }

    fn hear(&mut self, message: Option<Message>) -> Result<(), Again> {
        let Message { subject, payload, .. } = message.ok_or(Again::Doubt)?;
        self.take(&subject, &payload, Duration::ZERO);
        Ok(())
    }

    fn take(&mut self, subject: &str, payload: &[u8], age: Duration) {
        let Some((node, number)) = self.bucket.place(subject) else {
            return leave_out(&Garbage::Subject);
        };
        let Some(hub) = self.hub.upgrade().filter(|_| *node != *self.shared.node_id) else {
            return;
        };
        let Some(told) = Told::read(payload, hub.limits()) else {
            return leave_out(&Garbage::Json);
        };
        // Kept for longer than it holds.
        if age >= told.lifetime {
            return;
        }
        let until = Instant::now() + (told.lifetime - age);
        for held in self.others.take(&node, number, told, until) {
            hub.ingest().set_presence(&node, held);
        }
    }

    /// Forgets what others have not told again though it could have been heard.
    fn forget(&mut self) {
        let Some(hub) = self.hub.upgrade() else { return };
        for (node, gone) in self.others.expire(self.proven_at) {
            for held in gone {
                hub.ingest().set_presence(&node, held);
            }
        }
    }

    /// Writes the part whose turn it is; or asks for a sign of life, where nothing else was answered for a while.
    fn ask(&mut self) {
        if self.asking.is_some() || !self.shared.live.link().borrow().is_connected {
            return;
        }
        let (at, bucket) = (Instant::now(), Arc::clone(&self.bucket));
        let refresh = self.shared.options.presence_lifetime / REFRESHES;
        if let Some((number, part)) = self.parts.next_due(at) {
            let writing = async move {
                Asked {
                    at,
                    part: Some(number),
                    answer: bucket.write(number, part).await,
                }
            };
            self.asking = Some(writing.boxed());
        } else if at.duration_since(self.proven_at) >= refresh {
            let looking = async move {
                Asked {
                    at,
                    part: None,
                    answer: bucket.open().await,
                }
            };
            self.asking = Some(looking.boxed());
        }
    }

    fn learn(&mut self, Asked { at, part, answer }: Asked) -> Result<(), Again> {
        self.asking = None;
        let now = Instant::now();
        let is_late = now.duration_since(at) >= self.shared.options.presence_lifetime / REFRESHES;
        if is_late {
            // Neither could the others tell anything meanwhile.
            self.others.pardon(now);
        }
        let is_done = answer.is_ok();
        match answer {
            Ok(()) => {
                self.proven_at = self.proven_at.max(at);
                self.is_failing &= part.is_none();
            }
            Err(ApiError::NobodyThere { .. }) => return Err(Again::Trouble("the bucket is gone".into())),
            Err(error) => self.fail(&error),
        }
        match part {
            Some(number) if is_done => self.parts.written(number, now),
            Some(number) => self.parts.failed(number, now),
            None => {}
        }
        Ok(())
    }

    /// Says so once, until it goes well again. What is to be said of the connection itself, others say.
    fn fail(&mut self, error: &impl Display) {
        let is_news = !std::mem::replace(&mut self.is_failing, true);
        if is_news && self.shared.live.link().borrow().is_connected {
            tracing::warn!(%error, "who is present can't be told to other nodes, or heard of them, just now");
        } else {
            tracing::debug!(%error, "nor now");
        }
    }
}

/// Waits for the answer, if something was asked.
async fn answered(asking: &mut Option<BoxFuture<'static, Asked>>) -> Asked {
    match asking {
        Some(asking) => asking.await,
        None => future::pending().await,
    }
}

/// Whether something may have been missed since. While there is no connection nothing can be done about it.
fn is_doubted(link: &watch::Receiver<Link>, doubts: u64) -> bool {
    let link = link.borrow();
    link.is_connected && link.doubts != doubts
}

/// How often a node looks around, and writes a part at the most. What follows a pause goes at once.
const INTERVAL: Duration = Duration::from_millis(200);

/// How often a part is written within its lifetime, changed or not: one that fails may be made good.
const REFRESHES: u32 = 3;

/// How long to wait after something failed.
const PAUSE: Duration = Duration::from_secs(1);
