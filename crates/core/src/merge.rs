//! Merging what was found on several channels into the hub's one order, and cutting it at a sequence.

use std::sync::Arc;

use crate::found::{Found, Skipped};
use crate::record::Record;

/// What is read now of what was found.
#[derive(Debug)]
pub(crate) struct Taken {
    /// In the hub's order.
    pub(crate) records: Vec<Arc<Record>>,
    /// How many of them are of each channel.
    counts: Vec<usize>,
    pub(crate) bytes: usize,
    /// The sequence of the last one, if more stands before the head.
    pub(crate) cut_after: Option<u64>,
}

impl Taken {
    /// Where a channel is left: behind all that it holds up to the cut, also of what was left out. A record before the cut
    /// that was left out now, but would not be the next time, would come after records that it precedes.
    pub(crate) fn place(&self, channel: usize, found: &Found) -> (u64, u64) {
        if self.cut_after.is_none() {
            return found.end;
        }
        let skipped = self.skipped(found).last().map(|skipped| skipped.end);
        let taken = found.records[..self.counts[channel]].last();
        let taken = taken.map(|candidate| candidate.end);
        skipped.max(taken).unwrap_or(found.start)
    }

    /// Whether all records that were found of a channel are taken.
    pub(crate) fn has_all(&self, channel: usize, found: &Found) -> bool {
        self.counts[channel] == found.records.len()
    }

    /// How many records of a channel are left out now, for newer ones with their key.
    pub(crate) fn merged(&self, found: &Found) -> u64 {
        let merged = self.skipped(found).iter().filter(|skipped| skipped.is_merged);
        merged.count() as u64
    }

    fn skipped<'a>(&self, found: &'a Found) -> &'a [Skipped] {
        let is_before = |skipped: &Skipped| self.cut_after.is_none_or(|cut| skipped.sequence < cut);
        &found.skipped[..found.skipped.partition_point(is_before)]
    }
}

/// Takes records in the order of their sequences until they have so many bytes. One is taken in any case.
pub(crate) fn merge(found: &[Found], limit: usize, size: impl Fn(&Record) -> usize) -> Taken {
    let mut taken = Taken {
        records: Vec::new(),
        counts: vec![0; found.len()],
        bytes: 0,
        cut_after: None,
    };
    let mut is_cut = false;
    while let Some(channel) = next_channel(found, &taken.counts, &mut is_cut) {
        if taken.bytes >= limit && !taken.records.is_empty() {
            is_cut = true;
            break;
        }
        let candidate = &found[channel].records[taken.counts[channel]];
        taken.bytes += size(&candidate.record);
        taken.records.push(Arc::clone(&candidate.record));
        taken.counts[channel] += 1;
    }
    if is_cut {
        taken.cut_after = taken.records.last().map(|last| last.sequence());
    }
    taken
}

/// The channel whose next record comes first in the order. None at the end, or where it can't be known because one
/// channel was not looked at any further: that is a cut.
fn next_channel(found: &[Found], counts: &[usize], is_cut: &mut bool) -> Option<usize> {
    let mut first: Option<(u64, usize)> = None;
    for (channel, (found, &count)) in found.iter().zip(counts).enumerate() {
        match found.records.get(count) {
            Some(candidate) => {
                let next = (candidate.record.sequence(), channel);
                first = Some(first.map_or(next, |first| first.min(next)));
            }
            None if found.is_cut => {
                *is_cut = true;
                return None;
            }
            None => {}
        }
    }
    first.map(|(_, channel)| channel)
}
