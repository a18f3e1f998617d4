//! The contract: what both transports promise, each promise written once and held over each of them.

#![allow(clippy::unwrap_used)]

mod connections;
mod finish;
mod gaps;
mod heartbeat;
mod http2;
mod inbound;
mod lag;
mod layers;
mod leaving;
mod limits;
mod order;
mod origin;
mod own;
mod payload;
mod requests;
mod resume;
mod shutdown;
mod sse;
mod takeover;
mod tls;
mod volatile;
mod ws_closing;
mod ws_frames;
