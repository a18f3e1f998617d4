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
use newest::Newest;
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
    /// What the objects take, the deleted ones too.
    #[serde(skip)]
    room: usize,
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
        op.changes.iter().for_each(|change| self.change(op, change));
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

    /// Folds one change of a message.
    fn change(&mut self, op: &Op, change: &Change) {
        match change {
            Change::Add { id, kind, props } => self.add(op, id, *kind, props),
            Change::Set { id, props } => self.set(op, id, props),
            Change::Edit { id } => self.edit(op, id),
            Change::Done { id } => self.done(op, id),
            Change::Chat { text } => self.say(op, text),
            Change::Forget { ids } => ids.iter().for_each(|id| self.forget(id)),
        }
    }

    fn add(&mut self, op: &Op, id: &str, kind: object::Kind, props: &Props) {
        if self.objects.contains_key(id) {
            return;
        }
        let object = Object::new(kind, op.by.clone(), props.clone());
        self.room += room_of(id, &object);
        self.objects.insert(id.to_owned(), object);
        self.note(op, Did::Add, kind, id);
    }

    fn set(&mut self, op: &Op, id: &str, props: &Props) {
        let Some(object) = self.objects.get_mut(id) else {
            return;
        };
        let has_size = props.text.is_some() || props.points.is_some();
        let room = |object: &Object| if has_size { room_of(id, object) } else { 0 };
        let (was_deleted, room_before) = (object.deleted, room(object));
        let has_new_text = object.set(&op.by, props);
        let (kind, is_deleted) = (object.kind, object.deleted);
        self.room += room(object);
        self.room -= room_before;
        if has_new_text {
            self.note(op, Did::Text, kind, id);
        }
        if is_deleted && !was_deleted {
            self.note(op, Did::Remove, kind, id);
            self.deleted.push_back(id.to_owned());
            if self.deleted.len() > MAX_DELETED
                && let Some(first) = self.deleted.pop_front()
            {
                self.remove(&first);
            }
        }
        if was_deleted && !is_deleted {
            self.note(op, Did::Restore, kind, id);
            self.deleted.retain(|deleted| deleted != id);
        }
    }

    fn edit(&mut self, op: &Op, id: &str) {
        if let Some(object) = self.objects.get_mut(id) {
            let is_free = object.kind == object::Kind::Note && !object.deleted;
            if is_free && !object.is_edited_by_other(&op.by) {
                object.editing = Some(op.by.clone());
            }
        }
    }

    fn done(&mut self, op: &Op, id: &str) {
        if let Some(object) = self.objects.get_mut(id) {
            object.editing.take_if(|editing| *editing == op.by);
        }
    }

    fn say(&mut self, op: &Op, text: &str) {
        self.chat.push(Said {
            by: op.by.clone(),
            name: op.name.clone(),
            at: op.at,
            text: text.to_owned(),
        });
        self.chat.keep_bytes(MAX_CHAT_BYTES);
    }

    /// What was restored since stays.
    fn forget(&mut self, id: &str) {
        if self.objects.get(id).is_some_and(|object| object.deleted) {
            self.deleted.retain(|deleted| deleted != id);
            self.remove(id);
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(object) = self.objects.remove(id) {
            self.room -= room_of(id, &object);
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
        let room = objects.iter().map(|(id, object)| room_of(id, object)).sum();
        let mut chat: Newest<_, MAX_CHAT> = chat.into_iter().collect();
        chat.keep_bytes(MAX_CHAT_BYTES);
        Self {
            objects,
            deleted,
            chat,
            activity: activity.into_iter().collect(),
            seen,
            room,
        }
    }
}

/// What an object takes at the most in a board's JSON, in bytes, whatever its numbers are and whoever edits it: so who moves, paints or locks it needs no
/// room.
fn room_of(id: &str, object: &Object) -> usize {
    id.len() + object.by.len() + text_room(object) + weight(&object.points()) + NUMBERS_ROOM
}

fn text_room(object: &Object) -> usize {
    weight(&object.text())
}

/// What an object has beside its id, its maker, its text and its points, at the most.
const NUMBERS_ROOM: usize = 192;

/// How much of the chat is kept: what one scrolls back to.
const MAX_CHAT: usize = 200;

/// The same, as JSON in bytes: 200 times what people say at once, which is a line or two; of long speeches fewer.
const MAX_CHAT_BYTES: usize = 64 << 10;

/// How many deeds are kept.
const MAX_ACTIVITY: usize = 100;

/// How many deleted objects are kept, for those who undo that. Past it the one that was deleted first is forgotten.
const MAX_DELETED: usize = 500;

#[cfg(test)]
mod grows;
#[cfg(test)]
mod tests;
