//! Meters: what is counted and measured, through the `metrics` facade.
//!
//! The one place for the names. They are looked up once, when the first of them is used: an application installs its recorder
//! before it makes its hub. Without a recorder nothing is counted, and it costs nothing worth speaking of.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

use crate::close::CloseReason;
use crate::gap::GapReason;
use crate::item::Batch;
use crate::session::Transport;

/// A metric: its name, its unit if it has one, and what it says. Which labels each has stands in `docs/operating.md`.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of metric it is.
    pub kind: MetricKind,
    unit: Option<Unit>,
    /// What it says.
    pub help: &'static str,
}

/// What kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
    /// A distribution.
    Histogram,
}

/// All metrics of Dualcast.
pub const METRICS: &[Metric] = &[
    gauge("dualcast_sessions", "client connections that are open"),
    counter(
        "dualcast_sessions_opened_total",
        None,
        "client connections that were opened",
    ),
    counter(
        "dualcast_sessions_closed_total",
        None,
        "client connections that ended, by reason",
    ),
    seconds("dualcast_session_seconds", "how long a client connection lasted"),
    seconds(
        "dualcast_opening_seconds",
        "from a request that was let in to the first bytes of its stream",
    ),
    counter(
        "dualcast_resumes_total",
        None,
        "clients that came back with a cursor, by whether a gap was the answer",
    ),
    counter("dualcast_published_total", None, "messages that were logged"),
    counter(
        "dualcast_sent_total",
        None,
        "messages that were written to clients",
    ),
    counter(
        "dualcast_sent_bytes_total",
        Some(Unit::Bytes),
        "bytes that were written to clients",
    ),
    gauge(
        "dualcast_unsent_bytes",
        "what waits in this process for clients that don't read",
    ),
    counter(
        "dualcast_replayed_total",
        None,
        "of these messages, those that clients had missed",
    ),
    counter("dualcast_received_total", None, "messages that came from clients"),
    counter(
        "dualcast_received_bytes_total",
        Some(Unit::Bytes),
        "bytes of WebSockets that came from clients",
    ),
    seconds(
        "dualcast_delivery_seconds",
        "from a message's publish to its last byte's leaving, for the oldest of a batch",
    ),
    histogram(
        "dualcast_batch_messages",
        None,
        "messages that were written together",
    ),
    histogram(
        "dualcast_lag_messages",
        None,
        "how many messages stood after a cursor when its client was ready for more",
    ),
    counter(
        "dualcast_gaps_total",
        None,
        "gaps that clients were told, by reason",
    ),
    counter(
        "dualcast_merged_total",
        None,
        "messages that were left out for newer ones of their key",
    ),
    counter(
        "dualcast_volatile_dropped_total",
        None,
        "volatile messages that nobody got, for each follower that lagged",
    ),
    counter(
        "dualcast_refused_total",
        None,
        "what was refused because a limit was reached, by limit",
    ),
    counter(
        "dualcast_garbage_total",
        None,
        "messages from the broker that were left out, by what is wrong with them",
    ),
    counter(
        "dualcast_broker_reads_total",
        None,
        "reads of the broker's log, by what for",
    ),
    gauge("dualcast_channels", "channels in memory"),
    gauge("dualcast_log_bytes", "what all logs hold"),
];

const fn counter(name: &'static str, unit: Option<Unit>, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        unit,
        help,
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit: None,
        help,
    }
}

const fn seconds(name: &'static str, help: &'static str) -> Metric {
    histogram(name, Some(Unit::Seconds), help)
}

const fn histogram(name: &'static str, unit: Option<Unit>, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Histogram,
        unit,
        help,
    }
}

/// Those of the hub.
pub(crate) struct HubMeters {
    pub(crate) published: Counter,
    pub(crate) merged: Counter,
    pub(crate) volatile_dropped: Counter,
    pub(crate) channels: Gauge,
    pub(crate) log_bytes: Gauge,
}

/// Those of one transport.
pub struct TransportMeters {
    transport: Transport,
    sessions: Gauge,
    opened: Counter,
    session_seconds: Histogram,
    opening_seconds: Histogram,
    sent: Counter,
    sent_bytes: Counter,
    unsent_bytes: Gauge,
    replayed: Counter,
    received: Counter,
    received_bytes: Counter,
    delivery_seconds: Histogram,
    batch_messages: Histogram,
    lag_messages: Histogram,
}

