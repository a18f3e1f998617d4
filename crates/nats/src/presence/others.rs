//! What other nodes have, as they told it, and until when it is believed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dualcast_core::{Elsewhere, Held};

use super::part::{Key, Told};

/// Everybody whom other nodes have sessions of.
#[derive(Default)]
pub(super) struct Others {
    nodes: HashMap<Arc<str>, BTreeMap<usize, Part>>,
}

struct Part {
    write: u64,
    lifetime: Duration,
    members: BTreeMap<Key, Elsewhere>,
    until: Instant,
}

impl Others {
    /// A node has told a part. Answers what that changes of it.
    pub(super) fn take(&mut self, node: &Arc<str>, number: usize, told: Told, until: Instant) -> Vec<Held> {
        let parts = self.nodes.entry(Arc::clone(node)).or_default();
        let before = match parts.get_mut(&number) {
            // What is read back may have been heard before, or be older than that.
            Some(part) if part.write >= told.write => {
                if part.write == told.write {
                    part.until = part.until.max(until);
                }
                return Vec::new();
            }
            Some(part) => std::mem::take(&mut part.members),
            None => BTreeMap::new(),
        };
        let came = told
            .members
            .iter()
            .filter(|(key, stay)| before.get(*key) != Some(*stay));
        let mut changed: Vec<_> = came.map(|(key, stay)| held(key, Some(stay.clone()))).collect();
        let left: Vec<_> = before
            .into_keys()
            .filter(|key| !told.members.contains_key(key))
            .collect();
        let Told {
            write,
            lifetime,
            members,
        } = told;
        parts.insert(
            number,
            Part {
                write,
                lifetime,
                members,
                until,
            },
        );
        changed.extend(left.iter().filter_map(|key| without(parts, key)));
        changed
    }

    /// Forgets what was not told again in time. Answers what that changes, of each node.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(Arc<str>, Vec<Held>)> {
        let mut changed = Vec::new();
        for (node, parts) in &mut self.nodes {
            let mut over = BTreeMap::new();
            parts.retain(|_, part| {
                let is_over = part.until <= now;
                if is_over {
                    over.append(&mut part.members);
                }
                !is_over
            });
            let left: Vec<_> = over.keys().filter_map(|key| without(parts, key)).collect();
            if !left.is_empty() {
                changed.push((Arc::clone(node), left));
            }
        }
        self.nodes.retain(|_, parts| !parts.is_empty());
        changed
    }

    /// Nothing could be heard, or told, for a while: what is known holds as if it had been told now.
    pub(super) fn pardon(&mut self, now: Instant) {
        for part in self.nodes.values_mut().flat_map(BTreeMap::values_mut) {
            part.until = part.until.max(now + part.lifetime);
        }
    }
}

/// A member that a part has no more. It may have moved to another: then that is what its node says.
fn without(parts: &BTreeMap<usize, Part>, key: &Key) -> Option<Held> {
    let is_elsewhere = parts.values().any(|part| part.members.contains_key(key));
    (!is_elsewhere).then(|| held(key, None))
}

fn held((channel, id): &Key, stay: Option<Elsewhere>) -> Held {
    Held {
        channel: channel.clone(),
        id: Arc::clone(id),
        stay,
    }
}

#[cfg(test)]
mod tests {
    use dualcast_core::{ChannelName, Member};

    use super::*;

    fn told(write: u64, members: &[(&str, u64)]) -> Told {
        let channel = ChannelName::parse("room").unwrap();
        let members = members.iter().map(|(id, since)| {
            let member = Member::new(*id);
            let since = *since;
            (
                (channel.clone(), Arc::clone(member.id())),
                Elsewhere { member, since },
            )
        });
        let members = members.collect();
        let lifetime = Duration::from_secs(3);
        Told {
            write,
            lifetime,
            members,
        }
    }

    /// `+ada` and `-bob`.
    fn lines(changed: &[Held]) -> Vec<String> {
        let sign = |held: &Held| if held.stay.is_some() { '+' } else { '-' };
        changed
            .iter()
            .map(|held| format!("{}{}", sign(held), held.id))
            .collect()
    }

    #[test]
    fn a_part_changes_what_it_says_otherwise_and_an_older_one_nothing() {
        let (mut others, node, until) = (Others::default(), "n".into(), Instant::now());
        let mut take = |number, told| lines(&others.take(&node, number, told, until));
        assert_eq!(take(0, told(5, &[("ada", 1), ("bob", 1)])), ["+ada", "+bob"]);
        assert_eq!(take(0, told(4, &[("cy", 1)])), [""; 0], "of before");
        assert_eq!(take(0, told(6, &[("ada", 1), ("cy", 1)])), ["+cy", "-bob"]);
        assert_eq!(
            take(0, told(7, &[("ada", 2), ("cy", 1)])),
            ["+ada"],
            "something else is said of her"
        );
        // Whoever moves between parts is there all the time, in whichever order these are heard.
        assert_eq!(take(1, told(8, &[("ada", 2)])), ["+ada"]);
        assert_eq!(take(0, told(9, &[])), ["-cy"]);
        assert_eq!(take(1, told(10, &[])), ["-ada"]);
    }

    #[test]
    fn what_is_not_told_again_is_forgotten_and_another_node_keeps_its_own() {
        let (mut others, now) = (Others::default(), Instant::now());
        let (killed, lives): (Arc<str>, Arc<str>) = ("killed".into(), "lives".into());
        let second = Duration::from_secs(1);
        others.take(&killed, 0, told(1, &[("ada", 1), ("bob", 1)]), now + second);
        others.take(&lives, 0, told(1, &[("ada", 2)]), now + 2 * second);
        assert!(others.expire(now).is_empty());
        let gone = others.expire(now + second);
        assert_eq!((&*gone[0].0, gone.len()), ("killed", 1));
        assert_eq!(
            lines(&gone[0].1),
            ["-ada", "-bob"],
            "as that node's; the other has her still"
        );
        others.pardon(now + second);
        assert!(others.expire(now + 3 * second).is_empty());
        assert_eq!(others.expire(now + 4 * second).len(), 1);
        assert!(others.nodes.is_empty());
    }
}
