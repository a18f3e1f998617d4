//! Reading the stream back: on a connection of its own, and believed only where it is proved.
//!
//! - Of a [stretch](Reads::stretch) every sequence is accounted for: it is read, or its leader says that it is gone.
//! - Of a [channel](Reads::channel) the leader says which record is the first and that none follows the last; in between a page has
//!   all. The leader is asked how it stands before and after: a new one, which may not yet have all that the old one had, is told
//!   by its name, and what was trimmed meanwhile by the first sequence.
//! - What no page can bring (see `headers.rs`) is asked of the leader, record by record.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use crate::api::{Api, ApiError};
use crate::page::{self, End, Page, Query};
use crate::stored::{Stored, ToldRecord};
use crate::stream::{self, NOT_FOUND, State};

mod walk;

use walk::Walk;

/// What reads a stream.
#[derive(Debug, Clone)]
pub(crate) struct Reads {
    api: Api,
    stream: String,
}

/// Records one after another, without a hole that isn't named.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// In order.
    pub(crate) records: Vec<Stored>,
    /// What is gone for good: trimmed, or deleted.
    pub(crate) absent: Vec<RangeInclusive<u64>>,
}

/// Records of one channel.
#[derive(Debug)]
pub(crate) struct ChannelRecords {
    /// In order: all that the stream has of the channel after where the read began, through [`through`](Self::through).
    pub(crate) records: Vec<Stored>,
    /// How far it was read: as far as was asked for, or to the last of the records where there was a limit.
    pub(crate) through: u64,
    /// How the stream stood after it was read. What it had trimmed by then, or lost from its middle, may be missing above.
    pub(crate) state: State,
}

/// How much to read at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portion {
    pub(crate) max_records: usize,
    /// Of payloads, and of headers where they come in a page. Two records are read in any case.
    pub(crate) max_bytes: usize,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Not within the deadline.
    #[error("sequence {sequence} could not be read in time{}", because(last))]
    Late {
        /// Which one was to be read.
        sequence: u64,
        /// What went wrong last.
        last: Option<ApiError>,
    },
    /// The leader has nothing there, and never had.
    #[error("sequence {sequence} is beyond the stream's last, {last_sequence}")]
    Beyond {
        /// Which one was to be read.
        sequence: u64,
        /// The last that there is.
        last_sequence: u64,
    },
    /// The stream is gone.
    #[error("the stream is gone")]
    NoStream,
}

fn because(last: &Option<ApiError>) -> String {
    last.as_ref().map_or(String::new(), |error| format!(": {error}"))
}

impl ChannelRecords {
    /// Nothing that stood after this sequence is missing. Where records were deleted inside it can't be said which, and so of all.
    pub(crate) fn whole_after(&self) -> u64 {
        match self.state.deleted {
            0 => self.state.first_sequence - 1,
            _ => self.through,
        }
    }
}

impl Reads {
    /// Reads by this connection.
    pub(crate) fn new(api: Api, stream: &str) -> Self {
        let stream = stream.to_owned();
        Self { api, stream }
    }

    /// How the stream stands, as its leader says.
    ///
    /// # Errors
    ///
    /// The request's.
    pub(crate) async fn state(&self) -> Result<State, ApiError> {
        stream::state(&self.api, &self.stream).await
    }

    /// Reads all records from one sequence through another, or the first of them.
    ///
    /// # Errors
    ///
    /// [`ReadError`], where not even the first is accounted for by the deadline.
    pub(crate) async fn stretch(
        &self,
        range: RangeInclusive<u64>,
        portion: Portion,
        deadline: Instant,
    ) -> Result<Stretch, ReadError> {
        let (from, through) = range.into_inner();
        if from > through {
            return Ok(Stretch {
                records: Vec::new(),
                absent: Vec::new(),
            });
        }
        let mut walk = Walk {
            reads: self,
            next: from,
            through,
            bytes: 0,
            portion,
            records: Vec::new(),
            absent: Vec::new(),
        };
        let mut trouble = None;
        let walked = time::timeout_at(deadline, walk.go(&mut trouble)).await;
        if walk.next > from {
            return Ok(Stretch {
                records: walk.records,
                absent: walk.absent,
            });
        }
        match walked {
            Ok(Err(gone)) => Err(gone),
            _ => Err(Trouble::error(trouble, from)),
        }
    }

