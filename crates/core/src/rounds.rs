//! Rounds: sending all that a channel held to those who lent it their lanes.
//!
//! A round is gone in parts, so that whoever sends to 100,000 leaves others their time, and several can send to parts of them. Each part gets what the
//! channel holds by then.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::cell::Cell;
use crate::item::Batch;
use crate::lanes::{Place, Terms, View};
use crate::logs::Logs;
use crate::meters::TransportMeters;
use crate::session::Transport;
use crate::stretch::Stretch;

/// A round that has begun.
#[derive(Debug)]
pub(crate) struct Round {
    cell: Arc<Cell>,
    places: Range<usize>,
    /// Whether it has been called for anew.
    is_repeated: bool,
}

impl Round {
    pub(crate) fn begin(cell: Arc<Cell>) -> Self {
        let places = 0..cell.lock().lanes.answer();
        Self {
            cell,
            places,
            is_repeated: false,
        }
    }

    /// Another is to follow it. Until that begins, nobody is called again.
    pub(crate) fn repeat(&mut self) {
        self.is_repeated = true;
    }

    pub(crate) fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    pub(crate) fn is_of(&self, cell: &Arc<Cell>) -> bool {
        Arc::ptr_eq(&self.cell, cell)
    }

    /// How many clients are left, or were there once.
    pub(crate) fn left(&self) -> usize {
        self.places.len()
    }

    /// The next part of it, for so many clients at the most.
    pub(crate) fn split_off(&mut self, most: usize) -> Self {
        let next = self.places.end.min(self.places.start + most);
        let places = self.places.start..next;
        self.places.start = next;
        Self {
            cell: Arc::clone(&self.cell),
            places,
            is_repeated: false,
        }
    }

    /// Sends to all that are left of it what there is by now: more may have come since it began.
    pub(crate) fn run(self, logs: &Logs) {
        let (lanes, view) = {
            let state = self.cell.lock();
            (state.lanes.at(self.places), View::of(&state))
        };
        let mut teller = Teller {
            logs,
            cell: &self.cell,
            end: view.end,
            now: logs.now(),
            stretch: None,
            told: [Told::default(); 2],
        };
        for lane in lanes {
            if let Some(waker) = lane.send(&view, &mut teller) {
                waker.wake();
            }
        }
        teller.count();
    }

    /// The channel.
    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }
}

/// What is sent to one after the other: nearly always the same.
pub(crate) struct Teller<'a> {
    logs: &'a Logs,
    cell: &'a Arc<Cell>,
    /// Where the log ended when it was looked at.
    end: u64,
    pub(crate) now: Instant,
    stretch: Option<Stretch>,
    /// To how many the stretch was sent, by transport.
    told: [Told; 2],
}

#[derive(Clone, Copy, Default)]
struct Told {
    whole: usize,
    /// Who did not take all of it.
    part: usize,
}

impl Teller<'_> {
    /// What stands behind a place. None where that can't be said any more.
    pub(crate) fn stretch(&mut self, place: &Place, terms: &Terms) -> Option<&Stretch> {
        let is_same = |stretch: &Stretch| {
            stretch.from == place.next
                && stretch.limit == terms.max_bytes
                && stretch.form == terms.wire.form()
        };
        if !self.stretch.as_ref().is_some_and(is_same) {
            self.count();
            self.stretch = self.find(place, terms);
        }
        self.stretch.as_ref()
    }

    fn find(&self, place: &Place, terms: &Terms) -> Option<Stretch> {
        let (wire, limit, from) = (terms.wire, terms.max_bytes, place.next);
        let state = self.cell.lock();
        state.check(&place.life).ok()?;
        // No further than what was seen: nobody has looked whether a tear, or the channel's end, lies in what has come since.
        let kept = state.stretches.find(wire.form(), limit, from, self.end);
        if let Some(stretch) = kept.filter(|stretch| stretch.to <= self.end) {
            return Some(stretch.clone());
        }
        let start = (from, state.log.bytes_before(from)?);
        Some(self.logs.join(self.cell, state, (start, self.end), wire, limit))
    }

    /// The stretch was sent to a client.
    pub(crate) fn sent(&mut self, transport: Transport, is_whole: bool) {
        let told = &mut self.told[transport as usize];
        if is_whole {
            told.whole += 1;
        } else {
            told.part += 1;
        }
    }

    /// Tells the meters of all who were sent the stretch.
    fn count(&mut self) {
        let Some(stretch) = &self.stretch else { return };
        let messages = (stretch.to - stretch.from) as usize;
        let batch = Batch {
            bytes: stretch.bytes.len(),
            messages,
            lag: messages as u64,
            ..Batch::default()
        };
        for transport in [Transport::Sse, Transport::WebSocket] {
            let told = std::mem::take(&mut self.told[transport as usize]);
            if told.whole + told.part > 0 {
                let meters = TransportMeters::of(transport);
                meters.sent(&batch, told.whole + told.part);
                meters.delivered(stretch.logged_at.elapsed(), told.whole);
            }
        }
    }
}
