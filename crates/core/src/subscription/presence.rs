//! Presence: who is there, told before what stands after the cursor.

use super::Subscription;
use crate::item::Item;
use crate::name::ChannelName;
use crate::presence::{Attendance, Member, PresenceUpdate};

impl Subscription {
    /// Is told from here on who is present on its channels; and is one of them, where it is somebody.
    pub(crate) fn attend(&mut self, member: Option<&Member>) {
        for followed in &mut self.followed {
            let attendance = Attendance::new(&self.logs, followed.name(), member.cloned());
            followed.attendance = Some(Box::new(attendance));
        }
    }

    /// Whoever is present by it leaves at once when it ends, without the time that is given to those who may come back.
    pub fn forgo_grace(&mut self) {
        for followed in &mut self.followed {
            if let Some(attendance) = &mut followed.attendance {
                attendance.forgo_grace();
            }
        }
    }

    /// Up to which version it was told who is present, of each channel of which it is.
    pub fn presence_versions(&self) -> impl Iterator<Item = (&ChannelName, u64)> {
        let attendances = self
            .followed
            .iter()
            .filter_map(|followed| followed.attendance.as_ref());
        attendances.filter_map(|attendance| attendance.version())
    }

    /// Whoever is present by it on a channel leaves that at once, whenever it ends.
    pub fn forgo_grace_on(&mut self, channel: &ChannelName) {
        let mut followed = self.followed.iter_mut();
        let followed = followed.find(|followed| followed.name() == channel);
        if let Some(attendance) = followed.and_then(|followed| followed.attendance.as_mut()) {
            attendance.forgo_grace();
        }
    }

    /// What is to be told of who is there. Answers the room that is left.
    pub(super) fn take_presence(
        &mut self,
        mut room: usize,
        size: impl Fn(&PresenceUpdate) -> usize,
        items: &mut Vec<Item>,
    ) -> usize {
        for followed in &mut self.followed {
            if let Some(attendance) = &mut followed.attendance {
                let news = attendance.take_news(&mut room, &size);
                items.extend(news.into_iter().map(Item::Presence));
            }
        }
        room
    }
}
