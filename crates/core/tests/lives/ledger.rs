//! What one subscription was told, held to what it was owed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dualcast_core::{CloseReason, LagRule, MaxLag, Position};

use crate::told::{Told, ToldGap};
use crate::truth::{Fact, Truth};
use crate::world::index_of;

pub(crate) struct Ledger {
    pub(crate) channels: Vec<usize>,
    pub(crate) rule: LagRule,
    without: Option<u8>,
    /// The history whose numbers all of this has.
    pub(crate) history: usize,
    /// Channels whose end it was told, and where that was.
    left: BTreeMap<usize, u64>,
    /// Channels of which a gap named the end, or behind whose end it opened: it may have left them before another life began.
    may_have_left: BTreeSet<usize>,
    /// For each channel: what stands after it is owed.
    owed_after: Vec<u64>,
    /// For each channel: everything up to here is accounted for.
    place: Vec<u64>,
    /// The channels of which it must hear that its cursor is of another history, before it is shown an id of this one.
    unannounced: BTreeSet<usize>,
    /// Until then it may be shown this one.
    old_id: String,
    delivered: BTreeSet<u64>,
    gaps: Vec<(usize, u64, u64)>,
    merged: HashMap<usize, u64>,
    cursor: u64,
    has_kept_up: bool,
}

impl Ledger {
    pub(crate) fn new(truth: &Truth, channels: Vec<usize>, rule: LagRule, without: Option<u8>) -> Self {
        let count = truth.lacks_through.len();
        Self {
            channels,
            rule,
            without,
            history: truth.index(),
            left: BTreeMap::new(),
            may_have_left: BTreeSet::new(),
            owed_after: vec![0; count],
            place: vec![0; count],
            unannounced: BTreeSet::new(),
            old_id: String::new(),
            delivered: BTreeSet::new(),
            gaps: Vec::new(),
            merged: HashMap::new(),
            cursor: 0,
            has_kept_up: false,
        }
    }

    /// All after a number is owed to it, of each channel.
    pub(crate) fn owed_after(mut self, truth: &Truth, number: u64) -> Self {
        self.owed_after.fill(number);
        self.place.fill(number);
        self.note_ends(truth);
        self
    }

    /// Of what the node has, all after a number is owed to it.
    pub(crate) fn owed_what_is_kept(mut self, truth: &Truth, number: u64) -> Self {
        for channel in 0..self.place.len() {
            self.owed_after[channel] = truth.kept_after(channel).max(number);
            self.place[channel] = truth.lacks_through[channel].max(number);
        }
        self.note_ends(truth);
        self
    }

    /// Where it stands behind an end it may leave.
    fn note_ends(&mut self, truth: &Truth) {
        for &channel in &self.channels {
            let mut before = truth.now().of(channel, 0, self.place[channel]);
            if before.any(|(_, fact)| fact.what.is_end) {
                self.may_have_left.insert(channel);
            }
        }
    }

    /// Its cursor is of another history, or of none: it has to be told, of each channel that it follows.
    pub(crate) fn expect_announcement(&mut self, cursor: &str) {
        cursor.clone_into(&mut self.old_id);
        self.unannounced = self.followed().collect();
        // What it has left it has left in any life.
        self.left.values_mut().for_each(|end| *end = 0);
        self.delivered.clear();
        self.gaps.clear();
        self.merged.clear();
        self.place.fill(0);
        self.cursor = 0;
        self.has_kept_up = false;
    }

    /// Memory begins anew, and it reads on from its cursor: what was said to be missing behind that may come.
    pub(crate) fn begin_again(&mut self) {
        if self.unannounced.is_empty() {
            for channel in self.followed().collect::<Vec<_>>() {
                self.place[channel] = self.cursor;
            }
            for owed_after in &mut self.owed_after {
                *owed_after = self.cursor.min(*owed_after);
            }
            for (channel, _, to) in &mut self.gaps {
                if !self.left.contains_key(channel) {
                    *to = self.cursor.min(*to);
                }
            }
        }
    }

    pub(crate) fn followed(&self) -> impl Iterator<Item = usize> {
        let channels = self.channels.iter().copied();
        channels.filter(|channel| !self.left.contains_key(channel))
    }

    pub(crate) fn hear(&mut self, truth: &Truth, told: &[Told], lag: u64) {
        for told in told {
            match told {
                Told::Record {
                    id, channel, text, ..
                } => self.hear_record(truth, id, index_of(channel), text.as_deref()),
                Told::Gap { gap, .. } => self.hear_gap(truth, gap, lag),
                Told::Merged { channel, count, .. } => {
                    assert!(matches!(self.rule, LagRule::Conflate(_)) && *count > 0);
                    *self.merged.entry(index_of(channel)).or_default() += count;
                }
                Told::Volatile { .. } => unreachable!(),
            }
            self.note_id(truth, told.id().unwrap());
        }
    }

