//! Hooks: what an application is told of followers and sessions.
//!
//! What happens on one channel is told in the order in which it happened, though it happens on many threads: an
//! application that starts a feed for the first follower must not see "gone" before "came". So events are
//! queued where they happen, under the lock that orders them, and told afterwards, with no lock held.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::close::CloseReason;
use crate::fanout::FanOut;
use crate::name::ChannelName;
use crate::session::SessionInfo;
use crate::sync::Mutex;

/// What an application may want to know. Each method does nothing unless it is written.
///
/// They are called one after another, on whichever task caused the event or is telling others already: be quick, and hand
/// longer work to a task of your own. Publishing and subscribing from within them is fine.
pub trait Hooks: Send + Sync + 'static {
    /// A channel that nobody followed is followed.
    fn first_follower(&self, channel: &ChannelName) {
        let _ = channel;
    }

    /// Nobody follows a channel any more.
    fn last_follower_gone(&self, channel: &ChannelName) {
        let _ = channel;
    }

    /// A client connected.
    fn session_opened(&self, session: &SessionInfo) {
        let _ = session;
    }

    /// A client's connection ended.
    fn session_closed(&self, session: &SessionInfo, reason: CloseReason) {
        let _ = (session, reason);
    }
}

#[derive(Debug)]
pub(crate) enum Event {
    FirstFollower(ChannelName),
    LastFollowerGone(ChannelName),
    SessionOpened(Arc<SessionInfo>),
    SessionClosed(Arc<SessionInfo>, CloseReason),
}

/// The events that were not told yet.
pub(crate) struct Notices {
    hooks: Option<Box<dyn Hooks>>,
    fan_out: Arc<dyn FanOut>,
    has_listener: bool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    is_being_told: bool,
}

impl Notices {
    pub(crate) fn new(hooks: Option<Box<dyn Hooks>>, fan_out: Arc<dyn FanOut>) -> Self {
        Self {
            has_listener: hooks.is_some() || fan_out.minds_followers(),
            hooks,
            fan_out,
            queue: Mutex::default(),
        }
    }

    /// Notes an event, made only where somebody listens. May be called under a lock.
    pub(crate) fn note(&self, event: impl FnOnce() -> Event) {
        if self.has_listener {
            self.queue.lock().events.push_back(event());
        }
    }

    /// Tells what was noted, unless another task is at it, which then tells this too. To be called with no lock held.
    pub(crate) fn tell(&self) {
        if !self.has_listener {
            return;
        }
        let mut telling = Telling {
            notices: self,
            is_mine: false,
        };
        while let Some(event) = telling.next() {
            match &event {
                Event::FirstFollower(channel) => self.fan_out.followed(channel),
                Event::LastFollowerGone(channel) => self.fan_out.unfollowed(channel),
                Event::SessionOpened(_) | Event::SessionClosed(..) => {}
            }
            let Some(hooks) = &self.hooks else { continue };
            match event {
                Event::FirstFollower(channel) => hooks.first_follower(&channel),
                Event::LastFollowerGone(channel) => hooks.last_follower_gone(&channel),
                Event::SessionOpened(session) => hooks.session_opened(&session),
                Event::SessionClosed(session, reason) => hooks.session_closed(&session, reason),
            }
        }
    }
}

/// A task's turn at telling. Ends even when a hook panics: the next event finds another teller.
struct Telling<'a> {
    notices: &'a Notices,
    is_mine: bool,
}

impl Telling<'_> {
    fn next(&mut self) -> Option<Event> {
        let mut queue = self.notices.queue.lock();
        if queue.is_being_told && !self.is_mine {
            return None;
        }
        let event = queue.events.pop_front();
        self.is_mine = event.is_some();
        queue.is_being_told = self.is_mine;
        event
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if self.is_mine {
            self.notices.queue.lock().is_being_told = false;
        }
    }
}
