//! The bucket: a stream of its own beside the log, made when it is needed, whose records live for a while.
//!
//! It is kept in memory: what a server loses of it when it restarts the nodes write again.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{Api, ApiError};
use crate::epoch::NAME_TAKEN;
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
}

impl Bucket {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let name = format!("{}_presence", shared.stream.name());
        let stream = format!("KV_{name}");
        let api = shared.stream.api().clone();
        Self {
            reads: Reads::new(api.clone(), &stream),
            api,
            shared: Arc::clone(shared),
            name,
            stream,
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

    /// Makes it where there is none. Answers for how long a part is kept there.
    pub(super) async fn open(&self) -> Result<Duration, Trouble> {
        loop {
            match self
                .api
                .ask::<Told>(&format!("STREAM.INFO.{}", self.stream), &json!({}))
                .await
            {
                Ok(told) => {
                    let ours = self.shared.options.presence_lifetime;
                    // Somebody may have made it otherwise.
                    let theirs = u64::try_from(told.config.max_age).unwrap_or(0);
                    return Ok(match theirs {
                        0 => ours,
                        theirs => ours.min(Duration::from_nanos(theirs)),
                    });
                }
                Err(error) if error.code() == Some(NOT_FOUND) => self.make().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As any tool makes a bucket.
    async fn make(&self) -> Result<(), ApiError> {
        let config = json!({
            "name": self.stream,
            "description": "Who is present on a Dualcast hub's channels",
            "subjects": [self.every_part()],
            "retention": "limits",
            "storage": "memory",
            "num_replicas": self.shared.options.stream.replicas,
            "max_msgs_per_subject": 1,
            "max_bytes": MAX_BYTES,
            "max_age": nanoseconds(self.shared.options.presence_lifetime),
            "discard": "old",
            "allow_rollup_hdrs": true,
            "allow_direct": true,
            "deny_delete": true,
        });
        match self
            .api
            .ask::<Value>(&format!("STREAM.CREATE.{}", self.stream), &config)
            .await
        {
            Err(error) if error.code() == Some(NAME_TAKEN) => Ok(()),
            made => made.map(drop),
        }
    }

    /// All parts that are there, with their ages.
    pub(super) async fn read(&self) -> Result<Vec<(Stored, Duration)>, Trouble> {
        let deadline = Instant::now() + self.api.deadline();
        let state = self.reads.state().await?;
        let mut parts = Vec::new();
        let mut next = state.first_sequence;
        while next <= state.last_sequence {
            let stretch = self
                .reads
                .stretch(next..=state.last_sequence, PORTION, deadline)
                .await?;
            let read = stretch.records.last().map_or(0, |record| record.sequence);
            let absent = stretch.absent.last().map_or(0, |absent| *absent.end());
            next = read.max(absent) + 1;
            parts.extend(stretch.records);
        }
        let age = |part: &Stored| u64::try_from(state.now_ns - part.timestamp_ns).unwrap_or(0);
        let parts = parts.into_iter().map(|part| {
            let age = Duration::from_nanos(age(&part));
            (part, age)
        });
        Ok(parts.collect())
    }

    /// Writes a part of this node's.
    pub(super) async fn write(&self, number: usize, part: Vec<u8>) -> Result<(), ApiError> {
        let subject = format!("$KV.{}.{}.{number}", self.name, self.shared.node_id);
        self.api.publish(&subject, part.into()).await
    }

    /// How large a part may be, in bytes: the server takes no larger message, and the larger a part, the more is written again for each who
    /// comes.
    pub(super) async fn max_part_bytes(&self) -> Result<usize, Trouble> {
        let max_payload = self.shared.live.client().await?.max_payload();
        Ok(MAX_PART_BYTES.min(max_payload / 2))
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

/// Some five hundred members with a name and a colour.
const MAX_PART_BYTES: usize = 64 << 10;

/// What all nodes together may hold there: half a million such members.
const MAX_BYTES: u64 = 64 << 20;

const PORTION: Portion = Portion {
    max_records: 1_000,
    max_bytes: 8 << 20,
};