    /// Reads the records of one channel, by its subject, after one sequence through another, which the stream is known to have reached.
    ///
    /// # Errors
    ///
    /// [`ReadError`], where nothing is proved by the deadline.
    pub(crate) async fn channel(
        &self,
        subject: &str,
        after: u64,
        through: u64,
        portion: Portion,
        deadline: Instant,
    ) -> Result<ChannelRecords, ReadError> {
        let mut trouble = None;
        let trying = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match self.try_channel(subject, after, through, portion).await {
                    Ok(Ok(records)) => return Ok(records),
                    Ok(Err(beyond)) => trouble = Some(beyond),
                    Err(error) if error.code() == Some(NOT_FOUND) => return Err(ReadError::NoStream),
                    Err(error) => trouble = Some(Trouble::Api(error)),
                }
                wait(&mut pause).await;
            }
        };
        match time::timeout_at(deadline, trying).await {
            Ok(done) => done,
            Err(_) => Err(Trouble::error(trouble, through)),
        }
    }

    /// When a record was stored, in nanoseconds since 1970. `None` if it is gone for good.
    ///
    /// # Errors
    ///
    /// [`ReadError`], where that isn't known by the deadline.
    pub(crate) async fn time_of(&self, sequence: u64, deadline: Instant) -> Result<Option<i64>, ReadError> {
        let one = Portion {
            max_records: 1,
            max_bytes: 1,
        };
        let stretch = self.stretch(sequence..=sequence, one, deadline).await?;
        Ok(stretch.records.first().map(|record| record.timestamp_ns))
    }

    /// Once, against one leader. The inner error: the leader, or its word, is not the one that it takes.
    async fn try_channel(
        &self,
        subject: &str,
        after: u64,
        through: u64,
        portion: Portion,
    ) -> Result<Result<ChannelRecords, Trouble>, ApiError> {
        let query = |from| Query {
            from,
            subject,
            max_records: portion.max_records.clamp(1, MAX_PAGE_RECORDS),
            max_bytes: portion.max_bytes.clamp(1, MAX_PAGE_BYTES),
        };
        let (before, mut page) = tokio::join!(self.state(), self.page(query(after + 1)));
        let before = before?;
        if before.last_sequence < through {
            return Ok(Err(Trouble::Beyond(before.last_sequence)));
        }
        let mut records: Vec<Stored> = Vec::new();
        let (mut last, mut bytes) = (after, 0);
        let reached = loop {
            // The leader: what is next, and that there is nothing more.
            let next = match self.leaders_next(last + 1, subject).await? {
                Some(next) if next.sequence <= through => next,
                _ => break through,
            };
            let is_readable = next.headers.is_some();
            if !records.is_empty() && is_readable {
                // The page had no more than that, so its replica lagged. Another may not.
                page = self.page(query(next.sequence)).await;
            }
            last = next.sequence;
            bytes += next.payload.len();
            page = page.behind(&next);
            records.push(next);
            loop {
                for record in page.records.drain(..) {
                    if record.sequence > through {
                        last = through;
                    }
                    if last >= through || portion.is_full(records.len(), bytes) {
                        break;
                    }
                    last = record.sequence;
                    bytes += record.payload.len();
                    records.push(record);
                }
                if last >= through || portion.is_full(records.len(), bytes) || page.end != End::More {
                    break;
                }
                let Some(anchor) = records.last() else { break };
                page = self.page(query(last)).await.behind(anchor);
                if page.records.is_empty() {
                    break;
                }
            }
            if last >= through || portion.is_full(records.len(), bytes) {
                break last;
            }
        };
        let state = self.state().await?;
        // Else another leader may have told what it didn't have yet.
        if !state.is_told_by_same(&before) {
            return Ok(Err(Trouble::OtherLeader));
        }
        Ok(Ok(ChannelRecords {
            records,
            through: reached,
            state,
        }))
    }

    /// A page, or none where it can't be had: whoever asks has the leader.
    async fn page(&self, query: Query<'_>) -> Page {
        page::read(&self.api, &self.stream, query).await.unwrap_or(Page {
            records: Vec::new(),
            end: End::BrokenOff,
        })
    }

    /// The leader's first record of a subject, or of `>`, at this sequence or behind it.
    async fn leaders_next(&self, from: u64, subject: &str) -> Result<Option<Stored>, ApiError> {
        let body = json!({ "seq": from, "next_by_subj": subject });
        leaders(&self.api, &self.stream, &body).await
    }
}

/// A record that a stream's leader is asked for.
pub(crate) async fn leaders(api: &Api, stream: &str, body: &Value) -> Result<Option<Stored>, ApiError> {
    let what = format!("STREAM.MSG.GET.{stream}");
    match api.ask::<Told>(&what, body).await {
        Ok(told) => match Stored::of_leader(told.message) {
            Some(record) => Ok(Some(record)),
            None => Err(ApiError::Broken {
                subject: api.subject(&what),
                reason: "a record that makes no sense".to_owned(),
            }),
        },
        Err(error) if error.code() == Some(NO_RECORD) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Portion {
    fn is_full(&self, records: usize, bytes: usize) -> bool {
        // The first may be one that is there already, and comes to be compared.
        records >= self.max_records.max(1) || records > 1 && bytes >= self.max_bytes
    }
}

/// What holds a read up.
#[derive(Debug)]
enum Trouble {
    Api(ApiError),
    /// The leader isn't there yet. With its last sequence.
    Beyond(u64),
    /// Another one leads now.
    OtherLeader,
}

impl Trouble {
    /// What it means when the time is over.
    fn error(trouble: Option<Self>, sequence: u64) -> ReadError {
        match trouble {
            Some(Self::Beyond(last_sequence)) => ReadError::Beyond {
                sequence,
                last_sequence,
            },
            Some(Self::Api(error)) => ReadError::Late {
                sequence,
                last: Some(error),
            },
            Some(Self::OtherLeader) | None => ReadError::Late { sequence, last: None },
        }
    }
}

async fn wait(pause: &mut Duration) {
    time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

#[derive(Debug, Deserialize)]
struct Told {
    message: ToldRecord,
}

/// The most records in a page. Larger ones are hardly faster, and one at a time is held in memory twice.
const MAX_PAGE_RECORDS: usize = 1_000;

/// The most bytes in a page: they wait in the client until they are taken.
const MAX_PAGE_BYTES: usize = 8 << 20;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// JetStream's number for "no message found".
const NO_RECORD: u64 = 10_037;

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
