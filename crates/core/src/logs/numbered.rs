//! Numbers from elsewhere: how a broker's log comes into the hub's, number by number, and how its lives begin.
//!
//! A life begins under the order of the whole: first the tombstones take its number, by which channels come into memory, then each
//! channel that is there. So a channel is of the new life before anybody appends to it, and whoever reads looks at the
//! number of the channel's life under the channel's lock.

use std::sync::Arc;

use super::{Appended, Logs, Order};
use crate::cell::Cell;
use crate::gap::GapReason;
use crate::ingest::Arrival;
use crate::life::Tear;
use crate::position::{Check, Epoch, Position};
use crate::record::Record;
use crate::sleepers::Woken;
use crate::sync::{Entry, Ordering};

impl Logs {
    /// Logs what a broker gave its place. What the hub has no room for counts as trimmed. To be [announced](Logs::announce).
    pub(crate) fn take(&self, arrival: Arrival) -> Appended {
        let Arrival {
            sequence,
            check,
            channel,
            message,
            logged_at,
        } = arrival;
        let now = self.now();
        let unplaced = Record::new(Position::NOWHERE, channel.clone(), message, logged_at);
        let mut record = Arc::new(unplaced);
        loop {
            let cell = self.find_or_create(&channel).ok();
            let mut order = self.order.lock();
            let position = Position::new(order.life.epoch(), sequence, Some(check));
            if sequence < order.next {
                drop(order);
                if let Some(cell) = cell {
                    self.evict_if_quiet(&cell);
                }
                return Appended::unheard(position);
            }
            if sequence > order.next {
                drop(order);
                self.tear_before(sequence);
                continue;
            }
            let Some(cell) = cell else {
                // It may have come into memory since: then somebody follows it.
                let Entry::Vacant(_absent) = self.cells.entry(channel.clone()) else {
                    continue;
                };
                let life = order.life.number();
                self.tombstones.lock().bury(life, &channel, sequence);
                order.pass(sequence, check);
                return Appended::unheard(position);
            };
            let mut state = cell.lock();
            if state.is_dead {
                continue;
            }
            if let Some(record) = Arc::get_mut(&mut record) {
                record.place(position);
            }
            self.keep(&cell, &mut state, record, now);
            order.pass(sequence, check);
            drop(order);
            let woken = state.sleepers.take();
            return Appended {
                position,
                woken,
                messages: 0,
            };
        }
    }

    /// Moves the head behind a record that is of no channel. Of the head's own record it notes the check.
    pub(crate) fn pass(&self, sequence: u64, check: Check) {
        let mut order = self.order.lock();
        if sequence > order.next {
            drop(order);
            self.tear_before(sequence);
            order = self.order.lock();
        }
        if sequence >= order.life.head() {
            order.pass(sequence, check);
        }
    }

    /// Numbers were left out: nobody knows what stands there.
    fn tear_before(&self, sequence: u64) {
        self.tear(sequence - 1, GapReason::Unavailable);
    }

    /// Gives up what lies between the head and a sequence: whoever follows any channel is told.
    pub(crate) fn tear(&self, through: u64, reason: GapReason) {
        let mut order = self.order.lock();
        let after = order.life.head();
        if through <= after {
            return;
        }
        // First what comes into memory later, then whoever is there.
        self.tombstones.lock().doubt_through(through);
        order.life.tear(Tear {
            after,
            through,
            reason,
        });
        order.life.move_head(through);
        order.next = through + 1;
        drop(order);
        for cell in self.cells() {
            let woken = cell.lock().sleepers.take();
            woken.wake();
        }
    }

    /// Begins another life, whose records up to `head` are not in memory and whose numbers come from elsewhere. All that the logs
    /// hold goes, and whoever follows finds out.
    pub(crate) fn begin_life(&self, epoch: Epoch, head: u64, fresh_after: u64) {
        // What may have been seen under another epoch must not follow the gap that tells of it: it has no place in memory.
        let head = head.max(fresh_after);
        let mut order = self.order.lock();
        let life = order.life.next(epoch, head, fresh_after, self.limits.max_checks);
        let life = Arc::new(life);
        self.tombstones.lock().begin_anew(life.number(), head);
        self.life_number.store(life.number(), Ordering::SeqCst);
        order.life = Arc::clone(&life);
        order.next = head + 1;
        let cells = self.cells();
        let mut woken = Vec::new();
        for cell in &cells {
            let mut state = cell.lock();
            let before = state.log.bytes();
            state.begin_anew(&life);
            self.upkeep.count_bytes(-(before as isize));
            woken.push(state.sleepers.take());
        }
        drop(order);
        woken.into_iter().for_each(Woken::wake);
        for cell in &cells {
            self.evict_if_quiet(cell);
        }
    }

    fn cells(&self) -> Vec<Arc<Cell>> {
        self.cells.iter().map(|cell| Arc::clone(&cell)).collect()
    }
}

impl Order {
    fn pass(&mut self, sequence: u64, check: Check) {
        self.life.note_check(sequence, check);
        self.life.move_head(sequence);
        self.next = sequence + 1;
    }
}

impl Appended {
    fn unheard(position: Position) -> Self {
        Self {
            position,
            woken: Woken::default(),
            messages: 0,
        }
    }
}
