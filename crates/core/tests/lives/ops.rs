//! The operations, and how they are drawn: small bounds, so that each is crossed often.

use std::fmt;

use dualcast_core::{LagRule, MaxLag};
use proptest::prelude::*;

/// Bounds, and what is done.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) bounds: Bounds,
    pub(crate) ops: Vec<Op>,
}

#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) channels: usize,
    /// How many records of a channel the node keeps.
    pub(crate) max_records: usize,
    pub(crate) max_checks: usize,
    pub(crate) max_tombstones: usize,
    pub(crate) page_size: usize,
    /// Whether a page says no more than was asked for.
    pub(crate) is_terse: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// The broker stores something.
    Store(What),
    /// The node hears of so many.
    Mirror(usize),
    /// It gives up so many. If they are lost, the broker can't be read there either.
    Tear {
        count: u64,
        is_lost: bool,
    },
    /// The broker forgets so many.
    Trim(u64),
    /// The stream is another one, and the node begins its life: made anew, or put back by so many, with more stored before the
    /// node noticed, of which it lacks some.
    BeginLife {
        put_back: Option<u64>,
        more: Vec<What>,
        lacking: u64,
    },
    /// The node's memory begins anew, so many before its head or behind it.
    BeginAgain {
        back: u64,
        ahead: u64,
    },
    /// The node's process starts anew and loads so many. The stream may have been put back meanwhile, which nobody noticed.
    Restart {
        put_back: Option<u64>,
        tail: u64,
    },
    /// Answers have to be released from here on, or come at once.
    Hold(bool),
    Release(usize),
    Fail(usize),
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
    Drop(usize),
    /// All that the node keeps ages out.
    AgeOut,
}

/// What is stored: of a channel, or of none.
#[derive(Debug, Clone)]
pub(crate) struct What {
    pub(crate) channel: Option<usize>,
    pub(crate) key: Option<u8>,
    pub(crate) sender: Option<u8>,
    pub(crate) is_end: bool,
}

/// From where a subscription reads.
#[derive(Debug, Clone)]
pub(crate) enum From {
    Now,
    /// After an id that some subscription saw, in this life or an earlier one.
    Seen(usize),
    /// After the position of another node, which has mirrored so many more.
    Ahead(u64),
    Last(usize),
    Kept,
    Garbage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Items,
    Batch,
    /// A batch on a wire that wants nothing behind a gap.
    Strict,
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
    let ops = prop::collection::vec(op(channels), 1..70);
    (bounds(channels), ops).prop_map(|(bounds, ops)| Plan { bounds, ops })
}

fn bounds(channels: usize) -> impl Strategy<Value = Bounds> {
    let memory = (1..5_usize, 0..3_usize);
    (
        memory,
        1..5_usize,
        prop_oneof![0..4_usize, Just(99)],
        any::<bool>(),
    )
        .prop_map(
            move |((max_records, max_tombstones), page_size, max_checks, is_terse)| Bounds {
                channels,
                max_records,
                max_checks,
                max_tombstones,
                page_size,
                is_terse,
            },
        )
}

fn op(channels: usize) -> impl Strategy<Value = Op> {
    let put_back = prop_oneof![Just(None), (0..6_u64).prop_map(Some)].boxed();
    let more = prop::collection::vec(what(channels), 0..4);
    prop_oneof![
        18 => what(channels).prop_map(Op::Store),
        12 => prop_oneof![1..4_usize, Just(99)].prop_map(Op::Mirror),
        3 => (1..4_u64, any::<bool>()).prop_map(|(count, is_lost)| Op::Tear { count, is_lost }),
        1 => (1..4_u64).prop_map(Op::Trim),
        2 => (put_back.clone(), more, 0..4_u64)
            .prop_map(|(put_back, more, lacking)| Op::BeginLife { put_back, more, lacking }),
        2 => (0..5_u64, 0..3_u64).prop_map(|(back, ahead)| Op::BeginAgain { back, ahead }),
        1 => (put_back, 0..6_u64).prop_map(|(put_back, tail)| Op::Restart { put_back, tail }),
        2 => any::<bool>().prop_map(Op::Hold),
        6 => any::<usize>().prop_map(Op::Release),
        1 => any::<usize>().prop_map(Op::Fail),
        9 => (1_u8..1 << channels, from(), rule(), few()).prop_map(|(channels, from, rule, without)| {
            Op::Open { channels, from, rule, without }
        }),
        20 => (0..6_usize, how(), max_bytes()).prop_map(|(subscription, how, max_bytes)| {
            Op::Read { subscription, how, max_bytes }
        }),
        3 => (0..6_usize).prop_map(Op::Drop),
        1 => Just(Op::AgeOut),
    ]
}

fn what(channels: usize) -> impl Strategy<Value = What> {
    let channel = prop_oneof![9 => (0..channels).prop_map(Some), 1 => Just(None)];
    let is_end = prop_oneof![14 => Just(false), 1 => Just(true)];
    (channel, few(), few(), is_end).prop_map(|(channel, key, sender, is_end)| What {
        channel,
        key: key.filter(|_| !is_end),
        sender: sender.filter(|_| !is_end),
        is_end,
    })
}

fn few() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(1))]
}

fn from() -> impl Strategy<Value = From> {
    prop_oneof![
        2 => Just(From::Now),
        10 => any::<usize>().prop_map(From::Seen),
        2 => (0..4_u64).prop_map(From::Ahead),
        1 => (0..5_usize).prop_map(From::Last),
        1 => Just(From::Kept),
        1 => Just(From::Garbage),
    ]
}

fn rule() -> impl Strategy<Value = LagRule> {
    let max = (0..4_u64).prop_map(MaxLag::records).boxed();
    prop_oneof![
        4 => Just(LagRule::CatchUp),
        1 => max.clone().prop_map(LagRule::Skip),
        1 => max.clone().prop_map(LagRule::Conflate),
        1 => max.prop_map(LagRule::Disconnect),
    ]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Items), Just(How::Batch), Just(How::Strict)]
}

fn max_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0), 3 => 1..40_usize, 3 => Just(100_000)]
}
