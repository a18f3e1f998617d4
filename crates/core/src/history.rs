//! History: what a fan-out still knows of a channel when the hub's memory doesn't.
//!
//! Pages are shared: all who come back with the same need read the same records, encoded once.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::gap::GapReason;
use crate::name::ChannelName;
use crate::position::Position;
use crate::record::Record;

/// What a reader wants to know of a channel.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The channel.
    pub channel: ChannelName,
    /// Where the reader stands. Perhaps in a history that was lost: that is to be found out first. Or beyond this node's head:
    /// then the answer waits until the head has come there. Or in a life with another epoch than this node's, of which it never heard: then
    /// the answer waits until the node has begun that life, or says that it is [of another history](Page::of_another_history).
    pub after: Position,
    /// Up to which number the hub's memory lacks it. What is told beyond that is welcome up to the hub's head.
    pub through: u64,
    /// What was kept for the page that the reader has read, where it goes on from one.
    pub lease: Option<Lease>,
}

/// What a page keeps for as long as somebody reads it.
pub type Lease = Arc<dyn Any + Send + Sync>;

/// A stretch of a channel's history.
#[derive(Debug)]
pub struct Page {
    /// What stood between where the reader stands and the first of these records, and is gone.
    pub lost: Option<Lost>,
    /// Records of the channel, in order. Those up to where the reader stands are skipped.
    pub records: Arc<[Arc<Record>]>,
    /// Up to here nothing of the channel is missing but what is lost. At least where the reader stands, and at most the hub's head.
    /// Who asks a second time gets one that leads further, or counts as one who can't be answered.
    pub through: u64,
    /// Whatever is to be kept for as long as somebody reads it.
    pub lease: Option<Lease>,
}

impl Page {
    /// Nothing stands behind the reader's place, or it was only asked whether that is one.
    #[must_use]
    pub fn of_nothing(through: u64) -> Self {
        Self {
            lost: None,
            records: [].into(),
            through,
            lease: None,
        }
    }

    /// The reader stands in a history that is none any more.
    #[must_use]
    pub fn of_another_history(through: u64) -> Self {
        let reason = GapReason::Epoch;
        Self {
            lost: Some(Lost { through, reason }),
            ..Self::of_nothing(through)
        }
    }
}

/// What is gone of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Up to which number.
    pub through: u64,
    /// Why. [`GapReason::Epoch`]: the reader stands in a history that is none any more, and nothing else of the page counts.
    pub reason: GapReason,
}

impl Page {
    /// Whether it says that the reader stands in a history that is none any more.
    pub(crate) fn is_of_another_history(&self) -> bool {
        self.lost.is_some_and(|lost| lost.reason == GapReason::Epoch)
    }
}

/// A page on its way. An error: it could not be read in time, and the reader should come back with its cursor. It has to come to an
/// end in any case, also when another life begins: who waits for it is not woken for anything else.
pub type History = BoxFuture<'static, Result<Arc<Page>, Arc<dyn Error + Send + Sync>>>;
