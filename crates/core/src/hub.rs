//! The hub: an application has one. It holds the channels, their logs, the sessions and the fan-out.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::channel::Channel;
use crate::clock::{Clock, SystemClock};
use crate::close::CloseReason;
use crate::config::{ConfigError, Limits, LogLimits};
use crate::fanout::{FanOut, Local, Order};
use crate::health::Health;
use crate::hooks::{Hooks, Notices};
use crate::ingest::Ingest;
use crate::logs::Logs;
use crate::message::Identity;
use crate::name::{ChannelName, IntoChannelName, NameError};
use crate::position::Position;
use crate::record::RECORD_OVERHEAD_BYTES;
use crate::session::{Session, SessionHandle, Sessions, Transport};
use crate::subscribe::Subscribe;
use crate::sync::{AtomicBool, Ordering};

/// The registry of an application's channels and sessions. Clones are handles to the same hub.
///
/// ```
/// use dualcast_core::{Hub, Message};
///
/// # futures::executor::block_on(async {
/// let hub = Hub::new();
/// let room = hub.channel(("room", 42))?;
/// let mut subscription = room.subscribe().open()?;
/// let position = room.publish(Message::text("note", "hello")).await?;
/// let items = subscription.read(1 << 16).unwrap();
/// assert_eq!(items.len(), 1);
/// assert_eq!(subscription.cursor(), position);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    ingest: Ingest,
    sessions: Arc<Sessions>,
    is_maintained: AtomicBool,
}

/// Whoever tended its bell can't any more, and sessions may outlive it.
impl Drop for Shared {
    fn drop(&mut self) {
        self.ingest.logs.bell.end();
    }
}

