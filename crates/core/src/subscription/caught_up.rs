//! Caught up: whether a subscription has read what its client came back for.

use super::Subscription;
use crate::position::Position;

impl Subscription {
    /// Where the log ends now, in the life of it in which this reads.
    #[must_use]
    pub fn end(&self) -> Position {
        self.life.position(self.life.head())
    }

    /// Whether all up to a position was read, gaps among it. Of another life's: no.
    #[must_use]
    pub fn has_read(&self, through: Position) -> bool {
        let cursor = self.cursor();
        cursor.epoch() == through.epoch() && cursor.sequence() >= through.sequence() && !self.is_asking()
    }

    /// Steps to where the log ends, if nothing is to be told up to there. Answers whether that is so. It reads nothing; where it is not sure
    /// it says no, and who [waits](Subscription::poll_read) gets what there is.
    pub fn step_to_end(&mut self) -> bool {
        if self.begins_with_a_gap() || self.is_in_the_past() || self.logs.is_past(&self.life) {
            return false;
        }
        // Before any channel is looked at, as when it reads.
        let head = self.life.head();
        let mut followed = self.followed.iter();
        let is_at_end = followed.all(|each| each.is_at_end(&self.life, self.cursor));
        if is_at_end {
            self.advance(head);
        }
        is_at_end
    }
}
