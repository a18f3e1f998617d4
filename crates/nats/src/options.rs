//! Every setting of the fan-out, with its unit, its default and why.

use std::time::Duration;

use crate::access::{Access, TlsOptions};

/// How to reach NATS, and what is kept there.
///
/// All nodes of an application have the same [`prefix`](Self::prefix) and the same [`stream`](Self::stream).
///
/// ```
/// use std::time::Duration;
///
/// use dualcast_nats::{Access, NatsOptions};
///
/// let mut options = NatsOptions::new(["nats://10.0.0.1:4222", "nats://10.0.0.2:4222"]);
/// options.prefix = "shop.prod".into();
/// options.stream.max_age = Duration::from_secs(24 * 60 * 60);
/// options.stream.replicas = 3;
/// options.access = Access::CredentialsFile("/etc/shop/nats.creds".into());
/// assert_eq!(options.check(), Ok(()));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NatsOptions {
    /// The servers, as URLs: `nats://host:port`, or `tls://host:port` for one that must speak TLS. Whichever answers serves; the others of
    /// its cluster become known by themselves. Default `nats://127.0.0.1:4222`.
    pub servers: Vec<String>,
    /// What all subjects begin with. Default `dualcast`. Segments of `[A-Za-z0-9_-]` joined by `.`, at most [`MAX_PREFIX_BYTES`]
    /// bytes; none but the first is `log`, `live` or `volatile`, which another prefix' subjects could have there. Two hubs with different
    /// prefixes share a server without seeing each other.
    pub prefix: String,
    /// The stream that is the hub's log.
    pub stream: StreamOptions,
    /// Who we are to the servers. Default nobody in particular.
    pub access: Access,
    /// How TLS is spoken, where it is.
    pub tls: TlsOptions,
    /// What the servers' own tools call our connections. Default `dualcast`. The connection that reads the stream back adds ` (reads)`.
    pub name: String,
    /// The JetStream domain, where there are several (leaf nodes). Default the one of the servers.
    pub domain: Option<String>,
    /// Within what time a publish is acknowledged, or answered with an error. Default 5 seconds: a cluster that loses a leader has
    /// another one within about that.
    pub publish_deadline: Duration,
    /// The most publishes that wait for their acknowledgement at a time. Default 4,096: three times what it takes to be no bound for the
    /// throughput of one server. Each holds its message in memory. Past it a publish waits for another to end, within its deadline. Orders to other nodes
    /// (`Hub::disconnect`) count, too: up to 1,024 while the broker is away.
    pub max_in_flight: usize,
    /// For how long a node that says nothing more is believed to have those who were [present](dualcast_core::Presence) on it. Default 15 seconds: a
    /// killed node's people vanish within that, and whoever was cut with it has come back to another node. Each node writes whom it has three times as often, so a cluster that
    /// elects a leader for as long as that is survived. What a node writes says it, so nodes may differ for the time of a deploy; the bucket keeps what it kept when it was made.
    pub presence_lifetime: Duration,
    /// Within what time a request to JetStream is answered: the stream's state, a page of records. Default 5 seconds.
    pub request_deadline: Duration,
    /// The most messages that the live subscription holds for the node to take them. Default 16,384, a second and more at ten thousand a
    /// second. Past it NATS' client drops the newest; what it dropped is read back from the stream.
    pub max_live_messages: usize,
    /// For how long a record that is missing holds up those behind it. Default 10 seconds: twice what a cluster takes to have another leader.
    /// Then clients are told a gap, `unavailable`, and go on. While the broker is away nothing is held up, and nothing given up.
    pub hole_deadline: Duration,
    /// Within what time it is read what a client missed that is not in memory any more. Default 10 seconds. Past it the client's session
    /// ends with `unavailable`, and it comes back with its cursor.
    pub history_deadline: Duration,
    /// The most bytes of such records that a node holds for its clients: payload, and 528 for what else there is of each. Default 256 MiB. A
    /// client for whom there is no room waits, within `history_deadline`. Those who read slowly keep their room until their write deadline. Half a
    /// MiB for each channel that a subscription may have is the least that serves.
    pub max_history_bytes: usize,
    /// The most messages that are put aside while what stands before them is read back. Default 16,384. Further ones are read back, too.
    pub max_aside: usize,
    /// The most bytes of them. Default 64 MiB.
    pub max_aside_bytes: usize,
    /// How much of the stream's tail a node loads when it starts.
    pub tail: TailLimits,
    /// What else NATS' client can be told: buffers, proxies, certificates in memory, a callback that signs. Our other options are applied on
    /// top of it, and the callback for events is always ours. A type of `async-nats`, on purpose: whatever that crate
    /// learns is at hand. Default: its own, but with pings each 10 seconds, so that a link on which nothing arrives any more is
    /// given up within 30; it would be three minutes.
    pub client: async_nats::ConnectOptions,
}