impl Hub {
    /// A hub with the default limits and the embedded fan-out.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().assemble()
    }

    /// A hub with other limits, hooks or another fan-out.
    pub fn builder() -> HubBuilder {
        HubBuilder {
            limits: Limits::default(),
            log_limits: LogLimits::default(),
            log_limits_for: None,
            fan_out: Arc::new(Local::default()),
            hooks: None,
            clock: Box::new(SystemClock),
        }
    }

    /// A channel by its name, or by parts of it that are escaped: `hub.channel(("room", &id))`.
    ///
    /// # Errors
    ///
    /// [`NameError`] says which rule the name broke.
    pub fn channel(&self, name: impl IntoChannelName) -> Result<Channel, NameError> {
        Ok(Channel::new(self.clone(), name.into_channel_name()?))
    }

    /// One subscription to several channels, merged in the hub's order, with one cursor.
    pub fn subscribe(&self, channels: impl IntoIterator<Item = ChannelName>) -> Subscribe {
        Subscribe::new(self.clone(), channels.into_iter().collect())
    }

    /// Where the log ends now: the position for "snapshot, then follow".
    ///
    /// The application changes its own state first and publishes then. Who comes new reads this position *before* that
    /// state: whatever was published up to it is in the state already, and whatever is published later reaches a subscription
    /// [from there](Subscribe::after). So nothing falls between the two. What comes twice, in the state and in the stream,
    /// was published between this call and the read: a message has to be such that applying it again changes nothing.
    #[must_use]
    pub fn position(&self) -> Position {
        self.ingest().position()
    }

    /// Opens a session for a client connection. The adapters do.
    ///
    /// # Errors
    ///
    /// The reason with which to send the client away: [`CloseReason::Busy`] at [`Limits::max_sessions`].
    pub fn open_session(
        &self,
        transport: Transport,
        identity: Option<Identity>,
    ) -> Result<Session, CloseReason> {
        self.0.sessions.open(transport, identity)
    }

    /// Tells every session to end with [`CloseReason::Shutdown`], and those that still come.
    ///
    /// All at once. An adapter can [tell them one after another](Hub::shut), so that they don't all come back at once.
    pub fn shutdown(&self) {
        for session in self.shut() {
            session.close(CloseReason::Shutdown);
        }
    }

    /// Begins a shutdown: sessions that still come are told [`CloseReason::Shutdown`]. Answers those that are there, whom the caller has
    /// to tell.
    #[must_use = "these sessions are still to be told"]
    pub fn shut(&self) -> Vec<SessionHandle> {
        self.0.sessions.shut()
    }

    /// Ends a user's sessions, with [`CloseReason::Disconnected`]: their clients are told to stay away. Answers how many were told
    /// on this node; those on others are told as soon as the fan-out reaches them.
    ///
    /// Change first what your routes look at. A plain `EventSource` comes back by itself and is to be refused there; and a
    /// request that a route let in a moment ago is no session yet.
    pub fn disconnect(&self, identity: &Identity) -> usize {
        let order = Order::Disconnect(identity.clone());
        let told = self.obey(&order, Instant::now());
        self.fan_out().send_order(order);
        told
    }

    /// Does on this node what was ordered on any, to the sessions that were opened by then: for fan-outs. Answers how many were told.
    pub fn obey(&self, order: &Order, opened_by: Instant) -> usize {
        let (Order::Disconnect(identity) | Order::Unsubscribe(identity, _)) = order;
        let sessions = self.0.sessions.of(identity, opened_by);
        for session in &sessions {
            match order {
                Order::Disconnect(_) => session.close(CloseReason::Disconnected),
                Order::Unsubscribe(_, channel) => session.leave(channel),
            }
        }
        sessions.len()
    }

    /// Takes back a user's right to follow a channel. Answers how many sessions were told on this node; those on others are told
    /// as soon as the fan-out reaches them.
    ///
    /// Where the client subscribed to it on a live connection, it is told and hears the others as before. Where the channel is
    /// one of those that the route subscribed to, the session ends with [`CloseReason::Revoked`], and the client comes back
    /// to a route that decides anew. So change first what your routes and handlers look at.
    pub fn unsubscribe(&self, identity: &Identity, channel: &ChannelName) -> usize {
        let order = Order::Unsubscribe(identity.clone(), channel.clone());
        let told = self.obey(&order, Instant::now());
        self.fan_out().send_order(order);
        told
    }

    /// How it is: for an orchestrator, and for whoever wants to know why messages come late.
    #[must_use]
    pub fn health(&self) -> Health {
        self.fan_out().health()
    }

    /// How many client connections are open.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.0.sessions.count()
    }

    /// How many channels are in memory: those with followers or records.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.ingest().logs.channel_count()
    }

    /// What all logs hold, in bytes, counted as in [`LogLimits::max_bytes`].
    #[must_use]
    pub fn log_bytes(&self) -> usize {
        self.ingest().logs.log_bytes()
    }

    /// How many volatile messages were dropped: nobody followed, or a follower lagged. Counted for each such follower.
    #[must_use]
    pub fn volatile_dropped(&self) -> u64 {
        self.ingest().logs.volatile_dropped()
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.ingest().limits()
    }

    /// Trims what is past its age and lets quiet channels go. To be called about once a second; the adapters see to it
    /// from the first session on, each hub once ([`Hub::claim_maintenance`]).
    pub fn maintain(&self) {
        self.ingest().logs.maintain();
        self.fan_out().maintain(self.ingest());
    }

    /// Wakes those for whom something was published, or sends it to them by the ways out that they [lent](crate::Subscription::lend); and wakes this
    /// task when more is. To be called by whoever has [claimed](Hub::claim_maintenance) the maintenance, and by nobody else: by one task, or by several,
    /// which share the work. Ready once the maintenance was [released](Hub::release_maintenance).
    pub fn poll_wakes(&self, cx: &mut Context<'_>) -> Poll<()> {
        let logs = &self.ingest().logs;
        logs.bell.poll(logs, cx)
    }

    /// Answers `true` to the first who asks: it is to call [`Hub::maintain`] and [`Hub::poll_wakes`] from then on, until it
    /// [says](Hub::release_maintenance) that it doesn't any more.
    #[must_use]
    pub fn claim_maintenance(&self) -> bool {
        let is_first = !self.0.is_maintained.swap(true, Ordering::SeqCst);
        if is_first {
            self.ingest().logs.bell.begin();
        }
        is_first
    }

    /// Whoever claimed it stops: it is for the next who asks.
    pub fn release_maintenance(&self) {
        self.ingest().logs.bell.end();
        self.0.is_maintained.store(false, Ordering::SeqCst);
    }

    /// A handle that doesn't keep the hub alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakHub {
        WeakHub(Arc::downgrade(&self.0))
    }

    /// The way into its logs: for fan-outs.
    #[must_use]
    pub fn ingest(&self) -> &Ingest {
        &self.0.ingest
    }

    pub(crate) fn fan_out(&self) -> &dyn FanOut {
        &*self.ingest().logs.fan_out
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("logs", &self.ingest().logs)
            .finish_non_exhaustive()
    }
}

