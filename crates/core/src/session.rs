//! Sessions: one for each client connection, whichever transport it came by.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::task::AtomicWaker;

use crate::close::CloseReason;
use crate::hooks::{Event, Notices};
use crate::logs::Logs;
use crate::message::Identity;
use crate::meters::{TransportMeters, count_refused};
use crate::name::ChannelName;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, DashMap, Mutex, Ordering};

/// A client wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Server-Sent Events.
    Sse,
    /// WebSocket.
    WebSocket,
}

impl Transport {
    /// Its name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::WebSocket => "ws",
        }
    }
}

/// A session's number: unique in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is connected, and how.
#[derive(Debug)]
pub struct SessionInfo {
    /// Its number.
    pub id: SessionId,
    /// Its transport.
    pub transport: Transport,
    /// Whose it is, if the application said so.
    pub identity: Option<Identity>,
}

/// A handle by which a session can be told to close, or to follow a channel no longer.
#[derive(Debug, Clone)]
pub struct SessionHandle(Arc<Control>);

#[derive(Debug)]
struct Control {
    info: Arc<SessionInfo>,
    opened_at: Instant,
    orders: Mutex<Orders>,
    /// Whether it was told anything that it has not done, or is over. Set before its task is woken: one that looks without finding it needs no lock.
    has_orders: AtomicBool,
    /// The count of those in its hub.
    ordered: Arc<Ordered>,
    waker: AtomicWaker,
}

/// How many sessions of a hub, at the most, were told anything that they have not done: where that is none, which is nearly always, nobody has to look at
/// each of them.
#[derive(Debug, Default)]
pub(crate) struct Ordered(AtomicUsize);

impl Ordered {
    pub(crate) fn is_anybody(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }
}

impl Control {
    fn ordered(&self) {
        // Counted before it is set: where two tell it something at once, neither returns while the other has yet to count.
        self.ordered.0.fetch_add(1, Ordering::AcqRel);
        if self.has_orders.swap(true, Ordering::AcqRel) {
            self.ordered.0.fetch_sub(1, Ordering::AcqRel);
        }
        self.waker.wake();
    }

