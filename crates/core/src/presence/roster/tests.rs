//! A roster beside the plainest account of who is present, and watchers who believe what they are told.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_secs(10);

/// What may happen to a roster. Small numbers name members, nodes and sessions.
#[derive(Debug, Clone)]
enum Op {
    Join(u8, u8),
    /// One of those who are here ends.
    Leave(usize, bool),
    Elsewhere(u8, u8, Option<u8>),
    Pass(u64),
    /// A watcher reads.
    Read(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..8u8, 0..3u8).prop_map(|(id, data)| Op::Join(id, data)),
        4 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(which, grace)| Op::Leave(which, grace)),
        3 => (0..2u8, 0..8u8, prop::option::of(0..3u8)).prop_map(|(node, id, data)| Op::Elsewhere(node, id, data)),
        2 => (0..12u64).prop_map(Op::Pass),
        4 => (0..3usize).prop_map(Op::Read),
    ];
    prop::collection::vec(op, 1..80)
}

/// A client that believes what it is told.
#[derive(Default)]
struct Watcher {
    version: Option<u64>,
    count: usize,
    members: BTreeMap<Arc<str>, Member>,
}

impl Watcher {
    fn read(&mut self, roster: &mut Roster) {
        for update in roster.news(self.version) {
            match update.since() {
                None => self.members.clear(),
                Some(since) => assert_eq!(self.version, Some(since), "a change was missed"),
            }
            for member in update.members().iter().chain(update.joined()) {
                self.members.insert(Arc::clone(member.id()), member.clone());
            }
            for id in update.left() {
                assert!(self.members.remove(id).is_some(), "{id} was not there");
            }
            (self.version, self.count) = (Some(update.version()), update.count());
        }
    }
}

/// The plainest account of who is present.
#[derive(Default)]
struct Model {
    here: Vec<(u64, u8, Option<u64>)>,
    elsewhere: BTreeSet<(u8, u8)>,
}

impl Model {
    fn people(&self) -> BTreeSet<Arc<str>> {
        let here = self.here.iter().map(|(_, id, _)| *id);
        here.chain(self.elsewhere.iter().map(|(_, id)| *id))
            .map(name)
            .collect()
    }
}

fn name(id: u8) -> Arc<str> {
    format!("p{id}").into()
}

fn stay(id: u8, data: u8, number: u64) -> Stay {
    Stay {
        number,
        since: number,
        member: Member::new(name(id)).data(&data).unwrap(),
        until: None,
    }
}

fn run(ops: &[Op], max_sample: usize) {
    let mut roster = Roster::new(ChannelName::parse("room").unwrap(), max_sample);
    let (mut model, mut watchers) = (Model::default(), [(); 3].map(|()| Watcher::default()));
    let begun = Instant::now();
    let (mut seconds, mut number) = (0, 0);
    for op in ops {
        match *op {
            Op::Join(id, data) => {
                number += 1;
                roster.join(stay(id, data, number));
                model
                    .here
                    .retain(|(_, known, until)| *known != id || until.is_none());
                model.here.push((number, id, None));
            }
            Op::Leave(which, has_grace) => {
                let live: Vec<_> = model
                    .here
                    .iter()
                    .filter(|(_, _, until)| until.is_none())
                    .collect();
                let Some((number, id, _)) = live.get(which % live.len().max(1)).copied().copied() else {
                    continue;
                };
                let until = seconds + GRACE.as_secs();
                roster.leave(
                    &name(id),
                    number,
                    has_grace.then(|| begun + Duration::from_secs(until)),
                );
                let lingers =
                    |other: &(u64, u8, Option<u64>)| !has_grace && other.1 == id && other.2.is_some();
                model.here.retain(|other| other.0 != number && !lingers(other));
                if has_grace {
                    model.here.push((number, id, Some(until)));
                }
            }
            Op::Elsewhere(node, id, data) => {
                number += 1;
                let node_name = format!("n{node}").into();
                roster.set_elsewhere(&node_name, &name(id), data.map(|data| stay(id, data, number)));
                model.elsewhere.remove(&(node, id));
                model.elsewhere.extend(data.map(|_| (node, id)));
            }
            Op::Pass(time) => {
                seconds += time;
                roster.tick(begun + Duration::from_secs(seconds));
                model
                    .here
                    .retain(|(_, _, until)| until.is_none_or(|until| until > seconds));
            }
            Op::Read(which) => watchers[which].read(&mut roster),
        }
        let people = model.people();
        assert_eq!(roster.people.keys().cloned().collect::<BTreeSet<_>>(), people);
        if !roster.is_stale {
            let told: BTreeSet<_> = roster.told.keys().cloned().collect();
            assert_eq!(
                (roster.told_count, told.len()),
                (people.len(), people.len().min(max_sample))
            );
            assert!(told.is_subset(&people));
            assert!(
                roster
                    .told
                    .iter()
                    .all(|(id, member)| roster.people[id].shown() == Some(member))
            );
        }
    }
    // Whoever was behind, however far, comes to the same.
    for watcher in &mut watchers {
        watcher.read(&mut roster);
        assert_eq!(
            (watcher.count, &watcher.members),
            (roster.told_count, &roster.told)
        );
    }
    seconds += GRACE.as_secs();
    roster.tick(begun + Duration::from_secs(seconds));
    assert!(!roster.is_restless(), "nothing is left to do when time passes");
}

proptest! {
    #[test]
    fn watchers_know_who_is_present(ops in ops()) {
        run(&ops, 100);
    }

    #[test]
    fn watchers_of_a_crowded_room_know_how_many_and_some_of_them(ops in ops()) {
        run(&ops, 3);
    }
}