/// The stream that is a hub's log: what it keeps, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Its name, of `[A-Za-z0-9_-]`, at most [`MAX_STREAM_NAME_BYTES`] bytes. Default: made from the prefix, which has a name of its own for
    /// each prefix.
    pub name: Option<String>,
    /// For how long a record is kept. Default 1 hour: whoever was away for longer reads the state anew.
    pub max_age: Duration,
    /// The most bytes of records on each replica; past it the oldest go. Default 1 GiB. A server that lacks the room refuses the stream
    /// when it is made, and not the messages later.
    pub max_bytes: u64,
    /// On how many servers each record is. Default 1; of a cluster 3, so that one may be lost.
    pub replicas: usize,
    /// For how long an idempotency key is remembered. Default 2 minutes, as on one node. No longer than `max_age`.
    pub duplicate_window: Duration,
    /// What to do with a stream of this name that has other settings. Default [`Existing::Refuse`].
    pub existing: Existing,
}

/// What to do with a stream that is there already and has other settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Existing {
    /// Nothing: connecting fails, and the error names each setting that differs.
    #[default]
    Refuse,
    /// Take it as it is, if it can serve as a log: where a message could be lost in silence it is refused all the same. For streams that
    /// somebody else looks after.
    Adopt,
    /// Change its settings to ours, as far as the server lets them be changed.
    Update,
}

/// How much of the stream's tail a node loads when it starts. Whichever is reached first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailLimits {
    /// The most records. Default 100,000: about a second's loading.
    pub max_records: u64,
    /// The most bytes: of payload, and 512 for what else there is of a record. Default 128 MiB, half of what a hub's logs may have.
    pub max_bytes: u64,
}

/// The longest prefix, in bytes: with the longest channel name it makes a subject of some 300, of which servers take 4,096.
pub const MAX_PREFIX_BYTES: usize = 100;

/// The longest name of a stream, in bytes. Servers make it a file's name, whose limit is 255, and add to it.
pub const MAX_STREAM_NAME_BYTES: usize = 200;

