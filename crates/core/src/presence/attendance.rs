//! Attendance: what a subscription, or a program, has to do with the presence of a channel.

use std::sync::Arc;
use std::task::Waker;

use super::member::Member;
use super::rosters::{Part, until};
use super::update::PresenceUpdate;
use crate::logs::Logs;
use crate::name::ChannelName;
use crate::sleepers::Place;

/// A part in the presence of a channel, until this is dropped: as one who is there, as one who is told who is, or both.
#[derive(Debug)]
pub(crate) struct Attendance {
    logs: Arc<Logs>,
    part: Part,
    /// Up to which version it was told. None: nothing yet.
    told: Option<u64>,
    place: Option<Place>,
    has_grace: bool,
}

impl Attendance {
    pub(crate) fn new(logs: &Arc<Logs>, channel: &ChannelName, member: Option<Member>) -> Self {
        let part = logs
            .rosters
            .attend(&logs.limits, channel, member, logs.system_time());
        Self {
            logs: Arc::clone(logs),
            part,
            told: None,
            place: None,
            has_grace: true,
        }
    }

    /// What is to be told next, as far as there is room for it. From here on it counts as told.
    pub(crate) fn take_news(
        &mut self,
        room: &mut usize,
        size: impl Fn(&PresenceUpdate) -> usize,
    ) -> Vec<Arc<PresenceUpdate>> {
        if *room == 0 {
            return Vec::new();
        }
        let mut news = self.part.kept.news(self.told);
        let has_room = |update: &Arc<PresenceUpdate>| {
            let had_room = *room > 0;
            *room = room.saturating_sub(size(update));
            had_room
        };
        let count = news.iter().map(has_room).take_while(|had_room| *had_room).count();
        news.truncate(count);
        if let Some(last) = news.last() {
            self.told = Some(last.version());
        }
        news
    }

    /// Waits for a change. Answers whether there is something to be told already.
    pub(crate) fn sleep(&mut self, waker: &Waker) -> bool {
        self.part.kept.sleep(&mut self.place, waker, self.told)
    }

    /// The channel, and up to which version of its presence was told.
    pub(crate) fn version(&self) -> Option<(&ChannelName, u64)> {
        Some((self.part.kept.channel(), self.told?))
    }

    /// Whoever was present leaves at once when this is dropped, and is not waited for.
    pub(crate) fn forgo_grace(&mut self) {
        self.has_grace = false;
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let until = until(&self.logs.limits, self.logs.now()).filter(|_| self.has_grace);
        self.logs.rosters.part(&self.part, self.place, until);
    }
}
