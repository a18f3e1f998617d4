//! The stream that is a hub's log: made, or checked, and asked how it stands.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Api, ApiError};
use crate::options::{Existing, NatsOptions};
use crate::settings::{Difference, Settings, listed};
use crate::stamp::nanoseconds_since_1970;
use crate::subjects::Subjects;

/// A hub's stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    api: Api,
    name: String,
}

/// How a stream stands, as its leader says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Of the oldest record; of an empty stream one more than the last.
    pub(crate) first_sequence: u64,
    /// Of the newest record that there ever was, 0 before the first.
    pub(crate) last_sequence: u64,
    /// When that was stored, in nanoseconds since 1970.
    pub(crate) last_timestamp_ns: i64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// How many records are missing between the first and the last. Above zero nothing can be proved from these two.
    pub(crate) deleted: u64,
    /// When the stream was made, in nanoseconds since 1970.
    pub(crate) created_ns: i64,
    /// What the leader's clock said, in nanoseconds since 1970.
    pub(crate) now_ns: i64,
    /// Which server said so.
    pub(crate) leader: Option<String>,
}

impl State {
    /// Whether the same server said this of the same stream. Else what was told in between may be of neither.
    pub(crate) fn is_told_by_same(&self, other: &Self) -> bool {
        self.leader == other.leader && self.created_ns == other.created_ns
    }
}

/// Why there is no stream to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// JetStream is off, for the server or for our account.
    #[error("the server has no JetStream for us: {source}")]
    NoJetStream {
        /// What it said.
        source: ApiError,
    },
    /// The server is too old.
    #[error("the server is of version {found}, at least {needed} is needed to read a stream in pages")]
    TooOld {
        /// Its version.
        found: String,
        /// The oldest that serves.
        needed: &'static str,
    },
    /// The stream is there with other settings, and is not to be touched: see [`Existing`].
    #[error("the stream {stream} is there with other settings: {}", listed(differences))]
    Differs {
        /// Its name.
        stream: String,
        /// Each setting that differs.
        differences: Vec<Difference>,
    },
    /// The stream is there, and as it is messages could be lost from it in silence.
    #[error("the stream {stream} can't serve as a log: {}", listed(differences))]
    Unfit {
        /// Its name.
        stream: String,
        /// Each setting that can't be taken as it is.
        differences: Vec<Difference>,
    },
    /// The stream is there with other settings, and the server doesn't let them be changed.
    #[error(
        "the server doesn't change the stream {stream}: {source}; {}",
        listed(differences)
    )]
    Unchangeable {
        /// Its name.
        stream: String,
        /// Each setting that was to be changed.
        differences: Vec<Difference>,
        /// What it said.
        source: ApiError,
    },
    /// Another stream takes messages on our subjects.
    #[error("the stream {stream} can't have the subjects {subjects}: {} has them", others.join(", "))]
    Overlap {
        /// The name of ours.
        stream: String,
        /// What it should have.
        subjects: String,
        /// Which streams have them, as far as we may know.
        others: Vec<String>,
    },
    /// A limit of the server or of our account is reached: streams, bytes, replicas.
    #[error("there is no room for the stream {stream}: {source}")]
    NoRoom {
        /// Its name.
        stream: String,
        /// What the server said.
        source: ApiError,
    },
    /// The server doesn't answer, doesn't let us, or refuses for another reason.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Stream {
    /// Makes the stream, or checks the one that is there. Several nodes may do so at once.
    ///
    /// # Errors
    ///
    /// [`StreamError`] says why there is none to work with.
    pub(crate) async fn open(
        api: Api,
        subjects: &Subjects,
        options: &NatsOptions,
    ) -> Result<Self, StreamError> {
        check_version(&api).await?;
        let settings = Settings::new(options.stream_name(), subjects, &options.stream);
        let name = settings.name().to_owned();
        for _ in 0..ATTEMPTS {
            match info(&api, &name).await {
                Ok(info) => settle(&api, &settings, &info, options.stream.existing).await?,
                Err(error) if error.code() == Some(NOT_FOUND) => {
                    match api
                        .ask::<Info>(&format!("STREAM.CREATE.{name}"), &settings.config())
                        .await
                    {
                        // Another node made it at this moment, otherwise than we would.
                        Err(error) if error.code() == Some(NAME_TAKEN) => continue,
                        Err(error) => return Err(refused(&api, &name, subjects, error).await),
                        Ok(_) => {}
                    }
                }
                Err(error) => return Err(refused(&api, &name, subjects, error).await),
            }
            return Ok(Self { api, name });
        }
        // It is made and deleted all the time.
        Err(info(&api, &name)
            .await
            .err()
            .unwrap_or_else(|| unsettled(&api, &name))
            .into())
    }

    /// By what it is asked.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it stands now, as its leader says.
    ///
    /// # Errors
    ///
    /// [`ApiError`], with [`NOT_FOUND`] where the stream is gone.
    pub(crate) async fn state(&self) -> Result<State, ApiError> {
        state(&self.api, &self.name).await
    }
}