    fn hear_record(&mut self, truth: &Truth, id: &str, channel: usize, text: Option<&str>) {
        let history = &truth.histories[self.history];
        let id: Position = id.parse().unwrap();
        let number = id.sequence();
        assert_eq!(id.epoch().to_string(), history.epoch, "a record of another life");
        assert!(id.check().is_some());
        assert!(
            self.unannounced.is_empty(),
            "a record before it is said that the cursor was no good"
        );
        let fact = &history.facts[number as usize - 1];
        assert_eq!(
            (fact.what.channel, fact.what.is_end),
            (Some(channel), text.is_none())
        );
        assert!(
            text.is_none_or(|text| text == fact.text),
            "another history's record"
        );
        assert!(self.channels.contains(&channel) && !self.has_left(channel, number));
        assert!(number > self.owed_after[channel], "{number} was seen before");
        assert!(!self.is_own(fact));
        assert!(
            !self.is_in_gap(channel, number),
            "{number} was said to be missing"
        );
        let last = self.delivered.last().copied().unwrap_or_default();
        assert!(number > last, "{number} came after {last}");
        self.delivered.insert(number);
        self.place[channel] = number;
        if text.is_none() {
            self.left.insert(channel, number);
        }
    }

    fn hear_gap(&mut self, truth: &Truth, gap: &ToldGap, lag: u64) {
        let channel = index_of(&gap.channel);
        let to: Position = gap.to.as_ref().unwrap().parse().unwrap();
        let now = truth.now();
        assert_eq!(
            to.epoch().to_string(),
            now.epoch,
            "a gap that ends in another life"
        );
        let to = to.sequence();
        if gap.reason == "epoch" || gap.reason == "unreadable" {
            assert!(self.unannounced.remove(&channel), "the cursor was good: {gap:?}");
            let is_foreign = !self.old_id.starts_with(&now.epoch);
            assert!(!is_foreign || gap.reason == "unreadable" || to >= now.fresh_after);
            self.history = truth.index();
            (self.owed_after[channel], self.place[channel]) = (to, to);
            self.note_ends(truth);
            return;
        }
        assert!(
            self.unannounced.is_empty(),
            "a gap before it is said that the cursor was no good"
        );
        let from: Position = gap.from.as_ref().unwrap().parse().unwrap();
        assert_eq!(from.epoch().to_string(), now.epoch);
        let from = from.sequence();
        let place = self.place[channel];
        let mut missing = now.of(channel, place, to);
        let is_true = match gap.reason.as_str() {
            "trimmed" => {
                let lacks_through = truth.lacks_through[channel];
                missing.any(|(number, _)| number <= lacks_through) || now.trimmed_through > place
            }
            "unavailable" => {
                let facts = (1..).zip(&now.facts);
                let mut torn = facts.filter(|(_, fact)| fact.is_torn);
                torn.any(|(number, _)| place < number && number <= to)
            }
            "slow" => matches!(self.rule, LagRule::Skip(max) if lag > max.records) && to <= truth.head,
            reason => panic!("{reason}"),
        };
        assert!(is_true, "no gap: {gap:?} after {place}");
        assert!(
            now.of(channel, from, to)
                .all(|(number, _)| !self.delivered.contains(&number)),
            "{gap:?} names what was read"
        );
        if now.of(channel, place, to).any(|(_, fact)| fact.what.is_end) {
            self.may_have_left.insert(channel);
        }
        self.place[channel] = self.place[channel].max(to);
        self.gaps.push((channel, from, to));
    }

    /// Notes an id that a client may come back with. Answers whether it is one of this history.
    pub(crate) fn note_id(&mut self, truth: &Truth, id: &str) -> bool {
        let position: Position = id.parse().unwrap();
        let without_check = |id: &str| id.splitn(3, '-').take(2).map(str::to_owned).collect::<Vec<_>>();
        if !self.unannounced.is_empty() {
            // Who comes back with it is told what this one was to be told.
            let is_old = without_check(id) == without_check(&self.old_id);
            assert!(
                is_old || id == "0000000000-0",
                "{id} hides that the cursor was no good"
            );
            return false;
        }
        let history = &truth.histories[self.history];
        if self.history != truth.index() && self.followed().next().is_none() {
            return false;
        }
        assert_eq!(position.epoch().to_string(), history.epoch);
        let id = position.sequence();
        assert!(
            id >= self.cursor,
            "the cursor went back from {} to {id}",
            self.cursor
        );
        self.cursor = id;
        let last = self.delivered.last().copied().unwrap_or_default();
        assert!(last <= id, "{last} would come twice after {id}");
        for &channel in &self.channels {
            let untold: Vec<_> = self.untold(truth, channel, id).collect();
            let merged = self.merged.get(&channel).copied().unwrap_or_default();
            assert!(
                untold.len() as u64 <= merged,
                "lost before {id}: {untold:?}, {merged} merged"
            );
            for (number, fact) in untold {
                let mut newer = history.of(channel, number, u64::MAX);
                assert!(fact.what.key.is_some() && newer.any(|(_, newer)| newer.what.key == fact.what.key));
            }
            self.place[channel] = self.place[channel].max(id);
        }
        true
    }

