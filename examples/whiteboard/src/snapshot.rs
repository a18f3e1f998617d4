//! Snapshots: a board, and up to where in the log it is folded.

use std::sync::Arc;

use dualcast::Position;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::board::Board;

/// Up to where a board is folded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) position: Position,
    /// The last positions in the lives of the log before this one, the latest last.
    pub(crate) before: Vec<Position>,
}

impl Mark {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            position,
            before: Vec::new(),
        }
    }

    /// Moves on.
    pub(crate) fn advance(&mut self, position: Position) {
        if position.epoch() != self.position.epoch() {
            self.before.push(self.position);
            let excess = self.before.len().saturating_sub(KEPT_LIVES);
            self.before.drain(..excess);
        }
        self.position = position;
    }

    /// Whether a board that is folded up to here has more than one that is folded up to there. Of two lives of which neither knows the
    /// other, whoever asks has the one that is.
    pub(crate) fn is_past(&self, other: &Self) -> bool {
        if self.position.epoch() == other.position.epoch() {
            return self.position.sequence() > other.position.sequence();
        }
        let knows = |mark: &Self, life: &Self| {
            let mut before = mark.before.iter();
            before.any(|position| position.epoch() == life.position.epoch())
        };
        knows(self, other) || !knows(other, self)
    }
}

/// What is stored of a board, as it is read.
#[derive(Debug, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct Stored {
    pub(crate) mark: Mark,
    pub(crate) board: Board,
}

/// The same, as it is written. Read without `flatten`, which would copy the board.
#[derive(Deserialize)]
struct Written {
    position: Position,
    #[serde(default)]
    before: Vec<Position>,
    board: Board,
}

impl From<Written> for Stored {
    fn from(written: Written) -> Self {
        let Written {
            position,
            before,
            board,
        } = written;
        Self {
            mark: Mark { position, before },
            board,
        }
    }
}

/// What there is of a board, to be stored or to be served.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) mark: Mark,
    /// The board as JSON.
    pub(crate) board: Arc<RawValue>,
}

impl Snapshot {
    /// As it is stored.
    pub(crate) fn to_stored(&self) -> String {
        let Mark { position, before } = &self.mark;
        let before = serde_json::to_string(before).unwrap_or_default();
        let board = self.board.get();
        format!(r#"{{"position":"{position}","before":{before},"board":{board}}}"#)
    }

    /// As a page gets it.
    pub(crate) fn to_page(&self) -> String {
        let (position, board) = (self.mark.position, self.board.get());
        format!(r#"{{"position":"{position}","board":{board}}}"#)
    }
}

/// How many lives before are remembered, as by a hub.
const KEPT_LIVES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> Mark {
        Mark::new(text.parse().unwrap())
    }

    #[test]
    fn of_two_marks_that_is_past_the_other_which_has_more_of_the_log() {
        let (early, late) = (mark("aaaaaaaaaa-9"), mark("aaaaaaaaaa-10"));
        assert!(late.is_past(&early) && !early.is_past(&late) && !late.is_past(&late));
        // What tells two records of one number apart is no order.
        assert!(!mark("aaaaaaaaaa-9-zzzzzz").is_past(&early));
    }

    #[test]
    fn a_life_that_followed_another_is_past_it_wherever_it_stands() {
        let old = mark("aaaaaaaaaa-900");
        let mut new = old.clone();
        new.advance("bbbbbbbbbb-2".parse().unwrap());
        assert!(new.is_past(&old) && !old.is_past(&new));
        new.advance("cccccccccc-1".parse().unwrap());
        assert!(new.is_past(&old) && !old.is_past(&new));
        let stranger = mark("dddddddddd-1");
        assert!(stranger.is_past(&old) && old.is_past(&stranger));
        for _ in 0..20 {
            new.advance("aaaaaaaaaa-1".parse().unwrap());
            new.advance("bbbbbbbbbb-1".parse().unwrap());
        }
        assert_eq!(new.before.len(), KEPT_LIVES);
    }

    #[test]
    fn what_is_stored_reads_back() {
        let mut at = mark("aaaaaaaaaa-900");
        at.advance("bbbbbbbbbb-2-000000".parse().unwrap());
        let board = serde_json::value::to_raw_value(&Board::default()).unwrap();
        let snapshot = Snapshot {
            mark: at.clone(),
            board: board.into(),
        };
        let stored: Stored = serde_json::from_str(&snapshot.to_stored()).unwrap();
        assert_eq!((stored.mark, stored.board), (at, Board::default()));
        let page: serde_json::Value = serde_json::from_str(&snapshot.to_page()).unwrap();
        assert_eq!(page["position"], "bbbbbbbbbb-2-000000");
        assert_eq!(page.as_object().unwrap().len(), 2);
    }
}
