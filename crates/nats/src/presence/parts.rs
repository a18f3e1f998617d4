//! What a node has, in parts of bounded size. A member stays in the part that it came into, so that who comes and goes changes one part.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use dualcast_core::Held;
use serde_json::value::RawValue;

use super::INTERVAL;
use super::part::{self, Key};

/// Everybody whom this node has sessions of.
#[derive(Default)]
pub(super) struct Parts {
    places: HashMap<Key, usize>,
    parts: Vec<Part>,
    writes: u64,
    written_at: Option<Instant>,
}

#[derive(Default)]
struct Part {
    entries: BTreeMap<Key, Box<RawValue>>,
    bytes: usize,
    is_changed: bool,
    /// When it was written last. None where the bucket may not have it.
    written_at: Option<Instant>,
}

impl Parts {
    /// A member is here, or no more. It is put into a part when the next one is asked for.
    pub(super) fn set(&mut self, held: Held, max_bytes: usize) {
        let key = (held.channel, held.id);
        let entry = held.stay.map(|stay| part::entry(&key, &stay));
        let size = entry.as_ref().map_or(0, |entry| entry.get().len());
        if let Some(number) = self.places.remove(&key) {
            let part = &mut self.parts[number];
            part.remove(&key);
            if let Some(entry) = &entry
                && part.has_room(size, max_bytes)
            {
                part.insert(key.clone(), entry.clone());
                self.places.insert(key, number);
                return;
            }
        }
        let Some(entry) = entry else { return };
        let room = self.parts.iter().position(|part| part.has_room(size, max_bytes));
        let number = room.unwrap_or(self.parts.len());
        if room.is_none() {
            self.parts.push(Part::default());
        }
        self.parts[number].insert(key.clone(), entry);
        self.places.insert(key, number);
    }

    /// A part that has to be written: it has changed, or would be forgotten before long.
    pub(super) fn next_due(&mut self, now: Instant, refresh: Duration) -> Option<(usize, Vec<u8>)> {
        let number = self.parts.iter().position(|part| part.is_due(now, refresh))?;
        self.writes += 1;
        let entries = self.parts[number].entries.values().map(|entry| &**entry);
        Some((number, part::document(self.writes, entries)))
    }

    /// It is written.
    pub(super) fn written(&mut self, number: usize, now: Instant) {
        let part = &mut self.parts[number];
        (part.is_changed, part.written_at) = (false, Some(now));
        self.written_at = Some(now);
    }

    /// The bucket may have lost all of it.
    pub(super) fn doubt(&mut self) {
        for part in &mut self.parts {
            part.written_at = None;
        }
    }

    /// Whether a change need not wait for its turn.
    pub(super) fn may_write_at_once(&self, now: Instant) -> bool {
        self.written_at
            .is_none_or(|at| now.duration_since(at) >= INTERVAL)
    }
}

impl Part {
    /// An empty one is written once, to say so, and then forgotten by everybody.
    fn is_due(&self, now: Instant, refresh: Duration) -> bool {
        let is_old = self.written_at.is_none_or(|at| now.duration_since(at) >= refresh);
        self.is_changed || is_old && !self.entries.is_empty()
    }

    /// The first has room however large it is: what is too large for the broker is for that to say.
    fn has_room(&self, size: usize, max_bytes: usize) -> bool {
        self.entries.is_empty() || self.bytes + size < max_bytes
    }

    fn insert(&mut self, key: Key, entry: Box<RawValue>) {
        self.bytes += entry.get().len() + 1;
        self.entries.insert(key, entry);
        self.is_changed = true;
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.get().len() + 1;
            self.is_changed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use dualcast_core::{ChannelName, Elsewhere, Limits, Member};

    use super::super::part::Told;
    use super::*;

    const MAX_BYTES: usize = 1_000;
    const REFRESH: Duration = Duration::from_secs(3);

    fn held(id: usize, data: Option<usize>) -> Held {
        let id: Arc<str> = format!("member-{id}").into();
        let stay = data.map(|data| Elsewhere {
            member: Member::new(Arc::clone(&id)).data(&data).unwrap(),
            since: 7,
        });
        let channel = ChannelName::parse("room").unwrap();
        Held { channel, id, stay }
    }

    /// Writes all that is due. Answers the numbers of the parts, and all whom they named.
    fn write(parts: &mut Parts, now: Instant) -> (Vec<usize>, BTreeSet<String>) {
        let (mut numbers, mut named) = (Vec::new(), BTreeSet::new());
        while let Some((number, document)) = parts.next_due(now, REFRESH) {
            assert!(document.len() < MAX_BYTES + 100, "{}", document.len());
            let told = Told::read(&document, &Limits::default()).unwrap();
            named.extend(told.members.keys().map(|(_, id)| id.to_string()));
            numbers.push(number);
            parts.written(number, now);
        }
        (numbers, named)
    }

    #[test]
    fn everybody_is_in_one_part_and_a_change_writes_that_part_alone() {
        let (mut parts, now) = (Parts::default(), Instant::now());
        for id in 0..100 {
            parts.set(held(id, Some(1)), MAX_BYTES);
        }
        let (all, named) = write(&mut parts, now);
        assert!(all.len() > 1, "{all:?}");
        assert_eq!(named.len(), 100);
        assert_eq!(write(&mut parts, now).0, [0; 0]);
        parts.set(held(42, Some(2)), MAX_BYTES);
        let (changed, named) = write(&mut parts, now);
        assert_eq!(changed.len(), 1);
        assert!(named.contains("member-42") && named.len() < 100);
        parts.set(held(42, None), MAX_BYTES);
        let (again, named) = write(&mut parts, now);
        assert_eq!(again, changed);
        assert!(!named.contains("member-42"));
        parts.set(held(42, Some(3)), MAX_BYTES);
        assert_eq!(write(&mut parts, now).0.len(), 1, "where there is room again");
    }

    #[test]
    fn a_part_is_written_again_before_it_is_forgotten_and_an_empty_one_is_not() {
        let (mut parts, now) = (Parts::default(), Instant::now());
        parts.set(held(1, Some(1)), MAX_BYTES);
        assert_eq!(write(&mut parts, now).0, [0]);
        assert_eq!(write(&mut parts, now + REFRESH / 2).0, [0; 0]);
        assert_eq!(write(&mut parts, now + REFRESH).0, [0]);
        parts.doubt();
        assert_eq!(write(&mut parts, now + REFRESH).0, [0]);
        parts.set(held(1, None), MAX_BYTES);
        assert_eq!(
            write(&mut parts, now + REFRESH),
            (vec![0], BTreeSet::new()),
            "it says so"
        );
        assert_eq!(write(&mut parts, now + 9 * REFRESH).0, [0; 0]);
        parts.doubt();
        assert_eq!(write(&mut parts, now + 9 * REFRESH).0, [0; 0]);
    }

    #[test]
    fn who_grows_out_of_a_part_moves_to_another() {
        let (mut parts, now) = (Parts::default(), Instant::now());
        for id in 0..20 {
            parts.set(held(id, Some(1)), MAX_BYTES);
        }
        write(&mut parts, now);
        let mut large = held(0, Some(1));
        large.stay.as_mut().unwrap().member = Member::new("member-0").data(&"x".repeat(800)).unwrap();
        parts.set(large, MAX_BYTES);
        let (numbers, named) = write(&mut parts, now);
        assert!(numbers.len() == 2 && named.contains("member-0"), "{numbers:?}");
    }
}
