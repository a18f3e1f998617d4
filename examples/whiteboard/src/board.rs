//! The board: a fold over the `op` messages of its channel.
//!
//! Everybody folds the same log in the same order, so everybody has the same board: `page/board.mjs` is this in JavaScript, to the letter.
//! Whoever changes one changes the other. Nothing here reads a clock, waits, or knows a channel. What doesn't apply is ignored, and no message fails:
//! what may be published is decided before that, by [`asked`] and [`admission`].

pub(crate) mod admission;
pub(crate) mod asked;
pub(crate) mod change;
#[cfg(test)]
mod converges;
mod newest;
pub(crate) mod object;
mod seen;
mod weight;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use change::{Change, Op};
use newest::{Newest, listed};
use object::{Object, Props};
use seen::Seen;
use weight::weight;

/// A board, as a snapshot has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(crate) struct Board {
    objects: BTreeMap<String, Object>,
    /// Those that are deleted, in that order.
    deleted: VecDeque<String>,
    chat: Newest<Said, MAX_CHAT>,
    activity: Newest<Deed, MAX_ACTIVITY>,
    seen: Seen,
    /// What the objects are as JSON, in bytes, with a comma for each.
    #[serde(skip)]
    object_bytes: usize,
}

/// The same, without what can be counted.
#[derive(Deserialize)]
struct Stored {
    objects: BTreeMap<String, Object>,
    deleted: VecDeque<String>,
    chat: Vec<Said>,
    activity: Vec<Deed>,
    seen: Seen,
}

/// Something said in the chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    by: String,
    name: String,
    at: u64,
    text: String,
}

/// What somebody did, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deed {
    at: u64,
    by: String,
    name: String,
    did: Did,
    kind: object::Kind,
    id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Did {
    Add,
    Remove,
    Restore,
    /// Changed the text.
    Text,
}

impl Board {
    /// Folds a message into it. Answers whether it was none that it had seen.
    pub(crate) fn apply(&mut self, op: &Op) -> bool {
        if let Some(sent) = &op.sent {
            if self.has_seen(&op.by, &sent.client, sent.n) {
                return false;
            }
            self.seen.note(&op.by, &sent.client, sent.n);
        }
        for change in &op.changes {
            match change {
                Change::Add { id, kind, props } => self.add(op, id, *kind, props),
                Change::Set { id, props } => self.set(op, id, props),
                Change::Edit { id } => self.edit(op, id),
                Change::Done { id } => self.done(op, id),
                Change::Chat { text } => self.chat.push(Said {
                    by: op.by.clone(),
                    name: op.name.clone(),
                    at: op.at,
                    text: text.clone(),
                }),
            }
        }
        true
    }

    /// Whether a page's message is in it.
    pub(crate) fn has_seen(&self, by: &str, client: &str, n: u64) -> bool {
        self.seen.has(by, client, n)
    }

    /// An object, deleted or not.
    pub(crate) fn object(&self, id: &str) -> Option<&Object> {
        self.objects.get(id)
    }

    /// How many objects are not deleted.
    pub(crate) fn live_objects(&self) -> usize {
        self.objects.len().saturating_sub(self.deleted.len())
    }

    /// Which notes somebody edits, and who.
    pub(crate) fn edited(&self) -> impl Iterator<Item = (&str, &str)> {
        let objects = self.objects.iter();
        objects.filter_map(|(id, object)| Some((id.as_str(), object.editing.as_deref()?)))
    }

    /// What it is as JSON, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let names = r#"{"objects":,"deleted":,"chat":,"activity":,"seen":}"#.len();
        let deleted = self.deleted.iter().map(|id| id.len() + "\"\",".len()).sum();
        let lists = listed(self.object_bytes) + listed(deleted);
        names + lists + self.chat.bytes() + self.activity.bytes() + self.seen.bytes()
    }

    fn add(&mut self, op: &Op, id: &str, kind: object::Kind, props: &Props) {
        if self.objects.contains_key(id) {
            return;
        }
        self.insert(id, Object::new(kind, op.by.clone(), props.clone()));
        self.note(op, Did::Add, kind, id);
    }

    fn set(&mut self, op: &Op, id: &str, props: &Props) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        let bytes_before = entry_bytes(id, object);
        let was_deleted = object.deleted;
        let has_new_text = object.set(&op.by, props);
        let (kind, is_deleted) = (object.kind, object.deleted);
        self.object_bytes += entry_bytes(id, object);
        self.object_bytes -= bytes_before;
        if has_new_text {
            self.note(op, Did::Text, kind, id);
        }
        if is_deleted && !was_deleted {
            self.note(op, Did::Remove, kind, id);
            self.deleted.push_back(id.to_owned());
            if self.deleted.len() > MAX_DELETED
                && let Some(first) = self.deleted.pop_front()
            {
                self.forget(&first);
            }
        }
        if was_deleted && !is_deleted {
            self.note(op, Did::Restore, kind, id);
            self.deleted.retain(|deleted| deleted != id);
        }
    }

    fn edit(&mut self, op: &Op, id: &str) {
        let by = &op.by;
        self.change(id, |object| {
            let is_free = object.kind == object::Kind::Note && !object.deleted;
            if is_free && !object.is_edited_by_other(by) {
                object.editing = Some(by.clone());
            }
        });
    }

    fn done(&mut self, op: &Op, id: &str) {
        self.change(id, |object| {
            if object.editing.as_ref() == Some(&op.by) {
                object.editing = None;
            }
        });
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Object)) {
        if let Some(object) = self.objects.get_mut(id) {
            self.object_bytes -= entry_bytes(id, object);
            change(object);
            self.object_bytes += entry_bytes(id, object);
        }
    }

    fn insert(&mut self, id: &str, object: Object) {
        self.object_bytes += entry_bytes(id, &object);
        self.objects.insert(id.to_owned(), object);
    }

    fn forget(&mut self, id: &str) {
        if let Some(object) = self.objects.remove(id) {
            self.object_bytes -= entry_bytes(id, &object);
        }
    }

    /// Who goes on doing the same thing has done it once.
    fn note(&mut self, op: &Op, did: Did, kind: object::Kind, id: &str) {
        let last = self.activity.last();
        if last.is_some_and(|last| last.by == op.by && last.did == did && last.id == id) {
            self.activity.pop();
        }
        self.activity.push(Deed {
            at: op.at,
            by: op.by.clone(),
            name: op.name.clone(),
            did,
            kind,
            id: id.to_owned(),
        });
    }
}

impl From<Stored> for Board {
    fn from(stored: Stored) -> Self {
        let Stored {
            objects,
            deleted,
            chat,
            activity,
            seen,
        } = stored;
        let object_bytes = objects.iter().map(|(id, object)| entry_bytes(id, object)).sum();
        Self {
            objects,
            deleted,
            chat: chat.into_iter().collect(),
            activity: activity.into_iter().collect(),
            seen,
            object_bytes,
        }
    }
}

/// What an object takes in a board's JSON: with its id, and a comma.
fn entry_bytes(id: &str, object: &Object) -> usize {
    id.len() + "\"\":,".len() + weight(object)
}

/// How much of the chat is kept: what one scrolls back to.
const MAX_CHAT: usize = 200;

/// How many deeds are kept.
const MAX_ACTIVITY: usize = 100;

/// How many deleted objects are kept, for those who undo that. Past it the one that was deleted first is forgotten.
const MAX_DELETED: usize = 500;

#[cfg(test)]
mod tests;
