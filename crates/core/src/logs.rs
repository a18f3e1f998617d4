//! All logs of a hub in one total order.
//!
//! Order of the locks: the order of the whole, then a map guard, then one cell, then the tables (tombstones, upkeep,
//! notices, what a life keeps). Before all of them the turn to shed. Nobody is woken and no hook runs under any of them.

mod numbered;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::bell::Bell;
use crate::cell::{Cell, State};
use crate::clock::Clock;
use crate::config::{Limits, LogLimits};
use crate::crowd::Crowd;
use crate::error::{LimitReached, PublishError};
use crate::fanout::FanOut;
use crate::hooks::{Event, Notices};
use crate::joining::join_run;
use crate::life::Life;
use crate::message::Message;
use crate::meters::hub_meters;
use crate::name::ChannelName;
use crate::position::Position;
use crate::presence::Rosters;
use crate::record::{self, RECORD_OVERHEAD_BYTES, Record, Volatile};
use crate::session::Ordered;
use crate::stretch::Stretch;
use crate::sync::{AtomicU64, AtomicUsize, DashMap, Entry, Mutex, MutexGuard, Ordering};
use crate::tombstones::Tombstones;
use crate::upkeep::Upkeep;
use crate::wire::Wire;

/// Which bounds the log of a channel has.
pub(crate) type LogLimitsFor = Box<dyn Fn(&ChannelName) -> Arc<LogLimits> + Send + Sync>;

/// A record that is logged, while those who wait for it are still asleep.
#[must_use]
pub(crate) struct Appended {
    pub(crate) position: Position,
    crowd: Crowd,
    /// 0 for the end of a channel, else 1.
    messages: u64,
}

/// Every channel in memory, and the order of all that they hold.
pub(crate) struct Logs {
    pub(crate) limits: Limits,
    pub(crate) notices: Notices,
    pub(crate) fan_out: Arc<dyn FanOut>,
    pub(crate) rosters: Rosters,
    clock: Box<dyn Clock>,
    log_limits_for: LogLimitsFor,
    cells: DashMap<ChannelName, Arc<Cell>>,
    cell_count: AtomicUsize,
    tombstones: Mutex<Tombstones>,
    order: Mutex<Order>,
    pub(crate) bell: Bell,
    pub(crate) ordered: Arc<Ordered>,
    /// The number of the life in `order`, for a look without a lock.
    life_number: AtomicU64,
    upkeep: Upkeep,
    shedding: Mutex<()>,
    volatile_dropped: AtomicU64,
    subscription_count: AtomicUsize,
    told: Mutex<Told>,
}

/// Whoever holds it is the only one to append.
struct Order {
    life: Arc<Life>,
    /// The sequence that the next record gets.
    next: u64,
}

/// What the meters were told last: they hold the sum of all hubs.
#[derive(Default)]
struct Told {
    channels: usize,
    log_bytes: usize,
}

