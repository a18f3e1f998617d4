//! A client, and a session that does for it what the adapters' do: it writes what its subscription has, and lends its way out when there is nothing more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use dualcast_core::{
    Channel, CloseReason, Entry, Form, GapReason, Hub, Lane, Outlet, Subscription, Terms, Transport, Wire,
};
use futures::task::AtomicWaker;

/// What arrives at a client that takes so many bytes now.
pub(crate) struct Client {
    arrived: Mutex<Vec<u8>>,
    room: Mutex<usize>,
    /// How much it waits for.
    wanted: Mutex<usize>,
    waiting: AtomicWaker,
}

impl Client {
    fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
        of.lock().unwrap()
    }

    /// Takes so many bytes more.
    pub(crate) fn has_room_for(&self, bytes: usize) {
        *Self::lock(&self.room) = bytes;
    }

    /// Ready once so many bytes have arrived.
    #[cfg(shuttle)]
    pub(crate) fn poll_arrived(&self, wanted: usize, cx: &mut Context<'_>) -> Poll<()> {
        *Self::lock(&self.wanted) = wanted;
        self.waiting.register(cx.waker());
        let has_arrived = Self::lock(&self.arrived).len() >= wanted;
        if has_arrived {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Whether it takes nothing now.
    #[cfg(shuttle)]
    pub(crate) fn is_full(&self) -> bool {
        *Self::lock(&self.room) == 0
    }

    /// What has arrived.
    pub(crate) fn arrived(&self) -> String {
        String::from_utf8(Self::lock(&self.arrived).clone()).unwrap()
    }
}

impl Outlet for Client {
    fn send(&self, bytes: &Bytes) -> usize {
        let mut room = Self::lock(&self.room);
        let sent = bytes.len().min(*room);
        *room -= sent;
        let mut arrived = Self::lock(&self.arrived);
        arrived.extend_from_slice(&bytes[..sent]);
        let has_arrived = arrived.len() >= *Self::lock(&self.wanted);
        drop((arrived, room));
        if has_arrived {
            self.waiting.wake();
        }
        sent
    }
}

/// A session under way.
pub(crate) struct Session {
    pub(crate) subscription: Subscription,
    lane: Arc<Lane<Client>>,
    staged: VecDeque<Bytes>,
    pub(crate) terms: Terms,
    /// Open for as long as the others are.
    _session: dualcast_core::Session,
}

impl Session {
    pub(crate) fn new(hub: &Hub, subscription: Subscription) -> Self {
        let session = hub.open_session(Transport::Sse, None).unwrap();
        let client = Client {
            arrived: Mutex::default(),
            room: Mutex::new(usize::MAX),
            wanted: Mutex::new(usize::MAX),
            waiting: AtomicWaker::new(),
        };
        Self {
            subscription,
            lane: Arc::new(Lane::new(client)),
            staged: VecDeque::new(),
            terms: Terms {
                wire: &Marks,
                max_bytes: 1 << 20,
                transport: Transport::Sse,
                session: session.handle(),
            },
            _session: session,
        }
    }

    pub(crate) fn follow(channel: &Channel) -> Self {
        Self::new(channel.hub(), channel.subscribe().open().unwrap())
    }

    pub(crate) fn client(&self) -> &Client {
        self.lane.outlet()
    }

    /// Its client, for another thread.
    pub(crate) fn lane(&self) -> Arc<Lane<Client>> {
        Arc::clone(&self.lane)
    }

    /// Does all that there is to do for now. Ready when nothing will follow.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let lane: Arc<Lane> = Arc::clone(&self.lane) as Arc<Lane>;
        let returned = self.subscription.take_back(&lane);
        if let Some(unsent) = returned.unsent {
            self.staged.push_front(unsent.bytes);
        }
        loop {
            while let Some(piece) = self.staged.front_mut() {
                let sent = self.lane.outlet().send(piece);
                if sent < piece.len() {
                    let _ = piece.split_to(sent);
                    return Poll::Pending;
                }
                self.staged.pop_front();
            }
            let (wire, max_bytes) = (self.terms.wire, self.terms.max_bytes);
            match self
                .subscription
                .poll_batch(cx, wire, max_bytes as usize, &mut self.staged)
            {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(reason)) => return Poll::Ready(reason),
                Poll::Pending => {
                    self.subscription.lend(cx, &lane, self.terms.clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Writes `<3>` for the third record, `~` for a message without a number, `!` for a gap and `.` for the end of a channel.
struct Marks;

impl Wire for Marks {
    fn form(&self) -> Form {
        Form::new(0, 0)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        let mark = match entry {
            Entry::Record(record) if record.message().is_none() => ".".to_owned(),
            Entry::Record(record) => format!("<{}>", record.position().sequence()),
            Entry::Volatile(_) => "~".to_owned(),
            Entry::Gap { gap, .. } if gap.reason == GapReason::Epoch => "?".to_owned(),
            Entry::Gap { .. } => "!".to_owned(),
            Entry::Merged { .. } => "*".to_owned(),
            Entry::Presence(_) => "@".to_owned(),
        };
        out.extend_from_slice(mark.as_bytes());
    }
}
