//! Lanes: the ways out that sessions lend to the hub while they have nothing to do but wait on one channel.
//!
//! A crowd that stands at one place is told the same bytes. To wake a task for each of them, so that it hands these bytes to its socket, costs as
//! much again as the socket does. So a session that waits lends its way out, with the place where its client stands, and whoever tends the bell sends to all
//! of them in a row. A session's task is woken where there is more to do than that: where its client doesn't take everything, or where what comes
//! is no plain message.
//!
//! Invariants: what is lent is sent to by nobody but whoever holds the lane's lock, and only from the place in the loan on, which moves with what was sent. A
//! session takes its way back before it does anything else. A loan begins under the channel's lock, at the end of the log: so what comes later is
//! the hub's to send, and what came before was the session's.
//!
//! Order of the locks: a lane's, then the channel's.

mod list;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;

use crate::cell::State;
use crate::life::Life;
use crate::rounds::Teller;
use crate::session::{SessionHandle, Transport};
use crate::sync::Mutex;
use crate::wire::Wire;

pub(crate) use list::{Lanes, Seat, Seats};

/// The way out to one client.
pub trait Outlet: Send + Sync {
    /// Sends what leaves at once, and answers how many bytes that are. 0 where the client takes nothing now, or is gone: its session
    /// finds out.
    fn send(&self, bytes: &Bytes) -> usize;

    /// Which connection it leads by, where it shares one with others: what is sent to all of those at once leaves together. None where it has one to itself.
    fn connection(&self) -> Option<u32> {
        None
    }

    /// Looks at what it needs in order to send, and answers whatever it sees there. Many are asked before the first of them is sent to: what lies far apart in
    /// memory is then fetched for all of them at a time.
    fn fetch(&self) -> bool {
        true
    }
}

/// A way out that a session can lend to the hub.
pub struct Lane<O: ?Sized = dyn Outlet> {
    loan: Mutex<Option<Loan>>,
    outlet: O,
}

/// What is lent with a way out.
pub(crate) struct Loan {
    pub(crate) state: LoanState,
    pub(crate) terms: Terms,
    pub(crate) place: Place,
    pub(crate) sent_at: Option<Instant>,
}

/// Whether anything is sent.
pub(crate) enum LoanState {
    /// As long as its session's task sleeps.
    Open(Waker),
    /// Nothing more: the task was woken, to go on with what the client did not take of what it was sent last.
    Stopped(Option<Box<Unsent>>),
}

/// How a session wants to be written for.
#[derive(Clone)]
pub struct Terms {
    /// Its wire.
    pub wire: &'static dyn Wire,
    /// How many bytes leave together before the last entry.
    pub max_bytes: u32,
    /// By which it is counted.
    pub transport: Transport,
    /// The session, which is there until the way out is taken back. Nothing is sent for it that comes after it was told to end.
    pub session: SessionHandle,
}

/// Where a client stands in the log of its channel.
pub(crate) struct Place {
    pub(crate) life: Arc<Life>,
    /// The ordinal of the next record that it gets.
    pub(crate) next: u64,
    /// The ordinal of the next volatile message.
    pub(crate) next_volatile: u64,
    /// The cursor that it has.
    pub(crate) cursor: u64,
}

/// What a client did not take.
pub struct Unsent {
    /// The rest of a piece that it has the beginning of.
    pub bytes: Bytes,
    /// When the oldest message in the piece was logged.
    pub logged_at: Instant,
}

/// What a channel holds when some are sent to who wait on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    life: u64,
    first: u64,
    pub(crate) end: u64,
    /// Whether a plain run of messages is all that there is to read.
    is_finished: bool,
    reused_at: Option<u64>,
    volatile_end: u64,
}

/// What there is to do for a client.
#[derive(Debug, PartialEq, Eq)]
enum ToDo {
    Nothing,
    Send,
    /// More than the hub can do.
    Wake,
}

