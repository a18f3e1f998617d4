//! A broker that a test plays: its whole stream, a node's mirror of it, and the pages of its history.
//!
//! Nothing moves by itself. The test stores, mirrors, tears, loses and puts back, and says when an answer comes.

use std::sync::{Arc, Mutex, MutexGuard};

use dualcast_core::{
    Arrival, ChannelName, Check, Epoch, FanOut, GapReason, History, Ingest, Lost, Message, NewLife, Page,
    Position, Publishing, Wanted, WeakHub,
};
use futures::channel::oneshot;
use futures::future::Either;
use futures::{FutureExt, TryFutureExt, future};

/// A handle to the broker, and the fan-out of each hub that is a node of it.
#[derive(Clone)]
pub(crate) struct Broker(Arc<Mutex<Stream>>);

/// What the broker stores, and how it answers.
pub(crate) struct Stream {
    pub(crate) epoch: Epoch,
    pub(crate) stored: Vec<Stored>,
    /// Up to where a node that starts leaves out what is stored.
    pub(crate) tail_after: u64,
    /// No record up to here is an old one of an earlier life.
    pub(crate) fresh_after: u64,
    /// Up to where it keeps nothing any more.
    pub(crate) trimmed_through: u64,
    /// How many records a page has at most.
    pub(crate) page_size: usize,
    /// Whether a page says no more than was asked for.
    pub(crate) is_terse: bool,
    /// Whether it answers at once and says nothing, against the rules.
    pub(crate) is_hasty: bool,
    /// Whether everybody gets the page of whoever stands at the beginning.
    pub(crate) is_shared: bool,
    /// Whether answers wait until they are released.
    pub(crate) is_held: bool,
    /// Questions without an answer.
    pub(crate) waiting: Vec<Question>,
    /// How often it was asked.
    pub(crate) asked: usize,
    /// The time of the last record stored.
    clock: u64,
}

/// What stands at one number of the stream: the first has number 1.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) check: Check,
    /// None: it is of no channel.
    pub(crate) channel: Option<ChannelName>,
    /// None: the channel's end.
    pub(crate) message: Option<Message>,
    /// Whether nobody will ever read it.
    pub(crate) is_lost: bool,
}

pub(crate) struct Question {
    /// How many were asked before it.
    pub(crate) number: usize,
    wanted: Wanted,
    ingest: Ingest,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Arc<Page>, Arc<dyn std::error::Error + Send + Sync>>;

impl Broker {
    pub(crate) fn new(page_size: usize) -> Self {
        Self(Arc::new(Mutex::new(Stream {
            epoch: Epoch::random(),
            stored: Vec::new(),
            tail_after: 0,
            fresh_after: 0,
            trimmed_through: 0,
            page_size,
            is_terse: false,
            is_hasty: false,
            is_shared: false,
            is_held: false,
            waiting: Vec::new(),
            asked: 0,
            clock: 0,
        })))
    }

    pub(crate) fn stream(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap()
    }

    /// Stores a message of a channel, or its end, without telling any node.
    pub(crate) fn store(&self, channel: &ChannelName, message: Option<Message>) -> Position {
        self.stream().store(Some(channel.clone()), message)
    }

    /// Tells a node what stands at the next numbers, so many of them.
    pub(crate) fn mirror_some(&self, ingest: &Ingest, count: usize) {
        for _ in 0..count {
            let next = ingest.position().sequence() + 1;
            let Some(Stored {
                check,
                channel,
                message,
                ..
            }) = self.stream().get(next).cloned()
            else {
                return;
            };
            match channel {
                None => ingest.pass(next, check),
                Some(channel) => {
                    ingest.take(Arrival {
                        sequence: next,
                        check,
                        channel,
                        message,
                        logged_at: ingest.now(),
                    });
                }
            }
        }
    }

    /// Tells a node of all that is stored.
    pub(crate) fn mirror(&self, ingest: &Ingest) {
        self.mirror_some(ingest, usize::MAX);
    }

    /// The node gives up the next numbers, so many of them.
    pub(crate) fn tear(&self, ingest: &Ingest, count: u64) {
        let through = ingest.position().sequence() + count;
        ingest.tear(through, GapReason::Unavailable);
    }

    /// The node begins the stream's life, with nothing up to a number in memory.
    pub(crate) fn begin_life(&self, ingest: &Ingest, head: u64) {
        let (epoch, fresh_after, check) = {
            let stream = self.stream();
            (
                stream.epoch,
                stream.fresh_after,
                stream.get(head).map(|stored| stored.check),
            )
        };
        ingest.begin_life(NewLife {
            head,
            fresh_after,
            ..NewLife::of(epoch)
        });
        if let Some(check) = check {
            ingest.pass(head, check);
        }
    }

    /// Answers the question at an index, unless it lies beyond what the node has, or in the life that the node has yet to begin: then
    /// it waits on.
    pub(crate) fn release(&self, index: usize) {
        let question = self.stream().waiting.remove(index);
        let head = question.ingest.position();
        let after = question.wanted.after;
        let is_to_come = after.epoch() != head.epoch() || after.sequence() > head.sequence();
        if is_to_come && self.stream().knows(after) && !self.stream().is_hasty {
            self.stream().waiting.insert(index, question);
            return;
        }
        let page = self.stream().page(&question.ingest, &question.wanted);
        let _ = question.answer.send(Ok(Arc::new(page)));
    }

