//! A part of what a node has, as it stands in the bucket: JSON, so that whoever looks can read it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dualcast_core::{ChannelName, Elsewhere, Limits, Member};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Whom it is about: a member on a channel.
pub(super) type Key = (ChannelName, Arc<str>);

/// What another node told in a part.
#[derive(Debug)]
pub(super) struct Told {
    /// Which write of that node it is: a later one has a greater number.
    pub(super) write: u64,
    /// For how long it holds, unless it is told again.
    pub(super) lifetime: Duration,
    pub(super) members: BTreeMap<Key, Elsewhere>,
}

#[derive(Serialize, Deserialize)]
struct Document<'a> {
    write: u64,
    /// In milliseconds.
    lifetime: u64,
    #[serde(borrow)]
    members: Vec<&'a RawValue>,
}

/// `["room.42", "u1", 1700000000000, {"name": "Ada"}]`: the channel, the member's id, since when, and its data, if it has some.
#[derive(Deserialize)]
struct Entry<'a>(
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    u64,
    Option<Box<RawValue>>,
);

impl Told {
    /// Reads a part. None where it is none. A member that breaks a rule is left out alone.
    pub(super) fn read(payload: &[u8], limits: &Limits) -> Option<Self> {
        let document: Document<'_> = serde_json::from_slice(payload).ok()?;
        let members = document.members.into_iter().filter_map(|entry| {
            let Entry(channel, id, since, data) = serde_json::from_str(entry.get()).ok()?;
            let channel = ChannelName::parse(&channel).ok()?;
            let id: Arc<str> = id.into();
            let member = Member::carried(Arc::clone(&id), data);
            member.check(limits).ok()?;
            Some(((channel, id), Elsewhere { member, since }))
        });
        Some(Self {
            write: document.write,
            lifetime: Duration::from_millis(document.lifetime).min(LONGEST_LIFETIME),
            members: members.collect(),
        })
    }
}

/// An entry, as it is kept to be written.
pub(super) fn entry((channel, id): &Key, stay: &Elsewhere) -> Box<RawValue> {
    let data = stay.member.get_data().map(serde_json::from_str::<&RawValue>);
    let data = data.and_then(Result::ok);
    let entry = (channel.as_str(), &**id, stay.since, data);
    // Nothing in it can fail to be JSON.
    serde_json::value::to_raw_value(&entry).unwrap_or_default()
}

/// A part, of these entries.
pub(super) fn document<'a>(
    write: u64,
    lifetime: Duration,
    entries: impl Iterator<Item = &'a RawValue>,
) -> Vec<u8> {
    let document = Document {
        write,
        lifetime: u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX),
        members: entries.collect(),
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

/// Whatever somebody else writes: a day.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_breaks_a_rule_is_left_out_alone() {
        let long = "x".repeat(300);
        let part = format!(
            r#"{{"write":1,"lifetime":9,"members":[["room","{long}",1,null],["a..b","x",1,null],[1],["room","eve",1,{{}}],["room","\u0061da",1,null]]}}"#
        );
        let told = Told::read(part.as_bytes(), &Limits::default()).unwrap();
        let named: Vec<_> = told.members.keys().map(|(_, id)| &**id).collect();
        assert_eq!(named, ["ada", "eve"]);
    }

    #[test]
    fn what_is_written_is_read() {
        let key = (ChannelName::parse("room").unwrap(), Arc::from("a\"\u{1}"));
        let member = Member::new(Arc::clone(&key.1))
            .data(&serde_json::json!({ "name": "Ada" }))
            .unwrap();
        let stay = Elsewhere {
            member,
            since: 1_800_000_000_000,
        };
        let entries = [entry(&key, &stay)];
        let document = document(3, Duration::from_secs(2), entries.iter().map(|entry| &**entry));
        let told = Told::read(&document, &Limits::default()).unwrap();
        assert_eq!((told.write, told.lifetime.as_secs()), (3, 2));
        assert_eq!(told.members, BTreeMap::from([(key, stay)]));
    }
}