impl<O> Lane<O> {
    /// A lane that is not lent.
    pub fn new(outlet: O) -> Self {
        Self {
            loan: Mutex::new(None),
            outlet,
        }
    }
}

impl<O: ?Sized> Lane<O> {
    /// Where it leads.
    pub fn outlet(&self) -> &O {
        &self.outlet
    }
}

impl Lane {
    /// Lends it, unless `loan` has changed its mind by then: nobody sends before it has answered.
    pub(crate) fn lend(&self, loan: impl FnOnce() -> Option<Loan>) {
        let mut lent = self.loan.lock();
        *lent = loan();
    }

    /// Takes it back: from here on nobody else sends.
    pub(crate) fn take_back(&self) -> Option<Loan> {
        self.loan.lock().take()
    }

    /// Whom to wake so that the session takes it back; until then nothing is sent.
    pub(crate) fn stop(&self) -> Option<Waker> {
        self.loan.lock().as_mut()?.stop(None)
    }

    /// Sends what the channel held, from where the client stands. Answers whom to wake where that is not all.
    pub(crate) fn send(&self, view: &View, teller: &mut Teller<'_>) -> Option<Waker> {
        let mut loan = self.loan.lock();
        let loan = loan.as_mut().filter(|loan| loan.is_open())?;
        loop {
            match view.to_do(&loan.place) {
                ToDo::Nothing => return None,
                ToDo::Wake => break,
                // It has been woken already, and has not come yet.
                ToDo::Send if teller.is_anybody_ordered && loan.terms.session.has_orders() => break,
                ToDo::Send => {}
            }
            let Some(stretch) = teller.stretch(&loan.place, &loan.terms) else {
                break;
            };
            let sent = self.outlet.send(&stretch.bytes);
            if sent == 0 {
                break;
            }
            loan.place.next = stretch.to;
            loan.place.cursor = stretch.sequence;
            let unsent = (sent < stretch.bytes.len()).then(|| Unsent {
                bytes: stretch.bytes.slice(sent..),
                logged_at: stretch.logged_at,
            });
            loan.sent_at = Some(teller.now);
            teller.sent(loan.terms.transport, unsent.is_none());
            if let Some(unsent) = unsent {
                return loan.stop(Some(unsent));
            }
        }
        loan.stop(None)
    }
}

impl Loan {
    fn is_open(&self) -> bool {
        matches!(self.state, LoanState::Open(_))
    }

    /// Answers whom to wake, unless that was done already.
    fn stop(&mut self, unsent: Option<Unsent>) -> Option<Waker> {
        if !self.is_open() {
            return None;
        }
        match mem::replace(&mut self.state, LoanState::Stopped(unsent.map(Box::new))) {
            LoanState::Open(waker) => Some(waker),
            LoanState::Stopped(_) => None,
        }
    }

    /// What the client did not take.
    pub(crate) fn unsent(self) -> Option<Box<Unsent>> {
        match self.state {
            LoanState::Open(_) => None,
            LoanState::Stopped(unsent) => unsent,
        }
    }
}

impl View {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            life: state.life,
            first: state.log.first(),
            end: state.log.end(),
            is_finished: state.log.is_finished(),
            reused_at: state.log.reused_at(),
            volatile_end: state.ring.end(),
        }
    }

    /// A client that stands behind what is seen was lent later, and its session has looked.
    fn to_do(self, place: &Place) -> ToDo {
        if place.life.number() > self.life {
            return ToDo::Nothing;
        }
        let is_plain = place.life.number() == self.life
            && place.next >= self.first
            && self.reused_at.is_none_or(|end| end < place.next)
            && place.next_volatile >= self.volatile_end
            && place.life.torn_through() <= place.cursor;
        match (is_plain, place.next < self.end) {
            (true, true) if !self.is_finished => ToDo::Send,
            (true, false) => ToDo::Nothing,
            _ => ToDo::Wake,
        }
    }
}

impl<O: ?Sized> fmt::Debug for Lane<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
