//! The list of the lanes that are lent to a channel.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use slab::Slab;

use super::Lane;

/// The lanes that are lent to a channel.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    alone: Alone,
    together: Together,
    /// Whether the hub has been called to look at them, and has not begun to.
    is_called: bool,
}

/// Where a lane is in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seat {
    Alone(u32),
    /// With all that lead by the same connection, and which of them.
    Together(u32, u16),
}

/// Some places in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seats {
    alone: Range<usize>,
    together: Range<usize>,
}

/// Those that have a connection to themselves.
///
/// Who comes gets the first place that is free. As each session takes its way back with its heartbeats, and lends it again, few who are left of many soon stand
/// close together: to go round costs by how many there are, and not by how many there were.
#[derive(Debug, Default)]
struct Alone {
    /// None at a place that is free. At the last is somebody.
    lent: Vec<Option<Arc<Lane>>>,
    /// All places that are free, and some behind the last.
    free: BinaryHeap<Reverse<usize>>,
}

/// Those that share a connection, beside each other: what is sent to all of them leaves in few system calls.
#[derive(Debug, Default)]
struct Together {
    lent: Slab<Slab<Arc<Lane>>>,
    /// Where those of each connection are.
    places: HashMap<u32, usize>,
}

impl Lanes {
    pub(crate) fn enter(&mut self, lane: Arc<Lane>) -> Seat {
        let together = lane
            .outlet
            .connection()
            .map(|connection| self.together.enter(connection, &lane));
        together
            .flatten()
            .unwrap_or_else(|| Seat::Alone(self.alone.enter(lane) as u32))
    }

    pub(crate) fn leave(&mut self, seat: Seat) -> Option<Arc<Lane>> {
        match seat {
            Seat::Alone(index) => self.alone.leave(index as usize),
            Seat::Together(place, index) => self.together.leave(place as usize, index as usize),
        }
    }

    /// Whether somebody is to look at them, and nobody was called to yet.
    pub(crate) fn call(&mut self) -> bool {
        let is_first = !self.is_empty() && !self.is_called;
        self.is_called |= is_first;
        is_first
    }

    /// Begins to look at them: whatever comes from now on is another call. Answers all places that there are.
    pub(crate) fn answer(&mut self) -> Seats {
        self.is_called = false;
        Seats {
            alone: 0..self.alone.lent.len(),
            together: 0..self.together.end(),
        }
    }

    /// Those at some of the places.
    pub(crate) fn at(&self, seats: &Seats) -> Vec<Arc<Lane>> {
        let lent = self
            .alone
            .at(&seats.alone)
            .chain(self.together.at(&seats.together));
        let mut lanes = Vec::with_capacity(fetch(lent.clone()));
        lanes.extend(lent.cloned());
        black_box(lanes.iter().filter(|lane| lane.outlet.fetch()).count());
        lanes
    }

    fn is_empty(&self) -> bool {
        self.alone.lent.is_empty() && self.together.lent.is_empty()
    }
}

impl Seats {
    /// About how many clients are there, or were there once.
    pub(crate) fn len(&self) -> usize {
        self.alone.len() + self.together.len() * USUALLY_TOGETHER
    }

    /// Takes off the next of them, for about so many clients; at the least one place.
    pub(crate) fn split_off(&mut self, most: usize) -> Self {
        let alone = split_off(&mut self.alone, most);
        let room = (most - alone.len()) / USUALLY_TOGETHER;
        let room = if alone.is_empty() { room.max(1) } else { room };
        Self {
            alone,
            together: split_off(&mut self.together, room),
        }
    }
}

impl Alone {
    fn enter(&mut self, lane: Arc<Lane>) -> usize {
        while let Some(Reverse(index)) = self.free.pop() {
            if let Some(place) = self.lent.get_mut(index) {
                *place = Some(lane);
                return index;
            }
        }
        self.lent.push(Some(lane));
        self.lent.len() - 1
    }

    fn leave(&mut self, index: usize) -> Option<Arc<Lane>> {
        let lane = self.lent.get_mut(index)?.take();
        self.free.push(Reverse(index));
        while self.lent.pop_if(|last| last.is_none()).is_some() {}
        let end = self.lent.len();
        if self.free.len() > end {
            let lent = self.lent.iter().enumerate();
            let free = lent.filter(|(_, lane)| lane.is_none());
            self.free = free.map(|(index, _)| Reverse(index)).collect();
        }
        if self.lent.capacity() > 4 * end {
            self.lent.shrink_to(2 * end);
        }
        lane
    }

    fn at(&self, places: &Range<usize>) -> impl Iterator<Item = &Arc<Lane>> + Clone {
        let end = places.end.min(self.lent.len());
        self.lent[places.start.min(end)..end].iter().flatten()
    }
}

impl Together {
    /// None where there are too many of this connection to be told apart.
    fn enter(&mut self, connection: u32, lane: &Arc<Lane>) -> Option<Seat> {
        let place = self.places.entry(connection);
        let place = *place.or_insert_with(|| self.lent.insert(Slab::new()));
        let lanes = &mut self.lent[place];
        let index = u16::try_from(lanes.vacant_key()).ok()?;
        lanes.insert(Arc::clone(lane));
        Some(Seat::Together(place as u32, index))
    }

    fn leave(&mut self, place: usize, index: usize) -> Option<Arc<Lane>> {
        let lanes = self.lent.get_mut(place)?;
        let lane = lanes.try_remove(index)?;
        if lanes.is_empty()
            && let Some(connection) = lane.outlet.connection()
        {
            self.lent.remove(place);
            self.places.remove(&connection);
        }
        Some(lane)
    }

