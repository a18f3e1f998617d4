//! The load generator: it drives any server that speaks Server-Sent Events or WebSocket and is published to by POST.
//!
//! One thread and non-blocking sockets. Deliveries are counted by a mark in each payload, and held against a ledger: a message that
//! is missing, doubled or out of order ends the run with an error, so that no figure comes from a server that loses.

mod fleet;
mod framing;
pub(crate) mod handshake;
mod http2;
mod ledger;
mod marker;
mod patience;
mod publisher;
mod subscriber;

pub(crate) use fleet::{Crowd, Fleet, Load, Run};
pub(crate) use framing::{Control, Framing, text as text_frame};
pub(crate) use ledger::{durations, record};
pub(crate) use marker::{Scanner, number_of, payload};
pub(crate) use patience::PATIENCE;
pub(crate) use publisher::answer as answer_length;
pub(crate) use subscriber::Clamp;
