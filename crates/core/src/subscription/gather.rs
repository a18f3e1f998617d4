//! Gathering: the long way to read, which knows several channels, gaps, lag rules and volatile messages.

use std::mem;
use std::sync::Arc;

use super::Subscription;
use crate::close::CloseReason;
use crate::followed::Reborn;
use crate::found::{Found, Reading};
use crate::gap::{Gap, GapReason, Merged};
use crate::item::Item;
use crate::lag::LagRule;
use crate::merge::{Taken, merge};
use crate::position::Position;
use crate::presence::PresenceUpdate;
use crate::record::{Record, Volatile};
use crate::wire::Wire;

/// How it is told: as items to a program, or in the bytes of a wire.
#[derive(Clone, Copy)]
pub(super) enum Telling<'a> {
    Items,
    Bytes(&'a dyn Wire),
}

impl Telling<'_> {
    /// Whether nothing of a channel follows a gap.
    fn ends_at_gap(self) -> bool {
        matches!(self, Self::Bytes(wire) if wire.ends_at_gap())
    }

    fn tells_presence(self) -> bool {
        !matches!(self, Self::Bytes(wire) if !wire.tells_presence())
    }

    fn size(self, record: &Record) -> usize {
        match self {
            Self::Items => record.size(),
            Self::Bytes(wire) => record.bytes(wire).len(),
        }
    }

    fn volatile_size(self, volatile: &Volatile) -> usize {
        match self {
            Self::Items => volatile.size(),
            Self::Bytes(wire) => volatile.bytes(wire).len(),
        }
    }

    fn presence_size(self, update: &PresenceUpdate) -> usize {
        match self {
            Self::Items => update.size(),
            Self::Bytes(wire) => update.bytes(wire).len(),
        }
    }
}

impl Subscription {
    /// Reads what stands after the cursor, up to the head, and moves the cursor behind it.
    pub(super) fn gather(&mut self, limit: usize, telling: Telling<'_>) -> Result<Vec<Item>, CloseReason> {
        loop {
            let items = self.gather_once(limit.max(1), telling)?;
            // Pages that have nothing to tell are turned; who waits for one waits.
            if !items.is_empty() || self.is_asking() || !self.is_in_the_past() {
                return Ok(items);
            }
        }
    }

    /// Reads up to the head, or to where the first page ends, or the first tear begins.
    fn gather_once(&mut self, limit: usize, telling: Telling<'_>) -> Result<Vec<Item>, CloseReason> {
        if self.logs.is_past(&self.life) {
            self.enter_new_life();
        }
        self.turn_pages()?;
        if self.is_asking() {
            return Ok(Vec::new());
        }
        let is_lagging = self.is_lagging();
        if is_lagging && self.has_kept_up && matches!(self.lag_rule, LagRule::Disconnect(_)) {
            return Err(CloseReason::Slow);
        }
        let mut items = self.take_opening_gaps();
        // Before any channel is read: what comes to one channel while another is read must wait for the next time,
        // or the cursor would pass over what comes to the other in between.
        let head = self.life.head();
        if is_lagging && matches!(self.lag_rule, LagRule::Skip(_)) && self.skip_to(head, &mut items).is_err()
        {
            return Ok(items);
        }
        let horizon = self.horizon(head);
        let is_conflating = is_lagging && matches!(self.lag_rule, LagRule::Conflate(_));
        let without = self.without.as_ref();
        let reading = Reading {
            head: horizon,
            limit,
            without,
            is_conflating,
        };
        let found = self.followed.iter();
        let found = found.map(|followed| followed.look(&self.life, reading));
        let Ok(found) = found.collect::<Result<Vec<Found>, Reborn>>() else {
            // What it has to say of this life is said; the next look is at the other.
            return Ok(items);
        };
        self.lag = found.iter().map(|found| found.lag).sum();
        self.tell_trims(&found, &mut items);
        // Of several channels some records may stand before the gap's end: without them its client would come back to the same gap.
        if telling.ends_at_gap() && !self.is_multi && !items.is_empty() {
            self.step_to_starts(&found);
            return Ok(items);
        }
        let mut limit = limit;
        if telling.tells_presence() {
            let size = |update: &PresenceUpdate| telling.presence_size(update);
            limit = self.take_presence(limit, size, &mut items).max(1);
        }
        let taken = merge(&found, limit, |record| telling.size(record));
        self.tell_merged(&found, &taken, &mut items);
        items.extend(taken.records.iter().cloned().map(Item::Record));
        self.step(&found, &taken, horizon);
        // Where pages or tears end it, more may follow than its rule lets pass: it had no way to be any faster.
        self.has_kept_up |= taken.cut_after.is_none() && horizon == head;
        if taken.cut_after.is_none() {
            let room = limit.saturating_sub(taken.bytes);
            self.take_volatile(
                &found,
                room,
                |volatile| telling.volatile_size(volatile),
                &mut items,
            );
            self.leave_finished(&found);
            self.tell_tears(horizon, &mut items);
        }
        if items.is_empty() && self.followed.is_empty() {
            return Err(CloseReason::Finished);
        }
        Ok(items)
    }

    fn take_opening_gaps(&mut self) -> Vec<Item> {
        let gaps = mem::take(&mut self.opening_gaps);
        tell(gaps, self.anchor, self.cursor())
    }

