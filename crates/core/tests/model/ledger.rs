//! What one subscription was told, held to what it was owed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dualcast_core::{CloseReason, LagRule, MaxLag};

use crate::model::{Logged, Model, Opening, index_of};
use crate::ops::How;
use crate::told::{Told, ToldGap, sequence};

pub(crate) struct Ledger {
    pub(crate) channels: Vec<usize>,
    /// Channels whose end it was told, and that it has left: what the same name holds after that is another life's.
    left: BTreeMap<usize, u64>,
    epoch: String,
    rule: LagRule,
    without: Option<u8>,
    /// For each channel: what is logged after it is owed, up to the channel's end.
    owed_after: Vec<u64>,
    /// For each channel: everything up to here is accounted for.
    place: Vec<u64>,
    cursor: u64,
    /// What it must be told first.
    opening_gaps: Vec<ToldGap>,
    /// The channels of which it must hear, before it is shown an id of this epoch, that its cursor was no good.
    unannounced: BTreeSet<usize>,
    delivered: BTreeSet<u64>,
    gaps: Vec<(usize, u64, u64)>,
    merged: HashMap<usize, u64>,
    /// For each channel: the volatile messages from here on may come.
    next_volatile: Vec<usize>,
    volatile_at_open: usize,
    /// Whether it was within its lag rule at any time: before that it can't have fallen behind.
    has_kept_up: bool,
}

/// How a read ended.
pub(crate) type Outcome = Result<Vec<Told>, CloseReason>;

impl Ledger {
    pub(crate) fn open(
        model: &Model,
        channels: &[usize],
        opening: Opening,
        (rule, without): (LagRule, Option<u8>),
        epoch: &str,
    ) -> Self {
        for gap in opening.gaps.iter().filter(|gap| gap.reason == "trimmed") {
            let place = |id: &Option<String>| sequence(id.as_ref().unwrap(), epoch).unwrap();
            let (channel, from, to) = (index_of(&gap.channel), place(&gap.from), place(&gap.to));
            assert!(
                model.is_lost(channel, from, to) || model.is_doubted(from),
                "no gap: {gap:?}"
            );
        }
        let is_told = |gap: &&ToldGap| gap.reason != "trimmed";
        let unannounced = opening.gaps.iter().filter(is_told);
        let mut ledger = Self {
            channels: channels.to_vec(),
            left: BTreeMap::new(),
            epoch: epoch.to_owned(),
            rule,
            without,
            owed_after: opening.owed_after,
            place: opening.place,
            cursor: 0,
            unannounced: unannounced.map(|gap| index_of(&gap.channel)).collect(),
            opening_gaps: opening.gaps,
            delivered: BTreeSet::new(),
            gaps: Vec::new(),
            merged: HashMap::new(),
            next_volatile: vec![model.volatile.len(); model.channels.len()],
            volatile_at_open: model.volatile.len(),
            has_kept_up: false,
        };
        ledger.has_kept_up = !ledger.is_lagging(model);
        ledger
    }

    /// The channels that it still follows.
    pub(crate) fn followed(&self) -> impl Iterator<Item = usize> {
        let followed = self.channels.iter().copied();
        followed.filter(|channel| !self.left.contains_key(channel))
    }

    /// Whether it may leave a channel: it was told of all that it holds, the end included.
    pub(crate) fn may_leave(&self, model: &Model, channel: usize) -> bool {
        let mut of = model.of(channel);
        model.channels[channel].is_finished && !of.any(|logged| self.is_ahead(logged))
    }

    pub(crate) fn leave(&mut self, model: &Model, channel: usize) {
        self.left.insert(channel, model.head());
    }

    /// Whether it lies further behind than its rule lets pass.
    pub(crate) fn is_lagging(&self, model: &Model) -> bool {
        let (LagRule::Skip(max) | LagRule::Conflate(max) | LagRule::Disconnect(max)) = self.rule else {
            return false;
        };
        let MaxLag { records, bytes } = max;
        let behind: Vec<_> = model.log.iter().filter(|logged| self.is_ahead(logged)).collect();
        let bytes_behind: usize = behind.iter().map(|logged| logged.cost).sum();
        behind.len() as u64 > records || bytes_behind as u64 > bytes
    }

    /// Whether it has fallen further behind than [`LagRule::Disconnect`] lets pass. Looking, it notes that it kept up.
    pub(crate) fn is_overdue(&mut self, model: &Model) -> bool {
        let is_lagging = self.is_lagging(model);
        self.has_kept_up |= !is_lagging;
        is_lagging && self.has_kept_up && matches!(self.rule, LagRule::Disconnect(_))
    }

