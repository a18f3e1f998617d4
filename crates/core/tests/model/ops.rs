//! The operations, and how they are drawn: small bounds, so that each is crossed often.

use std::fmt;

use dualcast_core::{LagRule, MaxLag, RECORD_OVERHEAD_BYTES};
use proptest::prelude::*;

/// A hub's bounds and what is done to it.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) bounds: Bounds,
    pub(crate) ops: Vec<Op>,
}

/// Times are in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) channels: usize,
    pub(crate) max_records: usize,
    /// Of the last channel, whose log has bounds of its own.
    pub(crate) last_max_records: usize,
    pub(crate) log_bytes: usize,
    pub(crate) hub_bytes: usize,
    pub(crate) max_age: u64,
    pub(crate) max_tombstones: usize,
    pub(crate) max_volatile_messages: usize,
    pub(crate) idempotency_window: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Publish {
        channel: usize,
        key: Option<u8>,
        sender: Option<u8>,
        padding: usize,
    },
    /// Publish with an idempotency key, of which there are few.
    Repeat {
        channel: usize,
        sender: Option<u8>,
        key: u8,
    },
    Volatile {
        channel: usize,
        sender: Option<u8>,
    },
    Finish {
        channel: usize,
    },
    Open {
        /// One bit each.
        channels: u8,
        from: From,
        rule: LagRule,
        without: Option<u8>,
    },
    Read {
        subscription: usize,
        how: How,
        max_bytes: usize,
    },
    Overdue {
        subscription: usize,
    },
    Drop {
        subscription: usize,
    },
    Pass {
        micros: u64,
    },
    Maintain,
}

/// From where a subscription reads.
#[derive(Debug, Clone)]
pub(crate) enum From {
    Now,
    /// After the position so many behind the head.
    Back(u64),
    /// After the position so many beyond the head.
    Beyond(u64),
    /// After an id that some subscription saw.
    Seen(usize),
    Last(usize),
    Kept,
    Garbage,
    Foreign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Read,
    /// `poll_batch` on a wire that leaves batches as they are.
    Batch,
    /// `poll_batch` on a wire that puts something in front of them.
    SealedBatch,
}

/// One line for each operation.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.bounds)?;
        for (index, op) in self.ops.iter().enumerate() {
            writeln!(f, "{index:>4}  {op:?}")?;
        }
        Ok(())
    }
}

pub(crate) fn plan(channels: usize) -> impl Strategy<Value = Plan> {
    let ops = prop::collection::vec(op(channels), 1..50);
    (bounds(channels), ops).prop_map(|(bounds, ops)| Plan { bounds, ops })
}

/// A message has at most this many bytes, and each log has room for two or more.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16;
const LEAST_LOG_BYTES: usize = MAX_MESSAGE_BYTES + RECORD_OVERHEAD_BYTES + 1_024;

fn bounds(channels: usize) -> impl Strategy<Value = Bounds> {
    let bytes = (LEAST_LOG_BYTES..4_000, 0..2_500_usize);
    (1..6_usize, 1..6_usize, bytes, 20..200_u64, 0..3_usize, 1..4_usize).prop_map(
        move |(
            max_records,
            last_max_records,
            (log_bytes, more_bytes),
            max_age,
            max_tombstones,
            max_volatile_messages,
        )| Bounds {
            channels,
            max_records,
            last_max_records,
            log_bytes,
            hub_bytes: log_bytes + more_bytes,
            max_age,
            max_tombstones,
            max_volatile_messages,
            idempotency_window: 30,
        },
    )
}

fn op(channels: usize) -> impl Strategy<Value = Op> {
    let subscription = 0..6_usize;
    prop_oneof![
        16 => (0..channels, few(), few(), 0..8_usize).prop_map(|(channel, key, sender, padding)| {
            Op::Publish { channel, key, sender, padding }
        }),
        2 => (0..channels, few(), 0..2_u8)
            .prop_map(|(channel, sender, key)| Op::Repeat { channel, sender, key }),
        2 => (0..channels, few()).prop_map(|(channel, sender)| Op::Volatile { channel, sender }),
        1 => (0..channels).prop_map(|channel| Op::Finish { channel }),
        8 => (1_u8..1 << channels, from(), rule(), few()).prop_map(|(channels, from, rule, without)| {
            Op::Open { channels, from, rule, without }
        }),
        16 => (subscription.clone(), how(), max_bytes()).prop_map(|(subscription, how, max_bytes)| {
            Op::Read { subscription, how, max_bytes }
        }),
        1 => subscription.clone().prop_map(|subscription| Op::Overdue { subscription }),
        3 => subscription.prop_map(|subscription| Op::Drop { subscription }),
        2 => (1..100_u64).prop_map(|micros| Op::Pass { micros }),
        2 => Just(Op::Maintain),
    ]
}

fn few() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(1))]
}

fn from() -> impl Strategy<Value = From> {
    prop_oneof![
        4 => Just(From::Now),
        4 => (0..8_u64).prop_map(From::Back),
        4 => any::<usize>().prop_map(From::Seen),
        2 => (0..5_usize).prop_map(From::Last),
        2 => Just(From::Kept),
        1 => (1..4_u64).prop_map(From::Beyond),
        1 => Just(From::Garbage),
        1 => Just(From::Foreign),
    ]
}

fn rule() -> impl Strategy<Value = LagRule> {
    let records = (0..6_u64).prop_map(MaxLag::records);
    let bytes = (0..3_000_u64).prop_map(MaxLag::bytes);
    let max = prop_oneof![3 => records, 1 => bytes].boxed();
    prop_oneof![
        2 => Just(LagRule::CatchUp),
        1 => max.clone().prop_map(LagRule::Skip),
        2 => max.clone().prop_map(LagRule::Conflate),
        1 => max.prop_map(LagRule::Disconnect),
    ]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![2 => Just(How::Read), 1 => Just(How::Batch), 1 => Just(How::SealedBatch)]
}

fn max_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![
        1 => Just(0),
        4 => 1..60_usize,
        2 => 60..400_usize,
        4 => Just(100_000),
    ]
}
