//! Presence: who is there, on a channel.
//!
//! It is a small state with a version, kept beside the log and not in it. Whoever is told of it is told the whole, and by change from then
//! on; who has fallen behind the changes that are kept is told the whole again. So a slow client costs nothing here either, and none
//! can miss that somebody came.
//!
//! Invariants: a roster knows no session and no node but by number and name. Nobody is woken, and no fan-out told, under a lock.

mod attendance;
mod member;
mod roster;
mod rosters;
mod update;

use std::fmt;
use std::sync::Arc;

use crate::channel::Channel;
use crate::error::SubscribeError;
use crate::subscribe::Subscribe;

pub(crate) use attendance::Attendance;
pub use member::{Member, MemberError};
pub(crate) use rosters::Rosters;
pub use rosters::{Elsewhere, Held};
pub use update::PresenceUpdate;

/// Who is there, on a channel: those whose sessions [say so](Subscribe::present), on all nodes.
///
/// ```
/// use dualcast_core::{Hub, Member};
///
/// let hub = Hub::new();
/// let room = hub.channel(("room", 42))?;
/// let ada = Member::new("u1").data(&serde_json::json!({ "name": "Ada" }))?;
/// let session = room.subscribe().present(ada).open()?;
/// assert_eq!(room.presence().now().count(), 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Presence(Channel);

impl Presence {
    pub(crate) fn of(channel: Channel) -> Self {
        Self(channel)
    }

    /// Who is there now, as far as this node knows; in a large room, how many, and [some of them](crate::Limits::max_presence_sample). With several
    /// nodes, one that had nothing to do with presence before begins to listen to the others with this.
    #[must_use]
    pub fn now(&self) -> Arc<PresenceUpdate> {
        let logs = &self.0.hub().ingest().logs;
        logs.rosters.whole(self.0.name())
    }

    /// A subscription that is told who is there, and doesn't count itself: for those who look on.
    pub fn watch(&self) -> Subscribe {
        self.0.subscribe().watch_presence()
    }

    /// Makes a member present for as long as the answer is kept, and for [`Limits::presence_grace`](crate::Limits::presence_grace): somebody who
    /// has no session of Dualcast's. For sessions it is [`Subscribe::present`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError::Member`] where the member breaks a rule.
    pub fn join(&self, member: Member) -> Result<Present, SubscribeError> {
        let logs = &self.0.hub().ingest().logs;
        member.check(&logs.limits)?;
        Ok(Present(Attendance::new(logs, self.0.name(), Some(member))))
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Presence").field(self.0.name()).finish()
    }
}

/// Somebody is present until this is dropped.
#[derive(Debug)]
#[must_use = "whose presence is dropped has left"]
pub struct Present(Attendance);

impl Present {
    /// Leaves at once, without the time that is given to those who may come back.
    pub fn leave(mut self) {
        self.0.forgo_grace();
    }
}
