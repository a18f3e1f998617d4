//! Joining entries into the pieces that go out.

use std::sync::Arc;

use bytes::Bytes;

use crate::item::Item;
use crate::record::Record;
use crate::stretch::Stretch;
use crate::wire::{Entry, Wire};

/// Joins any items.
pub(crate) fn join(items: &[Item], wire: &dyn Wire) -> Bytes {
    if let ([Item::Record(record)], 0) = (items, wire.headroom()) {
        return record.bytes(wire).clone();
    }
    let mut out = vec![0; wire.headroom()];
    for item in items {
        match item {
            Item::Record(record) => out.extend_from_slice(record.bytes(wire)),
            Item::Volatile(volatile) => out.extend_from_slice(volatile.bytes(wire)),
            Item::Presence(update) => out.extend_from_slice(update.bytes(wire)),
            Item::Gap { gap, id } => wire.write(Entry::Gap { gap, id: *id }, &mut out),
            Item::Merged { merged, id } => wire.write(Entry::Merged { merged, id: *id }, &mut out),
        }
    }
    wire.seal(out)
}

/// Joins a run of records of one channel, of which there is one at least and which begins at a place, until it has so many bytes.
pub(crate) fn join_run(
    records: &[Arc<Record>],
    (from, mut end_bytes): (u64, u64),
    end: u64,
    wire: &dyn Wire,
    limit: usize,
) -> Stretch {
    let mut bytes = 0;
    let mut count = 0;
    let mut sequence = 0;
    for record in records {
        if bytes >= limit && count > 0 {
            break;
        }
        bytes += record.bytes(wire).len();
        count += 1;
        end_bytes += record.cost() as u64;
        sequence = record.sequence();
    }
    let to = from + count as u64;
    let bytes = match (&records[..count], wire.headroom()) {
        ([record], 0) => record.bytes(wire).clone(),
        (records, headroom) => {
            let mut out = Vec::with_capacity(headroom + bytes + 2);
            out.resize(headroom, 0);
            for record in records {
                out.extend_from_slice(record.bytes(wire));
            }
            wire.seal(out)
        }
    };
    Stretch {
        form: wire.form(),
        limit,
        from,
        to,
        is_cut: to < end,
        sequence,
        end_bytes,
        logged_at: records[0].logged_at(),
        bytes,
    }
}
