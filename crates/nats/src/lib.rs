//! What Dualcast's fan-out over NATS is made of.
//!
//! The log of a hub is one JetStream stream, from which every node of an application mirrors what it shows its clients.

#![cfg_attr(test, allow(clippy::unwrap_used))]
