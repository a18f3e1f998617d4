//! What people type: one handler for WebSocket messages and for the companion POST.

use std::sync::Arc;

use axum::http::StatusCode;
use dualcast::{Error, Inbound, InboundHandler, Position};
use serde::Serialize;

use crate::journal::Journal;

/// The longest note, in characters.
const MAX_CHARACTERS: usize = 280;

/// By which way a note came. An application would have a user here.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    WebSocket,
    Post,
}

/// What is published of a note.
#[derive(Serialize)]
struct Note<'a> {
    text: &'a str,
    by: Way,
}

/// The handler, for messages that come by this way.
pub(crate) fn handler(journal: Arc<Journal>, by: Way) -> impl InboundHandler {
    move |message: Inbound| {
        let journal = Arc::clone(&journal);
        async move { publish(&journal, by, &message).await }
    }
}

async fn publish(journal: &Journal, by: Way, message: &Inbound) -> Result<Position, Error> {
    if message.event != "note" {
        return Err(refusal(format!("expected a note, not {:?}", message.event)));
    }
    let text = message.text()?.trim();
    match text.chars().count() {
        0 => Err(refusal("there is nothing in this note")),
        length if length > MAX_CHARACTERS => Err(refusal(format!(
            "a note has at most {MAX_CHARACTERS} characters, this one has {length}"
        ))),
        _ => {
            let key = message.key.as_deref();
            journal.publish_once("note", Note { text, by }, key).await
        }
    }
}

fn refusal(message: impl Into<String>) -> Error {
    Error::new(StatusCode::BAD_REQUEST, "bad-note", message.into())
}
