//! One channel of a subscription: where its reader stands, and what it finds when it looks.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::cell::{Cell, State};
use crate::found::{Found, Reading};
use crate::history::{Page, Wanted};
use crate::ingest::Ingest;
use crate::lag::Lag;
use crate::lanes::Seat;
use crate::life::{Life, Tear};
use crate::logs::Logs;
use crate::name::ChannelName;
use crate::past::Past;
use crate::position::Position;
use crate::presence::Attendance;
use crate::record::Record;
use crate::sleepers::Place;
use crate::sync::Mutex;

/// A channel that a subscription follows, and its place in it.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) cell: Arc<Cell>,
    /// The ordinal of the next record to read: in the log, or in a page of the past.
    pub(crate) next: u64,
    /// The cost of all records before it.
    pub(crate) next_bytes: u64,
    /// The ordinal of the next volatile message to read.
    pub(crate) next_volatile: u64,
    pub(crate) place: Option<Place>,
    /// The place among the lanes of the channel, while its client's is lent to that.
    pub(crate) lane: Option<Seat>,
    /// Up to which sequence it was told what is missing, where its subscription's cursor has not passed that.
    told_through: u64,
    /// Whether it has read the channel's end, and is there for volatile messages alone.
    is_over: bool,
    /// What it reads before that.
    past: Option<Box<Past>>,
    /// Its part in who is present.
    pub(crate) attendance: Option<Box<Attendance>>,
}

/// The channel is of another life than who reads it.
#[derive(Debug)]
pub(crate) struct Reborn;

