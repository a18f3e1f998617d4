//! What is measured: each scenario drives one server in one way, and answers figures.

mod channels;
mod connect;
mod crowds;
mod fan_out;
mod idle;
mod nats;
mod paced;
mod publish;
mod resume;
mod stalled;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use hdrhistogram::Histogram;

use crate::figure::Figure;
use crate::server::{self, Server};
use crate::target::Transport;

pub(crate) use nats::{ALL_SIDES, Sides};

/// The scenarios, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// 1,000 connections, and 1, 4 and 32 messages in flight
    FanOut,
    /// 1,000 connections, and 50 messages a second
    Paced,
    /// The memory of connections to which nothing comes
    Idle,
    /// Connections as fast as they can be made
    Connect,
    /// A crowd that was cut off, and comes back with its cursor
    Resume,
    /// Clients that don't read, beside others that do
    Stalled,
    /// One channel with more and more followers
    Crowds,
    /// The same traffic, over more and more channels
    Channels,
    /// Publishing to nobody, in one process
    Publish,
    /// From one node to a client of another, over NATS
    Across,
    /// Publishing over NATS, each message acknowledged
    Acked,
    /// How fast a node that starts loads the stream's tail
    Tail,
    /// The crowd of `resume`, on a node over NATS
    Storm,
}

/// How large everything is.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    /// The connections of a scenario that does not name its own.
    pub(crate) connections: usize,
    /// The size of a payload.
    pub(crate) message_bytes: usize,
    /// How long one figure is measured for.
    pub(crate) measured: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) paced: Duration,
    pub(crate) idle_connections: usize,
    pub(crate) connecting: usize,
    pub(crate) resuming: usize,
    pub(crate) stalled: Duration,
    /// How many follow one channel, each by a connection.
    pub(crate) crowds: &'static [usize],
    /// The same, where a connection has many streams.
    pub(crate) crowds_of_streams: &'static [usize],
    pub(crate) channels: &'static [usize],
    pub(crate) publishes: u64,
    /// How many messages go from one node to another.
    pub(crate) across: u64,
    /// How many messages are published with many in flight.
    pub(crate) acked: u64,
    /// How many records a node loads.
    pub(crate) tail: u64,
}

impl Sizes {
    pub(crate) const FULL: Self = Self {
        connections: 1_000,
        message_bytes: 128,
        measured: Duration::from_millis(2_000),
        warm_up: Duration::from_millis(300),
        paced: Duration::from_secs(5),
        idle_connections: 9_000,
        connecting: 5_000,
        resuming: 5_000,
        stalled: Duration::from_secs(15),
        // Each process may open 20,000 files.
        crowds: &[1_000, 18_000],
        crowds_of_streams: &[1_000, 10_000, 100_000],
        channels: &[10, 1_000, 100_000],
        publishes: 2_000_000,
        across: 5_000,
        acked: 100_000,
        tail: 100_000,
    };

    /// Small enough to see quickly whether everything runs. Its figures say little.
    pub(crate) const QUICK: Self = Self {
        connections: 200,
        message_bytes: 128,
        measured: Duration::from_millis(400),
        warm_up: Duration::from_millis(100),
        paced: Duration::from_secs(1),
        idle_connections: 1_000,
        connecting: 1_000,
        resuming: 1_000,
        stalled: Duration::from_secs(2),
        crowds: &[200, 1_000],
        crowds_of_streams: &[200, 1_000],
        channels: &[10, 1_000],
        publishes: 100_000,
        across: 300,
        acked: 3_000,
        tail: 10_000,
    };
}

impl Scenario {
    pub(crate) const ALL: [Self; 13] = [
        Self::FanOut,
        Self::Paced,
        Self::Idle,
        Self::Connect,
        Self::Resume,
        Self::Stalled,
        Self::Crowds,
        Self::Channels,
        Self::Publish,
        Self::Across,
        Self::Acked,
        Self::Tail,
        Self::Storm,
    ];

    /// What stands above its figures.
    pub(crate) fn title(self, sizes: &Sizes) -> String {
        let (connections, bytes) = (sizes.connections, sizes.message_bytes);
        match self {
            Self::FanOut => {
                format!("Fan-out to {connections} connections, {bytes} bytes, a window in flight")
            }
            Self::Paced => format!(
                "{} messages a second to {connections} connections",
                paced::MESSAGES_PER_SECOND
            ),
            Self::Idle => format!("Idle memory, {} connections", sizes.idle_connections),
            Self::Connect => format!("{} connections as fast as possible", sizes.connecting),
            Self::Resume => format!(
                "{} clients cut off, {} messages missed, all back at once",
                sizes.resuming,
                resume::MISSED
            ),
            Self::Stalled => format!(
                "{} of {connections} clients that don't read, {} messages of {} bytes a second for {} s",
                stalled::count(sizes),
                stalled::MESSAGES_PER_SECOND,
                stalled::MESSAGE_BYTES,
                sizes.stalled.as_secs()
            ),
            Self::Crowds => "One channel with more and more followers, 1 message in flight".into(),
            Self::Channels => {
                format!("The same traffic to {connections} connections, over more and more channels")
            }
            Self::Publish => "Publishing to nobody, in one process and thread".into(),
            Self::Across => {
                format!("From one node to a client of another, {bytes} bytes, one message at a time")
            }
            Self::Acked => format!("Publishing {bytes} bytes over NATS, from one process"),
            Self::Tail => format!(
                "A node loads {} records of {bytes} bytes in {} channels",
                sizes.tail,
                nats::TAIL_CHANNELS
            ),
            Self::Storm => format!(
                "{} clients of a node over NATS cut off, {} messages missed, all back at once",
                sizes.resuming,
                resume::MISSED
            ),
        }
    }

