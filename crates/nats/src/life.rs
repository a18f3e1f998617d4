//! Lives: of which history the stream is, and how a node comes into it.
//!
//! A node comes in the same way when it starts and when its stream turns out to be another one: it listens first, asks then how the stream
//! stands, and reads its tail. So nothing falls between what is read and what is heard.

use std::collections::VecDeque;
use std::time::Instant;

use async_nats::Subscriber;
use tokio::time;

use crate::api::ApiError;
use crate::entry::{Entry, read_back};
use crate::epoch::Life;
use crate::mirror::{Mirror, Next, Proof, ReadBack, Wants};
use crate::options::TailLimits;
use crate::reads::{Portion, ReadError, Reads};
use crate::reckoning::{Clocks, Reckoning};
use crate::shared::{Shared, Trouble};
use crate::stream::{NOT_FOUND, State};

/// What a node begins with.
pub(crate) struct Loaded {
    pub(crate) life: Life,
    /// What is before the tail.
    pub(crate) head: u64,
    pub(crate) tail: Vec<Next<Entry>>,
    /// Stands behind the tail.
    pub(crate) mirror: Mirror<Entry>,
    pub(crate) live: Subscriber,
    /// How often the live connection was doubted before it was listened to: what came after that is not settled by what was read.
    pub(crate) doubts: u64,
    pub(crate) clocks: Clocks,
}

/// What tells whether the stream is still the one that it was.
pub(crate) struct Proven {
    pub(crate) state: State,
    /// Of the record that was asked for.
    pub(crate) proof: Proof,
    /// The life that all nodes share now. None where the entry is lost.
    pub(crate) life: Result<Option<Life>, ApiError>,
    pub(crate) clocks: Clocks,
}

/// Comes into the life that the stream has now. A node that was in another one says which, and how it reckoned there.
pub(crate) async fn load(shared: &Shared, before: Option<(&Life, Reckoning)>) -> Result<Loaded, Trouble> {
    let stream = shared.open_stream().await?;
    let doubts = shared.live.link().borrow().doubts;
    let live = shared.listen().await?;
    let state = stream.state().await?;
    let clocks = Clocks::of(&state);
    let reckoning = before.map_or(Reckoning::new(clocks), |(_, reckoning)| reckoning.with(clocks));
    let life = shared.epochs.settle(before.map(|(life, _)| life), &state).await?;
    let head = before_tail(&shared.options.tail, &state);
    let mut mirror = Mirror::new(shared.mirror_options, state.created_ns, head);
    let mut tail = Tail::new(head, shared.options.tail.max_bytes);
    mirror.handle_state(&state, head, Proof::Gone, Instant::now());
    loop {
        while let Some(next) = mirror.next() {
            tail.push(next);
        }
        let Wants::Read { from, through } = mirror.wants() else {
            break;
        };
        let read = read(shared, &shared.reads, from, through, reckoning).await?;
        mirror.handle_read::<ReadError>(Ok(read), Instant::now());
    }
    Ok(Loaded {
        life,
        head: tail.head,
        tail: tail.records.into(),
        mirror,
        live,
        doubts,
        clocks,
    })
}

/// The newest of what is read, as much as fits.
struct Tail {
    /// What is before it.
    head: u64,
    records: VecDeque<Next<Entry>>,
    bytes: u64,
    max_bytes: u64,
}

impl Tail {
    fn new(head: u64, max_bytes: u64) -> Self {
        Self {
            head,
            records: VecDeque::new(),
            bytes: 0,
            max_bytes,
        }
    }

    fn push(&mut self, next: Next<Entry>) {
        self.bytes += bytes_of(&next);
        self.records.push_back(next);
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= bytes_of(&oldest);
            self.head = match oldest {
                Next::Record(stored) => stored.sequence,
                Next::Tear { through, .. } => through,
            };
        }
    }
}

fn bytes_of(next: &Next<Entry>) -> u64 {
    match next {
        Next::Record(stored) => stored.bytes as u64,
        Next::Tear { .. } => 0,
    }
}

/// Reads records back, the first and the last included, as far as they can be read at a time.
pub(crate) async fn read(
    shared: &Shared,
    reads: &Reads,
    from: u64,
    through: u64,
    reckoning: Reckoning,
) -> Result<ReadBack<Entry>, ReadError> {
    let deadline = time::Instant::now() + shared.options.request_deadline;
    let stretch = reads.stretch(from..=through, PORTION, deadline).await?;
    let (records, now) = (stretch.records.into_iter(), Instant::now());
    Ok(ReadBack {
        records: records
            .map(|stored| read_back(stored, &shared.subjects, reckoning, now))
            .collect(),
        gone: stretch.absent.into_iter().map(|gone| gone.into_inner()).collect(),
    })
}

