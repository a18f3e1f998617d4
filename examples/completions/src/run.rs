//! Runs: each an answer under way, on a channel of its own, whoever listens.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use dualcast::{Channel, Hub, LogLimits, Message, PublishError};
use serde::Serialize;
use tokio::time;

use crate::chunk::{Asked, Chunks};
use crate::failure::{self, Failure};
use crate::model;

/// The longest answer, in words. Its messages fit into one log.
pub(crate) const MAX_WORDS: usize = 4_000;

/// How long an answer is where nobody says, in words.
const WORDS: usize = 100;

/// How many runs there may be at once, with those that are over and still kept. Each holds a log.
const MAX_RUNS: usize = 1_000;

/// All runs that somebody may ask for.
#[derive(Clone)]
pub(crate) struct Runs {
    hub: Hub,
    pace: Duration,
    /// By the names of their channels. A name that is not here would wait for messages that never come.
    known: Arc<Mutex<HashSet<String>>>,
}

impl Runs {
    pub(crate) fn new(hub: Hub, pace: Duration) -> Self {
        Self {
            hub,
            pace,
            known: Arc::default(),
        }
    }

    /// Starts a run, which goes on to its end. Whoever knows the name of its channel may listen, so it can't be guessed.
    pub(crate) fn start(&self, asked: &Asked) -> Result<Channel, Failure> {
        let words = asked.max_tokens.unwrap_or(WORDS);
        if words > MAX_WORDS {
            let message = format!("max_tokens is at most {MAX_WORDS}, this one is {words}");
            return Err(Failure::new(StatusCode::BAD_REQUEST, "too_long", message));
        }
        let id = new_id()?;
        let channel = self.hub.channel(("run", &id)).map_err(dualcast::Error::from)?;
        let listed = self.list(&channel)?;
        let prompt = asked.messages.last().map_or("", |said| said.content.as_str());
        let mut answer = model::answer(prompt, words, self.pace);
        let chunks = Chunks::new(format!("chatcmpl-{id}"), asked.model.clone());
        let publisher = channel.clone();
        tokio::spawn(async move {
            let _listed = listed;
            let published = async {
                publish(&publisher, &chunks.role()).await?;
                while let Some(word) = answer.recv().await {
                    publish(&publisher, &chunks.word(&word)).await?;
                }
                publish(&publisher, &chunks.end("stop")).await
            };
            if let Err(error) = end(&publisher, published.await).await {
                eprintln!("{} can't be ended: {error}", publisher.name());
            }
            // As long as its log is kept.
            time::sleep(LogLimits::default().max_age).await;
        });
        Ok(channel)
    }

    /// A run by the name of its channel.
    pub(crate) fn find(&self, name: &str) -> Result<Channel, Failure> {
        if !self.known().contains(name) {
            let message = format!("there is no run {name}, or it is no longer kept");
            return Err(Failure::new(StatusCode::NOT_FOUND, "no_such_run", message));
        }
        Ok(self.hub.channel(name).map_err(dualcast::Error::from)?)
    }

    fn list(&self, channel: &Channel) -> Result<Listed, Failure> {
        let name = channel.name().as_str().to_owned();
        let mut known = self.known();
        if known.len() >= MAX_RUNS {
            let message = format!("there are {MAX_RUNS} runs already");
            return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "busy", message));
        }
        known.insert(name.clone());
        Ok(Listed {
            runs: self.clone(),
            name,
        })
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is known, for as long as this is there.
struct Listed {
    runs: Runs,
    name: String,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.runs.known().remove(&self.name);
    }
}

/// Ends a run. One that failed says so first: by the `[DONE]` alone it would pass for whole.
async fn end(channel: &Channel, published: Result<(), PublishError>) -> Result<(), PublishError> {
    if let Err(error) = published {
        publish(channel, &failure::object("run_failed", &error.to_string())).await?;
    }
    channel.finish().await.map(drop)
}

/// As `message`, which has no `event:` line: what clients of OpenAI's API are used to.
async fn publish(channel: &Channel, chunk: &impl Serialize) -> Result<(), PublishError> {
    // A chunk is strings and numbers: that it can't be written doesn't happen.
    let Ok(message) = Message::json("message", chunk) else {
        return Ok(());
    };
    channel.publish(message).await.map(drop)
}

/// 128 random bits, as text.
fn new_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "no_randomness",
            error.to_string(),
        )
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