    /// Whether it starts a nats-server, and all that it compares. Else it drives one server at a time.
    pub(crate) fn is_over_nats(self) -> bool {
        matches!(self, Self::Across | Self::Acked | Self::Tail | Self::Storm)
    }

    /// Whom the others are compared with: with the better of them.
    pub(crate) fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Across => &[nats::CORE],
            Self::Acked => &[nats::JETSTREAM],
            Self::Tail => &[nats::ORDERED],
            Self::Storm => &[nats::LOCAL],
            _ => &[server::FLOOR, server::JOINED, server::H2],
        }
    }

    /// Who is refused where one of them is: half a comparison is none.
    pub(crate) fn sides(self) -> &'static [&'static str] {
        match self {
            Self::Across => &[nats::CORE, nats::JETSTREAM, nats::LOCAL, nats::NATS],
            Self::Acked => &[nats::JETSTREAM, nats::JETSTREAM_HEARD, nats::NATS],
            Self::Tail => &[nats::ORDERED, nats::NATS],
            Self::Storm => &[nats::LOCAL, nats::NATS, nats::NATS_FORGETFUL],
            _ => &[],
        }
    }

    /// Whether a server can do what this measures.
    pub(crate) fn suits(self, server: &Server, transport: Option<Transport>) -> bool {
        let is = |name| server.name == name;
        if transport.is_some_and(|transport| !server.dialect.has(transport)) {
            return false;
        }
        let is_http2 = transport == Some(Transport::SseHttp2);
        let speaks_it = is(server::DUALCAST) || is(server::BY_HAND) || is(server::H2);
        if is_http2 && !speaks_it || is(server::H2) && !is_http2 {
            return false;
        }
        match self {
            Self::Channels => server.dialect.many_channels,
            Self::Resume => server.dialect.resumes && !is(server::JOINED) && !is(server::ROOMS),
            // No clients, no server: what stands for each is in the scenario.
            Self::Publish => is(server::FLOOR) || is(server::BY_HAND) || is(server::DUALCAST),
            // The two floors differ in nothing but how they write what came together.
            Self::Idle | Self::Connect | Self::Stalled => !is(server::JOINED) && !is(server::ROOMS),
            Self::FanOut | Self::Paced | Self::Crowds => !is(server::ROOMS),
            Self::Across | Self::Acked | Self::Tail | Self::Storm => false,
        }
    }

    /// Whether it has anything to do with transports.
    pub(crate) fn transports(self) -> &'static [Option<Transport>] {
        match self {
            Self::Publish | Self::Acked | Self::Tail => &[None],
            Self::Crowds => &[
                Some(Transport::Sse),
                Some(Transport::SseHttp2),
                Some(Transport::Ws),
            ],
            _ => &[Some(Transport::Sse), Some(Transport::Ws)],
        }
    }

    /// Measures one server, once.
    pub(crate) fn run(
        self,
        server: &Server,
        transport: Option<Transport>,
        sizes: &Sizes,
    ) -> Result<Vec<Figure>> {
        let Some(transport) = transport else {
            return publish::run(server, sizes);
        };
        match self {
            Self::FanOut => fan_out::run(server, transport, sizes),
            Self::Paced => paced::run(server, transport, sizes),
            Self::Idle => idle::run(server, transport, sizes),
            Self::Connect => connect::run(server, transport, sizes),
            Self::Resume => resume::run(server, transport, sizes),
            Self::Stalled => stalled::run(server, transport, sizes),
            Self::Crowds => crowds::run(server, transport, sizes),
            Self::Channels => channels::run(server, transport, sizes),
            Self::Publish => publish::run(server, sizes),
            Self::Across | Self::Acked | Self::Tail | Self::Storm => {
                bail!("{self:?} starts its servers itself")
            }
        }
    }

    /// Measures all sides of a scenario over NATS, once. In each round another one begins, where they don't take turns all the time.
    pub(crate) fn compare(self, transport: Option<Transport>, round: usize, sizes: &Sizes) -> Result<Sides> {
        match (self, transport) {
            (Self::Across, Some(transport)) => nats::across(transport, sizes),
            (Self::Storm, Some(transport)) => nats::storm(transport, round, sizes),
            (Self::Acked, None) => nats::acked(round, sizes),
            (Self::Tail, None) => nats::tail(round, sizes),
            _ => bail!("{self:?} has no sides"),
        }
    }
}

/// For how long it is listened after the last message: what comes then came twice.
pub(crate) const LISTEN_ON: Duration = Duration::from_millis(200);

/// A quantile of a histogram of nanoseconds, in milliseconds.
pub(crate) fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e6
}

pub(crate) fn microseconds_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

pub(crate) fn kibibytes_each(bytes: i64, count: usize) -> f64 {
    bytes as f64 / 1_024.0 / count as f64
}
