//! The contract: what both transports promise, each promise written once and held over each of them.

#![allow(clippy::unwrap_used)]

mod abuse;
mod caught_up;
mod closing;
mod connections;
mod cors;
mod crowd;
mod drain;
mod ending_by_order;
mod finish;
mod gaps;
mod heartbeat;
mod http2;
mod http2_answers;
mod inbound;
mod lag;
mod layers;
mod leaving;
mod limits;
mod names;
mod one_url;
mod order;
mod origin;
mod own;
mod payload;
mod pipelined;
mod presence;
mod raw;
mod requests;
mod resume;
mod shutdown;
mod sse;
mod sse_plain;
mod sse_post;
mod sse_stream;
mod subscribe;
mod takeover;
mod tls;
mod upgrades;
mod uploads;
mod volatile;
mod ws_closing;
mod ws_frames;
