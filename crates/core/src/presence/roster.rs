//! A roster: who is present on one channel, and what was told of it. Plain data: it has no clock and wakes nobody.
//!
//! A member is present by stays: one for each session here, and one for each other node that has any. What of it is told is a second
//! state, which follows the first: at once in a small room, and in a crowded one with the clock, where each who comes would otherwise be
//! told to everybody.
//!
//! Invariants: versions rise by one with each change that is told. A change turns what the version before it told into what its own does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::member::Member;
use super::update::PresenceUpdate;
use crate::name::ChannelName;

/// Who is present, and what watchers know of it.
#[derive(Debug)]
pub(crate) struct Roster {
    channel: ChannelName,
    max_sample: usize,
    people: BTreeMap<Arc<str>, Person>,
    /// Whose session here is over and who is shown until then, in that order.
    lingering: BTreeSet<(Instant, Arc<str>)>,
    version: u64,
    /// How many are present, as it was told, and those of them who were named.
    told_count: usize,
    told: BTreeMap<Arc<str>, Member>,
    /// The last changes, oldest first.
    changes: VecDeque<Arc<PresenceUpdate>>,
    /// What is told now, as a whole, once somebody has asked for it.
    whole: Option<Arc<PresenceUpdate>>,
    is_stale: bool,
}

/// Somebody who is present.
#[derive(Debug, Default)]
struct Person {
    here: Vec<Stay>,
    /// On other nodes, one for each.
    elsewhere: Vec<(Arc<str>, Stay)>,
}

/// That somebody is present by one session, or on one node.
#[derive(Debug, Clone)]
pub(crate) struct Stay {
    /// The number of the session's part in it. 0 for another node's.
    pub(crate) number: u64,
    /// Since when, in milliseconds since 1970: of several stays the last says what is told of the member.
    pub(crate) since: u64,
    pub(crate) member: Member,
    /// Until when it is shown, where its session is over.
    pub(crate) until: Option<Instant>,
}

impl Roster {
    pub(crate) fn new(channel: ChannelName, max_sample: usize) -> Self {
        Self {
            channel,
            max_sample,
            people: BTreeMap::new(),
            lingering: BTreeSet::new(),
            version: 0,
            told_count: 0,
            told: BTreeMap::new(),
            changes: VecDeque::new(),
            whole: None,
            is_stale: false,
        }
    }

    /// Whether nobody is present, and everybody knows.
    pub(crate) fn is_empty(&self) -> bool {
        self.people.is_empty() && !self.is_stale
    }

    /// Whether it has to be looked after when time passes.
    pub(crate) fn is_restless(&self) -> bool {
        self.is_stale || !self.lingering.is_empty()
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// A session begins. Whoever lingered has come back.
    pub(crate) fn join(&mut self, stay: Stay) {
        let id = Arc::clone(stay.member.id());
        let person = self.people.entry(Arc::clone(&id)).or_default();
        for until in person.here.iter().filter_map(|known| known.until) {
            self.lingering.remove(&(until, Arc::clone(&id)));
        }
        person.here.retain(|known| known.until.is_none());
        person.here.push(stay);
        self.settle();
    }

    /// A session ends. What it said of its member is shown until a time; without one no longer.
    pub(crate) fn leave(&mut self, id: &Arc<str>, number: u64, until: Option<Instant>) {
        let Some(person) = self.people.get_mut(id) else {
            return;
        };
        match until {
            Some(until) => {
                let ended = person.here.iter_mut().filter(|stay| stay.number == number);
                ended.for_each(|stay| stay.until = Some(until));
                self.lingering.insert((until, Arc::clone(id)));
            }
            // Nor is it waited for because of another session that ended before.
            None => person
                .here
                .retain(|stay| stay.number != number && stay.until.is_none()),
        }
        self.forget_if_gone(id);
        self.settle();
    }

    /// Another node has sessions of a member, or has none any more.
    pub(crate) fn set_elsewhere(&mut self, node: &Arc<str>, id: &Arc<str>, stay: Option<Stay>) {
        if stay.is_none() && !self.people.contains_key(id) {
            return;
        }
        let person = self.people.entry(Arc::clone(id)).or_default();
        person.elsewhere.retain(|(known, _)| known != node);
        person.elsewhere.extend(stay.map(|stay| (Arc::clone(node), stay)));
        self.forget_if_gone(id);
        self.settle();
    }

    /// Time has passed. Answers the ids of those of whom less is here.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut over = Vec::new();
        while self.lingering.first().is_some_and(|(until, _)| *until <= now) {
            let Some((until, id)) = self.lingering.pop_first() else {
                break;
            };
            if let Some(person) = self.people.get_mut(&id) {
                person.here.retain(|stay| stay.until != Some(until));
                self.forget_if_gone(&id);
                over.push(id);
            }
        }
        self.tell();
        over
    }

