//! The bucket: a stream of its own beside the log, made when it is needed, whose records live for a while.
//!
//! It is kept in files, as the log is: not every account may have memory. What a server loses of it the nodes write again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::api::{Api, ApiError};
use crate::bucket;
use crate::options::nanoseconds;
use crate::reads::{Portion, Reads};
use crate::shared::{Shared, Trouble};
use crate::stored::Stored;
use crate::stream::NOT_FOUND;

/// Where all nodes write whom they have.
pub(super) struct Bucket {
    shared: Arc<Shared>,
    api: Api,
    reads: Reads,
    name: String,
    stream: String,
    /// What the server said last of how large a message may be, in bytes.
    max_payload: AtomicUsize,
}

impl Bucket {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let name = format!("{}_presence", shared.stream.name());
        let stream = bucket::stream(&name);
        let api = shared.stream.api().clone();
        Self {
            reads: Reads::new(api.clone(), &stream),
            api,
            shared: Arc::clone(shared),
            name,
            stream,
            max_payload: AtomicUsize::new(USUAL_PAYLOAD),
        }
    }

    /// The subjects of all parts of all nodes.
    pub(super) fn every_part(&self) -> String {
        format!("$KV.{}.>", self.name)
    }

    /// Of which node a part is, and which of that, by its subject.
    pub(super) fn place(&self, subject: &str) -> Option<(Arc<str>, usize)> {
        let key = subject
            .strip_prefix("$KV.")?
            .strip_prefix(&*self.name)?
            .strip_prefix('.')?;
        let (node, number) = key.split_once('.')?;
        Some((node.into(), number.parse().ok()?))
    }

    /// Makes it where there is none. It answers only while the broker does.
    pub(super) async fn open(&self) -> Result<(), ApiError> {
        loop {
            let told = self
                .api
                .ask::<Told>(&format!("STREAM.INFO.{}", self.stream), &json!({}))
                .await;
            match told {
                Ok(told) => {
                    let ours = nanoseconds(self.shared.options.presence_lifetime);
                    if ours != Some(told.config.max_age) {
                        // Made otherwise, or by nodes with another lifetime: whoever starts may find fewer there, or none.
                        tracing::debug!(
                            max_age_ns = told.config.max_age,
                            "the bucket for presence has another `max_age`"
                        );
                    }
                    return Ok(());
                }
                Err(error) if error.code() == Some(NOT_FOUND) => self.make().await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn make(&self) -> Result<(), ApiError> {
        let settings = bucket::Settings {
            name: &self.name,
            description: "Who is present on a Dualcast hub's channels",
            replicas: self.shared.options.stream.replicas,
            // Not so many bytes set aside: it has what the nodes have.
            limits: json!({
                "max_bytes": -1,
                "max_age": nanoseconds(self.shared.options.presence_lifetime),
                "discard": "old",
            }),
        };
        bucket::make(&self.api, settings).await
    }

    /// All parts that are there, with their ages.
    pub(super) async fn read(&self) -> Result<Vec<(Stored, Duration)>, Trouble> {
        let deadline = Instant::now() + self.api.deadline();
        let state = self.reads.state().await?;
        // Where somebody has it keep more, the last of each.
        let mut parts = HashMap::new();
        let mut next = state.first_sequence;
        while next <= state.last_sequence {
            let range = next..=state.last_sequence;
            let stretch = self.reads.stretch(range, PORTION, deadline).await?;
            let read = stretch.records.last().map_or(0, |record| record.sequence);
            let absent = stretch.absent.last().map_or(0, |absent| *absent.end());
            next = read.max(absent) + 1;
            parts.extend(
                stretch
                    .records
                    .into_iter()
                    .map(|part| (part.subject.clone(), part)),
            );
        }
        let parts = parts.into_values().map(|part| {
            let age = u64::try_from(state.now_ns - part.timestamp_ns).unwrap_or(0);
            (part, Duration::from_nanos(age))
        });
        Ok(parts.collect())
    }

    /// Writes a part of this node's.
    pub(super) async fn write(&self, number: usize, part: Vec<u8>) -> Result<(), ApiError> {
        let subject = format!("$KV.{}.{}.{number}", self.name, self.shared.node_id);
        self.api.publish(&subject, part.into()).await
    }

    /// How large a message may be, in bytes, as the server said last.
    pub(super) fn max_payload(&self) -> usize {
        let client = self.shared.live.client().now_or_never().and_then(Result::ok);
        if let Some(said) = client.map(|client| client.max_payload()).filter(|said| *said > 0) {
            self.max_payload.store(said.max(LEAST_PAYLOAD), Ordering::Relaxed);
        }
        self.max_payload.load(Ordering::Relaxed)
    }
}

#[derive(Deserialize)]
struct Told {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    max_age: i64,
}

/// By default.
const USUAL_PAYLOAD: usize = 1 << 20;

/// Below that nobody fits in.
const LEAST_PAYLOAD: usize = 4 << 10;

const PORTION: Portion = Portion {
    max_records: 1_000,
    max_bytes: 8 << 20,
};
