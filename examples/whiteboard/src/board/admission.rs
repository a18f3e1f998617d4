//! What a board lets in: whose texts are edited, and how much there may be.
//!
//! Only who publishes asks. The reducer never does: what stands in the log is applied, whatever the limits were where it was published.

use std::collections::HashMap;

use super::change::Change;
use super::weight::weight;
use super::{Board, entry_bytes, object::Object};

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
    /// There is no room for it.
    #[error("the board is full: it has at most {max} {what}")]
    Full { what: &'static str, max: usize },
}

/// By how much a board grows, at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Growth {
    /// Objects that are not deleted.
    pub(crate) objects: usize,
    /// Bytes of JSON that somebody wrote. What a number gains by a digit, and lists that are bounded, are not counted: there is room for them
    /// beyond [`MAX_BOARD_BYTES`].
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

impl Board {
    /// Whether changes of a user may be published while others, by which the board grows so much, are under way. Answers by how much it
    /// grows. Who takes away, moves or paints finds no board full.
    ///
    /// # Errors
    ///
    /// The first reason why they may not.
    pub(crate) fn admit(&self, by: &str, changes: &[Change], under_way: Growth) -> Result<Growth, Refused> {
        let mut growth = Growth::default();
        // What becomes of objects by the changes before: whether they are there, and live.
        let mut live: HashMap<&str, Option<bool>> = HashMap::new();
        let mut objects_less = 0;
        let mut bytes_less = 0;
        for (index, change) in changes.iter().enumerate() {
            let state_of = |id: &str| self.object(id).map(|object| !object.deleted);
            match change {
                Change::Add { id, kind, props } => {
                    let state = live.entry(id).or_insert_with(|| state_of(id));
                    if state.is_none() {
                        *state = Some(true);
                        growth.objects += 1;
                        growth.bytes += entry_bytes(id, &Object::new(*kind, by.to_owned(), props.clone()));
                    }
                }
                Change::Set { id, props } => {
                    let object = self.object(id);
                    if let Some(object) = object
                        && let Some(rule) = object.lacks(props)
                    {
                        let change = index + 1;
                        return Err(Refused::Bad(format!("change {change}: `set`: {rule}")));
                    }
                    if props.text.is_some() {
                        self.check_lock(by, id, index)?;
                    }
                    if let Some(text) = &props.text {
                        growth.bytes += weight(text);
                        bytes_less += object.and_then(Object::text).map_or(0, weight);
                    }
                    let state = live.entry(id).or_insert_with(|| state_of(id));
                    match (*state, props.deleted) {
                        (Some(true), Some(true)) => {
                            *state = Some(false);
                            objects_less += 1;
                        }
                        (Some(false), Some(false)) => {
                            *state = Some(true);
                            growth.objects += 1;
                        }
                        _ => {}
                    }
                }
                Change::Edit { id } => self.check_lock(by, id, index)?,
                Change::Done { .. } => {}
                Change::Chat { text } => growth.bytes += weight(text) + SAID_BYTES,
            }
        }
        growth.objects = growth.objects.saturating_sub(objects_less);
        growth.bytes = growth.bytes.saturating_sub(bytes_less);
        let all = under_way + growth;
        if growth.objects > 0 && self.live_objects() + all.objects > MAX_OBJECTS {
            return Err(Refused::Full {
                what: "objects",
                max: MAX_OBJECTS,
            });
        }
        if growth.bytes > 0 && self.bytes() + all.bytes > MAX_BOARD_BYTES {
            return Err(Refused::Full {
                what: "bytes",
                max: MAX_BOARD_BYTES,
            });
        }
        Ok(growth)
    }

    fn check_lock(&self, by: &str, id: &str, index: usize) -> Result<(), Refused> {
        match self.object(id) {
            Some(object) if object.is_edited_by_other(by) => Err(Refused::Locked {
                change: index + 1,
                id: id.to_owned(),
                by: object.editing.clone().unwrap_or_default(),
            }),
            _ => Ok(()),
        }
    }
}

/// The most objects that are not deleted: a page draws each of them.
pub(crate) const MAX_OBJECTS: usize = 3_000;

/// The most bytes of a board as JSON, beyond which nothing is added to it: 768 KiB. With what is not counted it stays below the 1 MiB
/// that a message of NATS has by default.
pub(crate) const MAX_BOARD_BYTES: usize = 768 << 10;

/// What something said has around its text, in bytes: who, as what, and when, with the longest name.
const SAID_BYTES: usize = 240;
