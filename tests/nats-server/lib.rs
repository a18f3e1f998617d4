//! A real `nats-server` for tests: on a port of its own, in a directory of its own, gone with the test.
//!
//! It can be stopped, killed, frozen, started again on its port and its store, and told another time; three of them make a cluster; and a
//! [`Link`] between a client and it plays what networks do. Nothing here knows Dualcast.
//!
//! A server never outlives the process that started it, however that ends: see `tethered.rs`.

#![allow(clippy::expect_used)]

mod clock;
mod cluster;
mod link;
mod monitor;
mod program;
mod server;
mod tethered;
mod waiting;

pub use clock::clocks_can_be_set;
pub use cluster::Cluster;
pub use link::{Direction, Link};
pub use program::{HOW_TO_GET, find, program};
pub use server::{Builder, NatsServer};
