//! Pages: what a subscription reads of the past before it has caught up with the hub's memory, and how it comes into another life.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::Subscription;
use crate::close::CloseReason;
use crate::followed::Reborn;
use crate::gap::Gap;
use crate::history::{Lost, Page};
use crate::past::Past;
use crate::subscribe::{Start, place};

impl Subscription {
    /// Waits until every page has come that was asked for: until then it can't be known which record comes next.
    pub(super) fn poll_pages(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut is_waiting = false;
        for index in 0..self.followed.len() {
            match self.followed[index].poll_past(cx) {
                Some(Poll::Ready(Some(page))) if page.is_of_another_history() => {
                    let start = if self.is_stranger {
                        Start::Stranger(self.anchor)
                    } else {
                        Start::Lost(self.cursor())
                    };
                    self.restart(start);
                    return Poll::Ready(Ok(()));
                }
                Some(Poll::Ready(Some(page))) => self.begin_page(index, page),
                Some(Poll::Ready(None)) => return Poll::Ready(Err(CloseReason::Unavailable)),
                Some(Poll::Pending) => is_waiting = true,
                None => {}
            }
        }
        if is_waiting {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Whether it waits for what the fan-out has of the past: then it has nothing to tell, and something is missing all the same.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        let mut past = self.followed.iter().filter_map(|followed| followed.past());
        past.any(Past::is_awaited)
    }

    /// Whether it has not caught up with memory yet, on any channel.
    pub(super) fn is_in_the_past(&self) -> bool {
        self.followed.iter().any(|followed| followed.past().is_some())
    }

    /// Up to where it may read now: the head, unless pages end or a tear begins before that.
    pub(super) fn horizon(&self, head: u64) -> u64 {
        let bounds = self.followed.iter().filter_map(|followed| match followed.past() {
            Some(past) => past.through(),
            None => followed.next_tear(&self.life, self.cursor).map(|tear| tear.after),
        });
        bounds.fold(head, u64::min)
    }

    /// Turns the pages that are read, or goes on in memory where that is whole from there. Those in memory may have been overtaken
    /// while the pages of another channel were read.
    pub(super) fn turn_pages(&mut self) -> Result<(), CloseReason> {
        if !self.is_in_the_past() {
            return Ok(());
        }
        let position = self.position();
        for followed in &mut self.followed {
            if !followed.may_turn(self.cursor) {
                continue;
            }
            match followed.rejoin(&self.life, self.cursor) {
                Ok(true) => {}
                Ok(false) if followed.ask(&self.logs, &self.life, position) => {}
                Ok(false) => return Err(CloseReason::Unavailable),
                // Looked at again by whoever reads.
                Err(Reborn) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Another life of the log has begun: it goes on there, as a client would that comes back with its cursor.
    pub(super) fn enter_new_life(&mut self) {
        self.restart(Start::After(self.cursor()));
    }

    /// Nobody has moved since the page was asked for: it begins at the cursor.
    fn begin_page(&mut self, index: usize, page: Arc<Page>) {
        let after = self.cursor;
        // A page may have been read for somebody else, who stood before that.
        if let Some(Lost { through, reason }) = page.lost.filter(|lost| lost.through > after) {
            let from = self.cursor();
            if self.opening_gaps.is_empty() {
                self.anchor = from;
            }
            self.opening_gaps.push(Gap {
                channel: self.followed[index].name().clone(),
                from: Some(from),
                to: Some(self.life.position(through)),
                reason,
            });
            if !self.is_multi {
                self.advance(through);
            }
        }
        self.followed[index].begin_page(page, after, self.life.head());
    }

    fn restart(&mut self, start: Start) {
        // What follows their end is not theirs, in this life or in another.
        for over in self.followed.extract_if(.., |followed| followed.is_over()) {
            over.leave(&self.logs);
        }
        let origin = place(&self.logs, &mut self.followed, start);
        self.cursor = 0;
        self.begin(origin);
    }
}
