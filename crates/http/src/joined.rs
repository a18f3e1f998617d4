//! The channels that a client joined on a live connection, beside those that its route subscribed to.
//!
//! Each is a subscription with a cursor of its own: merged into an older one it would replay the others or lose its own.
//! They and the route's own take turns, so that none of them has to wait for a busy one.

use std::cmp::Ordering;
use std::task::{Context, Poll};

use dualcast_core::{ChannelName, Position, Subscribe, Subscription};

use crate::error::Error;
use crate::rare::Rare;

/// Subscriptions that come and go while the session lives.
#[derive(Debug, Default)]
pub(crate) struct Joined(Rare<Several>);

#[derive(Debug, Default)]
struct Several {
    subscriptions: Vec<Subscription>,
    /// The channel for which a client waits to be let in, unless the right to it was taken back meanwhile.
    joining: Option<ChannelName>,
    /// Whose turn it is: 0 is the route's own.
    turn: usize,
}

impl Joined {
    pub(crate) fn is_empty(&self) -> bool {
        self.subscriptions().is_empty()
    }

    pub(crate) fn subscription_to(&self, channel: &ChannelName) -> Option<&Subscription> {
        self.place(channel).map(|place| &self.subscriptions()[place])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions().iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        self.subscriptions_mut().iter_mut()
    }

    /// A client asks for a channel, and somebody thinks it over.
    pub(crate) fn begin(&mut self, channel: ChannelName) {
        self.0.make().joining = Some(channel);
    }

    /// It is let in.
    pub(crate) fn join(
        &mut self,
        channel: &ChannelName,
        subscribe: Subscribe,
    ) -> Result<&Subscription, Error> {
        let several = self.0.make();
        if several.joining.take().as_ref() != Some(channel) {
            return Err(Error::revoked(channel));
        }
        several.subscriptions.push(subscribe.open()?);
        Ok(&several.subscriptions[several.subscriptions.len() - 1])
    }

    /// It leaves. Answers whether it was there; not being let in any more is leaving, too.
    pub(crate) fn leave(&mut self, channel: &ChannelName) -> bool {
        let place = self.place(channel);
        let Some(several) = self.0.get_mut() else {
            return false;
        };
        several.joining.take_if(|joining| joining == channel);
        if let Some(place) = place {
            several.subscriptions.remove(place).forgo_grace();
        }
        place.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.subscriptions().len()
    }

    /// The numbers of all that may speak, beginning with whose turn it is: 0 for the route's own, the others from 1 on.
    pub(crate) fn turns(&self) -> impl Iterator<Item = usize> + use<> {
        let count = self.len() + 1;
        let first = self.0.get().map_or(0, |several| several.turn % count);
        (first..count).chain(0..first)
    }

    /// One of them has spoken: the next is the next one's.
    pub(crate) fn took_turn(&mut self, number: usize) {
        self.0.make().turn = number + 1;
    }

    pub(crate) fn get(&mut self, number: usize) -> Option<&mut Subscription> {
        self.subscriptions_mut().get_mut(number.checked_sub(1)?)
    }

    /// One of them is over.
    pub(crate) fn remove(&mut self, number: usize) {
        self.0.make().subscriptions.remove(number - 1);
    }

    /// Ready when one of them has fallen further behind than its lag rule lets pass.
    pub(crate) fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for subscription in self.subscriptions_mut() {
            if subscription.poll_overdue(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    fn subscriptions(&self) -> &[Subscription] {
        self.0.get().map_or(&[], |several| &several.subscriptions)
    }

    fn subscriptions_mut(&mut self) -> &mut [Subscription] {
        self.0
            .get_mut()
            .map_or(&mut [], |several| &mut several.subscriptions)
    }

    fn place(&self, channel: &ChannelName) -> Option<usize> {
        self.subscriptions()
            .iter()
            .position(|subscription| subscription.follows(channel))
    }
}

/// The least of several positions. None where they are of different lives of the log: then none of them is good for all.
pub(crate) fn least(mut positions: impl Iterator<Item = Position>) -> Option<Position> {
    let first = positions.next()?;
    positions.try_fold(first, |least, position| match position.partial_cmp(&least)? {
        Ordering::Less => Some(position),
        Ordering::Equal | Ordering::Greater => Some(least),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_positions_in_different_lives_none_is_the_least() {
        let least_of = |ids: &[&str]| {
            let positions = ids.iter().map(|id| id.parse().unwrap());
            least(positions).map(|least| least.to_string())
        };
        let (before, here) = ("1k3f9x2abz-5", "0k3f9x2abz-5");
        assert_eq!(least_of(&[]), None);
        assert_eq!(
            least_of(&["0k3f9x2abz-7", here, "0k3f9x2abz-6"]).as_deref(),
            Some(here)
        );
        assert_eq!(least_of(&[here, before]), None);
        assert_eq!(least_of(&["0k3f9x2abz-7", before, here]), None);
    }
}
