//! All rosters of a hub: those of channels on which somebody is present, or that somebody watches.
//!
//! Order of the locks: a map guard, then one roster, then the tables (who is restless, what a fan-out has to hear).

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::member::Member;
use super::roster::{Roster, Stay};
use super::update::PresenceUpdate;
use crate::clock::later;
use crate::config::Limits;
use crate::fanout::FanOut;
use crate::name::ChannelName;
use crate::sleepers::{Place, Sleepers, Woken};
use crate::sync::{AtomicU64, DashMap, Mutex, Ordering};

/// Every roster in memory.
pub(crate) struct Rosters {
    all: DashMap<ChannelName, Arc<Kept>>,
    /// Those that have to be looked after when time passes.
    restless: Mutex<Vec<Arc<Kept>>>,
    /// Of whom the fan-out has to hear.
    changed: Mutex<BTreeSet<(ChannelName, Arc<str>)>>,
    next_number: AtomicU64,
    /// Since when whoever came last is here: no two came at once, whatever the clock says.
    last_since: AtomicU64,
    fan_out: Arc<dyn FanOut>,
}

/// A roster, and who waits for it to change.
#[derive(Debug)]
pub(crate) struct Kept {
    channel: ChannelName,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    sleepers: Sleepers,
    watchers: usize,
    is_restless: bool,
    /// Taken out of the map: whoever holds it looks the channel up again.
    is_dead: bool,
}

/// A member whom a node has sessions of, or has none of any more: for fan-outs.
#[derive(Debug, Clone)]
pub struct Held {
    /// On which channel.
    pub channel: ChannelName,
    /// The member's id.
    pub id: Arc<str>,
    /// What is said of the member, and since when. None: the node has no session of it.
    pub stay: Option<Elsewhere>,
}

/// What a node says of a member that it has sessions of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The member.
    pub member: Member,
    /// Since when it says so, in milliseconds since 1970: of several nodes the one that came last is believed.
    pub since: u64,
}

/// A part in the presence of a channel.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) kept: Arc<Kept>,
    /// Whose stay it is, if it is one.
    pub(crate) stay: Option<(Arc<str>, u64)>,
}

impl Rosters {
    pub(crate) fn new(fan_out: Arc<dyn FanOut>) -> Self {
        Self {
            all: DashMap::new(),
            restless: Mutex::default(),
            changed: Mutex::default(),
            next_number: AtomicU64::new(1),
            last_since: AtomicU64::new(0),
            fan_out,
        }
    }

    /// Makes a member present, or only keeps the roster for somebody who watches.
    pub(crate) fn attend(
        &self,
        limits: &Limits,
        channel: &ChannelName,
        member: Option<Member>,
        at: SystemTime,
    ) -> Part {
        let number = self.next_number.fetch_add(1, Ordering::SeqCst);
        let stay = member.as_ref().map(|member| (Arc::clone(member.id()), number));
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = self.later(u64::try_from(since.as_millis()).unwrap_or(0));
        let kept = self.change(limits, channel, |state| {
            state.watchers += 1;
            if let Some(member) = &member {
                self.note_changed(channel, member.id());
                state.roster.join(Stay {
                    number,
                    since,
                    member: member.clone(),
                    until: None,
                });
            }
        });
        self.tell_fan_out();
        Part { kept, stay }
    }

    /// A time, or a later one where somebody came at that or behind it.
    fn later(&self, since: u64) -> u64 {
        let (store, load) = (Ordering::SeqCst, Ordering::SeqCst);
        let later = |last: u64| Some(since.max(last.saturating_add(1)));
        let last = self.last_since.fetch_update(store, load, later);
        later(last.unwrap_or_else(|last| last)).unwrap_or(since)
    }

    /// Ends a part. Its member is shown until a time; without one no longer.
    pub(crate) fn part(&self, part: &Part, place: Option<Place>, until: Option<Instant>) {
        let mut given_up = None;
        self.settle(&part.kept, |state| {
            state.watchers -= 1;
            given_up = place.and_then(|place| state.sleepers.leave(place));
            if let Some((id, number)) = &part.stay {
                self.note_changed(&part.kept.channel, id);
                state.roster.leave(id, *number, until);
            }
        });
        drop(given_up);
        if part.stay.is_some() {
            self.tell_fan_out();
        }
    }

    /// Takes up what another node says.
    pub(crate) fn set_elsewhere(&self, limits: &Limits, node: &Arc<str>, held: Held) {
        let Held { channel, id, stay } = held;
        let stay = stay.map(|Elsewhere { member, since }| Stay {
            number: 0,
            since,
            member,
            until: None,
        });
        if stay.is_none() && !self.all.contains_key(&channel) {
            return;
        }
        let change = |state: &mut State| state.roster.set_elsewhere(node, &id, stay.clone());
        let _ = self.change(limits, &channel, change);
    }

