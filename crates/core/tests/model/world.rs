//! A hub, the model of it, and the subscriptions that are open: every operation is done to both.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use dualcast_core::{
    Channel, CloseReason, Hub, Identity, LagRule, Message, PublishError, RECORD_OVERHEAD_BYTES, Subscription,
};
use futures::FutureExt;
use futures::task::{ArcWake, waker_ref};

use crate::ledger::{Ledger, Outcome};
use crate::model::{Model, Sent, Start, name};
use crate::ops::{Bounds, From, How, MAX_MESSAGE_BYTES, Op};
use crate::support::ManualClock;
use crate::told::{Lines, from_item};

pub(crate) struct World {
    hub: Hub,
    clock: ManualClock,
    model: Model,
    epoch: String,
    live: Vec<Live>,
    /// All ids that any subscription saw.
    ids: Vec<String>,
}

struct Live {
    subscription: Subscription,
    ledger: Ledger,
    alarm: Arc<Alarm>,
    is_asleep: bool,
}

#[derive(Default)]
struct Alarm(AtomicBool);

impl ArcWake for Alarm {
    fn wake_by_ref(alarm: &Arc<Self>) {
        alarm.0.store(true, Ordering::SeqCst);
    }
}

const MAX_LIVE: usize = 6;
const EVENT: &str = "e";

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let clock = ManualClock::new();
        let model = Model::new(bounds);
        let own = bounds.clone();
        let max_age = Duration::from_nanos(model.max_age(bounds.channels - 1));
        let hub = Hub::builder()
            .clock(clock.clone())
            .log(|log| {
                log.max_records = bounds.max_records;
                log.max_bytes = bounds.log_bytes;
                log.max_age = Duration::from_micros(bounds.max_age);
            })
            .log_for(move |channel, log| {
                if channel.as_str() == name(own.channels - 1) {
                    log.max_records = own.last_max_records;
                    log.max_age = max_age;
                }
            })
            .limits(|limits| {
                limits.max_message_bytes = MAX_MESSAGE_BYTES;
                limits.max_log_bytes = bounds.hub_bytes;
                limits.max_tombstones = bounds.max_tombstones;
                limits.max_volatile_messages = bounds.max_volatile_messages;
                limits.idempotency_window = Duration::from_micros(bounds.idempotency_window);
            })
            .build()
            .unwrap();
        Self {
            epoch: hub.position().epoch().to_string(),
            hub,
            clock,
            model,
            live: Vec::new(),
            ids: Vec::new(),
        }
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        self.pass(1);
        match *op {
            Op::Publish {
                channel,
                key,
                sender,
                padding,
            } => self.publish(channel, (key, sender), padding),
            Op::Repeat { channel, sender, key } => self.repeat(channel, sender, key),
            Op::Volatile { channel, sender } => self.send_volatile(channel, sender),
            Op::Finish { channel } => {
                let finished = self.channel(channel).finish().now_or_never().unwrap();
                let is_logged = self
                    .model
                    .append(channel, None, (None, None), RECORD_OVERHEAD_BYTES);
                assert_eq!(finished.is_ok(), is_logged);
                self.check_wakes(channel, is_logged);
            }
            Op::Open {
                channels,
                ref from,
                rule,
                without,
            } => {
                if self.live.len() < MAX_LIVE {
                    let start = self.start(from);
                    let live = self.open(&channels_of(channels), &start, rule, without);
                    self.live.push(live);
                    let last = self.live.len() - 1;
                    self.come_back(last, BTreeSet::new());
                }
            }
            Op::Read {
                subscription,
                how,
                max_bytes,
            } if subscription < self.live.len() => self.read(subscription, how, max_bytes),
            Op::Overdue { subscription } if subscription < self.live.len() => {
                let live = &mut self.live[subscription];
                let waker = waker_ref(&live.alarm);
                let overdue = live.subscription.poll_overdue(&mut Context::from_waker(&waker));
                assert_eq!(overdue.is_ready(), live.ledger.is_overdue(&self.model));
            }
            Op::Drop { subscription } if subscription < self.live.len() => {
                let live = self.live.remove(subscription);
                self.close(live);
            }
            Op::Read { .. } | Op::Overdue { .. } | Op::Drop { .. } => {}
            Op::Pass { micros } => self.pass(micros),
            Op::Maintain => {
                self.hub.maintain();
                self.model.maintain();
            }
        }
        self.check();
    }

    fn publish(&mut self, channel: usize, (key, sender): (Option<u8>, Option<u8>), padding: usize) {
        let text = format!("{}{}", self.model.head() + 1, ".".repeat(padding));
        let mut message = message(&text, sender);
        if let Some(key) = key {
            message = message.conflation_key(name_of_key(key));
        }
        let cost = cost(&text, [key, sender]);
        let published = self.channel(channel).publish(message).now_or_never().unwrap();
        let is_logged = self.model.append(channel, Some(text), (key, sender), cost);
        match published {
            Ok(position) => assert_eq!(position.to_string(), self.head()),
            Err(error) => assert!(!is_logged && matches!(error, PublishError::Finished)),
        }
        self.check_wakes(channel, is_logged);
    }

    fn repeat(&mut self, channel: usize, sender: Option<u8>, key: u8) {
        let text = format!("{}", self.model.head() + 1);
        let message = message(&text, sender).idempotency_key(name_of_key(key));
        let published = self.channel(channel).publish(message).now_or_never().unwrap();
        if let Some(first) = self.model.first_of_repeat(channel, sender, key) {
            assert_eq!(published.unwrap().to_string(), format!("{}-{first}", self.epoch));
            return;
        }
        let cost = cost(&text, [Some(key), sender]);
        let is_logged = self.model.append(channel, Some(text), (None, sender), cost);
        assert_eq!(published.is_ok(), is_logged);
        if is_logged {
            self.model.remember_repeat(channel, sender, key);
        }
        self.check_wakes(channel, is_logged);
    }

    fn send_volatile(&mut self, channel: usize, sender: Option<u8>) {
        let text = format!("v{}", self.model.volatile.len());
        let message = message(&text, sender).volatile();
        let sent = self.channel(channel).publish(message).now_or_never().unwrap();
        assert_eq!(sent.unwrap().to_string(), self.head());
        self.model.volatile.push(Sent { channel, sender });
        self.check_wakes(channel, true);
    }

    fn open(&mut self, channels: &[usize], start: &Start, rule: LagRule, without: Option<u8>) -> Live {
        let names = channels
            .iter()
            .map(|&channel| self.channel(channel).name().clone());
        let mut subscribe = self.hub.subscribe(names.collect::<Vec<_>>()).lag(rule);
        subscribe = match start {
            Start::Now => subscribe,
            Start::Cursor(text) => subscribe.cursor(text),
            Start::Last(count) => subscribe.last(*count),
            Start::Kept => subscribe.from_start(),
        };
        if let Some(without) = without {
            subscribe = subscribe.without_own(Identity::new(name_of_key(without)));
        }
        for &channel in channels {
            self.model.follow(channel);
        }
        let opening = self.model.opening(channels, start, &self.epoch);
        let subscription = subscribe.open().unwrap();
        let mut ledger = Ledger::open(&self.model, channels, opening, (rule, without), &self.epoch);
        ledger.note_id(&self.model, &subscription.cursor().to_string());
        Live {
            subscription,
            ledger,
            alarm: Arc::default(),
            is_asleep: false,
        }
    }

    fn close(&mut self, live: Live) {
        drop(live.subscription);
        for channel in live.ledger.followed() {
            self.model.unfollow(channel);
        }
    }

    fn read(&mut self, index: usize, how: How, max_bytes: usize) {
        let mut live = self.live.remove(index);
        let outcome = self.read_from(&mut live, how, max_bytes);
        let ids = outcome
            .iter()
            .flatten()
            .filter_map(|told| told.id().map(str::to_owned));
        let ids = ids.collect();
        let is_over = outcome == Err(CloseReason::Slow);
        self.live.insert(index, live);
        self.come_back(index, ids);
        if is_over {
            let live = self.live.remove(index);
            self.close(live);
        }
    }

    fn read_from(&mut self, live: &mut Live, how: How, max_bytes: usize) -> Outcome {
        let outcome = match how {
            How::Read => live
                .subscription
                .read(max_bytes)
                .map(|items| items.iter().map(from_item).collect()),
            How::Batch => self.poll_batch(live, &Lines { is_sealed: false }, max_bytes),
            How::SealedBatch => self.poll_batch(live, &Lines { is_sealed: true }, max_bytes),
        };
        let cursor = live.subscription.cursor().to_string();
        live.ledger
            .absorb(&self.model, &outcome, (how, max_bytes), &cursor);
        self.note_departures(live, outcome == Err(CloseReason::Finished));
        outcome
    }

    fn poll_batch(&self, live: &mut Live, wire: &Lines, max_bytes: usize) -> Outcome {
        let waker = waker_ref(&live.alarm);
        let cx = &mut Context::from_waker(&waker);
        let mut out = VecDeque::new();
        let poll = live.subscription.poll_batch(cx, wire, max_bytes, &mut out);
        live.is_asleep = poll.is_pending();
        match poll {
            Poll::Pending => Ok(Vec::new()),
            Poll::Ready(Err(reason)) => Err(reason),
            Poll::Ready(Ok(batch)) => {
                assert_eq!(batch.bytes, out.iter().map(|piece| piece.len()).sum::<usize>());
                let told: Vec<_> = out.iter().flat_map(|piece| wire.parse(piece)).collect();
                assert_eq!(batch.has_id, told.iter().any(|told| told.id().is_some()));
                assert!(!told.is_empty());
                Ok(told)
            }
        }
    }

    /// It leaves a channel in the read that tells its end, or in the next one.
    fn note_departures(&mut self, live: &mut Live, has_ended: bool) {
        let followed: Vec<_> = live.ledger.followed().collect();
        for channel in followed {
            let has_left = self.channel(channel).followers() < self.model.channels[channel].followers;
            assert!(has_left || !has_ended);
            if has_left {
                assert!(live.ledger.may_leave(&self.model, channel));
                live.ledger.leave(&self.model, channel);
                self.model.unfollow(channel);
            }
        }
    }

    /// Comes back with ids that a subscription was shown, in its place: it gets what stands after them.
    fn come_back(&mut self, index: usize, mut ids: BTreeSet<String>) {
        ids.insert(self.live[index].subscription.cursor().to_string());
        let channels = self.live[index].ledger.channels.clone();
        for id in ids {
            let mut second = self.open(&channels, &Start::Cursor(id.clone()), LagRule::CatchUp, None);
            while self
                .read_from(&mut second, How::Read, 100_000)
                .is_ok_and(|told| !told.is_empty())
            {}
            self.close(second);
            self.ids.push(id);
        }
    }

    fn start(&self, from: &From) -> Start {
        let head = self.model.head();
        let here = |sequence: u64| Start::Cursor(format!("{}-{sequence}", self.epoch));
        match *from {
            From::Now => Start::Now,
            From::Back(count) => here(head.saturating_sub(count)),
            From::Beyond(count) => here(head + count),
            From::Seen(_) if self.ids.is_empty() => Start::Now,
            From::Seen(index) => Start::Cursor(self.ids[index % self.ids.len()].clone()),
            From::Last(count) => Start::Last(count),
            From::Kept => Start::Kept,
            From::Garbage => Start::Cursor("garbage".to_owned()),
            From::Foreign => Start::Cursor("0123456789-3".to_owned()),
        }
    }

    fn pass(&mut self, micros: u64) {
        self.clock.pass(Duration::from_micros(micros));
        self.model.now += micros;
    }

    fn check_wakes(&mut self, channel: usize, is_news: bool) {
        for live in &mut self.live {
            if is_news && live.is_asleep && live.ledger.followed().any(|followed| followed == channel) {
                assert!(
                    live.alarm.0.swap(false, Ordering::SeqCst),
                    "slept through a message"
                );
                live.is_asleep = false;
            }
        }
    }

    fn check(&self) {
        let channels = &self.model.channels;
        let in_memory = channels.iter().filter(|channel| channel.is_in_memory);
        assert_eq!(self.hub.channel_count(), in_memory.count());
        assert_eq!(self.hub.log_bytes(), self.model.log_bytes());
        assert_eq!(self.hub.position().to_string(), self.head());
        for (index, channel) in channels.iter().enumerate() {
            assert_eq!(self.channel(index).followers(), channel.followers);
        }
        for live in &self.live {
            let is_exhausted = live.ledger.is_exhausted(&self.model);
            assert_eq!(live.subscription.is_exhausted(), is_exhausted);
        }
    }

    fn head(&self) -> String {
        format!("{}-{}", self.epoch, self.model.head())
    }

    fn channel(&self, channel: usize) -> Channel {
        self.hub.channel(name(channel)).unwrap()
    }
}

fn message(text: &str, sender: Option<u8>) -> Message {
    let message = Message::text(EVENT, text);
    match sender {
        Some(sender) => message.sender(Identity::new(name_of_key(sender))),
        None => message,
    }
}

fn cost(text: &str, keys: [Option<u8>; 2]) -> usize {
    let keys = keys.into_iter().flatten().map(|key| name_of_key(key).len());
    EVENT.len() + text.len() + keys.sum::<usize>() + RECORD_OVERHEAD_BYTES
}

fn name_of_key(key: u8) -> String {
    format!("k{key}")
}

fn channels_of(bits: u8) -> Vec<usize> {
    (0..8).filter(|bit| bits & 1 << bit != 0).collect()
}
