//! Folding: a task for each board reads its log.

use std::sync::Arc;
use std::time::Duration;

use dualcast::{CloseReason, Gap, Item, Payload, Position, Record, Subscription};
use tokio::{select, time};

use super::Active;
use crate::board::change::Op;

/// Folds what comes, for ever.
pub(super) async fn follow(board: Arc<Active>, subscription: Subscription) {
    let tried_at = Some(board.position());
    let mut follower = Follower {
        board,
        subscription,
        tried_at,
        is_loading: true,
    };
    loop {
        let read = select! {
            read = follower.subscription.next(BATCH_BYTES) => read,
            () = follower.board.asked.notified() => follower.subscription.read(BATCH_BYTES),
        };
        let read = read.and_then(|items| follower.take_all(items));
        if let Err(reason) = read {
            tracing::warn!(board = %follower.board.name(), ?reason, "a board's log can't be followed for now");
            time::sleep(PAUSE).await;
            follower.begin_again();
        }
    }
}

struct Follower {
    board: Arc<Active>,
    subscription: Subscription,
    /// From where the log was asked for that it has not caught up with yet.
    tried_at: Option<Position>,
    /// Whether it has not caught up with it at all.
    is_loading: bool,
}

impl Follower {
    /// Folds a batch, and what stands behind it.
    fn take_all(&mut self, mut items: Vec<Item>) -> Result<(), CloseReason> {
        loop {
            let is_empty = items.is_empty();
            for item in items {
                match item {
                    Item::Record(record) => self.take(&record),
                    Item::Gap { gap, id } => {
                        if self.may_have_it_yet(&gap) {
                            self.begin_again();
                            // The rest is read again behind what was missing.
                            return Ok(());
                        }
                        self.board.fold(None, id);
                    }
                    Item::Presence(update) => self.board.hear_of(&update),
                    // Nobody sees a board's cursors but pages.
                    _ => {}
                }
            }
            if is_empty {
                // Behind the last record others may have been logged, of other boards. While the fan-out is asked for what memory lacks nothing is
                // known of where that ends.
                if !self.subscription.is_asking() && !self.subscription.begins_with_a_gap() {
                    self.board.fold(None, self.subscription.cursor());
                    (self.tried_at, self.is_loading) = (None, false);
                }
                return Ok(());
            }
            items = self.subscription.read(BATCH_BYTES)?;
        }
    }

    fn take(&self, record: &Record) {
        let position = record.position();
        let op = match record.message() {
            Some(message) if message.event() == "op" => match message.payload() {
                Payload::Json(json) => serde_json::from_str::<Op>(json),
                _ => Err(serde::de::Error::custom("it is not JSON")),
            },
            _ => return self.board.fold(None, position),
        };
        if let Err(error) = &op {
            // Somebody else published to our channel. No page can read it either.
            tracing::warn!(board = %self.board.name(), %position, %error, "a message in the log of a board makes no sense");
        }
        self.board.fold(op.ok().as_ref(), position);
    }

    /// Whether what a gap tells of may be had by asking for it: who was overtaken is told a gap though the broker has it yet. What it lacks itself is lost
    /// to everybody.
    fn may_have_it_yet(&self, gap: &Gap) -> bool {
        let here = self.board.position();
        if self.tried_at != Some(here) {
            return true;
        }
        let (board, reason) = (self.board.name(), gap.reason);
        // A board is stored with all that was in it. So nothing is missing where its log began anew behind that, as it does with a process, or was
        // trimmed up to there.
        if self.is_loading {
            tracing::info!(%board, %here, %reason, "the log of a board begins behind what is stored of it");
        } else {
            tracing::warn!(%board, %here, %reason, "changes of a board are lost");
        }
        false
    }

    fn begin_again(&mut self) {
        let here = self.board.position();
        self.tried_at = Some(here);
        match self.board.channel().presence().watch().after(here).open() {
            Ok(subscription) => self.subscription = subscription,
            // The old one has said that it is over, and says so again after a pause.
            Err(error) => tracing::error!(board = %self.board.name(), %error, "a board can't be followed"),
        }
    }
}

/// How much is read at once, in bytes.
const BATCH_BYTES: usize = 256 << 10;

/// For how long it is waited before the log is asked for again that could not be read.
const PAUSE: Duration = Duration::from_secs(1);