    /// Whether nothing is left to read but the end of its channels.
    pub(crate) fn is_exhausted(&self, model: &Model) -> bool {
        let has_ended = |channel: &usize| {
            let of = |logged: &&Logged| logged.channel == *channel && self.is_ahead(logged);
            self.left.contains_key(channel)
                || model.channels[*channel].is_finished && model.log.iter().filter(of).count() <= 1
        };
        self.opening_gaps.is_empty() && self.channels.iter().all(has_ended)
    }

    /// A read, and where the cursor stands after it.
    pub(crate) fn absorb(
        &mut self,
        model: &Model,
        outcome: &Outcome,
        (how, max_bytes): (How, usize),
        cursor: &str,
    ) {
        let is_lagging = self.is_lagging(model);
        if self.is_overdue(model) {
            assert_eq!(outcome, &Err(CloseReason::Slow));
            self.note_id(model, cursor);
            return;
        }
        let told = match outcome {
            Ok(told) => &told[..],
            Err(reason) => {
                assert_eq!(*reason, CloseReason::Finished, "{:?}", self.rule);
                &[]
            }
        };
        let has_ended =
            |channel: &usize| model.channels[*channel].is_finished || self.left.contains_key(channel);
        let all_ended = self.channels.iter().all(has_ended);
        assert!(outcome.is_ok() || all_ended, "told of an end that is none");
        for told in told {
            self.hear(model, told, is_lagging);
        }
        let cursor = self.note_id(model, cursor);
        if let Some(cursor) = cursor {
            for place in &mut self.place {
                *place = cursor.max(*place);
            }
            self.has_kept_up |= cursor == model.head();
            self.check_merged(model);
        }
        let bytes: Vec<usize> = told.iter().map(Told::bytes).filter(|bytes| *bytes > 0).collect();
        let sum: usize = bytes.iter().sum();
        assert!(sum - bytes.last().unwrap_or(&0) < max_bytes.max(1));
        if how == How::Read && sum < max_bytes.max(1) {
            assert_eq!(cursor, Some(model.head()), "stopped short though there was room");
        }
        if told.is_empty() {
            assert_eq!(cursor, Some(model.head()), "asleep before the head");
            assert_eq!(outcome.is_err(), all_ended, "an end that is not told");
            self.check_newest_volatile(model);
        }
    }

    fn hear(&mut self, model: &Model, told: &Told, is_lagging: bool) {
        match told {
            Told::Record {
                id, channel, text, ..
            } => {
                self.hear_record(
                    model,
                    sequence(id, &self.epoch).unwrap(),
                    channel,
                    text,
                    is_lagging,
                );
            }
            Told::Volatile { channel, text, .. } => self.hear_volatile(model, channel, text),
            Told::Gap { gap, .. } => self.hear_gap(model, gap, is_lagging),
            Told::Merged { channel, count, .. } => {
                assert!(matches!(self.rule, LagRule::Conflate(_)) && is_lagging && *count > 0);
                *self.merged.entry(index_of(channel)).or_default() += count;
            }
        }
        if let Some(id) = told.id() {
            self.note_id(model, id);
        }
    }

    fn hear_record(
        &mut self,
        model: &Model,
        sequence: u64,
        channel: &str,
        text: &Option<String>,
        is_lagging: bool,
    ) {
        let logged = &model.log[sequence as usize - 1];
        assert_eq!((logged.channel, &logged.text), (index_of(channel), text));
        assert!(self.opening_gaps.is_empty(), "a record before the gap");
        assert!(!logged.is_trimmed && self.is_owed(logged) && !self.is_own(logged));
        assert!(!self.is_in_gap(logged), "{sequence} was said to be missing");
        let last = self.delivered.last().copied().unwrap_or_default();
        assert!(sequence > last, "{sequence} came after {last}");
        if matches!(self.rule, LagRule::Conflate(_)) && is_lagging {
            assert!(!is_superseded(model, logged), "{sequence} should be merged");
        }
        self.delivered.insert(sequence);
    }

    fn hear_volatile(&mut self, model: &Model, channel: &str, text: &str) {
        let index: usize = text.strip_prefix('v').unwrap().parse().unwrap();
        let sent = &model.volatile[index];
        assert_eq!(sent.channel, index_of(channel));
        assert!(self.channels.contains(&sent.channel));
        assert!(index >= self.volatile_at_open, "a volatile message was replayed");
        assert!(self.without.is_none() || sent.sender != self.without);
        assert!(
            index >= self.next_volatile[sent.channel],
            "twice, or out of order"
        );
        self.next_volatile[sent.channel] = index + 1;
    }