    /// What this node has of a member: the stay that counts.
    pub(crate) fn held_here(&self, id: &str) -> Option<&Stay> {
        last(self.people.get(id)?.here.iter())
    }

    /// What somebody has to be told who was told up to a version, or nothing yet: what has changed since, where that is kept and no more than
    /// the whole.
    pub(crate) fn news(&mut self, told: Option<u64>) -> Vec<Arc<PresenceUpdate>> {
        let behind = told.map_or(usize::MAX, |told| (self.version - told) as usize);
        let Some(known) = self.changes.len().checked_sub(behind) else {
            return vec![self.whole()];
        };
        let changes: Vec<_> = self.changes.range(known..).cloned().collect();
        let size: usize = changes.iter().map(|change| change.size()).sum();
        if behind > 1 && size > self.whole().size() {
            return vec![self.whole()];
        }
        changes
    }

    /// All that is told now.
    pub(crate) fn whole(&mut self) -> Arc<PresenceUpdate> {
        let whole = self.whole.get_or_insert_with(|| {
            let members = self.told.values().cloned().collect();
            let whole = PresenceUpdate::whole(self.channel.clone(), self.version, self.told_count, members);
            Arc::new(whole)
        });
        Arc::clone(whole)
    }

    fn forget_if_gone(&mut self, id: &Arc<str>) {
        if self.people.get(id).is_some_and(Person::is_gone) {
            self.people.remove(id);
        }
    }

    /// Tells what has changed, or leaves that to the clock.
    fn settle(&mut self) {
        if self.people.len().max(self.told_count) > self.max_sample {
            self.is_stale = true;
        } else {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.is_stale = false;
        let (people, told) = (&self.people, &mut self.told);
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        told.retain(|id, member| {
            let Some(shown) = people.get(id).and_then(Person::shown) else {
                left.push(Arc::clone(id));
                return false;
            };
            if shown != member {
                *member = shown.clone();
                joined.push(shown.clone());
            }
            true
        });
        let room = self.max_sample.saturating_sub(told.len());
        let others = people.iter().filter(|(id, _)| !told.contains_key(*id));
        let others = others.filter_map(|(_, person)| person.shown());
        let others: Vec<_> = others.take(room).cloned().collect();
        for member in &others {
            told.insert(Arc::clone(member.id()), member.clone());
        }
        joined.extend(others);
        if joined.is_empty() && left.is_empty() && people.len() == self.told_count {
            return;
        }
        self.version += 1;
        self.told_count = people.len();
        let change =
            PresenceUpdate::change(self.channel.clone(), self.version, self.told_count, joined, left);
        self.whole = None;
        self.changes.push_back(Arc::new(change));
        if self.changes.len() > MAX_CHANGES {
            self.changes.pop_front();
        }
    }
}

impl Person {
    fn is_gone(&self) -> bool {
        self.here.is_empty() && self.elsewhere.is_empty()
    }

    /// What is told of it: by the last stay of those that are not over.
    fn shown(&self) -> Option<&Member> {
        let elsewhere = self.elsewhere.iter().map(|(_, stay)| stay);
        last(self.here.iter().chain(elsewhere)).map(|stay| &stay.member)
    }
}

impl Stay {
    /// Equal on all nodes, which is why of two at the same moment the data decide.
    fn rank(&self) -> (u64, Option<&str>) {
        (self.since, self.member.get_data())
    }
}

/// Of several stays, the one that counts.
fn last<'a>(stays: impl Iterator<Item = &'a Stay>) -> Option<&'a Stay> {
    stays.max_by(|a, b| a.rank().cmp(&b.rank()))
}

/// How many changes are kept for those who are a little behind. Who is further is told the whole, which is hardly more.
const MAX_CHANGES: usize = 16;

#[cfg(test)]
mod tests;
