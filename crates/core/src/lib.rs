//! The core of Dualcast: channels, their logs, and cursors into them.
//!
//! A [`Channel`] is a named, ordered stream of messages. Its log keeps the newest of them, bounded by count, bytes and
//! age, and a [`Subscription`] is a cursor into it: live and replay are the same read, a slow subscriber owns no queue,
//! and what it won't get any more is told to it as a [`Gap`].
//!
//! This crate names no HTTP, no socket, no broker and no async runtime. What it knows of a transport is that a [`Wire`]
//! can write an entry down; what it knows of a broker is that a [`FanOut`] gives a message its place.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bell;
mod cell;
mod channel;
mod clock;
mod close;
mod config;
mod crowd;
mod error;
mod fanout;
mod followed;
mod found;
mod gap;
mod health;
mod history;
mod hooks;
mod hub;
mod idempotency;
mod ingest;
mod item;
mod joining;
mod lag;
mod lanes;
mod life;
mod log;
mod logs;
mod merge;
mod message;
mod meters;
mod name;
mod past;
mod position;
mod presence;
mod record;
mod ring;
mod rounds;
mod session;
mod sleepers;
mod stretch;
mod subscribe;
mod subscription;
mod sync;
mod tombstones;
mod upkeep;
mod wire;

pub use channel::Channel;
pub use clock::{Clock, SystemClock};
pub use close::{CloseReason, Reconnect};
pub use config::{ConfigError, Limits, LogLimits};
pub use error::{LimitReached, PublishError, SubscribeError};
pub use fanout::{FanOut, Local, Order, Publishing};
pub use gap::{Gap, GapReason, Merged};
pub use health::Health;
pub use history::{History, Lease, Lost, Page, Wanted};
pub use hooks::Hooks;
pub use hub::{Hub, HubBuilder, WeakHub};
pub use ingest::{Arrival, Ingest, NewLife, Step};
pub use item::{Batch, Item};
pub use lag::{LagRule, MaxLag};
pub use lanes::{Lane, Outlet, Terms, Unsent};
pub use message::{
    BASE64_EVENT_SUFFIX, Identity, MAX_EVENT_BYTES, MAX_KEY_BYTES, Message, MessageError, Payload,
    RESERVED_EVENT_PREFIX,
};
pub use meters::{
    METRICS, Metric, MetricKind, TransportMeters, count_broker_read, count_garbage, count_posted,
    count_refused,
};
pub use name::{ChannelName, IntoChannelName, MAX_CHANNEL_NAME_BYTES, NameError};
pub use position::{Check, Epoch, Position, PositionError};
pub use presence::{Elsewhere, Held, Member, MemberError, Presence, PresenceUpdate, Present};
pub use record::{RECORD_OVERHEAD_BYTES, Record, Volatile};
pub use session::{Session, SessionHandle, SessionId, SessionInfo, Transport};
pub use subscribe::Subscribe;
pub use subscription::{Returned, Subscription};
pub use wire::{Entry, Form, Wire};
