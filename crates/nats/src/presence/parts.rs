//! What a node has, in parts of bounded size. A member stays in the part that it came into, so that who comes and goes changes one part.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use dualcast_core::Held;
use serde_json::value::RawValue;

use super::part::{self, Key};
use super::{INTERVAL, PAUSE, REFRESHES};

/// Everybody whom this node has sessions of.
pub(super) struct Parts {
    lifetime: Duration,
    places: HashMap<Key, usize>,
    parts: Vec<Part>,
    writes: u64,
}

#[derive(Default)]
struct Part {
    entries: BTreeMap<Key, Box<RawValue>>,
    bytes: usize,
    is_changed: bool,
    /// When it was written last. None where the bucket may not have it.
    written_at: Option<Instant>,
    failed_at: Option<Instant>,
}

impl Parts {
    /// None yet. What is written holds for so long.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            places: HashMap::new(),
            parts: Vec::new(),
            writes: 0,
        }
    }

    /// A member is here, or no more. One that a message could not carry is left out.
    pub(super) fn set(&mut self, held: Held, max_payload: usize) {
        let key = (held.channel, held.id);
        let entry = held.stay.map(|stay| part::entry(&key, &stay));
        let entry = entry.filter(|entry| {
            let (bytes, max) = (entry.get().len(), max_payload.saturating_sub(ENVELOPE_BYTES));
            if bytes > max {
                tracing::warn!(channel = %key.0, bytes, max_payload, "a member is larger than NATS' `max_payload`: other nodes don't hear of it");
            }
            bytes <= max
        });
        let known = self.places.get(&key).copied();
        let Some(entry) = entry else {
            if let Some(number) = known {
                self.parts[number].remove(&key);
                self.places.remove(&key);
            }
            return;
        };
        let size = entry.get().len();
        if let Some(number) = known {
            let part = &mut self.parts[number];
            // Whoever says more stays there all the same: others would hear that it has left before they hear that it is elsewhere.
            if part.put(&key, &entry, max_payload - ENVELOPE_BYTES) {
                return;
            }
            part.remove(&key);
        }
        let max_bytes = MAX_PART_BYTES.min(max_payload / 2);
        let room = self.parts.iter().position(|part| part.has_room(size, max_bytes));
        let number = room.unwrap_or(self.parts.len());
        if room.is_none() {
            self.parts.push(Part::default());
        }
        self.parts[number].put(&key, &entry, usize::MAX);
        self.places.insert(key, number);
    }

    /// The part that has to be written, and has waited for longest: it has changed, or would be forgotten before long.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let refresh = self.lifetime / REFRESHES;
        let parts = self.parts.iter().enumerate();
        let due = parts.filter(|(_, part)| part.is_due(now, refresh));
        let (number, part) = due.min_by_key(|(_, part)| part.written_at.max(part.failed_at))?;
        self.writes += 1;
        let entries = part.entries.values().map(|entry| &**entry);
        let document = part::document(self.writes, self.lifetime, entries);
        self.parts[number].is_changed = false;
        Some((number, document))
    }

    /// It is written, as it was when it was asked for.
    pub(super) fn written(&mut self, number: usize, now: Instant) {
        let part = &mut self.parts[number];
        (part.written_at, part.failed_at) = (Some(now), None);
    }

    /// It could not be written.
    pub(super) fn failed(&mut self, number: usize, now: Instant) {
        let part = &mut self.parts[number];
        (part.is_changed, part.failed_at) = (true, Some(now));
    }

    /// The bucket may have lost all of it, and what was under way not be written.
    pub(super) fn doubt(&mut self) {
        for part in &mut self.parts {
            (part.is_changed, part.written_at) = (part.is_changed || part.written_at.is_some(), None);
        }
    }
}

impl Part {
    /// An empty one is written once, to say so, and then forgotten by everybody.
    fn is_due(&self, now: Instant, refresh: Duration) -> bool {
        let is_past = |at: Option<Instant>, time| at.is_none_or(|at| now.duration_since(at) >= time);
        let is_old = is_past(self.written_at, refresh) && !self.entries.is_empty();
        let is_news = self.is_changed && is_past(self.written_at, INTERVAL);
        (is_news || is_old) && is_past(self.failed_at, PAUSE)
    }

    fn has_room(&self, size: usize, max_bytes: usize) -> bool {
        self.entries.is_empty() || self.bytes + size < max_bytes
    }

    /// Puts an entry in the place of the one of its key, if there is room. Answers whether that is so.
    fn put(&mut self, key: &Key, entry: &RawValue, max_bytes: usize) -> bool {
        let before = self.entries.get(key);
        if before.is_some_and(|before| before.get() == entry.get()) {
            return true;
        }
        let others = self.bytes - before.map_or(0, |before| before.get().len() + 1);
        let bytes = others.saturating_add(entry.get().len() + 1);
        let has_room = bytes <= max_bytes;
        if has_room {
            self.bytes = bytes;
            self.entries.insert(key.clone(), entry.to_owned());
            self.is_changed = true;
        }
        has_room
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.get().len() + 1;
            self.is_changed = true;
        }
    }
}

/// What stands around the entries, and headers.
const ENVELOPE_BYTES: usize = 1_024;

