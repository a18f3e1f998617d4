//! Turns: what a feed's sources have, one after the other, so that none of them waits for a busy one.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dualcast_core::CloseReason;

use super::Feed;
use crate::source::{Piece, Source};

impl Feed {
    /// What the first has that has something.
    pub(super) fn poll_sources(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), CloseReason>> {
        if self.joined.is_empty() {
            return self.poll_source(cx, out);
        }
        for number in self.joined.turns() {
            let polled = match number {
                0 => self.poll_source(cx, out),
                _ => self.poll_joined(number, cx, out),
            };
            if polled.is_ready() {
                self.joined.took_turn(number);
                return polled;
            }
        }
        Poll::Pending
    }

    fn poll_joined(
        &mut self,
        number: usize,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), CloseReason>> {
        let (dialect, limit) = (self.dialect.naming_channels(), self.options.max_batch_bytes);
        let Some(subscription) = self.joined.get(number) else {
            return Poll::Pending;
        };
        match subscription.poll_batch(cx, dialect, limit, out) {
            Poll::Ready(Ok(batch)) => {
                self.observed.staged(&batch);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(CloseReason::Finished)) => {
                self.joined.remove(number);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(reason)) => Poll::Ready(Err(reason)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), CloseReason>> {
        match &mut self.source {
            Source::Subscription(subscription) => {
                let limit = self.options.max_batch_bytes;
                match ready!(subscription.poll_batch(cx, self.dialect, limit, out)) {
                    Ok(batch) => {
                        self.observed.staged(&batch);
                        // It says nothing of the channels that were joined.
                        if batch.has_id && self.joined.is_empty() {
                            self.heartbeats.put_off();
                        }
                        self.is_torn = batch.has_gap && self.dialect.ends_at_gap();
                        // Orders have set their waker in this same turn; the timer has it from an earlier one, or not yet, or has rung meanwhile.
                        self.is_asleep = batch.is_asleep
                            && self.joined.is_empty()
                            && !self.has_untold()
                            && self.is_timed()
                            && !self.is_catching_up();
                        Poll::Ready(Ok(()))
                    }
                    Err(CloseReason::Finished) if self.is_joinable => {
                        self.source = Source::Nothing;
                        Poll::Pending
                    }
                    Err(reason) => Poll::Ready(Err(reason)),
                }
            }
            Source::Nothing => Poll::Pending,
            Source::Pieces(pieces) => {
                if let Some(goodbye) = self.goodbye.take() {
                    out.push_back(*goodbye);
                    self.end(CloseReason::Finished);
                    return Poll::Ready(Err(CloseReason::Finished));
                }
                match pieces.poll_recv(cx) {
                    Poll::Ready(Some(piece)) => self.stage_pieces(piece, out),
                    Poll::Ready(None) | Poll::Pending => Poll::Pending,
                }
            }
            Source::Stream(stream) => match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(Err(reason))) => Poll::Ready(Err(reason)),
                Poll::Ready(Some(Ok(message))) => {
                    self.heartbeats.put_off();
                    let bytes = self.stage(out, |dialect, out| dialect.write_message(&message, out));
                    self.observed.sent(1, bytes);
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(None) => Poll::Ready(Err(CloseReason::Finished)),
                Poll::Pending => Poll::Pending,
            },
            Source::Refused(reason) => Poll::Ready(Err(*reason)),
        }
    }

    /// One piece, and what else is there in the room of a batch.
    fn stage_pieces(&mut self, first: Piece, out: &mut VecDeque<Bytes>) -> Poll<Result<(), CloseReason>> {
        let (mut next, mut room) = (Some(first), self.options.max_batch_bytes);
        while let Some(piece) = next {
            match piece {
                Piece::Message(bytes) => {
                    room = room.saturating_sub(bytes.len());
                    self.observed.sent(1, bytes.len());
                    out.push_back(bytes);
                }
                // Once the messages have left: those have the write deadline, and what closes has less time.
                Piece::Goodbye(bytes) => {
                    self.goodbye = Some(Box::new(bytes));
                    break;
                }
            }
            next = match &mut self.source {
                Source::Pieces(pieces) if room > 0 => pieces.try_recv().ok(),
                _ => None,
            };
        }
        Poll::Ready(Ok(()))
    }
}