/// A setting that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// There is no server to connect to.
    #[error("`servers` is empty")]
    NoServer,
    /// The prefix breaks a rule.
    #[error("the prefix {prefix:?} {rule}")]
    Prefix {
        /// The prefix.
        prefix: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// The stream's name breaks a rule.
    #[error("the stream's name {name:?} {rule}")]
    StreamName {
        /// The name.
        name: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// A number or a time that is zero, or contradicts another.
    #[error("`{setting}` {rule}")]
    Value {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it.
        rule: &'static str,
    },
}

impl NatsOptions {
    /// The defaults, for these servers.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            servers: servers.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Holds the options to their rules. Connecting does.
    ///
    /// # Errors
    ///
    /// [`OptionsError`] says which rule was broken.
    pub fn check(&self) -> Result<(), OptionsError> {
        if self.servers.is_empty() {
            return Err(OptionsError::NoServer);
        }
        check_prefix(&self.prefix)?;
        if let Some(name) = &self.stream.name {
            check_stream_name(name)?;
        }
        let StreamOptions {
            max_age,
            duplicate_window,
            ..
        } = self.stream;
        let values = [
            ("publish_deadline", self.publish_deadline.is_zero()),
            ("request_deadline", self.request_deadline.is_zero()),
            ("hole_deadline", self.hole_deadline.is_zero()),
            ("history_deadline", self.history_deadline.is_zero()),
            ("max_history_bytes", self.max_history_bytes == 0),
            ("max_in_flight", self.max_in_flight == 0),
            ("max_live_messages", self.max_live_messages == 0),
            ("stream.max_age", max_age.is_zero()),
            ("stream.max_bytes", self.stream.max_bytes == 0),
            ("stream.replicas", self.stream.replicas == 0),
        ];
        if let Some((setting, _)) = values.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(OptionsError::Value {
                setting,
                rule: "must be above zero",
            });
        }
        // The servers' own rules, said before they are asked.
        let bounds = [
            ("stream.replicas", self.stream.replicas > 5, "is at most 5"),
            (
                "stream.max_bytes",
                i64::try_from(self.stream.max_bytes).is_err(),
                "is too large",
            ),
            ("stream.max_age", nanoseconds(max_age).is_none(), "is too long"),
            (
                "stream.max_age",
                max_age < SHORTEST_AGE,
                "is at least 100 milliseconds",
            ),
            (
                "presence_lifetime",
                self.presence_lifetime < SHORTEST_LIFETIME,
                "is at least 1 second",
            ),
            (
                "presence_lifetime",
                nanoseconds(self.presence_lifetime).is_none(),
                "is too long",
            ),
            (
                "stream.duplicate_window",
                duplicate_window > max_age,
                "can't be longer than `stream.max_age`",
            ),
            (
                "stream.duplicate_window",
                duplicate_window < SHORTEST_AGE,
                "is at least 100 milliseconds",
            ),
        ];
        match bounds.into_iter().find(|(_, is_broken, _)| *is_broken) {
            Some((setting, _, rule)) => Err(OptionsError::Value { setting, rule }),
            None => Ok(()),
        }
    }

    /// The stream's name.
    #[must_use]
    pub fn stream_name(&self) -> String {
        match &self.stream.name {
            Some(name) => name.clone(),
            // As a channel's name is made from parts: two prefixes never give one name.
            None => self.prefix.replace("_x", "_x5fx").replace('.', "_x2e"),
        }
    }
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            prefix: "dualcast".to_owned(),
            stream: StreamOptions::default(),
            access: Access::default(),
            tls: TlsOptions::default(),
            name: "dualcast".to_owned(),
            domain: None,
            publish_deadline: Duration::from_secs(5),
            max_in_flight: 4_096,
            request_deadline: Duration::from_secs(5),
            presence_lifetime: Duration::from_secs(15),
            max_live_messages: 16_384,
            hole_deadline: Duration::from_secs(10),
            history_deadline: Duration::from_secs(10),
            max_history_bytes: 256 << 20,
            max_aside: 16_384,
            max_aside_bytes: 64 << 20,
            tail: TailLimits::default(),
            client: async_nats::ConnectOptions::new().ping_interval(Duration::from_secs(10)),
        }
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            name: None,
            max_age: Duration::from_secs(60 * 60),
            max_bytes: 1 << 30,
            replicas: 1,
            duplicate_window: Duration::from_secs(2 * 60),
            existing: Existing::default(),
        }
    }
}

impl Default for TailLimits {
    fn default() -> Self {
        Self {
            max_records: 100_000,
            max_bytes: 128 << 20,
        }
    }
}

fn check_prefix(prefix: &str) -> Result<(), OptionsError> {
    let rule = if prefix.is_empty() {
        "is empty"
    } else if prefix.len() > MAX_PREFIX_BYTES {
        "is longer than 100 bytes"
    } else if !prefix.bytes().all(|byte| byte == b'.' || is_plain(byte)) {
        "has other characters than letters, digits, '_', '-' and '.'"
    } else if prefix.split('.').any(str::is_empty) {
        "has an empty segment"
    } else if prefix
        .split('.')
        .skip(1)
        .any(|segment| OUR_SEGMENTS.contains(&segment))
    {
        "has a segment `log`, `live` or `volatile`, which would be in the middle of another prefix' subjects"
    } else {
        return Ok(());
    };
    let prefix = prefix.to_owned();
    Err(OptionsError::Prefix { prefix, rule })
}

fn check_stream_name(name: &str) -> Result<(), OptionsError> {
    let rule = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_STREAM_NAME_BYTES {
        "is longer than 200 bytes"
    } else if !name.bytes().all(is_plain) {
        "has other characters than letters, digits, '_' and '-'"
    } else {
        return Ok(());
    };
    let name = name.to_owned();
    Err(OptionsError::StreamName { name, rule })
}

/// What a server can be told of a time.
pub(crate) fn nanoseconds(time: Duration) -> Option<i64> {
    i64::try_from(time.as_nanos()).ok()
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

const OUR_SEGMENTS: [&str; 3] = ["log", "live", "volatile"];

/// Below that a moment's hold-up on the way would look like a node's end.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);

/// The shortest that servers take.
const SHORTEST_AGE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