/// How large a part is in which somebody new finds room: some five hundred members with a name and a colour. The larger, the more is written
/// again for each who comes.
const MAX_PART_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use dualcast_core::{ChannelName, Elsewhere, Limits, Member};

    use super::super::part::Told;
    use super::*;

    /// So that a part has some thousand bytes.
    const MAX_PAYLOAD: usize = 2_500;
    const LIFETIME: Duration = Duration::from_secs(9);
    const REFRESH: Duration = Duration::from_secs(3);

    fn held(id: usize, data: Option<usize>) -> Held {
        saying(id, data.map(|data| "x".repeat(data)))
    }

    fn saying(id: usize, data: Option<String>) -> Held {
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
        while let Some((number, document)) = parts.next_due(now) {
            assert!(document.len() < MAX_PAYLOAD, "{}", document.len());
            let told = Told::read(&document, &limits()).unwrap();
            assert_eq!(told.lifetime, LIFETIME);
            named.extend(told.members.keys().map(|(_, id)| id.to_string()));
            numbers.push(number);
            parts.written(number, now);
        }
        numbers.sort_unstable();
        (numbers, named)
    }

    fn limits() -> Limits {
        let mut limits = Limits::default();
        limits.max_member_bytes = 1 << 20;
        limits
    }

    #[test]
    fn everybody_is_in_one_part_and_a_change_writes_that_part_alone() {
        let (mut parts, mut now) = (Parts::new(LIFETIME), Instant::now());
        for id in 0..100 {
            parts.set(held(id, Some(1)), MAX_PAYLOAD);
        }
        let (all, named) = write(&mut parts, now);
        assert!(all.len() > 1, "{all:?}");
        assert_eq!(named.len(), 100);
        assert_eq!(write(&mut parts, now).0, [0; 0]);
        for data in [Some(2), None] {
            now += INTERVAL;
            parts.set(held(42, data), MAX_PAYLOAD);
            let (changed, named) = write(&mut parts, now);
            assert_eq!(changed.len(), 1);
            assert_eq!(named.contains("member-42"), data.is_some());
            assert!(named.len() < 100);
        }
        parts.set(held(42, None), MAX_PAYLOAD);
        parts.set(held(43, Some(1)), MAX_PAYLOAD);
        assert_eq!(
            write(&mut parts, now + INTERVAL).0,
            [0; 0],
            "nothing is new in that"
        );
    }

    #[test]
    fn a_part_is_written_once_an_interval_and_again_before_it_is_forgotten() {
        let (mut parts, now) = (Parts::new(LIFETIME), Instant::now());
        parts.set(held(1, Some(1)), MAX_PAYLOAD);
        assert_eq!(write(&mut parts, now).0, [0]);
        parts.set(held(2, Some(1)), MAX_PAYLOAD);
        assert_eq!(write(&mut parts, now).0, [0; 0]);
        assert_eq!(write(&mut parts, now + INTERVAL).0, [0]);
        let now = now + INTERVAL;
        assert_eq!(write(&mut parts, now + REFRESH / 2).0, [0; 0]);
        assert_eq!(write(&mut parts, now + REFRESH).0, [0]);
        parts.doubt();
        assert_eq!(write(&mut parts, now + REFRESH).0, [0]);
        for id in [1, 2] {
            parts.set(held(id, None), MAX_PAYLOAD);
        }
        let now = now + 2 * REFRESH;
        assert_eq!(write(&mut parts, now), (vec![0], BTreeSet::new()), "it says so");
        assert_eq!(write(&mut parts, now + 9 * REFRESH).0, [0; 0]);
    }

    #[test]
    fn a_part_that_can_not_be_written_holds_up_no_other_and_the_one_that_waited_for_longest_is_next() {
        let (mut parts, now) = (Parts::new(LIFETIME), Instant::now());
        for id in 0..200 {
            parts.set(held(id, Some(1)), MAX_PAYLOAD);
        }
        let mut written = BTreeSet::new();
        for second in 0..30 {
            let now = now + Duration::from_secs(second);
            // One write a second, and the first part's fails.
            let (number, _) = parts.next_due(now).unwrap();
            if number == 0 {
                parts.failed(number, now);
            } else {
                parts.written(number, now);
                written.insert(number);
            }
        }
        assert_eq!(written.len(), parts.parts.len() - 1);
    }

    #[test]
    fn who_says_more_stays_in_its_part_and_who_says_too_much_is_left_out() {
        let (mut parts, now) = (Parts::new(LIFETIME), Instant::now());
        for id in 0..60 {
            parts.set(held(id, Some(1)), MAX_PAYLOAD);
        }
        let (before, _) = write(&mut parts, now);
        assert!(before.len() > 1);
        parts.set(held(0, Some(200)), MAX_PAYLOAD);
        let (changed, named) = write(&mut parts, now + INTERVAL);
        assert!(changed == [0] && named.contains("member-0"), "{changed:?}");
        parts.set(held(0, Some(5_000)), MAX_PAYLOAD);
        let (changed, named) = write(&mut parts, now + 2 * INTERVAL);
        assert!(changed == [0] && !named.contains("member-0"), "{changed:?}");
    }
}
