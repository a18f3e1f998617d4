//! Merging what was found on several channels into the hub's one order, and cutting it at a sequence.

use std::sync::Arc;

use crate::followed::Found;
use crate::record::Record;

/// What is read now of what was found.
#[derive(Debug)]
pub(crate) struct Taken {
    /// In the hub's order.
    pub(crate) records: Vec<Arc<Record>>,
    /// How many of them are of each channel.
    counts: Vec<usize>,
    /// How many records of each channel were left out between them, for newer ones with their key.
    pub(crate) merged: Vec<u64>,
    pub(crate) bytes: usize,
    /// Whether more stands before the head.
    pub(crate) is_cut: bool,
}

impl Taken {
    /// Where a channel is left.
    pub(crate) fn place(&self, channel: usize, found: &Found) -> (u64, u64) {
        match self.counts[channel].checked_sub(1) {
            _ if !self.is_cut => found.end,
            Some(last) => found.records[last].end,
            None => found.start,
        }
    }
}

/// Takes records in the order of their sequences until they have so many bytes. One is taken in any case.
pub(crate) fn merge(found: &[Found], limit: usize, size: impl Fn(&Record) -> usize) -> Taken {
    let channels = found.len();
    let (counts, merged) = (vec![0; channels], vec![0; channels]);
    let mut taken = Taken {
        records: Vec::new(),
        counts,
        merged,
        bytes: 0,
        is_cut: false,
    };
    while let Some(channel) = next_channel(found, &taken.counts, &mut taken.is_cut) {
        if taken.bytes >= limit && !taken.records.is_empty() {
            taken.is_cut = true;
            break;
        }
        let candidate = &found[channel].records[taken.counts[channel]];
        taken.bytes += size(&candidate.record);
        taken.records.push(Arc::clone(&candidate.record));
        taken.merged[channel] += candidate.merged_before;
        taken.counts[channel] += 1;
    }
    if !taken.is_cut {
        for (merged, found) in taken.merged.iter_mut().zip(found) {
            *merged += found.merged_behind;
        }
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