    /// It follows a channel no longer. The end of that is told now, or it stood there when nothing was behind it, or it is told a gap
    /// up to there.
    pub(crate) fn leave(&mut self, truth: &Truth, channel: usize, told: &[Told]) {
        let is_told =
            |told: &Told| matches!(told, Told::Gap { gap, .. } if index_of(&gap.channel) == channel);
        let is_silent = !told.iter().any(is_told);
        if is_silent && self.may_have_left.contains(&channel) && self.unannounced.remove(&channel) {
            self.left.insert(channel, 0);
            return;
        }
        let history = truth.now();
        let is_of = |number: &&u64| history.facts[**number as usize - 1].what.channel == Some(channel);
        let delivered = self.delivered.iter().rev().find(is_of).copied();
        let mut ends = told.iter().filter_map(|told| match told {
            Told::Record {
                id,
                channel: of,
                text: None,
                ..
            } if index_of(of) == channel => Some(id.parse::<Position>().unwrap().sequence()),
            _ => None,
        });
        let all = history.of(channel, 0, u64::MAX);
        let mut all = all.filter(|(_, fact)| fact.what.is_end).map(|(number, _)| number);
        let next = all.find(|end| delivered.is_none_or(|delivered| *end > delivered));
        let end = ends.next_back().or(next);
        self.left.insert(channel, end.expect("left before its end"));
    }

    /// It was told of all that it left.
    pub(crate) fn check_left(&self) {
        for (channel, end) in &self.left {
            assert!(self.place[*channel] >= *end, "left before its end");
        }
    }

    /// It has nothing to read, and asks nobody: it was told of everything.
    pub(crate) fn check_asleep(&self, truth: &Truth) {
        assert!(
            self.unannounced.is_empty(),
            "asleep, and not told that its cursor was no good"
        );
        assert_eq!(self.history, truth.index());
        assert_eq!(self.cursor, truth.head, "asleep before the head");
    }

    pub(crate) fn check_end(&self, reason: CloseReason, is_failed: bool) {
        match reason {
            CloseReason::Finished => assert_eq!(self.followed().count(), 0),
            CloseReason::Unavailable => assert!(is_failed, "nothing failed"),
            CloseReason::Slow => assert!(matches!(self.rule, LagRule::Disconnect(_)) && self.has_kept_up),
            reason => panic!("{reason:?}"),
        }
    }

    /// How many records stand between it and the head of the node.
    pub(crate) fn lag(&self, truth: &Truth) -> u64 {
        self.ahead(truth).count() as u64
    }

    /// Notes whether it is within its lag rule, as one that reads in memory sees it.
    pub(crate) fn note_lag(&mut self, truth: &Truth) {
        let (LagRule::Skip(max) | LagRule::Conflate(max) | LagRule::Disconnect(max)) = self.rule else {
            return;
        };
        let MaxLag { records, .. } = max;
        let of_the_node = self.ahead(truth).filter(|(_, fact)| !fact.is_torn);
        let is_within = of_the_node.count() as u64 <= records;
        self.has_kept_up |= is_within || !self.unannounced.is_empty();
    }

    fn ahead<'a>(&'a self, truth: &'a Truth) -> impl Iterator<Item = (u64, &'a Fact)> {
        let history = truth.now();
        self.followed()
            .flat_map(move |channel| history.of(channel, self.place[channel], truth.head))
    }

    /// The messages of a channel up to a number of which nothing was said.
    fn untold<'a>(
        &'a self,
        truth: &'a Truth,
        channel: usize,
        through: u64,
    ) -> impl Iterator<Item = (u64, &'a Fact)> {
        let through = through.min(self.left.get(&channel).copied().unwrap_or(u64::MAX));
        let history = &truth.histories[self.history];
        let owed = history.of(channel, self.owed_after[channel], through);
        owed.filter(move |(number, fact)| {
            !self.is_own(fact) && !self.delivered.contains(number) && !self.is_in_gap(channel, *number)
        })
    }

    fn has_left(&self, channel: usize, number: u64) -> bool {
        self.left.get(&channel).is_some_and(|end| number > *end)
    }

    fn is_own(&self, fact: &Fact) -> bool {
        self.without.is_some() && fact.what.sender == self.without
    }

    fn is_in_gap(&self, channel: usize, number: u64) -> bool {
        let is_in = |&(of, from, to): &(usize, u64, u64)| of == channel && from < number && number <= to;
        self.gaps.iter().any(is_in)
    }
}
