//! Locks: which notes of a board are edited, since when each editor last said so, and who of them is gone.

use std::collections::{HashMap, HashSet};

use dualcast::{Position, PresenceUpdate};
use tokio::time::Instant;

use crate::board::Board;
use crate::board::change::{Change, Op};

/// What is known of those who edit, beside what the board says. It never knows of a note that is not edited.
#[derive(Debug)]
pub(super) struct Locks {
    /// Of each note that is edited, when its editor last said so.
    leases: HashMap<String, Lease>,
    /// Who is there, as far as this node was told.
    here: HashSet<String>,
    /// Who has left of those who edit.
    left: HashSet<String>,
}

/// Since when somebody is known to edit a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// Where in the log that stands; where it was stored, up to where.
    pub(super) position: Position,
    /// When this node has heard of it.
    pub(super) heard_at: Instant,
}

/// A note that is edited.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) id: String,
    pub(super) by: String,
    /// Whether its editor was seen to leave.
    pub(super) has_left: bool,
    pub(super) lease: Lease,
}

impl Locks {
    /// Of a board as it was stored up to a position.
    pub(super) fn new(board: &Board, position: Position) -> Self {
        let heard_at = Instant::now();
        let lease = Lease { position, heard_at };
        Self {
            leases: board.edited().map(|(id, _)| (id.to_owned(), lease)).collect(),
            here: HashSet::new(),
            left: HashSet::new(),
        }
    }

    /// The notes that are edited.
    pub(super) fn edited(&self, board: &Board) -> Vec<Edited> {
        let edited = board.edited().filter_map(|(id, by)| {
            Some(Edited {
                id: id.to_owned(),
                by: by.to_owned(),
                has_left: self.left.contains(by),
                lease: *self.leases.get(id)?,
            })
        });
        edited.collect()
    }

    /// Takes up who has left, and who is there again.
    pub(super) fn hear_of(&mut self, update: &PresenceUpdate, board: &Board) {
        for left in update.left() {
            self.miss(left, board);
        }
        if update.since().is_none() {
            // Where several left at once it is told who is there yet; in a crowd not all of them.
            let before = std::mem::take(&mut self.here);
            let is_sample = update.members().len() < update.count();
            for user in before.iter().filter(|_| !is_sample) {
                self.miss(user, board);
            }
        }
        for here in update.joined().iter().chain(update.members()) {
            self.here.insert(here.id().to_string());
            self.left.remove(&**here.id());
        }
    }

    fn miss(&mut self, user: &str, board: &Board) {
        self.here.remove(user);
        if board.edited().any(|(_, by)| by == user) {
            self.left.insert(user.to_owned());
        }
    }

    /// Takes up which edits an op began or goes on with, and forgets those that are over.
    pub(super) fn note(&mut self, op: &Op, position: Position, board: &Board) {
        if board.edited().next().is_none() {
            self.leases.clear();
            self.left.clear();
            return;
        }
        let edited: HashMap<_, _> = board.edited().collect();
        for change in &op.changes {
            let id = match change {
                Change::Edit { id } => id,
                Change::Set { id, props } if props.text.is_some() => id,
                _ => continue,
            };
            if edited.get(id.as_str()) == Some(&op.by.as_str()) {
                let heard_at = Instant::now();
                self.leases.insert(id.clone(), Lease { position, heard_at });
            }
        }
        self.leases.retain(|id, _| edited.contains_key(id.as_str()));
        // Who is away and edits all the same is there in another way.
        self.left
            .retain(|user| *user != op.by && edited.values().any(|by| by == user));
    }
}
