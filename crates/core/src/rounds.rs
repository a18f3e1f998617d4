//! Rounds: sending all that a channel held to those who lent it their lanes.
//!
//! A round is gone in parts, so that whoever sends to 100,000 leaves others their time, and several can send to parts of them. Each part gets what the
//! channel holds by then.

use std::sync::Arc;
use std::time::Instant;

use crate::cell::Cell;
use crate::item::Batch;
use crate::lanes::{Place, Seats, Terms, View};
use crate::logs::Logs;
use crate::meters::TransportMeters;
use crate::session::Transport;
use crate::stretch::Stretch;

/// A round that has begun.
#[derive(Debug)]
pub(crate) struct Round {
    cell: Arc<Cell>,
    seats: Seats,
    /// Whether it has been called for anew.
    is_repeated: bool,
}

impl Round {
    pub(crate) fn begin(cell: Arc<Cell>) -> Self {
        let seats = cell.lock().lanes.answer();
        Self {
            cell,
            seats,
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

    /// About how many clients are left, or were there once.
    pub(crate) fn left(&self) -> usize {
        self.seats.clients()
    }

    /// Whether no place of it is left.
    pub(crate) fn is_over(&self) -> bool {
        self.seats.is_empty()
    }

    /// The next part of it, for about so many clients.
    pub(crate) fn split_off(&mut self, most: usize) -> Self {
        let seats = self.cell.lock().lanes.split_off(&mut self.seats, most);
        Self {
            cell: Arc::clone(&self.cell),
            seats,
            is_repeated: false,
        }
    }

    /// Sends to all that are left of it what there is by now: more may have come since it began.
    pub(crate) fn run(self, logs: &Logs) {
        let (lanes, view) = {
            let state = self.cell.lock();
            (state.lanes.at(&self.seats), View::of(&state))
        };
        let mut teller = Teller {
            logs,
            cell: &self.cell,
            end: view.end,
            // Behind what is seen: whoever was told to end before it was published is sent none of it.
            is_anybody_ordered: logs.ordered.is_anybody(),
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
    /// Whether any session was told something: then it is to be seen whether it is this one.
    pub(crate) is_anybody_ordered: bool,
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
                && stretch.limit == terms.max_bytes as usize
                && stretch.form == terms.wire.form()
        };
        if !self.stretch.as_ref().is_some_and(is_same) {
            self.count();
            self.stretch = self.find(place, terms);
        }
        self.stretch.as_ref()
    }

    fn find(&self, place: &Place, terms: &Terms) -> Option<Stretch> {
        let (wire, limit, from) = (terms.wire, terms.max_bytes as usize, place.next);
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

    fn batch(&self, stretch: &Stretch) -> Batch {
        Batch {
            bytes: stretch.bytes.len(),
            messages: (stretch.to - stretch.from) as usize,
            lag: self.end - stretch.from,
            ..Batch::default()
        }
    }

    /// Tells the meters of all who were sent the stretch.
    fn count(&mut self) {
        let Some(stretch) = &self.stretch else { return };
        let batch = self.batch(stretch);
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::hub::Hub;
    use crate::message::Message;
    use crate::wire::{Entry, Form, Wire};

    /// One byte a message.
    struct Dots;

    impl Wire for Dots {
        fn form(&self) -> Form {
            Form::new(0, 0)
        }

        fn write(&self, _: Entry<'_>, out: &mut Vec<u8>) {
            out.push(b'.');
        }
    }

    #[test]
    fn all_that_a_client_has_not_got_is_its_lag_though_less_leaves_together() {
        let hub = Hub::new();
        let session = hub.open_session(Transport::Sse, None).unwrap();
        let channel = hub.channel("a").unwrap();
        let _follower = channel.subscribe().open().unwrap();
        for _ in 0..5 {
            let published = channel.publish(Message::text("e", "m")).now_or_never();
            published.unwrap().unwrap();
        }
        let logs = &hub.ingest().logs;
        let cell = logs.find(channel.name()).unwrap();
        let mut teller = Teller {
            logs,
            cell: &cell,
            end: 4,
            is_anybody_ordered: false,
            now: logs.now(),
            stretch: None,
            told: [Told::default(); 2],
        };
        let terms = Terms {
            wire: &Dots,
            max_bytes: 4,
            transport: Transport::Sse,
            session: session.handle(),
        };
        let batch_after = |teller: &mut Teller<'_>, next| {
            let place = Place {
                life: logs.life(),
                next,
                next_volatile: 0,
                cursor: next,
            };
            let stretch = teller.stretch(&place, &terms).unwrap().clone();
            let batch = teller.batch(&stretch);
            (batch.messages, batch.lag)
        };
        assert_eq!(batch_after(&mut teller, 1), (2, 3));
        // And nothing of what came when it had looked.
        assert_eq!(batch_after(&mut teller, 3), (1, 1));
    }
}
