//! What a board lets in: whose texts are edited, and how much there may be.
//!
//! Only who publishes asks. The reducer never does: what stands in the log is applied, whatever the limits were where it was published. So a change is
//! weighed by the reducer itself, on a copy of what it is of, as it would be after the changes before it in the same message.

use std::collections::HashMap;

use super::change::{Change, Op};
use super::{Board, room_of, text_room};

/// Why changes were not published. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// A change breaks a rule.
    #[error("{0}")]
    Bad(String),
    /// Somebody else edits that text.
    #[error("change {change}: {by} is editing the text of `{id}`")]
    Locked {
        /// Which change, from 1 on.
        change: usize,
        id: String,
        by: String,
    },
    /// What should come back is not kept any more.
    #[error("change {change}: `{id}` was deleted, and is not kept any more")]
    Forgotten { change: usize, id: String },
    /// There is no room for it.
    #[error("the board is full: it has at most {max} {what}")]
    Full { what: &'static str, max: usize },
}

/// What may be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// What it may take while it is under way.
    pub(crate) growth: Growth,
    /// What is to be forgotten with it, to make room.
    pub(crate) forget: Vec<String>,
}

/// By how much a board grows, at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Growth {
    /// Objects that are not deleted.
    pub(crate) objects: usize,
    /// Room that objects take, in bytes.
    pub(crate) bytes: usize,
}

impl std::ops::Add for Growth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            objects: self.objects + other.objects,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl std::ops::Sub for Growth {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            objects: self.objects - other.objects,
            bytes: self.bytes - other.bytes,
        }
    }
}

/// What becomes of an object's room by a message.
#[derive(Default)]
struct Account {
    growth: isize,
    /// What its text takes that is replaced. Another message may have shortened it before this one is folded.
    replaced: usize,
}

impl Board {
    /// Whether changes of a user may be published while others, by which the board grows so much, are under way. Who takes away, moves, paints or talks
    /// finds no board full.
    ///
    /// # Errors
    ///
    /// The first reason why they may not.
    pub(crate) fn admit(&self, by: &str, changes: &[Change], under_way: Growth) -> Result<Admitted, Refused> {
        let op = Op {
            by: by.to_owned(),
            name: String::new(),
            sent: None,
            at: 0,
            changes: Vec::new(),
        };
        let mut then = self.only(changes);
        let live_now = then.live();
        let mut accounts = HashMap::<&str, Account>::new();
        for (index, change) in changes.iter().enumerate() {
            then.check(by, change, index + 1)?;
            let room = then.room;
            then.change(&op, change);
            let Some(id) = change.id() else {
                continue;
            };
            let account = accounts.entry(id).or_default();
            account.growth += then.room as isize - room as isize;
            if matches!(change, Change::Set { props, .. } if props.text.is_some()) {
                account.replaced = self.object(id).map_or(0, text_room);
            }
        }
        let objects = then.live().saturating_sub(live_now);
        if objects > 0 && self.live_objects() + under_way.objects + objects > MAX_OBJECTS {
            return Err(Refused::Full {
                what: "objects",
                max: MAX_OBJECTS,
            });
        }
        // What one object loses makes no room for another: somebody else may lock its text before this is folded.
        let growths = accounts.values().map(|account| account.growth.max(0) as usize);
        let growth: usize = growths.sum();
        let forget = match growth {
            0 => Vec::new(),
            _ => then.make_room(
                (self.room + under_way.bytes + growth).saturating_sub(MAX_OBJECT_BYTES),
                self,
            )?,
        };
        let replaced: usize = accounts.values().map(|account| account.replaced).sum();
        let bytes = growth + replaced;
        Ok(Admitted {
            growth: Growth { objects, bytes },
            forget,
        })
    }

    /// What matters of it to changes: a board with the objects that they name.
    fn only(&self, changes: &[Change]) -> Self {
        let named = changes.iter().filter_map(Change::id);
        let objects = named.filter_map(|id| Some((id.to_owned(), self.object(id)?.clone())));
        Self {
            objects: objects.collect(),
            deleted: self.deleted.clone(),
            room: self.room,
            ..Self::default()
        }
    }

    fn live(&self) -> usize {
        self.objects.values().filter(|object| !object.deleted).count()
    }

    fn check(&self, by: &str, change: &Change, number: usize) -> Result<(), Refused> {
        match change {
            Change::Set { id, props } => {
                let object = self.object(id);
                if let Some(rule) = object.and_then(|object| object.lacks(props)) {
                    return Err(Refused::Bad(format!("change {number}: `set`: {rule}")));
                }
                if props.text.is_some() || props.deleted == Some(true) {
                    self.check_lock(by, id, number)?;
                }
                match object {
                    None if props.deleted == Some(false) => Err(Refused::Forgotten {
                        change: number,
                        id: id.clone(),
                    }),
                    // Nodes that publish at once may have gone past the limit. Until there is room again nothing is kept from being forgotten.
                    Some(object)
                        if object.deleted && props.deleted == Some(false) && self.room > MAX_OBJECT_BYTES =>
                    {
                        Err(FULL)
                    }
                    _ => Ok(()),
                }
            }
            Change::Edit { id } => self.check_lock(by, id, number),
            Change::Add { .. } | Change::Done { .. } | Change::Chat { .. } | Change::Forget { .. } => Ok(()),
        }
    }

    fn check_lock(&self, by: &str, id: &str, change: usize) -> Result<(), Refused> {
        match self.object(id) {
            Some(object) if object.is_edited_by_other(by) => Err(Refused::Locked {
                change,
                id: id.to_owned(),
                by: object.editing.clone().unwrap_or_default(),
            }),
            _ => Ok(()),
        }
    }

    /// What has to be forgotten for so many bytes: what was deleted first, of those that are deleted then. The others are as they are now.
    fn make_room(&self, mut bytes: usize, now: &Self) -> Result<Vec<String>, Refused> {
        let mut forget = Vec::new();
        for id in &self.deleted {
            if bytes == 0 {
                break;
            }
            let object = self.object(id).or_else(|| now.object(id));
            bytes = bytes.saturating_sub(object.map_or(0, |object| room_of(id, object)));
            forget.push(id.clone());
        }
        if bytes > 0 { Err(FULL) } else { Ok(forget) }
    }
}

const FULL: Refused = Refused::Full {
    what: "bytes",
    max: MAX_OBJECT_BYTES,
};

/// The most objects that are not deleted: a page draws each of them.
pub(crate) const MAX_OBJECTS: usize = 3_000;

/// The most room that objects take, in bytes, beyond which nothing is added: 768 KiB.
pub(crate) const MAX_OBJECT_BYTES: usize = 768 << 10;

/// The most bytes of a board as JSON: its objects, the end of its chat, and what was deleted, done and seen last. With its position it stays below the
/// 1 MiB that a message of NATS has by default.
pub(crate) const MAX_BOARD_BYTES: usize = 960 << 10;