    /// What has changed of those whom this node has sessions of, since this was asked for last.
    pub(crate) fn take_changed(&self) -> Vec<Held> {
        let changed = mem::take(&mut *self.changed.lock());
        let held = changed.into_iter().map(|(channel, id)| {
            let kept = self.find(&channel);
            let stay = kept.and_then(|kept| {
                let state = kept.state.lock();
                let stay = state.roster.held_here(&id)?;
                Some(Elsewhere {
                    member: stay.member.clone(),
                    since: stay.since,
                })
            });
            Held { channel, id, stay }
        });
        held.collect()
    }

    /// All that is told of a channel now.
    pub(crate) fn whole(&self, channel: &ChannelName) -> Arc<PresenceUpdate> {
        self.tell_fan_out();
        match self.find(channel) {
            Some(kept) => kept.state.lock().roster.whole(),
            None => Arc::new(PresenceUpdate::whole(channel.clone(), 0, 0, Vec::new())),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&self, now: Instant) {
        let restless = mem::take(&mut *self.restless.lock());
        let mut has_changed = false;
        for kept in restless {
            self.settle(&kept, |state| {
                state.is_restless = false;
                for id in state.roster.tick(now) {
                    self.note_changed(&kept.channel, &id);
                    has_changed = true;
                }
            });
        }
        if has_changed {
            self.tell_fan_out();
        }
    }

    fn find(&self, channel: &ChannelName) -> Option<Arc<Kept>> {
        self.all.get(channel).map(|kept| Arc::clone(&kept))
    }

    /// Changes a channel's roster, which is made where there is none.
    fn change(
        &self,
        limits: &Limits,
        channel: &ChannelName,
        mut change: impl FnMut(&mut State),
    ) -> Arc<Kept> {
        loop {
            let kept = {
                let entry = self.all.entry(channel.clone());
                Arc::clone(&entry.or_insert_with(|| Arc::new(Kept::new(channel, limits.max_presence_sample))))
            };
            if self.settle(&kept, &mut change) {
                return kept;
            }
        }
    }

    /// Changes a roster, and wakes whoever has to be told. Answers `false` where it is dead.
    fn settle(&self, kept: &Arc<Kept>, change: impl FnOnce(&mut State)) -> bool {
        let (woken, is_idle) = {
            let mut state = kept.state.lock();
            if state.is_dead {
                return false;
            }
            let version = state.roster.version();
            change(&mut state);
            if state.roster.is_restless() && !state.is_restless {
                state.is_restless = true;
                self.restless.lock().push(Arc::clone(kept));
            }
            let has_news = state.roster.version() != version;
            let woken = if has_news {
                state.sleepers.take()
            } else {
                Woken::default()
            };
            (woken, state.is_idle())
        };
        woken.wake();
        if is_idle {
            self.forget_if_idle(kept);
        }
        true
    }

    fn forget_if_idle(&self, kept: &Arc<Kept>) {
        self.all.remove_if(&kept.channel, |_, found| {
            let mut state = found.state.lock();
            let is_over = Arc::ptr_eq(kept, found) && state.is_idle();
            state.is_dead |= is_over;
            is_over
        });
    }

    /// With no lock held.
    fn tell_fan_out(&self) {
        if self.fan_out.shares_presence() {
            self.fan_out.presence_changed();
        }
    }

    fn note_changed(&self, channel: &ChannelName, id: &Arc<str>) {
        if self.fan_out.shares_presence() {
            self.changed.lock().insert((channel.clone(), Arc::clone(id)));
        }
    }
}

impl Kept {
    fn new(channel: &ChannelName, max_sample: usize) -> Self {
        let state = State {
            roster: Roster::new(channel.clone(), max_sample),
            sleepers: Sleepers::default(),
            watchers: 0,
            is_restless: false,
            is_dead: false,
        };
        Self {
            channel: channel.clone(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// What a watcher has to be told that was told up to a version, or nothing yet.
    pub(crate) fn news(&self, told: Option<u64>) -> Vec<Arc<PresenceUpdate>> {
        self.state.lock().roster.news(told)
    }

    /// Waits for a change. Answers whether there is one already.
    pub(crate) fn sleep(&self, place: &mut Option<Place>, waker: &Waker, told: Option<u64>) -> bool {
        let (given_up, has_news) = {
            let mut state = self.state.lock();
            let given_up = state.sleepers.enter(place, waker);
            (given_up, told != Some(state.roster.version()))
        };
        drop(given_up);
        has_news
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.watchers == 0 && !self.is_restless && self.roster.is_empty()
    }
}

/// Until when somebody is shown who has left at a time.
pub(crate) fn until(limits: &Limits, now: Instant) -> Option<Instant> {
    let grace = limits.presence_grace;
    (!grace.is_zero()).then(|| later(now, grace))
}
