//! Several nodes over NATS. Each scenario starts a nats-server, and drives all that it compares in one run.

mod acked;
mod across;
mod storm;
mod tail;

pub(super) use acked::run as acked;
pub(super) use across::run as across;
pub(super) use storm::run as storm;
pub(super) use tail::{CHANNELS as TAIL_CHANNELS, run as tail};

use crate::figure::Figure;

/// What each side did, by its column in the table.
pub(crate) type Sides = Vec<(&'static str, Vec<Figure>)>;

/// NATS without JetStream: one connection publishes, another one hears it.
pub(crate) const CORE: &str = "core NATS";
/// async-nats alone, with a stream that is set as a hub's.
pub(crate) const JETSTREAM: &str = "JetStream";
/// The same, beside a connection that hears what the stream republishes, as each node has to.
pub(crate) const JETSTREAM_HEARD: &str = "JetStream, heard";
/// async-nats' ordered consumer.
pub(crate) const ORDERED: &str = "ordered consumer";
/// Dualcast on one node.
pub(crate) const LOCAL: &str = "Local";
/// Dualcast over NATS.
pub(crate) const NATS: &str = "Nats";
/// The same, where what a client missed is not in memory any more.
pub(crate) const NATS_FORGETFUL: &str = "Nats, from the stream";

/// All of them, in the order of the table's columns.
pub(crate) const ALL_SIDES: [&str; 7] = [
    CORE,
    JETSTREAM,
    JETSTREAM_HEARD,
    ORDERED,
    LOCAL,
    NATS,
    NATS_FORGETFUL,
];
