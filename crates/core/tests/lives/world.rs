//! A broker, a node of it and its subscriptions, beside the truth.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use dualcast_core::{ChannelName, Epoch, Hub, Identity, LagRule, Message, Position};

use crate::broker::Broker;
use crate::ledger::Ledger;
use crate::live::Live;
use crate::ops::{Bounds, From, How, Op, What};
use crate::support::ManualClock;
use crate::told::Told;
use crate::truth::Truth;

pub(crate) struct World {
    bounds: Bounds,
    broker: Broker,
    hub: Hub,
    clock: ManualClock,
    truth: Truth,
    live: Vec<Live>,
    /// All ids that any subscription saw, and of which history each is.
    ids: Vec<(Position, usize)>,
    /// The questions that were not answered in time.
    failed: BTreeSet<usize>,
}

const MAX_LIVE: usize = 6;

/// More reads than any sequence needs to come to its end.
const MAX_READS: usize = 10_000;

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let broker = Broker::new(bounds.page_size);
        broker.stream().is_terse = bounds.is_terse;
        let clock = ManualClock::new();
        let mut truth = Truth::default();
        truth.put_back(0, broker.stream().epoch.to_string(), 0);
        truth.begin(bounds.channels, 0);
        Self {
            bounds: bounds.clone(),
            hub: hub(bounds, &broker, &clock),
            broker,
            clock,
            truth,
            live: Vec::new(),
            ids: Vec::new(),
            failed: BTreeSet::new(),
        }
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Store(what) => self.store(what),
            Op::Mirror(count) => self.mirror(*count),
            Op::Tear { count, is_lost } => self.tear(*count, *is_lost),
            Op::Trim(count) => self.trim(*count),
            Op::BeginLife {
                put_back,
                more,
                lacking,
            } => self.begin_life(*put_back, more, *lacking),
            Op::BeginAgain { back, ahead } => {
                let head = (self.truth.head.saturating_sub(*back) + ahead).min(self.truth.last());
                self.live.iter_mut().for_each(|live| live.ledger.begin_again());
                self.begin(head);
            }
            Op::Restart { put_back, tail } => self.restart(*put_back, *tail),
            Op::Hold(is_held) => self.broker.stream().is_held = *is_held,
            Op::Release(index) => {
                if let Some(index) = self.waiting(*index) {
                    self.broker.release(index);
                }
            }
            Op::Fail(index) => {
                if let Some(index) = self.waiting(*index) {
                    self.failed.insert(self.broker.fail(index));
                }
            }
            Op::Open {
                channels,
                from,
                rule,
                without,
            } => {
                if self.live.len() < MAX_LIVE {
                    self.open(*channels, from, *rule, *without);
                }
            }
            Op::Read {
                subscription,
                how,
                max_bytes,
            } => {
                if *subscription < self.live.len() {
                    self.read(*subscription, *how, *max_bytes);
                }
            }
            Op::Drop(subscription) => {
                if *subscription < self.live.len() {
                    self.live.remove(*subscription);
                }
            }
            Op::AgeOut => {
                self.clock.pass(Duration::from_secs(60));
                self.hub.maintain();
                self.truth.age_out();
            }
        }
        self.check_sleepers();
        for live in &mut self.live {
            live.ledger.note_lag(&self.truth);
        }
        assert_eq!(self.hub.position().sequence(), self.truth.head);
    }

    /// The broker answers everybody, the node hears of everything, and each subscription reads to the end.
    pub(crate) fn settle(&mut self) {
        self.mirror(usize::MAX);
        for _ in 0..MAX_READS {
            self.broker.release_all();
            let Some(index) = self
                .live
                .iter()
                .position(|live| !live.is_asleep || live.is_woken())
            else {
                let waiting = self.broker.stream().waiting.len();
                assert_eq!(waiting, 0, "questions without an answer");
                return self.check_ends();
            };
            self.read(index, How::Batch, 1);
        }
        panic!("there is no end to it");
    }

    fn check_ends(&mut self) {
        for mut live in std::mem::take(&mut self.live) {
            let polled = live.poll(How::Items, 1);
            assert!(polled.is_pending(), "slept through {polled:?}");
            self.note_ids(&mut live, &[]);
            live.ledger.check_asleep(&self.truth);
        }
    }

    fn store(&mut self, what: &What) {
        let text = self.truth.store(what.clone());
        let message = (!what.is_end).then(|| message(&text, what));
        let channel = what.channel.map(name);
        self.broker.stream().store(channel, message);
    }

    /// What nobody can read the node gives up.
    fn mirror(&mut self, count: usize) {
        let count = count.min((self.truth.last() - self.truth.head) as usize);
        for _ in 0..count {
            let next = self.truth.head + 1;
            let is_lost = self.broker.stream().get(next).unwrap().is_lost;
            if is_lost {
                self.tear(1, true);
            } else {
                self.broker.mirror_some(self.hub.ingest(), 1);
                self.truth.mirror(1, self.bounds.max_records);
            }
        }
    }

    fn tear(&mut self, count: u64, is_lost: bool) {
        let count = count.min(self.truth.last() - self.truth.head);
        let head = self.truth.head as usize;
        for stored in &mut self.broker.stream().stored[head..head + count as usize] {
            stored.is_lost |= is_lost;
        }
        self.truth.tear(count);
        self.broker.tear(self.hub.ingest(), count);
    }

    fn trim(&mut self, count: u64) {
        let mut stream = self.broker.stream();
        stream.trimmed_through = (stream.trimmed_through + count).min(self.truth.head);
        self.truth.histories.last_mut().unwrap().trimmed_through = stream.trimmed_through;
    }

    fn begin_life(&mut self, put_back: Option<u64>, more: &[What], lacking: u64) {
        let last = put_back.map_or(0, |count| self.truth.last().saturating_sub(count));
        let epoch = Epoch::random();
        {
            let mut stream = self.broker.stream();
            stream.put_back(last);
            stream.epoch = epoch;
            stream.fresh_after = last;
        }
        self.truth.put_back(last, epoch.to_string(), last);
        for what in more {
            self.store(what);
        }
        for live in &mut self.live {
            let cursor = live.subscription.cursor().to_string();
            live.ledger.expect_announcement(&cursor);
        }
        self.begin(self.truth.last().saturating_sub(lacking));
    }

    fn begin(&mut self, head: u64) {
        self.broker.begin_life(self.hub.ingest(), head);
        let head = head.max(self.truth.now().fresh_after);
        self.truth.begin(self.bounds.channels, head);
    }

    fn restart(&mut self, put_back: Option<u64>, tail: u64) {
        self.live.clear();
        if let Some(count) = put_back {
            let last = self.truth.last().saturating_sub(count);
            let now = self.truth.now();
            let (epoch, fresh_after) = (now.epoch.clone(), now.fresh_after.min(last));
            self.truth.put_back(last, epoch, fresh_after);
            let mut stream = self.broker.stream();
            stream.put_back(last);
            stream.fresh_after = fresh_after;
        }
        let (waiting, head) = {
            let mut stream = self.broker.stream();
            // What nobody can read is in no tail.
            let lost = stream.stored.iter().rposition(|stored| stored.is_lost);
            let readable_after = lost.map_or(0, |index| index as u64 + 1);
            stream.tail_after = stream.last().saturating_sub(tail).max(readable_after);
            let head = stream.tail_after.max(stream.fresh_after);
            (std::mem::take(&mut stream.waiting), head)
        };
        drop(waiting);
        self.hub = hub(&self.bounds, &self.broker, &self.clock);
        self.truth.begin(self.bounds.channels, head);
        self.truth.mirror(usize::MAX, self.bounds.max_records);
    }

    fn waiting(&self, index: usize) -> Option<usize> {
        index.checked_rem(self.broker.stream().waiting.len())
    }

    fn open(&mut self, channels: u8, from: &From, rule: LagRule, without: Option<u8>) {
        let channels: Vec<_> = (0..8).filter(|bit| channels & 1 << bit != 0).collect();
        let names = channels.iter().copied().map(name);
        let mut subscribe = self.hub.subscribe(names.collect::<Vec<_>>()).lag(rule);
        if let Some(without) = without {
            subscribe = subscribe.without_own(sender(without));
        }
        let cursor = match *from {
            From::Seen(index) => {
                let Some(index) = index.checked_rem(self.ids.len()) else {
                    return;
                };
                Some(self.ids[index])
            }
            From::Ahead(count) => {
                let sequence = (self.truth.head + count).min(self.truth.last());
                Some((self.broker.stream().position(sequence), self.truth.index()))
            }
            _ => None,
        };
        subscribe = match (from, cursor) {
            (_, Some((cursor, _))) => subscribe.cursor(&cursor.to_string()),
            (From::Last(count), _) => subscribe.last(*count),
            (From::Kept, _) => subscribe.from_start(),
            (From::Garbage, _) => subscribe.cursor("garbage"),
            _ => subscribe,
        };
        let is_good = cursor.map(|(cursor, history)| self.truth.holds(cursor, history));
        // A history that was lost, and a cursor that says nothing of its record: nobody can know.
        if is_good == Some(None) {
            return;
        }
        let before = self.broker.stream().asked;
        let subscription = subscribe.open().unwrap();
        let mut ledger = Ledger::new(&self.truth, channels, rule, without);
        let first = subscription.cursor();
        match (is_good.flatten(), from) {
            (Some(true), _) => {
                let (cursor, _) = cursor.unwrap();
                ledger = ledger.owed_after(&self.truth, cursor.sequence());
            }
            (Some(false), _) => ledger.expect_announcement(&cursor.unwrap().0.to_string()),
            (None, From::Garbage) => ledger.expect_announcement("0000000000-0"),
            (None, _) => {
                assert!(first.sequence() <= self.truth.head);
                ledger = ledger.owed_what_is_kept(&self.truth, first.sequence());
            }
        }
        let mut live = Live {
            subscription,
            ledger,
            alarm: Arc::default(),
            is_asleep: false,
            asked: BTreeSet::new(),
        };
        live.asked.extend(before..self.broker.stream().asked);
        self.note_ids(&mut live, &[]);
        self.live.push(live);
    }

    fn read(&mut self, index: usize, how: How, max_bytes: usize) {
        let mut live = self.live.remove(index);
        let lag = live.ledger.lag(&self.truth);
        let before = self.broker.stream().asked;
        let polled = live.poll(how, max_bytes);
        live.asked.extend(before..self.broker.stream().asked);
        live.is_asleep = polled.is_pending();
        let told = match &polled {
            Poll::Ready(Ok(told)) => &told[..],
            _ => &[],
        };
        let followed: Vec<_> = live.ledger.followed().collect();
        for channel in followed {
            if !live.subscription.follows(&name(channel)) {
                live.ledger.leave(&self.truth, channel, told);
            }
        }
        match polled {
            Poll::Ready(Ok(told)) => {
                assert!(!told.is_empty());
                live.ledger.hear(&self.truth, &told, lag);
                self.note_ids(&mut live, &told);
            }
            Poll::Ready(Err(reason)) => {
                let is_failed = live.asked.intersection(&self.failed).next().is_some();
                self.note_ids(&mut live, &[]);
                return live.ledger.check_end(reason, is_failed);
            }
            Poll::Pending => {
                self.note_ids(&mut live, &[]);
                if self.broker.stream().waiting.is_empty() {
                    live.ledger.check_asleep(&self.truth);
                }
            }
        }
        self.live.insert(index, live);
    }

    /// Notes what a client may come back with.
    fn note_ids(&mut self, live: &mut Live, told: &[Told]) {
        live.ledger.check_left();
        let cursor = live.subscription.cursor().to_string();
        if live.ledger.note_id(&self.truth, &cursor) {
            let ids = told.iter().filter_map(Told::id).chain([&*cursor]);
            // Before it was announced that a cursor was no good, ids were of another history: those are noted already.
            let ids = ids.map(|id| id.parse::<Position>().unwrap());
            let epoch = &self.truth.histories[live.ledger.history].epoch;
            let ids = ids.filter(|id| id.epoch().to_string() == *epoch);
            self.ids.extend(ids.map(|id| (id, live.ledger.history)));
        }
    }

    /// Whoever was not woken, and waits for no answer, has nothing to read.
    fn check_sleepers(&mut self) {
        let stream = self.broker.stream();
        let waiting: BTreeSet<_> = stream.waiting.iter().map(|question| question.number).collect();
        drop(stream);
        for live in &mut self.live {
            let is_asking = live.asked.intersection(&waiting).next().is_some();
            if live.is_asleep && !live.is_woken() && !is_asking {
                let polled = live.poll(How::Items, 1);
                assert!(polled.is_pending(), "slept through {polled:?}");
            }
        }
    }
}