impl TransportMeters {
    /// Those of this transport.
    #[must_use]
    pub fn of(transport: Transport) -> &'static Self {
        let meters = meters();
        match transport {
            Transport::Sse => &meters.sse,
            Transport::WebSocket => &meters.ws,
        }
    }

    fn new(transport: Transport) -> Self {
        let label = ("transport", transport.name());
        Self {
            transport,
            sessions: metrics::gauge!("dualcast_sessions", &[label]),
            opened: metrics::counter!("dualcast_sessions_opened_total", &[label]),
            session_seconds: metrics::histogram!("dualcast_session_seconds", &[label]),
            opening_seconds: metrics::histogram!("dualcast_opening_seconds", &[label]),
            sent: metrics::counter!("dualcast_sent_total", &[label]),
            sent_bytes: metrics::counter!("dualcast_sent_bytes_total", &[label]),
            unsent_bytes: metrics::gauge!("dualcast_unsent_bytes", &[label]),
            replayed: metrics::counter!("dualcast_replayed_total", &[label]),
            received: metrics::counter!("dualcast_received_total", &[label]),
            received_bytes: metrics::counter!("dualcast_received_bytes_total", &[label]),
            delivery_seconds: metrics::histogram!("dualcast_delivery_seconds", &[label]),
            batch_messages: metrics::histogram!("dualcast_batch_messages", &[label]),
            lag_messages: metrics::histogram!("dualcast_lag_messages", &[label]),
        }
    }

    pub(crate) fn opened(&self) {
        self.opened.increment(1);
        self.sessions.increment(1);
    }

    pub(crate) fn closed(&self, reason: CloseReason, lasted: Duration) {
        let labels = [("transport", self.transport.name()), ("reason", reason.name())];
        metrics::counter!("dualcast_sessions_closed_total", &labels).increment(1);
        self.session_seconds.record(lasted);
        self.sessions.decrement(1);
    }

    /// The first bytes of a stream have left, so long after its request was let in.
    pub fn opening(&self, took: Duration) {
        self.opening_seconds.record(took);
    }

    /// A client came back with a cursor.
    pub fn resumed(&self, is_whole: bool) {
        let outcome = if is_whole { "whole" } else { "gap" };
        let labels = [("transport", self.transport.name()), ("outcome", outcome)];
        metrics::counter!("dualcast_resumes_total", &labels).increment(1);
    }

    /// A batch was staged for so many clients.
    pub fn sent(&self, batch: &Batch, clients: usize) {
        let messages = (batch.messages * clients) as u64;
        self.sent_bytes.increment((batch.bytes * clients) as u64);
        if messages == 0 {
            return;
        }
        self.sent.increment(messages);
        self.batch_messages.record_many(batch.messages as f64, clients);
        self.lag_messages.record_many(batch.lag as f64, clients);
        if batch.is_replay {
            self.replayed.increment(messages);
        }
    }

    /// Messages of no channel were staged: an application's own stream or protocol.
    pub fn sent_unlogged(&self, messages: u64, bytes: u64) {
        self.sent.increment(messages);
        self.sent_bytes.increment(bytes);
    }

    /// For one client waits this much in place of that.
    pub fn unsent(&self, before: usize, now: usize) {
        self.unsent_bytes.increment(now as f64 - before as f64);
    }

    /// A batch has left for so many clients.
    pub fn delivered(&self, after: Duration, clients: usize) {
        self.delivery_seconds.record_many(after, clients);
    }

    /// The client sent so much.
    pub fn received(&self, messages: u64, bytes: u64) {
        self.received.increment(messages);
        self.received_bytes.increment(bytes);
    }
}

/// A POST brought a message.
pub fn count_posted() {
    metrics::counter!("dualcast_received_total", "transport" => "post").increment(1);
}

/// Something was refused because this limit was reached.
pub fn count_refused(limit: &'static str) {
    metrics::counter!("dualcast_refused_total", "limit" => limit).increment(1);
}

/// A broker brought something that is no message: left out for this reason.
pub fn count_garbage(reason: &'static str) {
    metrics::counter!("dualcast_garbage_total", "reason" => reason).increment(1);
}

/// The broker's log was read, for this.
pub fn count_broker_read(purpose: &'static str) {
    metrics::counter!("dualcast_broker_reads_total", "purpose" => purpose).increment(1);
}

pub(crate) fn count_gap(reason: GapReason) {
    metrics::counter!("dualcast_gaps_total", "reason" => reason.as_str()).increment(1);
}

pub(crate) fn hub_meters() -> &'static HubMeters {
    &meters().hub
}

struct Meters {
    hub: HubMeters,
    sse: TransportMeters,
    ws: TransportMeters,
}

fn meters() -> &'static Meters {
    static METERS: OnceLock<Meters> = OnceLock::new();
    METERS.get_or_init(|| {
        METRICS.iter().for_each(describe);
        Meters {
            hub: HubMeters {
                published: metrics::counter!("dualcast_published_total"),
                merged: metrics::counter!("dualcast_merged_total"),
                volatile_dropped: metrics::counter!("dualcast_volatile_dropped_total"),
                channels: metrics::gauge!("dualcast_channels"),
                log_bytes: metrics::gauge!("dualcast_log_bytes"),
            },
            sse: TransportMeters::new(Transport::Sse),
            ws: TransportMeters::new(Transport::WebSocket),
        }
    })
}

fn describe(metric: &Metric) {
    let Metric {
        name,
        kind,
        unit,
        help,
    } = *metric;
    let unit = unit.unwrap_or(Unit::Count);
    match kind {
        MetricKind::Counter => metrics::describe_counter!(name, unit, help),
        MetricKind::Gauge => metrics::describe_gauge!(name, unit, help),
        MetricKind::Histogram => metrics::describe_histogram!(name, unit, help),
    }
}
