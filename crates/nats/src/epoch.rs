//! Which life of the log it is: an entry that all nodes share.
//!
//! The stream itself doesn't tell. One that was restored from a disk's snapshot has the same name and the same time of creation, and hands out
//! sequences again. So there is an entry beside it, which whoever finds the log to be another replaces, by compare-and-set: of several
//! nodes that find it at once one succeeds, and the others take what it wrote. Generations only rise, so a node tells a later life from
//! the one that it knows. Where the entry is lost, and nothing else, whoever runs puts it back.
//!
//! It is one key in a key-value bucket of its own, read from the bucket's leader: a replica that lags would hand out the life before.

use std::time::Duration;

use dualcast_core::Epoch;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time;

use crate::api::{Api, ApiError, WRONG_LAST};
use crate::bucket;
use crate::reads::leaders;
use crate::stored::Stored;
use crate::stream::{self, NOT_FOUND, State};

/// The epoch of a hub's log, as all its nodes know it.
#[derive(Debug, Clone)]
pub(crate) struct Epochs {
    api: Api,
    /// The stream whose log it is.
    log: String,
    replicas: usize,
    node_id: String,
}

/// One life of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Life {
    /// As it stands in positions.
    #[serde(with = "text")]
    pub(crate) epoch: Epoch,
    /// Above that of the life before.
    pub(crate) generation: u64,
    /// When the stream was made whose life it is, in nanoseconds since 1970.
    pub(crate) created_ns: i64,
    /// What stands after this sequence was never part of a life before.
    pub(crate) fresh_after: u64,
    /// The epochs of the lives before it, as far as they are remembered, the latest last.
    #[serde(default, with = "texts")]
    pub(crate) before: Vec<Epoch>,
    /// Which node began it.
    #[serde(default)]
    pub(crate) by: String,
}

impl Epochs {
    /// Those of this stream.
    pub(crate) fn new(api: Api, stream: &str, replicas: usize, node_id: &str) -> Self {
        Self {
            api,
            log: stream.to_owned(),
            replicas,
            node_id: node_id.to_owned(),
        }
    }

    /// The life that the stream has now. A node that comes from another life says which: it is not that.
    ///
    /// # Errors
    ///
    /// The request's, or that there was no end to it within its deadline.
    pub(crate) async fn settle(&self, before: Option<&Life>, state: &State) -> Result<Life, ApiError> {
        let settling = self.adopt_or_advance(before, state);
        self.within(self.api.deadline(), settling).await
    }

    /// The entry that is there. `None` where there is none, or none that makes sense. It stands in a stream of its own, which may be away when
    /// the log is not: so it is not waited for as long as for other answers.
    ///
    /// # Errors
    ///
    /// The request's, or that there was no answer in that time.
    pub(crate) async fn life(&self) -> Result<Option<Life>, ApiError> {
        self.within(MAX_LOOK, self.entry()).await
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let subject = self.subject();
        let late = |_| Err(ApiError::Deadline { subject, deadline });
        time::timeout(deadline, work).await.unwrap_or_else(late)
    }