    /// Nothing is left to do of what it was told. It may be over: then nothing that it is told counts any more.
    fn done(&self, is_over: bool) {
        if self.has_orders.swap(is_over, Ordering::AcqRel) {
            self.ordered.0.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn has_orders(&self) -> bool {
        self.has_orders.load(Ordering::Acquire)
    }
}

/// What a session was told and has not done yet.
#[derive(Debug, Default)]
struct Orders {
    close: Option<CloseReason>,
    leave: Vec<ChannelName>,
}

impl SessionHandle {
    /// Tells the session to close. The first reason stands, but for a shutdown: from that a session may have leave to finish, and
    /// then it can still be told something else.
    pub fn close(&self, reason: CloseReason) {
        {
            let close = &mut self.0.orders.lock().close;
            if matches!(close, None | Some(CloseReason::Shutdown)) {
                *close = Some(reason);
            }
        }
        self.0.ordered();
    }

    /// Tells the session to follow a channel no longer.
    pub fn leave(&self, channel: &ChannelName) {
        {
            let leave = &mut self.0.orders.lock().leave;
            if !leave.contains(channel) {
                leave.push(channel.clone());
            }
        }
        self.0.ordered();
    }

    /// Who is connected.
    #[must_use]
    pub fn info(&self) -> &SessionInfo {
        &self.0.info
    }

    /// Whether it was told anything that it has not done, or is over.
    pub(crate) fn has_orders(&self) -> bool {
        self.0.has_orders()
    }
}

/// A client connection, counted from now until this is dropped.
#[derive(Debug)]
pub struct Session {
    control: Arc<Control>,
    sessions: Arc<Sessions>,
    ended: CloseReason,
}

impl Session {
    /// A handle to close it from elsewhere.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        SessionHandle(Arc::clone(&self.control))
    }

    /// Who is connected.
    #[must_use]
    pub fn info(&self) -> &SessionInfo {
        &self.control.info
    }

    /// Ready once somebody told it to close; wakes the task when it is told anything later.
    pub fn poll_close(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.control.waker.register(cx.waker());
        if !self.control.has_orders() {
            return Poll::Pending;
        }
        match self.control.orders.lock().close {
            Some(reason) => Poll::Ready(reason),
            None => Poll::Pending,
        }
    }

    /// The next channel that it was told to follow no longer. What comes later wakes the task that last asked
    /// [`Session::poll_close`]. Until there is none, everybody who sends for a session of this hub looks whether it was told something.
    #[must_use]
    pub fn next_to_leave(&self) -> Option<ChannelName> {
        if !self.control.has_orders() {
            return None;
        }
        let mut orders = self.control.orders.lock();
        let next = orders.leave.pop();
        // Under the lock: whoever gives another order says so behind that, and wakes the task.
        if next.is_none() && orders.close.is_none() {
            self.control.done(false);
        }
        next
    }

    /// Says why it ended, for the hooks. Without this it ended because the client left.
    pub fn ended(&mut self, reason: CloseReason) {
        self.ended = reason;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.control.done(true);
        let info = &self.control.info;
        TransportMeters::of(info.transport).closed(self.ended, self.control.opened_at.elapsed());
        self.sessions.remove(info, self.ended);
    }
}

/// All sessions of a hub.
pub(crate) struct Sessions {
    open: DashMap<u64, Arc<Control>>,
    count: AtomicUsize,
    next_id: AtomicU64,
    is_shut: AtomicBool,
    logs: Arc<Logs>,
}

impl Sessions {
    pub(crate) fn new(logs: Arc<Logs>) -> Self {
        Self {
            open: DashMap::new(),
            count: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            is_shut: AtomicBool::new(false),
            logs,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Opens a session, or says with which reason the client is to be sent away.
    pub(crate) fn open(
        self: &Arc<Self>,
        transport: Transport,
        identity: Option<Identity>,
    ) -> Result<Session, CloseReason> {
        if self.count.fetch_add(1, Ordering::SeqCst) >= self.logs.limits.max_sessions {
            self.count.fetch_sub(1, Ordering::SeqCst);
            count_refused("max_sessions");
            return Err(CloseReason::Busy);
        }
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let info = Arc::new(SessionInfo {
            id: SessionId(id),
            transport,
            identity,
        });
        let control = Arc::new(Control {
            info: Arc::clone(&info),
            opened_at: Instant::now(),
            orders: Mutex::default(),
            has_orders: AtomicBool::new(false),
            ordered: Arc::clone(&self.logs.ordered),
            waker: AtomicWaker::new(),
        });
        self.open.insert(id, Arc::clone(&control));
        TransportMeters::of(transport).opened();
        self.notices().note(|| Event::SessionOpened(info));
        let session = Session {
            control,
            sessions: Arc::clone(self),
            ended: CloseReason::Left,
        };
        // Looked at after the session stands in the map: a shutdown either finds it there or is seen here.
        if self.is_shut.load(Ordering::SeqCst) {
            session.handle().close(CloseReason::Shutdown);
        }
        self.notices().tell();
        Ok(session)
    }

    /// From now on a session that is opened is told to close at once. Answers those that are open, who are still to be told.
    pub(crate) fn shut(&self) -> Vec<SessionHandle> {
        self.is_shut.store(true, Ordering::SeqCst);
        self.handles(|_| true)
    }

    /// The open sessions of one user that were opened by then.
    pub(crate) fn of(&self, identity: &Identity, by: Instant) -> Vec<SessionHandle> {
        self.handles(|control| control.info.identity.as_ref() == Some(identity) && control.opened_at <= by)
    }

    /// Collected first: whoever is told something may be woken, and that happens with no guard held.
    fn handles(&self, is_meant: impl Fn(&Control) -> bool) -> Vec<SessionHandle> {
        let open = self.open.iter().filter(|control| is_meant(control));
        open.map(|control| SessionHandle(Arc::clone(&control))).collect()
    }

    fn remove(&self, info: &Arc<SessionInfo>, reason: CloseReason) {
        self.open.remove(&info.id.0);
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.notices()
            .note(|| Event::SessionClosed(Arc::clone(info), reason));
        self.notices().tell();
    }

    fn notices(&self) -> &Notices {
        &self.logs.notices
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::close::CloseReason;
    use crate::hub::Hub;
    use crate::session::Transport;

    #[test]
    fn who_was_told_something_counts_once_until_it_is_done_or_over() {
        let hub = Hub::new();
        let is_anybody_ordered = || hub.ingest().logs.ordered.is_anybody();
        let channel = hub.channel("a").unwrap();
        let session = hub.open_session(Transport::Sse, None).unwrap();
        let handle = session.handle();
        assert!(!is_anybody_ordered());
        for _ in 0..2 {
            handle.leave(channel.name());
        }
        assert!(is_anybody_ordered());
        assert_eq!(session.next_to_leave().as_ref(), Some(channel.name()));
        assert!(is_anybody_ordered(), "until it has seen that there is no more");
        assert_eq!(session.next_to_leave(), None);
        assert!(!is_anybody_ordered());
        for _ in 0..2 {
            handle.close(CloseReason::Disconnected);
        }
        assert_eq!(session.next_to_leave(), None);
        assert!(is_anybody_ordered(), "it is to close");
        drop(session);
        assert!(!is_anybody_ordered());
        handle.close(CloseReason::Disconnected);
        assert!(!is_anybody_ordered(), "it is over");
    }
}
