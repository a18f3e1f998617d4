//! Changes: what one does to a board, and the message in which they are logged.

use serde::{Deserialize, Serialize};

use super::object::{Kind, Props};

/// One thing done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) enum Change {
    /// A new object.
    Add { id: String, kind: Kind, props: Props },
    /// Other properties: of each by itself the last in the log holds.
    Set { id: String, props: Props },
    /// A note's text is edited, and nobody else can meanwhile.
    Edit { id: String },
    /// No longer.
    Done { id: String },
    /// Something said.
    Chat { text: String },
    /// Deleted objects are no longer kept. The server alone says so, where room is needed for what the message has.
    Forget { ids: Vec<String> },
}

impl Change {
    /// Of which object it is. None where it is of none, or of several.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Add { id, .. } | Self::Set { id, .. } | Self::Edit { id } | Self::Done { id } => Some(id),
            Self::Chat { .. } | Self::Forget { .. } => None,
        }
    }

    /// As a page calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Set { .. } => "set",
            Self::Edit { .. } => "edit",
            Self::Done { .. } => "done",
            Self::Chat { .. } => "chat",
            Self::Forget { .. } => "forget",
        }
    }
}

/// Changes, as they are logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Op {
    /// Which user.
    pub(crate) by: String,
    /// As the user is called.
    pub(crate) name: String,
    /// Which page, and its how many-eth op it is. None where the server itself did it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<Sent>,
    /// When it was logged, in milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) changes: Vec<Change>,
}

/// A page and a number: the same again is a repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) client: String,
    pub(crate) n: u64,
}

/// A change as it stands in JSON: the name of what is done is the key of the object to which it is done.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forget: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    props: Option<Props>,
}

const NOTHING: Written = Written {
    add: None,
    set: None,
    edit: None,
    done: None,
    chat: None,
    forget: None,
    kind: None,
    props: None,
};

impl TryFrom<Written> for Change {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written {
            add,
            set,
            edit,
            done,
            chat,
            forget,
            kind,
            props,
        } = written;
        match (add, set, edit, done, chat, forget, kind, props) {
            (Some(id), None, None, None, None, None, Some(kind), Some(props)) => {
                Ok(Self::Add { id, kind, props })
            }
            (None, Some(id), None, None, None, None, None, Some(props)) => Ok(Self::Set { id, props }),
            (None, None, Some(id), None, None, None, None, None) => Ok(Self::Edit { id }),
            (None, None, None, Some(id), None, None, None, None) => Ok(Self::Done { id }),
            (None, None, None, None, Some(text), None, None, None) => Ok(Self::Chat { text }),
            (None, None, None, None, None, Some(ids), None, None) => Ok(Self::Forget { ids }),
            _ => Err(
                "a change is `add` with `kind` and `props`, `set` with `props`, or `edit`, `done` or `chat` alone",
            ),
        }
    }
}

impl From<Change> for Written {
    fn from(change: Change) -> Self {
        match change {
            Change::Add { id, kind, props } => Self {
                add: Some(id),
                kind: Some(kind),
                props: Some(props),
                ..NOTHING
            },
            Change::Set { id, props } => Self {
                set: Some(id),
                props: Some(props),
                ..NOTHING
            },
            Change::Edit { id } => Self {
                edit: Some(id),
                ..NOTHING
            },
            Change::Done { id } => Self {
                done: Some(id),
                ..NOTHING
            },
            Change::Chat { text } => Self {
                chat: Some(text),
                ..NOTHING
            },
            Change::Forget { ids } => Self {
                forget: Some(ids),
                ..NOTHING
            },
        }
    }
}