    /// Jumps to the head, as [`LagRule::Skip`] says.
    fn skip_to(&mut self, head: u64, items: &mut Vec<Item>) -> Result<(), Reborn> {
        let from = self.cursor();
        let mut gaps = Vec::new();
        for followed in &mut self.followed {
            if let Some(to) = followed.skip_to(&self.life, self.cursor, head)? {
                if !self.is_multi {
                    self.cursor = self.cursor.max(to);
                }
                gaps.push(Gap {
                    channel: followed.name().clone(),
                    from: Some(from),
                    to: Some(self.life.position(to)),
                    reason: GapReason::Slow,
                });
            }
        }
        self.advance(head);
        items.extend(tell(gaps, from, self.cursor()));
        Ok(())
    }

    /// Tells what was torn behind all that could be read.
    fn tell_tears(&mut self, horizon: u64, items: &mut Vec<Item>) {
        let before = self.cursor();
        let mut gaps = Vec::new();
        let mut through = self.cursor;
        for followed in &mut self.followed {
            let tear = followed.next_tear(&self.life, self.cursor);
            let Some(tear) = tear.filter(|tear| tear.after <= horizon) else {
                continue;
            };
            followed.pass_tear(tear);
            through = tear.through;
            gaps.push(Gap {
                channel: followed.name().clone(),
                from: Some(self.life.position(tear.after)),
                to: Some(self.life.position(tear.through)),
                reason: tear.reason,
            });
        }
        if gaps.len() == self.followed.len() {
            self.advance(through);
        }
        items.extend(tell(gaps, before, self.cursor()));
    }

    /// Tells where the trim came first.
    fn tell_trims(&mut self, found: &[Found], items: &mut Vec<Item>) {
        let from = self.cursor();
        for (index, found) in found.iter().enumerate() {
            let Some(trimmed_through) = found.trimmed_through else {
                continue;
            };
            if !self.is_multi {
                self.advance(trimmed_through);
            }
            self.followed[index].pass_trim(trimmed_through);
            let channel = self.followed[index].name().clone();
            let to = Some(self.life.position(trimmed_through));
            let gap = Gap {
                channel,
                from: Some(from),
                to,
                reason: GapReason::Trimmed,
            };
            items.push(Item::Gap {
                gap,
                id: self.cursor(),
            });
        }
    }

    /// Tells, before the records that follow, how many were left out between them.
    fn tell_merged(&self, found: &[Found], taken: &Taken, items: &mut Vec<Item>) {
        for (followed, found) in self.followed.iter().zip(found) {
            let count = taken.merged(found);
            if count > 0 {
                let merged = Merged {
                    channel: followed.name().clone(),
                    count,
                };
                items.push(Item::Merged {
                    merged,
                    id: self.cursor(),
                });
            }
        }
    }

    /// Moves behind what was trimmed, and no further.
    fn step_to_starts(&mut self, found: &[Found]) {
        for (followed, found) in self.followed.iter_mut().zip(found) {
            (followed.next, followed.next_bytes) = found.start;
        }
    }

    /// Moves behind what was taken.
    fn step(&mut self, found: &[Found], taken: &Taken, horizon: u64) {
        for (index, followed) in self.followed.iter_mut().enumerate() {
            let found = &found[index];
            (followed.next, followed.next_bytes) = taken.place(index, found);
            // Who only stands behind an end has time to see what follows it, as long as more is to be read elsewhere.
            let has_all = taken.cut_after.is_none() || found.has_the_end() && taken.has_all(index, found);
            if found.is_finished && has_all {
                followed.end();
            }
        }
        if let Some(last) = taken.records.last() {
            self.anchor = last.position();
        }
        self.advance(taken.cut_after.unwrap_or(horizon));
    }

    fn take_volatile(
        &mut self,
        found: &[Found],
        mut room: usize,
        size: impl Fn(&Volatile) -> usize,
        items: &mut Vec<Item>,
    ) {
        for (followed, found) in self.followed.iter_mut().zip(found) {
            self.logs.count_volatile_dropped(found.volatile_dropped);
            followed.next_volatile = found.volatile_end;
            for (ordinal, volatile) in &found.volatile {
                if room == 0 {
                    followed.next_volatile = *ordinal;
                    break;
                }
                if !volatile.is_from(self.without.as_ref()) {
                    room = room.saturating_sub(size(volatile));
                    items.push(Item::Volatile(Arc::clone(volatile)));
                }
            }
        }
    }

    /// Leaves the channels that have ended, and of which it has all.
    fn leave_finished(&mut self, found: &[Found]) {
        for (index, found) in found.iter().enumerate().rev() {
            if found.is_finished && self.followed[index].next_volatile == found.volatile_end {
                self.followed.remove(index).leave(&self.logs);
            }
        }
    }
}

/// Gaps, told together: a client that is cut between two of them must be told the second one again, so that only
/// the last one bears the new id.
fn tell(gaps: Vec<Gap>, before: Position, after: Position) -> Vec<Item> {
    let last = gaps.len().saturating_sub(1);
    let told = gaps.into_iter().enumerate().map(|(index, gap)| {
        let id = if index == last { after } else { before };
        Item::Gap { gap, id }
    });
    told.collect()
}
