//! What the tests share: a server on a port of its own, and one client over both transports.
//!
//! A contract test is written once, as an `async fn` that is told [`Under`] what it runs, and [`contract!`] makes a test of it for
//! each transport under each server. Nothing here knows how Dualcast makes its bytes: the clients read what the standards
//! say, and are strict about it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod broker;
mod client;
mod dial;
mod frames;
mod http;
mod http2;
mod io;
mod ledger;
mod matrix;
mod outsider;
mod server;
mod setup;
mod socket;
mod sse;
mod tls;
mod told;
mod ws;

pub use client::Client;
pub use dial::Dial;
pub use dualcast_event_stream::{Event, EventStream};
pub use frames::{Frame, Frames};
pub use http::{Answer, Body, Head, Http};
pub use http2::{Http2, Http2Request, Http2Stream, WINDOW_BYTES, connect, get};
pub use io::Io;
pub use ledger::Ledger;
pub use matrix::{FanOut, HttpServer, HttpVersion, Under, run};
pub use outsider::{Outsider, headers};
pub use server::{Server, eventually};
pub use setup::Setup;
pub use socket::Socket;
pub use tls::Tls;
pub use told::{Data, End, Member, Presence, Told};
