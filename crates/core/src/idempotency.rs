//! Idempotency keys: which messages were published lately, so that a repeat answers the first one's position.
//!
//! A key is scoped to its channel and its sender: the key "1" on two channels, or of two users, is two messages.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use crate::clock::later;
use crate::config::Limits;
use crate::error::LimitReached;
use crate::message::Identity;
use crate::name::ChannelName;
use crate::position::Position;

/// The keys of the current window.
#[derive(Debug, Default)]
pub(crate) struct SeenKeys {
    positions: HashMap<Fingerprint, Position>,
    by_age: VecDeque<(Instant, Fingerprint)>,
    hashers: [RandomState; 2],
}

/// 128 bits for a channel, a sender and a key, under secret hash keys: no two are ever taken for one, and
/// nobody can aim for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u64; 2]);

impl SeenKeys {
    pub(crate) fn fingerprint(
        &self,
        channel: &ChannelName,
        sender: Option<&Identity>,
        key: &str,
    ) -> Fingerprint {
        Fingerprint([0, 1].map(|index: usize| self.hashers[index].hash_one((channel, sender, key))))
    }

    /// The position of the first message with this key.
    pub(crate) fn find(&mut self, key: Fingerprint, now: Instant, limits: &Limits) -> Option<Position> {
        self.forget_aged(now, limits);
        self.positions.get(&key).copied()
    }

    /// Whether one more key can be remembered.
    pub(crate) fn check_room(&self, limits: &Limits) -> Result<(), LimitReached> {
        if self.positions.len() >= limits.max_idempotency_keys {
            return Err(LimitReached::new(
                "max_idempotency_keys",
                limits.max_idempotency_keys,
            ));
        }
        Ok(())
    }

    pub(crate) fn remember(&mut self, key: Fingerprint, position: Position, now: Instant) {
        self.positions.insert(key, position);
        self.by_age.push_back((now, key));
    }

    pub(crate) fn forget_aged(&mut self, now: Instant, limits: &Limits) {
        while let Some((seen_at, key)) = self.by_age.front()
            && later(*seen_at, limits.idempotency_window) <= now
        {
            self.positions.remove(key);
            self.by_age.pop_front();
        }
        if self.by_age.is_empty() {
            self.by_age = VecDeque::new();
            self.positions = HashMap::new();
        }
    }
}