impl Drop for World {
    /// Questions hold the hub, which holds the broker, which holds the questions.
    fn drop(&mut self) {
        let waiting = std::mem::take(&mut self.broker.stream().waiting);
        drop(waiting);
    }
}

fn hub(bounds: &Bounds, broker: &Broker, clock: &ManualClock) -> Hub {
    let builder = Hub::builder().clock(clock.clone()).fan_out(broker.clone());
    let builder = builder.log(|log| {
        log.max_records = bounds.max_records;
        log.max_age = Duration::from_secs(60);
    });
    let builder = builder.limits(|limits| {
        limits.max_checks = bounds.max_checks;
        limits.max_tombstones = bounds.max_tombstones;
    });
    builder.build().unwrap()
}

fn message(text: &str, what: &What) -> Message {
    let mut message = Message::text("e", text);
    if let Some(key) = what.key {
        message = message.conflation_key(format!("k{key}"));
    }
    match what.sender {
        Some(by) => message.sender(sender(by)),
        None => message,
    }
}

fn sender(sender: u8) -> Identity {
    Identity::new(format!("s{sender}"))
}

fn name(channel: usize) -> ChannelName {
    ChannelName::parse(&format!("channel-{channel}")).unwrap()
}

pub(crate) fn index_of(name: &str) -> usize {
    name.strip_prefix("channel-").unwrap().parse().unwrap()
}