/// A handle that doesn't keep its hub alive.
#[derive(Clone)]
pub struct WeakHub(std::sync::Weak<Shared>);

impl WeakHub {
    /// The hub, unless it is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}

impl fmt::Debug for WeakHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakHub")
    }
}

/// What an application changes of the log limits of some channels.
type LogLimitsChange = Box<dyn Fn(&ChannelName, &mut LogLimits) + Send + Sync>;

/// Puts a hub together.
#[must_use]
pub struct HubBuilder {
    limits: Limits,
    log_limits: LogLimits,
    log_limits_for: Option<LogLimitsChange>,
    fan_out: Arc<dyn FanOut>,
    hooks: Option<Box<dyn Hooks>>,
    clock: Box<dyn Clock>,
}

impl HubBuilder {
    /// Changes the hub's [limits](Limits): `.limits(|l| l.max_sessions = 500)`.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Changes what each channel's [log keeps](LogLimits): `.log(|l| l.max_records = 10_000)`.
    pub fn log(mut self, change: impl FnOnce(&mut LogLimits)) -> Self {
        change(&mut self.log_limits);
        self
    }

    /// Changes what the log of some channels keeps: `.log_for(|name, l| if … { l.max_records = 10 })`. Asked when a channel
    /// comes into memory. No log is too small for one record, or keeps it for no time at all.
    pub fn log_for(mut self, change: impl Fn(&ChannelName, &mut LogLimits) + Send + Sync + 'static) -> Self {
        self.log_limits_for = Some(Box::new(change));
        self
    }

    /// Takes another fan-out than [`Local`].
    pub fn fan_out(mut self, fan_out: impl FanOut) -> Self {
        self.fan_out = Arc::new(fan_out);
        self
    }

    /// Tells somebody of followers and sessions.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Some(Box::new(hooks));
        self
    }

    /// Reads the time elsewhere: for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The hub.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where two limits contradict each other.
    pub fn build(self) -> Result<Hub, ConfigError> {
        self.limits.check(&self.log_limits)?;
        Ok(self.assemble())
    }

    fn assemble(self) -> Hub {
        let shared = Arc::new(self.log_limits.clone());
        let (defaults, change) = (self.log_limits, self.log_limits_for);
        let log_limits_for = move |name: &ChannelName| match &change {
            None => Arc::clone(&shared),
            Some(change) => {
                let mut own = defaults.clone();
                change(name, &mut own);
                own.max_records = own.max_records.max(1);
                own.max_age = own.max_age.max(Duration::from_nanos(1));
                // The end of a channel has to fit, too.
                own.max_bytes = own.max_bytes.max(RECORD_OVERHEAD_BYTES);
                if own == *shared {
                    Arc::clone(&shared)
                } else {
                    Arc::new(own)
                }
            }
        };
        let notices = Notices::new(self.hooks, Arc::clone(&self.fan_out));
        let logs = Arc::new(Logs::new(
            self.limits,
            Box::new(log_limits_for),
            self.clock,
            self.fan_out,
            notices,
        ));
        let hub = Hub(Arc::new(Shared {
            sessions: Arc::new(Sessions::new(Arc::clone(&logs))),
            ingest: Ingest { logs },
            is_maintained: AtomicBool::new(false),
        }));
        hub.fan_out().start(hub.downgrade());
        hub
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("limits", &self.limits)
            .field("log_limits", &self.log_limits)
            .finish_non_exhaustive()
    }
}
