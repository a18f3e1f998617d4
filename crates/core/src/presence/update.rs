//! Updates: what a watcher is told of a channel's presence, encoded once for all.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::member::Member;
use crate::name::ChannelName;
use crate::wire::{Encodings, Entry, Wire};

/// Who is present on a channel, as a whole or as what has changed.
#[derive(Debug, Serialize)]
pub struct PresenceUpdate {
    channel: ChannelName,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<Member>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    joined: Vec<Member>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    left: Vec<Arc<str>>,
    #[serde(skip)]
    encodings: Encodings,
}

impl PresenceUpdate {
    pub(crate) fn whole(channel: ChannelName, version: u64, count: usize, members: Vec<Member>) -> Self {
        Self {
            channel,
            version,
            since: None,
            count,
            members: Some(members),
            joined: Vec::new(),
            left: Vec::new(),
            encodings: Encodings::default(),
        }
    }

    pub(crate) fn change(
        channel: ChannelName,
        version: u64,
        count: usize,
        joined: Vec<Member>,
        left: Vec<Arc<str>>,
    ) -> Self {
        Self {
            channel,
            version,
            since: Some(version - 1),
            count,
            members: None,
            joined,
            left,
            encodings: Encodings::default(),
        }
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The version of the state after it. It counts the changes as this node told them, and says nothing on another.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version that it changes. None where it is the whole.
    #[must_use]
    pub fn since(&self) -> Option<u64> {
        self.since
    }

    /// How many are present, the sessions of one member counted once.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// All of them, or in a large room a sample. Empty where it is a change.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        self.members.as_deref().unwrap_or_default()
    }

    /// Those who have come, into the sample in a large room, and those of whom something else is said now.
    #[must_use]
    pub fn joined(&self) -> &[Member] {
        &self.joined
    }

    /// The ids of those who have left.
    #[must_use]
    pub fn left(&self) -> &[Arc<str>] {
        &self.left
    }

    /// What it takes on any wire, about.
    pub(crate) fn size(&self) -> usize {
        let members = self.members().iter().chain(&self.joined);
        let members: usize = members.map(|member| cost(member.id(), member.get_data())).sum();
        let left: usize = self.left.iter().map(|id| cost(id, None)).sum();
        members + left + ENVELOPE_BYTES
    }

    pub(crate) fn bytes(&self, wire: &dyn Wire) -> &Bytes {
        self.encodings
            .get_or_write(wire, Entry::Presence(self), self.size())
    }
}

/// What stands around the members.
const ENVELOPE_BYTES: usize = 128;

fn texts<S: Serializer>(texts: &[Arc<str>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.iter().map(|text| &**text))
}

fn cost(id: &str, data: Option<&str>) -> usize {
    id.len() + data.map_or(0, str::len) + 20
}