impl Logs {
    pub(crate) fn new(
        limits: Limits,
        log_limits_for: LogLimitsFor,
        clock: Box<dyn Clock>,
        fan_out: Arc<dyn FanOut>,
        notices: Notices,
    ) -> Self {
        let life = Arc::new(Life::alone());
        let number = life.number();
        Self {
            notices,
            rosters: Rosters::new(Arc::clone(&fan_out)),
            fan_out,
            clock,
            log_limits_for,
            cells: DashMap::new(),
            cell_count: AtomicUsize::new(0),
            tombstones: Mutex::new(Tombstones::new(limits.max_tombstones, number)),
            order: Mutex::new(Order { life, next: 1 }),
            bell: Bell::default(),
            ordered: Arc::default(),
            life_number: AtomicU64::new(number),
            upkeep: Upkeep::default(),
            shedding: Mutex::default(),
            volatile_dropped: AtomicU64::new(0),
            subscription_count: AtomicUsize::new(0),
            told: Mutex::default(),
            limits,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn system_time(&self) -> SystemTime {
        self.clock.system_time()
    }

    /// The life that it lives now.
    pub(crate) fn life(&self) -> Arc<Life> {
        Arc::clone(&self.order.lock().life)
    }

    /// Whether a life is over by now. Where it is not, it may be a moment later.
    pub(crate) fn is_past(&self, life: &Life) -> bool {
        self.life_number.load(Ordering::SeqCst) != life.number()
    }

    /// Where the log ends now.
    pub(crate) fn position(&self) -> Position {
        let life = self.life();
        life.position(life.head())
    }

    pub(crate) fn channel_count(&self) -> usize {
        self.cell_count.load(Ordering::SeqCst)
    }

    pub(crate) fn log_bytes(&self) -> usize {
        self.upkeep.bytes()
    }

    pub(crate) fn volatile_dropped(&self) -> u64 {
        self.volatile_dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn count_volatile_dropped(&self, dropped: u64) {
        if dropped > 0 {
            self.volatile_dropped.fetch_add(dropped, Ordering::SeqCst);
            hub_meters().volatile_dropped.increment(dropped);
        }
    }

    /// Counts one more subscription, unless there are too many.
    pub(crate) fn count_subscription(&self) -> Result<(), LimitReached> {
        let max = self.limits.max_subscriptions;
        if self.subscription_count.fetch_add(1, Ordering::SeqCst) >= max {
            self.uncount_subscription();
            return Err(LimitReached::new("max_subscriptions", max));
        }
        Ok(())
    }

    pub(crate) fn uncount_subscription(&self) {
        self.subscription_count.fetch_sub(1, Ordering::SeqCst);
    }

    /// The channel, if it is in memory.
    pub(crate) fn find(&self, name: &ChannelName) -> Option<Arc<Cell>> {
        self.cells.get(name).map(|cell| Arc::clone(&cell))
    }

    /// Whether a message, or its end, could be appended to a channel now.
    pub(crate) fn check(&self, name: &ChannelName, message: Option<&Message>) -> Result<(), PublishError> {
        let (life, cell) = (self.life(), self.find(name));
        if cell.as_ref().is_some_and(|cell| cell.lock().is_finished(&life)) {
            return Err(PublishError::Finished);
        }
        let log_limits = cell.map_or_else(
            || (self.log_limits_for)(name),
            |cell| Arc::clone(&cell.log_limits),
        );
        check_cost(message.map_or(RECORD_OVERHEAD_BYTES, record::cost), &log_limits)
    }

    /// Logs a message, or the end of its channel, at the next place in the order. To be [announced](Logs::announce).
    pub(crate) fn append(
        &self,
        name: &ChannelName,
        message: Option<Message>,
    ) -> Result<Appended, PublishError> {
        let messages = u64::from(message.is_some());
        let now = self.now();
        let mut record = Arc::new(Record::new(Position::NOWHERE, name.clone(), message, now));
        loop {
            let cell = self.find_or_create(name)?;
            if let Err(error) = check_cost(record.cost(), &cell.log_limits) {
                self.evict_if_quiet(&cell);
                return Err(error);
            }
            let mut order = self.order.lock();
            let mut state = cell.lock();
            if state.is_dead {
                continue;
            }
            if state.log.is_finished() {
                return Err(PublishError::Finished);
            }
            let position = Position::new(order.life.epoch(), order.next, None);
            if let Some(record) = Arc::get_mut(&mut record) {
                record.place(position);
            }
            self.keep(&cell, &mut state, record, now);
            order.life.move_head(order.next);
            order.next += 1;
            drop(order);
            let crowd = Crowd::of(&cell, &mut state);
            return Ok(Appended {
                position,
                crowd,
                messages,
            });
        }
    }

    /// Puts a record into its log. Under the channel's lock: if a trim could be counted before this append, the sum of bytes would
    /// fall below zero.
    fn keep(&self, cell: &Arc<Cell>, state: &mut State, record: Arc<Record>, now: Instant) {
        let before = state.log.bytes();
        state.log.append(record, now, &cell.log_limits);
        self.upkeep
            .count_bytes(state.log.bytes() as isize - before as isize);
        self.upkeep.note_records(cell, state);
    }

    /// Wakes whoever follows, and makes room. With no lock held.
    pub(crate) fn announce(&self, appended: Appended) -> Position {
        self.bell.ring(appended.crowd);
        hub_meters().published.increment(appended.messages);
        self.shed();
        appended.position
    }

    /// Hands a message to whoever follows now.
    pub(crate) fn send_volatile(&self, name: &ChannelName, message: Message) {
        let Some(cell) = self.find(name) else {
            return self.count_volatile_dropped(1);
        };
        let now = self.now();
        let message = Arc::new(Volatile::new(name.clone(), message, now));
        let crowd = {
            let mut state = cell.lock();
            if state.followers == 0 {
                drop(state);
                return self.count_volatile_dropped(1);
            }
            state.ring.push(message, &self.limits);
            self.upkeep.note_warmth(&cell, &mut state);
            Crowd::of(&cell, &mut state)
        };
        self.bell.ring(crowd);
    }

    /// Adds a follower to a channel, which keeps it in memory until [`Logs::unfollow`].
    pub(crate) fn follow(&self, name: &ChannelName) -> Result<Arc<Cell>, LimitReached> {
        loop {
            let cell = self.find_or_create(name)?;
            let mut state = cell.lock();
            if state.is_dead {
                continue;
            }
            state.followers += 1;
            if state.followers == 1 {
                self.notices.note(|| Event::FirstFollower(name.clone()));
            }
            drop(state);
            self.notices.tell();
            return Ok(cell);
        }
    }

    /// Takes a follower away again.
    pub(crate) fn unfollow(&self, cell: &Arc<Cell>, leave: impl FnOnce(&mut State)) {
        let is_quiet = {
            let mut state = cell.lock();
            leave(&mut state);
            state.followers -= 1;
            if state.followers == 0 {
                state.cool();
                self.notices.note(|| Event::LastFollowerGone(cell.name.clone()));
            }
            state.is_quiet()
        };
        if is_quiet {
            self.evict_if_quiet(cell);
        }
        self.notices.tell();
    }

    /// Joins the records of a channel from a place up to another, of which there is one at least, and keeps that for whoever else stands there.
    pub(crate) fn join(
        &self,
        cell: &Arc<Cell>,
        state: MutexGuard<'_, State>,
        (start, end): ((u64, u64), u64),
        wire: &dyn Wire,
        limit: usize,
    ) -> Stretch {
        let life = state.life;
        let mut records = state.log.run(start.0, limit);
        records.truncate((end - start.0) as usize);
        // Where there is nobody else, nobody will look for it.
        let is_shared = state.followers > 1;
        drop(state);
        let stretch = join_run(&records, start, end, wire, limit);
        if is_shared {
            let mut state = cell.lock();
            // Of another life its ordinals would mean other records.
            if state.life == life {
                state.stretches.keep(stretch.clone());
                self.upkeep.note_warmth(cell, &mut state);
            }
        }
        stretch
    }

    /// Trims what is past its age, and lets quiet channels go.
    pub(crate) fn maintain(&self) {
        let now = self.now();
        while let Some(cell) = self.upkeep.next_due(now) {
            self.trim(&cell, |state| state.log.trim_aged(now, &cell.log_limits));
        }
        self.upkeep.cool(now, &self.limits);
        self.rosters.tick(now);
        self.tell_meters(self.channel_count(), self.log_bytes());
    }

    fn tell_meters(&self, channels: usize, log_bytes: usize) {
        let mut told = self.told.lock();
        let meters = hub_meters();
        meters.channels.increment(channels as f64 - told.channels as f64);
        meters
            .log_bytes
            .increment(log_bytes as f64 - told.log_bytes as f64);
        *told = Told { channels, log_bytes };
    }

    /// Trims the records nearest to their age limit until the hub is within its byte limit.
    fn shed(&self) {
        if self.upkeep.bytes() <= self.limits.max_log_bytes {
            return;
        }
        // One at a time: two who see the same excess would trim it twice.
        let _turn = self.shedding.lock();
        while self.upkeep.bytes() > self.limits.max_log_bytes {
            let Some(cell) = self.upkeep.next_to_expire() else {
                return;
            };
            self.trim(&cell, |state| state.log.trim_oldest());
        }
    }

    /// Trims a log that the upkeep handed out, and hands it back if there is more in it.
    fn trim(&self, cell: &Arc<Cell>, trim: impl FnOnce(&mut State)) {
        let is_quiet = {
            let mut state = cell.lock();
            let before = state.log.bytes();
            trim(&mut state);
            self.upkeep
                .count_bytes(state.log.bytes() as isize - before as isize);
            state.is_indexed = false;
            self.upkeep.note_records(cell, &mut state);
            state.is_quiet()
        };
        if is_quiet {
            self.evict_if_quiet(cell);
        }
    }

    fn find_or_create(&self, name: &ChannelName) -> Result<Arc<Cell>, LimitReached> {
        if let Some(cell) = self.find(name) {
            return Ok(cell);
        }
        let log_limits = (self.log_limits_for)(name);
        match self.cells.entry(name.clone()) {
            Entry::Occupied(cell) => Ok(Arc::clone(cell.get())),
            Entry::Vacant(vacant) => {
                if self.cell_count.fetch_add(1, Ordering::SeqCst) >= self.limits.max_channels {
                    self.cell_count.fetch_sub(1, Ordering::SeqCst);
                    return Err(LimitReached::new("max_channels", self.limits.max_channels));
                }
                let (life, trimmed_through) = self.tombstones.lock().exhume(name);
                let cell = Arc::new(Cell::new(name.clone(), log_limits, life, trimmed_through));
                vacant.insert(Arc::clone(&cell));
                Ok(cell)
            }
        }
    }

    /// Lets a channel go that has no followers and no records. Its tombstone stands before anybody can create it anew.
    fn evict_if_quiet(&self, cell: &Arc<Cell>) {
        let evicted = self.cells.remove_if(&cell.name, |_, found| {
            let mut state = found.lock();
            if !Arc::ptr_eq(cell, found) || !state.is_quiet() {
                return false;
            }
            state.is_dead = true;
            self.tombstones
                .lock()
                .bury(state.life, &cell.name, state.log.trimmed_through());
            true
        });
        if evicted.is_some() {
            self.cell_count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn check_cost(bytes: usize, log_limits: &LogLimits) -> Result<(), PublishError> {
    let max = log_limits.max_bytes;
    if bytes > max {
        let limit = "LogLimits::max_bytes";
        return Err(PublishError::TooLarge { bytes, limit, max });
    }
    Ok(())
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.bell.end();
        self.tell_meters(0, 0);
    }
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs")
            .field("position", &self.position())
            .field("channels", &self.channel_count())
            .finish_non_exhaustive()
    }
}
