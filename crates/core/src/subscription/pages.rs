//! Pages: what a subscription reads of the past before it has caught up with the hub's memory, and how it comes into another life.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::Subscription;
use crate::close::CloseReason;
use crate::followed::Reborn;
use crate::gap::{Gap, GapReason};
use crate::history::{Lost, Page};
use crate::past::{Arrived, Past};
use crate::position::Position;
use crate::subscribe::{Start, place};

impl Subscription {
    /// Waits until every page has come that was asked for: until then it can't be known which record comes next.
    pub(super) fn poll_pages(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut is_waiting = false;
        for index in 0..self.followed.len() {
            match self.followed[index].poll_past(cx) {
                Some(Poll::Ready(Arrived::Page { page, .. })) if is_of_another_history(&page) => {
                    self.restart(Start::Lost(self.cursor()));
                    return Poll::Ready(Ok(()));
                }
                Some(Poll::Ready(Arrived::Page { page, after })) => self.begin_page(index, page, after),
                Some(Poll::Ready(Arrived::Unread)) => return Poll::Ready(Err(CloseReason::Unavailable)),
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

    /// Whether it waits for a page.
    pub(super) fn is_asking(&self) -> bool {
        let mut past = self.followed.iter().filter_map(|followed| followed.past());
        past.any(Past::is_asked)
    }

    /// Up to where it may read now: the head, unless pages end or a tear begins before that.
    pub(super) fn horizon(&self, head: u64) -> u64 {
        let bounds = self.followed.iter().filter_map(|followed| match followed.past() {
            Some(past) => Some(past.through()),
            None => followed.next_tear(&self.life, self.cursor).map(|tear| tear.after),
        });
        bounds.fold(head, u64::min)
    }

    /// Turns the pages that are read, or goes on in memory where that is whole from there.
    pub(super) fn turn_pages(&mut self) -> Result<(), CloseReason> {
        for index in 0..self.followed.len() {
            let followed = &mut self.followed[index];
            let Some(Past::Reading(page)) = followed.past() else {
                continue;
            };
            let through = page.through;
            if through > self.cursor {
                continue;
            }
            let page = Arc::clone(page);
            match followed.rejoin(&self.life, through) {
                Ok(true) => {}
                Ok(false) => {
                    let after = page_end(&page, self.life.position(through));
                    if !self.followed[index].ask(&self.logs, &self.life, after) {
                        return Err(CloseReason::Unavailable);
                    }
                }
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

    fn begin_page(&mut self, index: usize, page: Arc<Page>, after: u64) {
        if let Some(Lost { through, reason }) = page.lost {
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
        self.followed[index].begin_page(page, after);
    }

    fn restart(&mut self, start: Start) {
        let origin = place(&self.logs, &mut self.followed, start);
        self.cursor = 0;
        self.begin(origin);
    }
}

fn is_of_another_history(page: &Page) -> bool {
    page.lost.is_some_and(|lost| lost.reason == GapReason::Epoch)
}

/// The place behind a page: its last record's position has a check for sure.
fn page_end(page: &Page, end: Position) -> Position {
    match page.records.last() {
        Some(last) if last.sequence() == end.sequence() => last.position(),
        _ => end,
    }
}
