//! History: pages of a channel, read from the stream for clients that were away for longer than memory lasts.
//!
//! Pages are shared: who asks for one that is on its way, or was read a moment ago, gets the same. So that many who come back with cursors
//! close to each other ask for the same page, a page begins at a round number at or before the cursor. How many are read at a time is bounded; so
//! is how long one waits.
//!
//! First it is found out whether the cursor is of this history at all. One beyond this node's head may come from a node that is further on: if the
//! stream has it, the head will come there.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dualcast_core::{
    ChannelName, Check, Epoch, GapReason, History, Ingest, Lease, Limits, Lost, Page, RECORD_OVERHEAD_BYTES,
    Record, Step, Wanted, WeakHub, count_broker_read,
};
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::{self, Instant};

use crate::entry::{self, check_of};
use crate::landing::Landing;
use crate::looks::Looks;
use crate::mirror::Next;
use crate::reads::{Portion, Reads};
use crate::reckoning::{Clocks, Reckoning};
use crate::room::Room;
use crate::shared::Shared;
use crate::stream::State;
use crate::together::{Together, Unread};

/// What is read for this node's clients.
pub(crate) struct Histories {
    shared: Arc<Shared>,
    hub: OnceLock<WeakHub>,
    reading: Semaphore,
    room: Room,
    pages: Together<PageKey, Arc<Stretch>>,
    times: Together<u64, Option<i64>>,
    states: Together<(), State>,
    looks: Looks,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PageKey {
    epoch: Epoch,
    channel: ChannelName,
    after: u64,
}

/// Records of a channel, as they are shared.
struct Stretch {
    /// Nothing that stood after this number was missing when they were read.
    whole_after: u64,
    records: Arc<[Arc<Record>]>,
    through: u64,
    /// Given back once nobody has them any more.
    room: Lease,
}

impl Histories {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            room: Room::new(shared.options.max_history_bytes),
            shared,
            hub: OnceLock::new(),
            reading: Semaphore::new(MAX_READING),
            pages: Together::new(MAX_PAGES),
            times: Together::new(MAX_TIMES),
            states: Together::new(1),
            looks: Looks::new(),
        }
    }

    /// The hub whose clients these are.
    pub(crate) fn start(&self, hub: WeakHub, limits: &Limits) {
        let least = limits.max_channels_per_subscription.saturating_mul(PORTION_COST);
        if self.shared.options.max_history_bytes < least {
            tracing::warn!(
                least,
                "`max_history_bytes` has no room for a page of each channel that a subscription may have: one with so many that was away for long may never come back"
            );
        }
        // A fan-out is of one hub.
        let _ = self.hub.set(hub);
    }

    /// Looks for what a client wants.
    pub(crate) fn ask(self: &Arc<Self>, ingest: &Ingest, wanted: Wanted) -> History {
        let (histories, ingest) = (Arc::clone(self), ingest.clone());
        let deadline = histories.shared.options.history_deadline;
        async move {
            let looked = time::timeout(deadline, histories.look(&ingest, &wanted)).await;
            looked.unwrap_or_else(|_| Err(late(&wanted)))
        }
        .boxed()
    }

    /// Forgets what was read a while ago.
    pub(crate) fn maintain(&self) {
        self.pages.forget_old();
        self.times.forget_old();
        self.states.forget_old();
    }

    async fn look(self: &Arc<Self>, ingest: &Ingest, wanted: &Wanted) -> Result<Arc<Page>, Unread> {
        let cursor = wanted.after.sequence();
        if wanted.after.epoch() != ingest.position().epoch() {
            self.is_no_life_to_come(ingest).await?;
            return Ok(Arc::new(Page::of_another_history(cursor)));
        }
        if !self.is_reached(wanted).await? {
            return Ok(Arc::new(Page::of_another_history(cursor)));
        }
        let stretch = match wanted.through > cursor {
            true => Some(self.stretch_behind(wanted).await?),
            false => None,
        };
        if !self
            .is_of_this_history(ingest, wanted, stretch.as_deref())
            .await?
        {
            return Ok(Arc::new(Page::of_another_history(cursor)));
        }
        Ok(Arc::new(match stretch {
            Some(stretch) => stretch.after(cursor, self.shared.landings.head()),
            None => Page::of_nothing(cursor),
        }))
    }

    /// Waits until it is certain that no other node has begun a life that this one has yet to begin, or until this one has begun it.
    async fn is_no_life_to_come(&self, ingest: &Ingest) -> Result<(), Unread> {
        let now = ingest.position().epoch();
        // A node that has begun one wrote it down before it showed anything of it.
        let Some(life) = self.looks.look(&self.shared.epochs).await? else {
            return Ok(());
        };
        if !self.shared.is_replaced_by(&life) {
            return Ok(());
        }
        self.shared.look_at_life.notify_one();
        while ingest.position().epoch() == now {
            time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until this node is where the cursor is. Answers `false` where the stream itself isn't.
    async fn is_reached(self: &Arc<Self>, wanted: &Wanted) -> Result<bool, Unread> {
        let landings = &self.shared.landings;
        let landing = Landing {
            beginning: landings.beginning(),
            sequence: wanted.after.sequence(),
        };
        if landing.sequence <= landings.head() {
            return Ok(true);
        }
        if !self.is_stored(landing.sequence).await? {
            return Ok(false);
        }
        self.shared.know(landing);
        if landings.wait(landing).await {
            return Ok(true);
        }
        Err(Unread::from(Box::from("the log begins anew")))
    }

    /// Whether the record at the cursor is the one that the client saw.
    async fn is_of_this_history(
        self: &Arc<Self>,
        ingest: &Ingest,
        wanted: &Wanted,
        read: Option<&Stretch>,
    ) -> Result<bool, Unread> {
        let (after, cursor) = (wanted.after, wanted.after.sequence());
        let here = ingest.position_of(cursor);
        if here.epoch() != after.epoch() {
            return Ok(false);
        }
        let Some(check) = after.check() else {
            return Ok(true);
        };
        let known = here.check().or_else(|| read?.check_of(cursor));
        if let Some(known) = known {
            return Ok(known == check);
        }
        // One that is gone from the stream can't be looked at: then it is the records behind it that prove something, or nothing does.
        let time_ns = self.time_of(cursor).await?;
        Ok(time_ns.is_none_or(|time_ns| check_of(time_ns) == check))
    }

    /// The stretch in which the first records stand that a client wants.
    async fn stretch_behind(self: &Arc<Self>, wanted: &Wanted) -> Result<Arc<Stretch>, Unread> {
        let cursor = wanted.after.sequence();
        let key = |after| PageKey {
            epoch: wanted.after.epoch(),
            channel: wanted.channel.clone(),
            after,
        };
        // The record at the cursor is in it, too, and can be looked at.
        let round = cursor.saturating_sub(1);
        let stretch = self.page(key(round - round % ROUND), wanted).await?;
        if stretch.through > cursor {
            return Ok(stretch);
        }
        drop(stretch);
        // So much stands between the round number and the cursor that the page ended before it.
        self.page(key(cursor), wanted).await
    }

    /// Whether the stream has come so far.
    async fn is_stored(self: &Arc<Self>, sequence: u64) -> Result<bool, Unread> {
        let histories = Arc::clone(self);
        let state = self
            .states
            .get((), async move { histories.state().await })
            .await?;
        // What was asked for others, a moment before, proves only that it has come so far.
        if state.last_sequence >= sequence {
            return Ok(true);
        }
        for attempt in 1.. {
            let state = self.state().await?;
            if state.last_sequence >= sequence {
                return Ok(true);
            }
            // A server that has just become the leader may not have caught up with what it knows to be stored.
            if state.leader.is_none() || attempt == MAX_ASKED {
                break;
            }
            time::sleep(PAUSE).await;
        }
        Ok(false)
    }

    async fn state(&self) -> Result<State, Unread> {
        let reading = self.settled(|reads| async move {
            count_broker_read("state");
            reads.state().await.map_err(unread)
        });
        let state = reading.await?;
        self.check_stream(&state, 0)?;
        Ok(state)
    }

    /// Of a stream that was made anew, or put back to before where this node is, nothing is told until this node has come over to it.
    fn check_stream(&self, state: &State, head: u64) -> Result<(), Unread> {
        let is_same = state.created_ns == self.shared.created_ns();
        if is_same && state.last_sequence >= head {
            return Ok(());
        }
        Err(Unread::from(Box::from("the stream is another one")))
    }

    /// Reads, in its turn, what is certainly of the stream that this node follows.
    async fn settled<T, F>(&self, read: impl Fn(Reads) -> F) -> Result<T, Unread>
    where
        F: Future<Output = Result<T, Unread>>,
    {
        let _turn = self.reading.acquire().await;
        loop {
            let settled = self.shared.settled().await;
            let read = read(self.shared.reads.clone()).await;
            if self.shared.is_still(settled) {
                return read;
            }
        }
    }

    async fn time_of(self: &Arc<Self>, sequence: u64) -> Result<Option<i64>, Unread> {
        let histories = Arc::clone(self);
        let reading = async move {
            let deadline = Instant::now() + histories.shared.options.history_deadline;
            let reading = histories.settled(|reads| async move {
                count_broker_read("check");
                reads.time_of(sequence, deadline).await.map_err(unread)
            });
            reading.await
        };
        self.times.get(sequence, reading).await
    }

    async fn page(self: &Arc<Self>, key: PageKey, wanted: &Wanted) -> Result<Arc<Stretch>, Unread> {
        let (histories, page) = (Arc::clone(self), key.clone());
        let (through, lease) = (wanted.through, wanted.lease.clone());
        let reading = async move { histories.read_page(&page, through, lease).await };
        self.pages.get(key, reading).await
    }

    async fn read_page(
        &self,
        key: &PageKey,
        through: u64,
        lease: Option<Lease>,
    ) -> Result<Arc<Stretch>, Unread> {
        let Shared {
            subjects, options, ..
        } = &*self.shared;
        let deadline = Instant::now() + options.history_deadline;
        let room = self.room.take(PORTION_COST, lease).await.map_err(unread)?;
        let subject = &*subjects.log(&key.channel);
        let head = self.shared.landings.head();
        let reading = self.settled(|reads| async move {
            count_broker_read("history");
            let read = reads
                .channel(subject, key.after, through, PORTION, deadline)
                .await;
            read.map_err(unread)
        });
        let read = reading.await?;
        self.check_stream(&read.state, head)?;
        let hub = self.hub.get().and_then(WeakHub::upgrade);
        let hub = hub.ok_or_else(|| Unread::from(Box::from("the hub is gone")))?;
        let ingest = hub.ingest();
        let (reckoning, now) = (Reckoning::new(Clocks::of(&read.state)), Instant::now().into_std());
        let whole_after = read.whole_after();
        let records = read.records.into_iter().filter_map(|stored| {
            let stored = entry::read_back(stored, subjects, reckoning, now);
            match entry::step(Next::Record(stored), ingest.limits()) {
                Step::Record(arrival) => Some(ingest.record(arrival)),
                Step::Other { .. } | Step::Tear { .. } => None,
            }
        });
        let records: Arc<[Arc<Record>]> = records.collect();
        // Made of the life that the hub lives now, and read from the stream that it follows.
        if ingest.position().epoch() != key.epoch {
            return Err(Unread::from(Box::from("the log began anew while it was read")));
        }
        let cost = records.iter().map(|record| record.cost()).sum();
        Ok(Arc::new(Stretch {
            whole_after,
            records,
            through: read.through,
            room: self.room.keep(room, cost),
        }))
    }
}

impl Stretch {
    /// What tells the record with this number apart from others, where it is here.
    fn check_of(&self, sequence: u64) -> Option<Check> {
        let sequence_of = |record: &Arc<Record>| record.position().sequence();
        let index = self.records.binary_search_by_key(&sequence, sequence_of).ok()?;
        self.records[index].position().check()
    }

    /// What a client gets of it that stands behind a cursor, on a node whose log has come so far.
    fn after(&self, cursor: u64, head: u64) -> Page {
        if self.whole_after <= cursor {
            return Page {
                lost: None,
                records: Arc::clone(&self.records),
                through: self.through,
                lease: Some(self.room.clone()),
            };
        }
        let through = self.whole_after.min(head);
        let kept = self
            .records
            .iter()
            .filter(|record| record.position().sequence() > through);
        Page {
            lost: Some(Lost {
                through,
                reason: GapReason::Trimmed,
            }),
            records: kept.cloned().collect(),
            through: self.through.max(through),
            lease: Some(self.room.clone()),
        }
    }
}

fn late(wanted: &Wanted) -> Unread {
    let (channel, after) = (&wanted.channel, wanted.after);
    let text = format!("what stands on {channel} after {after} could not be read in time");
    Unread::from(Box::<dyn std::error::Error + Send + Sync>::from(text))
}

fn unread(error: impl std::error::Error + Send + Sync + 'static) -> Unread {
    Arc::new(error)
}

/// How often a leader is asked whether it has what a client saw, and how long one waits in between.
const MAX_ASKED: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// How many reads are under way at a time.
const MAX_READING: usize = 8;

/// How many pages are kept for whoever asks for the same.
const MAX_PAGES: usize = 64;

/// How many times of records are kept so.
const MAX_TIMES: usize = 1_024;

/// What a round number is divisible by. So many records, at the most, come in a page that a client has seen.
const ROUND: u64 = 64;

/// How much is in a page.
const PORTION: Portion = Portion {
    max_records: 512,
    max_bytes: 256 << 10,
};

/// What a page takes in memory at the most, in bytes, but for one with a record that is larger than all others may be together.
const PORTION_COST: usize = PORTION.max_bytes + PORTION.max_records * RECORD_OVERHEAD_BYTES;