/// Why it can't be told whether the stream is still the one that it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproven {
    /// The leader says that there is none.
    #[error("stream not found")]
    Gone,
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl From<ApiError> for Unproven {
    fn from(error: ApiError) -> Self {
        if error.code() == Some(NOT_FOUND) {
            Self::Gone
        } else {
            Self::Trouble(error.into())
        }
    }
}

/// Asks the leader how the stream stands, and when a record was stored. By the live connection, so that what is stored after the answer is heard.
/// A stream that is gone is made, where that is to be done: then it is another one, which its time of creation tells.
pub(crate) async fn prove(shared: &Shared, of: Option<u64>, makes_it: bool) -> Result<Proven, Unproven> {
    let state = match shared.stream.state().await.map_err(Unproven::from) {
        Err(Unproven::Gone) if makes_it => {
            tracing::warn!("the stream is gone: it is made anew");
            shared.open_stream().await.map_err(Trouble::from)?;
            shared.stream.state().await?
        }
        state => state?,
    };
    let clocks = Clocks::of(&state);
    let (proof, life) = tokio::join!(proof(shared, of, &state), shared.epochs.life());
    Ok(Proven {
        proof: proof?,
        life,
        state,
        clocks,
    })
}

async fn proof(shared: &Shared, of: Option<u64>, state: &State) -> Result<Proof, Trouble> {
    let Some(sequence) = of else {
        return Ok(Proof::None);
    };
    if !(state.first_sequence..=state.last_sequence).contains(&sequence) {
        return Ok(Proof::Gone);
    }
    let deadline = time::Instant::now() + shared.options.request_deadline;
    let time_ns = shared.live_reads.time_of(sequence, deadline).await?;
    Ok(time_ns.map_or(Proof::Gone, Proof::StoredAt))
}

/// The number before those records with which a node begins.
fn before_tail(limits: &TailLimits, state: &State) -> u64 {
    let average = state.bytes.checked_div(state.records).unwrap_or(0);
    let fit = limits.max_bytes.checked_div(average).unwrap_or(u64::MAX);
    let count = limits.max_records.min(fit);
    state
        .last_sequence
        .saturating_sub(count)
        .max(state.first_sequence - 1)
}

/// How much is read at a time: some milliseconds' worth, so that what can be shown is shown.
const PORTION: Portion = Portion {
    max_records: 4_096,
    max_bytes: 8 << 20,
};

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dualcast_core::{ChannelName, GapReason, Message};

    use super::*;
    use crate::envelope::Incoming;
    use crate::mirror::Stored;

    #[test]
    fn of_records_that_grew_the_newest_fit() {
        let record = |sequence, bytes| {
            let message = Message::binary("image", Bytes::new());
            let channel = ChannelName::parse("room").unwrap();
            Next::Record(Stored {
                sequence,
                time_ns: 0,
                bytes,
                content: Entry {
                    logged_at: Instant::now(),
                    content: Ok(Incoming::Message(channel, message)),
                },
            })
        };
        let mut tail = Tail::new(10, 1_000);
        for sequence in 11..=20 {
            tail.push(record(sequence, 100));
        }
        assert_eq!((tail.head, tail.records.len()), (10, 10));
        tail.push(record(21, 450));
        assert_eq!((tail.head, tail.records.len()), (15, 6));
        let (through, reason) = (30, GapReason::Trimmed);
        tail.push(Next::Tear { through, reason });
        assert_eq!((tail.head, tail.records.len()), (15, 7));
        tail.push(record(31, 2_000));
        assert_eq!((tail.head, tail.records.len(), tail.bytes), (31, 0, 0));
    }

    #[test]
    fn a_tail_is_bounded_by_records_and_by_bytes() {
        let mut limits = TailLimits::default();
        let state = State {
            first_sequence: 101,
            last_sequence: 200,
            records: 100,
            bytes: 10_000,
            ..State::default()
        };
        assert_eq!(before_tail(&limits, &state), 100);
        limits.max_records = 30;
        assert_eq!(before_tail(&limits, &state), 170);
        limits.max_bytes = 2_000;
        assert_eq!(before_tail(&limits, &state), 180);
        limits.max_records = 0;
        assert_eq!(before_tail(&limits, &state), 200);
        assert_eq!(
            before_tail(
                &limits,
                &State {
                    first_sequence: 1,
                    ..State::default()
                }
            ),
            0
        );
    }
}
