//! Lives: of which history the stream is, and how a node comes into it.
//!
//! A node comes in the same way when it starts and when its stream turns out to be another one: it listens first, asks then how the stream
//! stands, and reads its tail. So nothing falls between what is read and what is heard.

use std::time::Instant;

use async_nats::Subscriber;
use tokio::time;

use crate::entry::{Entry, read_back};
use crate::epoch::Life;
use crate::mirror::{Mirror, Next, Proof, ReadBack, Wants};
use crate::options::TailLimits;
use crate::reads::{Portion, ReadError};
use crate::reckoning::{Clocks, Reckoning};
use crate::shared::{Shared, Trouble};
use crate::stream::{NOT_FOUND, State};

/// What a node begins with.
pub(crate) struct Loaded {
    pub(crate) life: Life,
    /// Whether it begins with this node: the others are to hear of it.
    pub(crate) is_new: bool,
    /// What is before the tail.
    pub(crate) head: u64,
    pub(crate) tail: Vec<Next<Entry>>,
    /// Stands behind the tail.
    pub(crate) mirror: Mirror<Entry>,
    pub(crate) live: Subscriber,
    pub(crate) clocks: Clocks,
}

/// What tells whether the stream is still the one that it was.
pub(crate) struct Proven {
    pub(crate) state: State,
    /// Of the record that was asked for.
    pub(crate) proof: Proof,
    /// The life that all nodes share now. None where nothing says which.
    pub(crate) life: Option<Life>,
    pub(crate) clocks: Clocks,
}

/// Comes into the life that the stream has now. A node that was in another one says which, and how it reckoned there.
pub(crate) async fn load(shared: &Shared, before: Option<(&Life, Reckoning)>) -> Result<Loaded, Trouble> {
    let stream = shared.open_stream().await?;
    let live = shared.listen().await?;
    let state = stream.state().await?;
    let clocks = Clocks::of(&state);
    let reckoning = before.map_or(Reckoning::new(clocks), |(_, reckoning)| reckoning.with(clocks));
    let (life, is_new) = shared.epochs.settle(before.map(|(life, _)| life), &state).await?;
    let head = before_tail(&shared.options.tail, &state);
    let mut mirror = Mirror::new(shared.mirror_options, state.created_ns, head);
    let mut tail = Vec::new();
    mirror.handle_state(&state, head, Proof::Gone, Instant::now());
    loop {
        tail.extend(std::iter::from_fn(|| mirror.next()));
        let Wants::Read { from, through } = mirror.wants() else {
            break;
        };
        let read = read(shared, from, through, reckoning).await?;
        mirror.handle_read::<ReadError>(Ok(read), Instant::now());
    }
    Ok(Loaded {
        life,
        is_new,
        head,
        tail,
        mirror,
        live,
        clocks,
    })
}

/// Reads records back, the first and the last included, as far as they can be read at a time.
pub(crate) async fn read(
    shared: &Shared,
    from: u64,
    through: u64,
    reckoning: Reckoning,
) -> Result<ReadBack<Entry>, ReadError> {
    let deadline = time::Instant::now() + shared.options.request_deadline;
    let stretch = shared.reads.stretch(from..=through, PORTION, deadline).await?;
    let (records, now) = (stretch.records.into_iter(), Instant::now());
    Ok(ReadBack {
        records: records
            .map(|stored| read_back(stored, &shared.subjects, reckoning, now))
            .collect(),
        gone: stretch.absent.into_iter().map(|gone| gone.into_inner()).collect(),
    })
}

/// Asks the leader how the stream stands, and when a record was stored. By the live connection, so that what is stored after the answer is heard.
/// A stream that is gone is made, where that is to be done: then it is another one, which its time of creation tells.
pub(crate) async fn prove(shared: &Shared, of: Option<u64>, makes_it: bool) -> Result<Proven, Trouble> {
    let state = match shared.stream.state().await {
        Err(error) if makes_it && error.code() == Some(NOT_FOUND) => {
            tracing::warn!("the stream is gone: it is made anew");
            shared.open_stream().await?;
            shared.stream.state().await?
        }
        state => state?,
    };
    let clocks = Clocks::of(&state);
    let is_there = |sequence| (state.first_sequence..=state.last_sequence).contains(&sequence);
    let proof = match of {
        None => Proof::None,
        Some(sequence) if is_there(sequence) => {
            let deadline = time::Instant::now() + shared.options.request_deadline;
            let time_ns = shared.reads.time_of(sequence, deadline).await?;
            time_ns.map_or(Proof::Gone, Proof::StoredAt)
        }
        Some(_) => Proof::Gone,
    };
    Ok(Proven {
        life: shared.epochs.life().await?,
        state,
        proof,
        clocks,
    })
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
    use super::*;

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