    /// Behind the last place.
    fn end(&self) -> usize {
        self.lent.iter().next_back().map_or(0, |(index, _)| index + 1)
    }

    fn at(&self, places: &Range<usize>) -> impl Iterator<Item = &Arc<Lane>> + Clone {
        let lent = places.clone().filter_map(|place| self.lent.get(place));
        lent.flatten().map(|(_, lane)| lane)
    }
}

fn split_off(places: &mut Range<usize>, most: usize) -> Range<usize> {
    let next = places.end.min(places.start + most);
    let taken = places.start..next;
    places.start = next;
    taken
}

/// Has the processor fetch these, which lie far apart in memory: many at a time, where holding on to them would wait for each before the next sets out. Answers
/// how many they are.
fn fetch<'a>(lanes: impl Iterator<Item = &'a Arc<Lane>>) -> usize {
    lanes.filter(|lane| Arc::strong_count(lane) > 0).count()
}

/// How many share a connection, as far as that is guessed: no more than a round's part has room for.
const USUALLY_TOGETHER: usize = 64;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::lanes::Outlet;

    struct Nowhere;

    impl Outlet for Nowhere {
        fn send(&self, _: &Bytes) -> usize {
            0
        }
    }

    /// One of several streams of a connection.
    struct By(u32);

    impl Outlet for By {
        fn send(&self, _: &Bytes) -> usize {
            0
        }

        fn connection(&self) -> Option<u32> {
            Some(self.0)
        }
    }

    fn lane() -> Arc<Lane> {
        Arc::new(Lane::new(Nowhere))
    }

    fn lane_by(connection: u32) -> Arc<Lane> {
        Arc::new(Lane::new(By(connection)))
    }

    #[test]
    fn few_who_are_left_of_many_cost_as_few() {
        const MANY: usize = 1_000;
        const FEW: usize = 10;
        let mut lanes = Alone::default();
        for index in 0..MANY {
            assert_eq!(lanes.enter(lane()), index);
        }
        let few = (0..FEW).map(|number| number * 77 + 300);
        for index in (0..MANY).filter(|index| !few.clone().any(|other| other == *index)) {
            assert!(lanes.leave(index).is_some());
        }
        assert_eq!(lanes.at(&(0..MANY)).count(), FEW);
        // As with their heartbeats.
        for index in few.rev() {
            let lane = lanes.leave(index).unwrap();
            lanes.enter(lane);
        }
        assert_eq!((lanes.lent.len(), lanes.at(&(0..MANY)).count()), (FEW, FEW));
        assert!(lanes.lent.capacity() < 8 * FEW && lanes.free.capacity() < 8 * FEW);
        for index in 0..FEW {
            assert!(lanes.leave(index).is_some());
        }
        assert_eq!((lanes.lent.capacity(), lanes.free.capacity()), (0, 0));
    }

    #[test]
    fn each_has_a_place_of_its_own_whoever_comes_and_goes() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut lanes, mut held) = (Lanes::default(), Vec::new());
        for step in 0..20_000 {
            // Now more come than go, and now more go.
            if random.usize(..100) < if step / 500 % 2 == 0 { 70 } else { 30 } {
                let connection = random.u32(..20);
                let lane = if connection < 10 {
                    lane()
                } else {
                    lane_by(connection)
                };
                held.push((lanes.enter(Arc::clone(&lane)), lane));
            } else if !held.is_empty() {
                let (seat, lane) = held.swap_remove(random.usize(..held.len()));
                assert!(Arc::ptr_eq(&lanes.leave(seat).unwrap(), &lane));
            }
            if step % 97 == 0 {
                let mut all = lanes.answer();
                assert_eq!(lanes.at(&all).len(), held.len());
                let (mut in_parts, mut most) = (0, random.usize(..200));
                while all.len() > 0 {
                    let part = lanes.at(&all.split_off(most));
                    in_parts += part.len();
                    most = random.usize(..200);
                }
                assert_eq!(in_parts, held.len());
            }
            assert!(lanes.alone.free.len() <= lanes.alone.lent.len());
        }
        held.drain(..).for_each(|(seat, _)| drop(lanes.leave(seat)));
        assert!(lanes.is_empty() && lanes.together.places.is_empty());
    }

    #[test]
    fn those_that_share_a_connection_are_beside_each_other() {
        let mut lanes = Lanes::default();
        for number in 0..30 {
            lanes.enter(if number % 3 == 0 {
                lane()
            } else {
                lane_by(number % 3)
            });
        }
        let all = lanes.answer();
        let found = lanes.at(&all).into_iter().map(|lane| lane.outlet.connection());
        let expected = [None, Some(1), Some(2)].into_iter().flat_map(|which| [which; 10]);
        assert!(found.eq(expected));
    }

    #[test]
    fn more_than_can_be_told_apart_are_in_the_list_all_the_same() {
        const MANY: usize = u16::MAX as usize + 3;
        let mut lanes = Lanes::default();
        let seats: Vec<_> = (0..MANY).map(|_| lanes.enter(lane_by(1))).collect();
        let all = lanes.answer();
        assert_eq!(lanes.at(&all).len(), MANY);
        assert!(seats.into_iter().all(|seat| lanes.leave(seat).is_some()));
        assert!(lanes.is_empty());
    }
}