    /// Answers all questions that can be answered, and those that follow at once.
    pub(crate) fn release_all(&self) {
        self.stream().is_held = false;
        let count = self.stream().waiting.len();
        for index in (0..count).rev() {
            self.release(index);
        }
    }

    fn publish(
        &self,
        ingest: &Ingest,
        channel: &ChannelName,
        message: Option<Message>,
    ) -> Publishing<'static> {
        let position = self.store(channel, message);
        self.mirror(ingest);
        Either::Left(future::ready(Ok(position)))
    }

    /// The question at an index can't be answered in time. Answers which one it was.
    pub(crate) fn fail(&self, index: usize) -> usize {
        let question = self.stream().waiting.remove(index);
        let _ = question.answer.send(Err(Arc::from(Box::from("no answer"))));
        question.number
    }
}

impl Stream {
    pub(crate) fn last(&self) -> u64 {
        self.stored.len() as u64
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<&Stored> {
        self.stored.get(sequence.checked_sub(1)? as usize)
    }

    pub(crate) fn position(&self, sequence: u64) -> Position {
        let check = self.get(sequence).map(|stored| format!("-{}", stored.check));
        let text = format!("{}-{sequence}{}", self.epoch, check.unwrap_or_default());
        text.parse().unwrap()
    }

    pub(crate) fn store(&mut self, channel: Option<ChannelName>, message: Option<Message>) -> Position {
        self.clock += 1;
        self.stored.push(Stored {
            check: Check::of(self.clock),
            channel,
            message,
            is_lost: false,
        });
        self.position(self.last())
    }

    /// Forgets what stands after a number, which will be used again.
    pub(crate) fn put_back(&mut self, last: u64) {
        self.stored.truncate(last as usize);
        self.trimmed_through = self.trimmed_through.min(last);
    }

    /// Whether a position is one of this stream, as far as it bears a check.
    fn knows(&self, position: Position) -> bool {
        let sequence = position.sequence();
        let stored = self.get(sequence);
        position.epoch() == self.epoch
            && sequence <= self.last()
            && stored.is_none_or(|stored| position.check().is_none_or(|check| check == stored.check))
    }

    fn page(&self, ingest: &Ingest, wanted: &Wanted) -> Page {
        let after = wanted.after.sequence();
        if !self.knows(wanted.after) {
            let (through, reason) = (after, GapReason::Epoch);
            let lost = Some(Lost { through, reason });
            return Page {
                lost,
                ..Page::of_nothing(through)
            };
        }
        let after = if self.is_shared { 0 } else { after };
        let head = ingest.position().sequence();
        let mut place = after;
        let mut lost: Option<Lost> = None;
        if self.trimmed_through > after {
            place = self.trimmed_through.min(head);
            lost = Some(Lost {
                through: place,
                reason: GapReason::Trimmed,
            });
        }
        while place < head && self.get(place + 1).is_some_and(|stored| stored.is_lost) {
            place += 1;
            let reason = lost.map_or(GapReason::Unavailable, |lost| lost.reason);
            lost = Some(Lost {
                through: place,
                reason,
            });
        }
        let mut records = Vec::new();
        let limit = match (self.is_hasty, self.is_terse) {
            (true, _) => after,
            (false, true) => wanted.through,
            (false, false) => head,
        };
        while place < limit && records.len() < self.page_size {
            let stored = &self.stored[place as usize];
            if stored.is_lost {
                break;
            }
            place += 1;
            if stored.channel.as_ref() == Some(&wanted.channel) {
                records.push(ingest.record(Arrival {
                    sequence: place,
                    check: stored.check,
                    channel: wanted.channel.clone(),
                    message: stored.message.clone(),
                    logged_at: ingest.now(),
                }));
            }
        }
        Page {
            lost,
            records: records.into(),
            ..Page::of_nothing(place)
        }
    }
}

impl FanOut for Broker {
    fn start(&self, hub: WeakHub) {
        let tail_after = self.stream().tail_after;
        let hub = hub.upgrade().unwrap();
        self.begin_life(hub.ingest(), tail_after);
        self.mirror(hub.ingest());
    }

    fn publish<'a>(
        &'a self,
        ingest: &'a Ingest,
        channel: &'a ChannelName,
        message: Message,
    ) -> Publishing<'a> {
        self.publish(ingest, channel, Some(message))
    }

    fn finish<'a>(&'a self, ingest: &'a Ingest, channel: &'a ChannelName) -> Publishing<'a> {
        self.publish(ingest, channel, None)
    }

    fn send_volatile(&self, ingest: &Ingest, channel: &ChannelName, message: Message) {
        ingest.send_volatile(channel, message);
    }

    fn history(&self, ingest: &Ingest, wanted: Wanted) -> Option<History> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            number: self.stream().asked,
            wanted,
            ingest: ingest.clone(),
            answer,
        };
        let (index, is_held) = {
            let mut stream = self.stream();
            stream.asked += 1;
            stream.waiting.push(question);
            (stream.waiting.len() - 1, stream.is_held)
        };
        if !is_held {
            self.release(index);
        }
        let gone = |_| Arc::from(Box::from("the broker is gone"));
        let answered = answered.map_err(gone);
        Some(answered.map(|answer: Result<Answer, _>| answer?).boxed())
    }
}