    fn hear_gap(&mut self, model: &Model, gap: &ToldGap, is_lagging: bool) {
        let channel = index_of(&gap.channel);
        assert!(self.channels.contains(&channel));
        let to = sequence(gap.to.as_ref().unwrap(), &self.epoch).unwrap();
        let from = gap.from.as_ref().and_then(|from| sequence(from, &self.epoch));
        let is_opening = !self.opening_gaps.is_empty();
        if is_opening {
            assert_eq!(*gap, self.opening_gaps.remove(0));
            self.unannounced.remove(&channel);
        } else if gap.reason == "trimmed" {
            assert!(model.is_lost(channel, self.place[channel], to), "no gap: {gap:?}");
            assert_eq!(to, model.channels[channel].trimmed_through);
            assert_eq!(from, Some(self.cursor));
        } else {
            assert!(matches!(self.rule, LagRule::Skip(_)) && is_lagging && gap.reason == "slow");
            assert_eq!(to, model.head());
        }
        self.place[channel] = self.place[channel].max(to);
        // Of a cursor beyond the head only the head is known.
        self.gaps.push((channel, from.unwrap_or(0).min(to), to));
    }

    /// Notes an id that a client may come back with: what was told so far and what would follow is all, and nothing of
    /// it twice.
    pub(crate) fn note_id(&mut self, model: &Model, id: &str) -> Option<u64> {
        let Some(id) = sequence(id, &self.epoch) else {
            // Who comes back with it is told what this one was to be told.
            assert!(self.delivered.is_empty() && !self.unannounced.is_empty(), "{id}");
            return None;
        };
        assert!(id >= self.cursor, "the cursor went back");
        self.cursor = id;
        assert!(
            self.unannounced.is_empty(),
            "an id hides that the cursor was no good"
        );
        assert!(
            self.delivered.last().is_none_or(|last| *last <= id),
            "{id} would come twice"
        );
        for &channel in &self.channels {
            let untold = self.untold(model, channel, id).count() as u64;
            let merged = self.merged.get(&channel).copied().unwrap_or_default();
            assert!(untold <= merged, "{untold} lost before {id}, {merged} merged");
        }
        Some(id)
    }

    fn check_merged(&self, model: &Model) {
        for &channel in &self.channels {
            let untold: Vec<_> = self.untold(model, channel, self.cursor).collect();
            let merged = self.merged.get(&channel).copied().unwrap_or_default();
            assert_eq!(
                untold.len() as u64,
                merged,
                "{untold:?} of {channel} up to {}",
                self.cursor
            );
            for logged in untold {
                let mut newer = model.of(channel).filter(|newer| newer.sequence > logged.sequence);
                assert!(logged.key.is_some() && newer.any(|newer| newer.key == logged.key));
            }
        }
    }

    fn check_newest_volatile(&self, model: &Model) {
        for &channel in &self.channels {
            let mut sent = model.volatile.iter().enumerate().rev();
            let newest = sent.find(|(_, sent)| sent.channel == channel);
            if let Some((index, sent)) = newest
                && index >= self.volatile_at_open.max(model.volatile_at_maintain)
                && (self.without.is_none() || sent.sender != self.without)
                && !self.left.contains_key(&channel)
            {
                assert!(
                    index < self.next_volatile[channel],
                    "a volatile message was left behind"
                );
            }
        }
    }

    /// The messages of a channel up to a sequence of which nothing was said.
    fn untold<'a>(&'a self, model: &'a Model, channel: usize, to: u64) -> impl Iterator<Item = &'a Logged> {
        model.of(channel).filter(move |logged| {
            logged.sequence <= to
                && self.is_owed(logged)
                && !self.is_own(logged)
                && !self.delivered.contains(&logged.sequence)
                && !self.is_in_gap(logged)
        })
    }

    /// Whether it was logged after it opened its eyes there, and in the life of the channel that it follows.
    fn is_owed(&self, logged: &Logged) -> bool {
        self.channels.contains(&logged.channel)
            && logged.sequence > self.owed_after[logged.channel]
            && self
                .left
                .get(&logged.channel)
                .is_none_or(|end| logged.sequence <= *end)
    }

    fn is_ahead(&self, logged: &Logged) -> bool {
        self.is_owed(logged) && logged.sequence > self.place[logged.channel]
    }

    fn is_own(&self, logged: &Logged) -> bool {
        self.without.is_some() && logged.sender == self.without
    }

    fn is_in_gap(&self, logged: &Logged) -> bool {
        let is_in = |&(channel, from, to): &(usize, u64, u64)| {
            channel == logged.channel && from < logged.sequence && logged.sequence <= to
        };
        self.gaps.iter().any(is_in)
    }
}

fn is_superseded(model: &Model, logged: &Logged) -> bool {
    let mut newer = model
        .kept(logged.channel)
        .filter(|newer| newer.sequence > logged.sequence);
    logged.key.is_some() && newer.any(|newer| newer.key == logged.key)
}