/// How a stream stands now, as its leader says.
///
/// # Errors
///
/// As [`Stream::state`].
pub(crate) async fn state(api: &Api, name: &str) -> Result<State, ApiError> {
    let Info {
        state,
        created,
        ts,
        cluster,
        ..
    } = info(api, name).await?;
    let time = |text: &str| nanoseconds_since_1970(text).unwrap_or_default();
    Ok(State {
        first_sequence: state.first_seq.max(1),
        last_sequence: state.last_seq,
        // Before the first record servers say the year 1.
        last_timestamp_ns: if state.last_seq == 0 {
            0
        } else {
            time(&state.last_ts)
        },
        records: state.messages,
        bytes: state.bytes,
        deleted: state.num_deleted,
        created_ns: time(&created),
        now_ns: time(&ts),
        leader: cluster.and_then(|cluster| cluster.leader),
    })
}

async fn check_version(api: &Api) -> Result<(), StreamError> {
    let found = api
        .connection()
        .client()
        .await
        .map_err(ApiError::from)?
        .server_info()
        .version;
    // A version may end in `-beta.1`, which counts as the one that it comes before.
    let mut numbers = found.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < OLDEST {
        return Err(StreamError::TooOld {
            found,
            needed: "2.11",
        });
    }
    Ok(())
}

async fn info(api: &Api, name: &str) -> Result<Info, ApiError> {
    api.ask(&format!("STREAM.INFO.{name}"), &json!({})).await
}

/// Does with a stream that is there what is to be done with such.
async fn settle(api: &Api, settings: &Settings, info: &Info, existing: Existing) -> Result<(), StreamError> {
    let stream = settings.name().to_owned();
    let mut differences = settings.differences(&info.config);
    if existing == Existing::Update && !differences.is_empty() {
        let config = settings.applied_to(&info.config);
        let updated: Info = match api.ask(&format!("STREAM.UPDATE.{stream}"), &config).await {
            Ok(updated) => updated,
            Err(source) => {
                return Err(StreamError::Unchangeable {
                    stream,
                    differences,
                    source,
                });
            }
        };
        differences = settings.differences(&updated.config);
    }
    if existing != Existing::Adopt && !differences.is_empty() {
        return Err(StreamError::Differs { stream, differences });
    }
    if existing == Existing::Refuse {
        // Ours since it was made: what is missing from its middle since then, running nodes tell as gaps.
        return Ok(());
    }
    differences.retain(|difference| difference.because.is_some());
    if info.state.num_deleted > 0 {
        differences.push(Difference {
            setting: "num_deleted",
            found: info.state.num_deleted.to_string(),
            expected: "0".to_owned(),
            because: Some("records are missing in its middle"),
        });
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(StreamError::Unfit { stream, differences })
}

/// Says what it means that the server refused.
async fn refused(api: &Api, name: &str, subjects: &Subjects, source: ApiError) -> StreamError {
    let stream = name.to_owned();
    match &source {
        ApiError::NobodyThere { .. } => return StreamError::NoJetStream { source },
        ApiError::Refused { .. } => {}
        _ => return source.into(),
    }
    match source.code() {
        Some(OVERLAP) => {
            let subjects = subjects.every_record();
            let names = api
                .ask::<Names>("STREAM.NAMES", &json!({ "subject": subjects }))
                .await;
            let others = names
                .map(|names| names.streams.unwrap_or_default())
                .unwrap_or_default();
            StreamError::Overlap {
                stream,
                subjects,
                others: if others.is_empty() {
                    vec!["another stream".to_owned()]
                } else {
                    others
                },
            }
        }
        Some(code) if NO_JETSTREAM.contains(&code) => StreamError::NoJetStream { source },
        Some(code) if NO_ROOM.contains(&code) => StreamError::NoRoom { stream, source },
        _ => source.into(),
    }
}

fn unsettled(api: &Api, name: &str) -> ApiError {
    ApiError::Broken {
        subject: api.subject(&format!("STREAM.CREATE.{name}")),
        reason: "others make it and delete it again and again".to_owned(),
    }
}

#[derive(Debug, Deserialize)]
struct Info {
    config: Map<String, Value>,
    state: RawState,
    created: String,
    #[serde(default)]
    ts: String,
    cluster: Option<Servers>,
}

#[derive(Debug, Deserialize)]
struct Servers {
    leader: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RawState {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
    last_ts: String,
    #[serde(default)]
    num_deleted: u64,
}

#[derive(Debug, Deserialize)]
struct Names {
    streams: Option<Vec<String>>,
}

/// How often we begin anew when others change the stream at the same moment.
const ATTEMPTS: usize = 5;

/// The first that answers batches of direct reads.
const OLDEST: (u32, u32) = (2, 11);

/// JetStream's numbers for its errors, from its `errors.json`.
pub(crate) const NOT_FOUND: u64 = 10_059;
const NAME_TAKEN: u64 = 10_058;
const OVERLAP: u64 = 10_065;
const NO_JETSTREAM: [u64; 2] = [10_039, 10_076];
/// Account's resources, insufficient resources, peers, streams, memory, storage, replicas, bytes of a stream.
const NO_ROOM: [u64; 9] = [
    10_002, 10_005, 10_023, 10_027, 10_028, 10_047, 10_074, 10_113, 10_122,
];

#[cfg(test)]
mod tests;
