//! The load generator: it drives any server that speaks Server-Sent Events or WebSocket and is published to by POST.
//!
//! One thread and non-blocking sockets. Deliveries are counted by a mark in each payload, and held against a ledger: a message that
//! is missing, doubled or out of order ends the run with an error, so that no figure comes from a server that loses.

mod fleet;
mod framing;
mod handshake;
mod ledger;
mod marker;
mod patience;
mod publisher;
mod subscriber;

pub(crate) use fleet::{Crowd, Fleet, Load, Run};
pub(crate) use ledger::{durations, record};
pub(crate) use marker::{Scanner, payload};
pub(crate) use patience::PATIENCE;
