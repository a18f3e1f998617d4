//! Numbers from elsewhere: how a broker's log comes into the hub's, number by number, and how its lives begin.
//!
//! A life begins under the order of the whole: first the tombstones take its number, by which channels come into memory, then each
//! channel that is there. So a channel is of the new life before anybody appends to it, and whoever reads looks at the
//! number of the channel's life under the channel's lock.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Appended, Logs, Order};
use crate::cell::Cell;
use crate::crowd::Crowd;
use crate::gap::GapReason;
use crate::ingest::{Arrival, NewLife, Step};
use crate::life::Tear;
use crate::position::{Check, Position};
use crate::record::Record;
use crate::sync::{Entry, Ordering};

impl Logs {
    /// Logs what a broker gave its place. What the hub has no room for counts as trimmed, and numbers that were left out as torn. To be
    /// [announced](Logs::announce).
    pub(crate) fn take(&self, mut arrival: Arrival) -> Appended {
        let mut is_torn = false;
        let (appended, room, is_old) = loop {
            // Before the order is taken: the application says what its log is bounded by.
            let room = self.find_or_create(&arrival.channel);
            let mut order = self.order.lock();
            let is_old = arrival.sequence < order.next;
            is_torn |= self.tear_before(&mut order, arrival.sequence);
            let placed = match self.place(&mut order, arrival) {
                // There was room for it, and then the channel went: it may come again.
                ControlFlow::Continue(back) if room.is_err() => self.bury(&mut order, back),
                placed => placed,
            };
            match placed {
                ControlFlow::Break(appended) => break (appended, room, is_old),
                ControlFlow::Continue(back) => arrival = back,
            }
        };
        if is_torn {
            self.wake_all();
        }
        if let (true, Ok(cell)) = (is_old, room) {
            self.evict_if_quiet(&cell);
        }
        appended
    }

    /// Logs a record where its channel is in memory, or gives it back. One at or below the head is there already, or never comes.
    fn place(&self, order: &mut Order, arrival: Arrival) -> ControlFlow<Appended, Arrival> {
        let position = Position::new(order.life.epoch(), arrival.sequence, Some(arrival.check));
        if arrival.sequence < order.next {
            return ControlFlow::Break(Appended::unheard(position));
        }
        loop {
            let Some(cell) = self.find(&arrival.channel) else {
                return ControlFlow::Continue(arrival);
            };
            let mut state = cell.lock();
            if state.is_dead {
                // It is on its way out of the map.
                continue;
            }
            let Arrival {
                sequence,
                check,
                channel,
                message,
                logged_at,
            } = arrival;
            let record = Record::new(position, channel, message, logged_at);
            self.keep(&cell, &mut state, Arc::new(record), self.now());
            order.pass(sequence, check);
            return ControlFlow::Break(Appended {
                position,
                crowd: Crowd::of(&cell, &mut state),
                messages: 0,
            });
        }
    }

    /// Counts a record as trimmed for which there is no room, or gives it back where its channel is in memory by now: then somebody follows it.
    fn bury(&self, order: &mut Order, arrival: Arrival) -> ControlFlow<Appended, Arrival> {
        let Entry::Vacant(_absent) = self.cells.entry(arrival.channel.clone()) else {
            return ControlFlow::Continue(arrival);
        };
        let Arrival {
            sequence,
            check,
            channel,
            ..
        } = arrival;
        let life = order.life.number();
        self.tombstones.lock().bury(life, &channel, sequence);
        order.pass(sequence, check);
        let position = Position::new(order.life.epoch(), sequence, Some(check));
        ControlFlow::Break(Appended::unheard(position))
    }

    /// Logs a record wherever there is room for it, or counts it as trimmed.
    fn place_or_bury(&self, order: &mut Order, mut arrival: Arrival) -> Appended {
        loop {
            let placed = match self.place(order, arrival) {
                ControlFlow::Continue(back) => self.bury(order, back),
                placed => placed,
            };
            match placed {
                ControlFlow::Break(appended) => return appended,
                ControlFlow::Continue(back) => arrival = back,
            }
        }
    }

    /// Moves the head behind a record that is of no channel. Of the head's own record it notes the check.
    pub(crate) fn pass(&self, sequence: u64, check: Check) {
        let is_torn = {
            let mut order = self.order.lock();
            let is_torn = self.tear_before(&mut order, sequence);
            if sequence >= order.life.head() {
                order.pass(sequence, check);
            }
            is_torn
        };
        if is_torn {
            self.wake_all();
        }
    }

    /// Gives up what lies between the head and a sequence: whoever follows any channel is told.
    pub(crate) fn tear(&self, through: u64, reason: GapReason) {
        self.tear_through(&mut self.order.lock(), through, reason);
        self.wake_all();
    }

    /// Numbers that were left out: nobody knows what stands there. Answers whether there were any.
    fn tear_before(&self, order: &mut Order, sequence: u64) -> bool {
        let is_torn = sequence > order.next;
        if is_torn {
            self.tear_through(order, sequence - 1, GapReason::Unavailable);
        }
        is_torn
    }

    fn tear_through(&self, order: &mut Order, through: u64, reason: GapReason) {
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
    }

    fn wake_all(&self) {
        for cell in self.cells() {
            let crowd = Crowd::of(&cell, &mut cell.lock());
            crowd.wake();
        }
    }

    /// Begins another life, whose records up to its head are not in memory and whose numbers come from elsewhere. All that the logs
    /// hold goes, and whoever follows finds out. Nobody comes into it before all steps of its tail are taken.
    pub(crate) fn begin_life(&self, new: NewLife) {
        for step in &new.tail {
            if let Step::Record(arrival) = step
                && arrival.sequence > new.head.max(new.fresh_after)
            {
                let _room = self.find_or_create(&arrival.channel);
            }
        }
        let mut order = self.order.lock();
        let life = Arc::new(order.life.next(&new, self.limits.max_checks));
        let head = life.head();
        self.tombstones.lock().begin_anew(life.number(), head);
        self.life_number.store(life.number(), Ordering::SeqCst);
        order.life = Arc::clone(&life);
        order.next = head + 1;
        let cells = self.cells();
        let mut crowds = Vec::new();
        for cell in &cells {
            let mut state = cell.lock();
            let before = state.log.bytes();
            state.begin_anew(&life);
            self.upkeep.count_bytes(-(before as isize));
            crowds.push(Crowd::of(cell, &mut state));
        }
        for step in new.tail {
            match step {
                Step::Record(arrival) => {
                    self.tear_before(&mut order, arrival.sequence);
                    crowds.push(self.place_or_bury(&mut order, arrival).crowd);
                }
                Step::Other { sequence, check } => {
                    self.tear_before(&mut order, sequence);
                    if sequence >= order.life.head() {
                        order.pass(sequence, check);
                    }
                }
                Step::Tear { through, reason } => self.tear_through(&mut order, through, reason),
            }
        }
        drop(order);
        crowds.into_iter().for_each(Crowd::wake);
        for cell in &cells {
            self.evict_if_quiet(cell);
        }
        self.shed();
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
            crowd: Crowd::default(),
            messages: 0,
        }
    }
}