impl Followed {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Self {
            cell,
            next: 0,
            next_bytes: 0,
            next_volatile: 0,
            place: None,
            lane: None,
            told_through: 0,
            is_over: false,
            past: None,
            attendance: None,
        }
    }

    pub(crate) fn name(&self) -> &ChannelName {
        &self.cell.name
    }

    /// Whether the channel has ended.
    pub(crate) fn is_finished(&self, life: &Life) -> bool {
        self.cell.lock().is_finished(life)
    }

    /// Whether it ends where the log does: it stands before the channel's end, or behind one behind which nothing can have come.
    pub(crate) fn ends_with_the_log(&self, state: &State, life: &Life) -> bool {
        state.log.is_finished() && self.next < state.log.end() || state.is_finished(life)
    }

    /// Whether at most the channel's end is left to read, by a subscription whose cursor is here.
    pub(crate) fn is_exhausted(&self, life: &Life, cursor: u64) -> bool {
        let state = self.cell.lock();
        let is_at_most_the_end = self.ends_with_the_log(&state, life) && state.log.end() <= self.next + 1;
        let is_whole = self.is_in_memory(&state, life) && self.next_tear(life, cursor).is_none();
        self.is_over || is_at_most_the_end && is_whole
    }

    /// Whether nothing logged is left to read, and nothing to be told of what was not, by a subscription whose cursor is here.
    pub(crate) fn is_at_end(&self, life: &Life, cursor: u64) -> bool {
        let state = self.cell.lock();
        let is_read = state.log.end() == self.next && !state.log.is_reused_after(self.next);
        let is_whole = self.is_in_memory(&state, life) && self.next_tear(life, cursor).is_none();
        self.is_over || is_read && is_whole
    }

    /// Whether it has read the channel's end.
    pub(crate) fn has_ended(&self, life: &Life) -> bool {
        let state = self.cell.lock();
        let is_at_end = state.is_finished(life) && state.log.end() == self.next;
        self.is_over || is_at_end && self.is_in_memory(&state, life)
    }

    fn is_in_memory(&self, state: &State, life: &Life) -> bool {
        self.past.is_none() && state.check(life).is_ok()
    }

    /// Whether it has read the channel's end, and is there for volatile messages alone.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// It has read the channel's end: whatever its name is used for next is another's.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
        self.past = None;
    }

    /// Stands after a sequence. Answers up to where records are missing behind it, if they are.
    pub(crate) fn place_after(&mut self, life: &Life, sequence: u64) -> Result<Option<u64>, Reborn> {
        let (trimmed_through, _) = self.place_at_start(life, sequence)?;
        Ok((trimmed_through > sequence).then_some(trimmed_through))
    }

    /// Stands at the start of what is kept after a sequence. Answers up to where the log was trimmed, and the first sequence after both.
    pub(crate) fn place_at_start(&mut self, life: &Life, after: u64) -> Result<(u64, Option<u64>), Reborn> {
        // With no lock held: it may be the last that holds a future of the fan-out's.
        self.past = None;
        let state = self.cell.lock();
        state.check(life)?;
        (self.next, self.next_bytes) = state.log.locate(after);
        self.next_volatile = state.ring.end();
        let trimmed_through = state.log.trimmed_through();
        // What lies before both is told by whoever places it, or was not asked for.
        self.told_through = trimmed_through.max(after);
        let first = state.log.get(self.next).map(|record| record.sequence());
        Ok((trimmed_through, first))
    }

    /// Up to where the log was trimmed, and the sequences of the last messages kept up to the head, newest first.
    pub(crate) fn last_sequences(&self, head: u64, count: usize) -> (u64, Vec<u64>) {
        let state = self.cell.lock();
        let messages = state.log.newest_first().filter(|record| !record.is_finish());
        let sequences = messages.map(|record| record.sequence());
        let sequences = sequences.filter(|sequence| *sequence <= head).take(count);
        (state.log.trimmed_through(), sequences.collect())
    }

    /// Asks the fan-out for what stands after a position. Answers whether it has anything to say.
    pub(crate) fn ask(&mut self, logs: &Arc<Logs>, life: &Life, after: Position) -> bool {
        let trimmed_through = self.cell.lock().log.trimmed_through();
        let ingest = Ingest {
            logs: Arc::clone(logs),
        };
        let wanted = Wanted {
            channel: self.name().clone(),
            after,
            through: trimmed_through.max(life.torn_through()).min(life.head()),
            lease: self.past.as_deref().and_then(Past::lease),
        };
        let Some(history) = logs.fan_out.history(&ingest, wanted) else {
            return false;
        };
        (self.next, self.next_bytes) = (0, 0);
        let past = Past::Asked {
            history: Mutex::new(history),
            after: after.sequence(),
            is_further: self.past.is_some(),
        };
        self.past = Some(Box::new(past));
        true
    }

    /// Waits for a page of the past, if it was asked for one. None: there won't be one.
    pub(crate) fn poll_past(&mut self, cx: &mut Context<'_>) -> Option<Poll<Option<Arc<Page>>>> {
        let past = self.past.as_mut().filter(|past| past.is_awaited());
        past.map(|past| past.poll(cx))
    }

    /// Reads a page of the past from a sequence on, up to the head at most.
    pub(crate) fn begin_page(&mut self, page: Arc<Page>, after: u64, head: u64) {
        self.next = page.records.partition_point(|record| record.sequence() <= after) as u64;
        let through = page.through.min(head);
        self.past = Some(Box::new(Past::Reading { page, through }));
    }

    /// The past that it reads, or waits for.
    pub(crate) fn past(&self) -> Option<&Past> {
        self.past.as_deref()
    }

    /// Whether it may read on elsewhere, with a subscription whose cursor is here: its page is read, or nothing that it was told in
    /// memory lies ahead.
    pub(crate) fn may_turn(&self, cursor: u64) -> bool {
        match &self.past {
            Some(past) => past.through().is_some_and(|through| through <= cursor),
            None => !self.is_over && self.told_through <= cursor,
        }
    }

    /// Goes on in the hub's memory from a sequence on, if that is whole from there.
    pub(crate) fn rejoin(&mut self, life: &Life, sequence: u64) -> Result<bool, Reborn> {
        let state = self.cell.lock();
        state.check(life)?;
        let is_whole = state.log.trimmed_through() <= sequence && life.torn_through() <= sequence;
        // Beyond the head nobody can stand in a log: what comes up to there would be read again.
        if !is_whole || life.head() < sequence {
            return Ok(false);
        }
        (self.next, self.next_bytes) = state.log.locate(sequence);
        self.past = None;
        Ok(true)
    }

    /// The next tear that it has to be told of, by a subscription whose cursor is here, or what is left of that behind here.
    pub(crate) fn next_tear(&self, life: &Life, cursor: u64) -> Option<Tear> {
        if self.past.is_some() || self.is_over {
            return None;
        }
        let place = self.told_through.max(cursor);
        let tear = life.tear_behind(place)?;
        let after = tear.after.max(place);
        Some(Tear { after, ..tear })
    }

    /// It is told that what stands up to a sequence is gone, torn or trimmed.
    pub(crate) fn pass_trim(&mut self, trimmed_through: u64) {
        self.told_through = self.told_through.max(trimmed_through);
    }

    /// Goes on behind a tear that it is told of. One that stands for several hides what came between them.
    pub(crate) fn pass_tear(&mut self, tear: Tear) {
        let state = self.cell.lock();
        self.told_through = tear.through;
        let (next, next_bytes) = state.log.locate(tear.through);
        if next > self.next {
            (self.next, self.next_bytes) = (next, next_bytes);
        }
    }

    /// How far behind the end of the log it is.
    pub(crate) fn lag(&self, state: &State) -> Lag {
        if self.is_over {
            return Lag::default();
        }
        let (mut next, mut next_bytes) = (self.next, self.next_bytes);
        let mut lag = Lag::default();
        if let Some(past) = &self.past {
            // What is left of its page, and what memory has behind that.
            for record in past.records().iter().skip(self.next as usize) {
                lag.records += 1;
                lag.bytes += record.cost() as u64;
            }
            (next, next_bytes) = state.log.locate(past.through().unwrap_or_default());
        }
        // Of another life the log may have fewer than were read.
        lag.records += state.log.end().saturating_sub(next);
        lag.bytes += state.log.end_bytes().saturating_sub(next_bytes);
        lag
    }

    /// Waits for what comes next.
    pub(crate) fn sleep(&mut self, waker: &Waker) {
        let given_up = self.cell.lock().sleepers.enter(&mut self.place, waker);
        drop(given_up);
        self.has_presence_news(waker);
    }

    /// Whether somebody has come or gone, of which it has to be told. Else it waits for that.
    pub(crate) fn has_presence_news(&mut self, waker: &Waker) -> bool {
        let attendance = self.attendance.as_mut();
        attendance.is_some_and(|attendance| attendance.sleep(waker))
    }

    /// Jumps behind the head. Answers, if that leaves anything out, up to where: more may have been published since the head
    /// was read, and trimmed.
    pub(crate) fn skip_to(&mut self, life: &Life, cursor: u64, head: u64) -> Result<Option<u64>, Reborn> {
        if self.is_over {
            return Ok(None);
        }
        let state = self.cell.lock();
        state.check(life)?;
        let (before, is_torn) = (self.next, self.next_tear(life, cursor).is_some());
        let was_past = self.past.take().is_some();
        (self.next, self.next_bytes) = state.log.locate(head);
        // The end is passed with the rest.
        self.is_over = state.log.is_finished() && before < state.log.end() && self.next == state.log.end();
        let leaves_out = was_past || is_torn || self.next > before;
        Ok(leaves_out.then(|| state.log.trimmed_through().max(head)))
    }

    /// Follows no longer.
    pub(crate) fn leave(self, logs: &Logs) {
        let mut given_up = None;
        let mut lane = None;
        logs.unfollow(&self.cell, |state| {
            given_up = self.place.and_then(|place| state.sleepers.leave(place));
            lane = self.lane.and_then(|seat| state.lanes.leave(seat));
        });
        drop(lane.and_then(|lane| lane.take_back()));
        drop(given_up);
    }

    /// Looks at what stands after its place, up to the head, and as far as the limit allows. Takes no step.
    pub(crate) fn look(&self, life: &Life, reading: Reading<'_>) -> Result<Found, Reborn> {
        let state = self.cell.lock();
        state.check(life)?;
        let log = &state.log;
        let mut found = Found {
            lag: self.lag(&state).records,
            start: (self.next, self.next_bytes),
            ..Found::default()
        };
        if self.is_over {
            (found.end, found.is_finished) = (found.start, true);
        } else if let Some(past) = &self.past {
            found.gather(
                reading,
                |ordinal| past.records().get(ordinal as usize),
                |_, _| false,
            );
        } else {
            if log.first() > self.next {
                found.trimmed_through = Some(log.trimmed_through());
                found.start = log.start();
            }
            let is_superseded = |ordinal, record: &Record| log.is_superseded(ordinal, record);
            found.gather(reading, |ordinal| log.get(ordinal), is_superseded);
            found.is_finished |= found.end.0 == log.end() && self.ends_with_the_log(&state, life);
        }
        let (dropped, volatile) = state.ring.after(self.next_volatile);
        found.volatile_dropped = dropped;
        found.volatile.extend(volatile.cloned());
        found.volatile_end = state.ring.end();
        Ok(found)
    }
}
