//! Objects: what lies on a board, and its properties.

use serde::{Deserialize, Deserializer, Serialize};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Note,
    Stroke,
    Rect,
    Ellipse,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Stroke => "stroke",
            Self::Rect => "rect",
            Self::Ellipse => "ellipse",
        }
    }
}

/// Properties that a change gives to an object: those that are there. A number is wide enough for what is out of its range, so that the
/// range can be named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Props {
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) x: Option<i64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) y: Option<i64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) w: Option<i64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) h: Option<i64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) color: Option<i64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) z: Option<i64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) width: Option<i64>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<bool>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(crate) points: Option<Vec<i32>>,
}

/// An object, with all the properties of its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    /// Who made it.
    pub(crate) by: String,
    /// All but `deleted`, which each has.
    #[serde(flatten)]
    props: Props,
    pub(crate) deleted: bool,
    /// Who edits its text.
    pub(crate) editing: Option<String>,
}

impl Object {
    /// One that has just been added.
    pub(crate) fn new(kind: Kind, by: String, mut props: Props) -> Self {
        props.deleted = None;
        Self {
            kind,
            by,
            props,
            deleted: false,
            editing: None,
        }
    }

    /// Its text, of a note.
    pub(crate) fn text(&self) -> Option<&str> {
        self.props.text.as_deref()
    }

    /// Where it goes, of a stroke.
    pub(crate) fn points(&self) -> Option<&[i32]> {
        self.props.points.as_deref()
    }

    /// Whether somebody else edits its text.
    pub(crate) fn is_edited_by_other(&self, user: &str) -> bool {
        self.editing.as_deref().is_some_and(|editing| editing != user)
    }

    /// Which of these properties its kind doesn't have, as a rule for people.
    pub(crate) fn lacks(&self, props: &Props) -> Option<String> {
        let (is_note, is_stroke) = (self.kind == Kind::Note, self.kind == Kind::Stroke);
        let foreign = [
            ("text", props.text.is_some() && !is_note),
            ("w", props.w.is_some() && is_stroke),
            ("h", props.h.is_some() && is_stroke),
        ];
        let (name, _) = foreign.into_iter().find(|(_, is_foreign)| *is_foreign)?;
        Some(format!("a {} has no `{name}`", self.kind.name()))
    }

    /// Gives it properties. The text stays as it is where somebody else edits it; answers whether it is another now.
    pub(crate) fn set(&mut self, user: &str, props: &Props) -> bool {
        let is_edited_by_other = self.is_edited_by_other(user);
        let own = &mut self.props;
        for (own, given) in [
            (&mut own.x, props.x),
            (&mut own.y, props.y),
            (&mut own.w, props.w),
            (&mut own.h, props.h),
            (&mut own.color, props.color),
            (&mut own.z, props.z),
            (&mut own.width, props.width),
        ] {
            *own = given.or(*own);
        }
        if let Some(points) = &props.points {
            own.points = Some(points.clone());
        }
        let has_new_text = props.text.is_some() && own.text != props.text && !is_edited_by_other;
        if has_new_text {
            own.text.clone_from(&props.text);
        }
        if let Some(deleted) = props.deleted {
            self.deleted = deleted;
            if deleted {
                self.editing = None;
            }
        }
        has_new_text
    }
}

/// What is there must be something: `null` is no number.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