    async fn entry(&self) -> Result<Option<Life>, ApiError> {
        match self.read().await {
            Ok((entry, _)) => Ok(entry),
            Err(error) if error.code() == Some(NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a life back whose entry somebody deleted, or replaced by an earlier one: else a node that starts would begin another.
    ///
    /// # Errors
    ///
    /// The request's.
    pub(crate) async fn keep(&self, life: &Life) -> Result<(), ApiError> {
        let (found, revision) = self.read_or_make().await?;
        if found.is_some_and(|found| found.generation >= life.generation) {
            return Ok(());
        }
        self.write(life, revision).await.map(drop)
    }

    async fn adopt_or_advance(&self, before: Option<&Life>, state: &State) -> Result<Life, ApiError> {
        let seen_generation = before.map_or(0, |life| life.generation);
        let mut state = state.clone();
        let mut asked_again = 0;
        loop {
            let (found, revision) = self.read_or_make().await?;
            let last = found.as_ref().map_or(0, |entry| entry.generation);
            if let Some(life) = &found
                && before.is_none_or(|before| life.replaces(before))
            {
                let is_of_it = life.created_ns == state.created_ns;
                if is_of_it && life.fresh_after <= state.last_sequence {
                    return Ok(life.clone());
                }
                // Another node may have begun it with a later look at the stream, or its leader, a new one, not have come so far yet. Else
                // it is of a stream that was, or the stream has lost what was there then, and what is stored at those numbers is fresh.
                if asked_again < MAX_ASKED_AGAIN {
                    if asked_again > 0 {
                        time::sleep(PAUSE).await;
                    }
                    asked_again += 1;
                    state = stream::state(&self.api, &self.log).await?;
                    continue;
                }
            }
            let next = Life {
                epoch: Epoch::random(),
                generation: last.max(seen_generation) + 1,
                created_ns: state.created_ns,
                // Whatever is there may have been there before.
                fresh_after: state.last_sequence,
                before: epochs_before(before, found.as_ref()),
                by: self.node_id.clone(),
            };
            if self.write(&next, revision).await? {
                return Ok(next);
            }
        }
    }

    /// Answers `false` where another was faster, or the bucket is gone.
    async fn write(&self, life: &Life, revision: u64) -> Result<bool, ApiError> {
        let text = json!(life).to_string();
        let written = self
            .api
            .publish_after(&self.subject(), revision, text.into())
            .await;
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.code().is_some_and(|code| WRONG_LAST.contains(&code)) => Ok(false),
            Err(ApiError::NobodyThere { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The entry and its revision, as below, in a bucket that is there.
    async fn read_or_make(&self) -> Result<(Option<Life>, u64), ApiError> {
        match self.read().await {
            Err(error) if error.code() == Some(NOT_FOUND) => {
                self.make_bucket().await?;
                Ok((None, 0))
            }
            read => read,
        }
    }

    /// The entry and its revision, which is 0 where there never was one.
    async fn read(&self) -> Result<(Option<Life>, u64), ApiError> {
        let last = json!({ "last_by_subj": self.subject() });
        match leaders(&self.api, &self.stream(), &last).await? {
            None => Ok((None, 0)),
            Some(stored) => Ok((Life::read(&stored), stored.sequence)),
        }
    }

    /// No larger than it needs to be.
    async fn make_bucket(&self) -> Result<(), ApiError> {
        let settings = bucket::Settings {
            name: &self.bucket(),
            description: "The epoch of a Dualcast hub's log",
            replicas: self.replicas,
            limits: json!({ "max_bytes": BUCKET_BYTES, "discard": "new" }),
        };
        bucket::make(&self.api, settings).await
    }

    fn bucket(&self) -> String {
        format!("{}_epoch", self.log)
    }

    fn stream(&self) -> String {
        bucket::stream(&self.bucket())
    }

    /// Where the entry stands.
    fn subject(&self) -> String {
        format!("$KV.{}.epoch", self.bucket())
    }
}

impl Life {
    /// Whether it is what became of another. Generations don't tell alone: of those whose entry was deleted two may have the same.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        self.generation > other.generation || self.generation == other.generation && self.epoch != other.epoch
    }

    /// `None` where it was deleted, or makes no sense.
    fn read(stored: &Stored) -> Option<Self> {
        let life: Self = serde_json::from_slice(&stored.payload).ok()?;
        // Core keeps zero for a place that is none.
        let is_one = life.epoch.to_string().bytes().any(|byte| byte != b'0');
        (is_one && life.generation > 0).then_some(life)
    }
}

/// Epochs as they stand in positions.
mod texts {
    use dualcast_core::Epoch;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(epochs: &[Epoch], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(epochs.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Epoch>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let epochs = texts.into_iter().map(|text| text.parse());
        epochs.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
    }
}

/// An epoch as it stands in positions.
mod text {
    use dualcast_core::Epoch;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(epoch: &Epoch, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(epoch)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Epoch, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What was before the life that follows these: the one that a node comes from, and the one that the entry told of.
fn epochs_before(left: Option<&Life>, told: Option<&Life>) -> Vec<Epoch> {
    let mut epochs = Vec::new();
    for life in [left, told].into_iter().flatten() {
        for epoch in life.before.iter().chain([&life.epoch]) {
            epochs.retain(|known| known != epoch);
            epochs.push(*epoch);
        }
    }
    epochs.drain(..epochs.len().saturating_sub(KEPT_EPOCHS));
    epochs
}

/// How often the stream is looked at again that seems to be another than the life's, and how long one waits before the next look.
const MAX_ASKED_AGAIN: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// For how long the entry is waited for.
const MAX_LOOK: Duration = Duration::from_secs(1);

/// How many epochs are remembered, as by a hub.
const KEPT_EPOCHS: usize = 16;

/// A hundred times what the entry has.
const BUCKET_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests;
