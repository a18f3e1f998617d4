//! What may happen to a broker, a network and the nodes of an application, with traffic running: every logged message arrives once and in order
//! at each of its clients, or a gap says so.
//!
//! The nodes are processes of their own, the publishers a hub without clients, and the broker is a real one.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod broker;
mod clock;
mod cluster;
mod limits;
mod lives;
mod nodes;
mod soak;
mod traffic;
mod truth;
