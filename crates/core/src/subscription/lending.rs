//! Lending: while a subscription waits on one channel, the hub may send to its client itself.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use super::Subscription;
use crate::lag::LagRule;
use crate::lanes::{Lane, Loan, LoanState, Place, Terms, Unsent};

/// What became of a way out that was lent.
#[derive(Default)]
pub struct Returned {
    /// How long ago anything was sent by it, if anything was.
    pub sent_before: Option<Duration>,
    /// What its client has the beginning of, and must get before anything else.
    pub unsent: Option<Box<Unsent>>,
}

impl Subscription {
    /// Lends the way out to its client, where all that it waits for is the next message of one channel: the hub sends that by itself, and wakes
    /// the task where there is more to do. From then on, until it is [taken back](Subscription::take_back), nothing else may be sent by it.
    ///
    /// To be asked when [`Subscription::poll_batch`] has said that there is nothing. Nothing is lent where nobody looks after the hub.
    pub fn lend(&mut self, cx: &mut Context<'_>, lane: &Arc<Lane>, terms: Terms) {
        let is_plain = !self.is_multi
            && self.without.is_none()
            && self.opening_gaps.is_empty()
            && self.lag_rule == LagRule::CatchUp;
        let (true, [followed]) = (is_plain, &mut *self.followed) else {
            return;
        };
        if followed.past().is_some() || followed.is_over() || followed.has_presence_news(cx.waker()) {
            return;
        }
        // Not under the channel's lock.
        if terms.session.has_orders() || !self.logs.bell.is_tended() {
            return;
        }
        let mut given_up = None;
        lane.lend(|| {
            let mut state = followed.cell.lock();
            let is_at_end = state.check(&self.life).is_ok()
                && followed.next == state.log.end()
                && followed.next_volatile == state.ring.end()
                && !state.log.is_finished()
                && !state.log.is_reused_after(followed.next)
                && self.life.torn_through() <= self.cursor;
            if !is_at_end {
                return None;
            }
            given_up = followed
                .place
                .take()
                .and_then(|place| state.sleepers.leave(place));
            followed.lane = Some(state.lanes.enter(Arc::clone(lane)));
            Some(Loan {
                state: LoanState::Open(cx.waker().clone()),
                terms,
                place: Place {
                    life: Arc::clone(&self.life),
                    next: followed.next,
                    next_volatile: followed.next_volatile,
                    cursor: self.cursor,
                },
                sent_at: None,
            })
        });
        drop(given_up);
    }

    /// Takes the way out back that was lent, if it was: before anything else is read or sent.
    pub fn take_back(&mut self, lane: &Lane) -> Returned {
        let [followed] = &mut *self.followed else {
            return Returned::default();
        };
        let Some(seat) = followed.lane.take() else {
            return Returned::default();
        };
        // From here on nobody sends but the session.
        let loan = lane.take_back();
        let mut state = followed.cell.lock();
        let given_up = state.lanes.leave(seat);
        let Some(loan) = loan else {
            drop((state, given_up));
            return Returned::default();
        };
        followed.next = loan.place.next;
        // What is trimmed by now is passed over, whatever it cost.
        if let Some(bytes) = state.log.bytes_before(followed.next) {
            followed.next_bytes = bytes;
        }
        drop(state);
        drop(given_up);
        self.advance(loan.place.cursor);
        let now = self.logs.now();
        Returned {
            sent_before: loan.sent_at.map(|sent_at| now.saturating_duration_since(sent_at)),
            unsent: loan.unsent(),
        }
    }
}
