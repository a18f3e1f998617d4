//! What goes in and comes out, as clients of OpenAI's API write and read it: as much of that as a stream of words needs.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A request for a completion. What else clients send is passed over.
#[derive(Deserialize)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) messages: Vec<Said>,
    #[serde(default, alias = "max_completion_tokens")]
    pub(crate) max_tokens: Option<usize>,
    #[serde(default)]
    pub(crate) stream: bool,
}

/// What somebody said before.
#[derive(Deserialize)]
pub(crate) struct Said {
    pub(crate) content: String,
}

/// A piece of the answer.
#[derive(Serialize)]
pub(crate) struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

/// Writes the pieces of one answer.
pub(crate) struct Chunks {
    pub(crate) id: String,
    model: String,
    created: u64,
}

impl Chunks {
    pub(crate) fn new(id: String, model: String) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH);
        let created = created.map_or(0, |since| since.as_secs());
        Self { id, model, created }
    }

    /// Who speaks.
    pub(crate) fn role(&self) -> Chunk<'_> {
        let delta = Delta {
            role: Some("assistant"),
            content: Some(""),
        };
        self.chunk(delta, None)
    }

    pub(crate) fn word<'a>(&'a self, content: &'a str) -> Chunk<'a> {
        let delta = Delta {
            content: Some(content),
            ..Delta::default()
        };
        self.chunk(delta, None)
    }

    /// That nothing follows, and why.
    pub(crate) fn end(&self, reason: &'static str) -> Chunk<'_> {
        self.chunk(Delta::default(), Some(reason))
    }

    fn chunk<'a>(&'a self, delta: Delta<'a>, finish_reason: Option<&'static str>) -> Chunk<'a> {
        let choice = Choice {
            index: 0,
            delta,
            finish_reason,
        };
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices: [choice],
        }
    }
}
