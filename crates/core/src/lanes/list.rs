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
    /// Those that have a connection to themselves.
    alone: Row<Arc<Lane>>,
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

/// Some places in the list, and about how many clients were there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seats {
    alone: Range<usize>,
    together: Range<usize>,
    clients: usize,
}

/// Places in a row.
///
/// Who comes gets the first that is free. As each session takes its way back with its heartbeats, and lends it again, few who are left of many soon stand
/// close together: to go round costs by how many there are, and not by how many there were.
#[derive(Debug)]
struct Row<T> {
    /// None at a place that is free. At the last is somebody.
    taken: Vec<Option<T>>,
    /// All places that are free, and some behind the last.
    free: BinaryHeap<Reverse<usize>>,
}

/// Those that share a connection are beside each other: what is sent to all of them leaves in few system calls.
#[derive(Debug, Default)]
struct Together {
    row: Row<Slab<Arc<Lane>>>,
    /// Where those of each connection are.
    places: HashMap<u32, usize>,
    clients: usize,
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

    /// Takes one out that is there.
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
            alone: 0..self.alone.taken.len(),
            together: 0..self.together.row.taken.len(),
            clients: self.clients(),
        }
    }

    /// About how many clients there are.
    pub(crate) fn clients(&self) -> usize {
        self.alone.taken.len() + self.together.clients
    }

    /// Takes the next places off, for about so many clients; one place at the least, unless there is none.
    pub(crate) fn split_off(&self, seats: &mut Seats, most: usize) -> Seats {
        let alone = split_off(&mut seats.alone, most);
        let mut clients = alone.len();
        let mut places = 0;
        for place in seats.together.clone() {
            if clients >= most.max(1) {
                break;
            }
            clients += self.together.row.get(place).map_or(0, Slab::len);
            places += 1;
        }
        let together = split_off(&mut seats.together, places);
        // Some have come and some have gone since they were counted.
        let clients = if seats.is_empty() {
            seats.clients
        } else {
            clients.min(seats.clients)
        };
        seats.clients -= clients;
        Seats {
            alone,
            together,
            clients,
        }
    }

    /// Those at some of the places.
    pub(crate) fn at(&self, seats: &Seats) -> Vec<Arc<Lane>> {
        let together = self.together.row.at(&seats.together).flatten();
        let lent = self.alone.at(&seats.alone).chain(together.map(|(_, lane)| lane));
        let mut lanes = Vec::with_capacity(fetch(lent.clone()));
        lanes.extend(lent.cloned());
        if !seats.together.is_empty() {
            black_box(lanes.iter().filter(|lane| lane.outlet.fetch()).count());
        }
        lanes
    }

    fn is_empty(&self) -> bool {
        self.alone.taken.is_empty() && self.together.row.taken.is_empty()
    }
}

impl Seats {
    /// About how many clients are there, or were there once.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// Whether there is no place.
    pub(crate) fn is_empty(&self) -> bool {
        self.alone.is_empty() && self.together.is_empty()
    }
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self {
            taken: Vec::new(),
            free: BinaryHeap::new(),
        }
    }
}

impl<T> Row<T> {
    fn enter(&mut self, comer: T) -> usize {
        while let Some(Reverse(index)) = self.free.pop() {
            if let Some(place) = self.taken.get_mut(index) {
                *place = Some(comer);
                return index;
            }
        }
        self.taken.push(Some(comer));
        self.taken.len() - 1
    }

    fn leave(&mut self, index: usize) -> Option<T> {
        let left = self.taken.get_mut(index)?.take()?;
        self.free.push(Reverse(index));
        while self.taken.pop_if(|last| last.is_none()).is_some() {}
        let end = self.taken.len();
        if self.free.len() > end {
            let taken = self.taken.iter().enumerate();
            let free = taken.filter(|(_, taken)| taken.is_none());
            self.free = free.map(|(index, _)| Reverse(index)).collect();
        }
        if self.taken.capacity() > 4 * end {
            self.taken.shrink_to(2 * end);
        }
        Some(left)
    }

    fn get(&self, index: usize) -> Option<&T> {
        self.taken.get(index)?.as_ref()
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.taken.get_mut(index)?.as_mut()
    }

    fn at(&self, places: &Range<usize>) -> impl Iterator<Item = &T> + Clone {
        let end = places.end.min(self.taken.len());
        self.taken[places.start.min(end)..end].iter().flatten()
    }
}

impl Together {
    /// None where there are too many of this connection to be told apart.
    fn enter(&mut self, connection: u32, lane: &Arc<Lane>) -> Option<Seat> {
        let place = self.places.entry(connection);
        let place = *place.or_insert_with(|| self.row.enter(Slab::new()));
        let lanes = self.row.get_mut(place)?;
        let index = u16::try_from(lanes.vacant_key()).ok()?;
        lanes.insert(Arc::clone(lane));
        self.clients += 1;
        Some(Seat::Together(place as u32, index))
    }

    fn leave(&mut self, place: usize, index: usize) -> Option<Arc<Lane>> {
        let lanes = self.row.get_mut(place)?;
        let lane = lanes.try_remove(index)?;
        self.clients -= 1;
        if lanes.is_empty()
            && let Some(connection) = lane.outlet.connection()
        {
            self.row.leave(place);
            self.places.remove(&connection);
            if self.places.capacity() > 4 * self.places.len() {
                self.places.shrink_to(2 * self.places.len());
            }
        }
        Some(lane)
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
        let mut lanes = Row::default();
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
        assert_eq!((lanes.taken.len(), lanes.at(&(0..MANY)).count()), (FEW, FEW));
        assert!(lanes.taken.capacity() < 8 * FEW && lanes.free.capacity() < 8 * FEW);
        for index in 0..FEW {
            assert!(lanes.leave(index).is_some());
        }
        assert_eq!((lanes.taken.capacity(), lanes.free.capacity()), (0, 0));
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
                while !all.is_empty() {
                    let part = lanes.split_off(&mut all, most);
                    in_parts += lanes.at(&part).len();
                    most = random.usize(..200);
                }
                assert_eq!((in_parts, all.clients()), (held.len(), 0));
            }
            assert!(lanes.alone.free.len() <= lanes.alone.taken.len());
        }
        held.drain(..).for_each(|(seat, _)| drop(lanes.leave(seat)));
        assert!(lanes.is_empty() && lanes.together.places.is_empty());
    }

    #[test]
    fn who_comes_and_goes_while_a_round_is_under_way_does_not_upset_its_count() {
        let mut lanes = Lanes::default();
        let seats: Vec<_> = (0..100).map(|number| lanes.enter(lane_by(number / 10))).collect();
        let mut all = lanes.answer();
        let counted = all.clients();
        let first = lanes.split_off(&mut all, 15);
        assert_eq!(lanes.at(&first).len(), 20, "whole connections");
        seats[50..].iter().for_each(|seat| drop(lanes.leave(*seat)));
        for _ in 0..100 {
            lanes.enter(lane_by(2));
        }
        let mut parts = vec![first];
        while !all.is_empty() {
            parts.push(lanes.split_off(&mut all, 15));
        }
        assert_eq!(parts.iter().map(Seats::clients).sum::<usize>(), counted);
    }

    #[test]
    fn few_who_are_left_of_many_connections_cost_as_few() {
        const MANY: u32 = 1_000;
        let mut lanes = Lanes::default();
        let seats: Vec<_> = (0..MANY).map(|number| lanes.enter(lane_by(number))).collect();
        for seat in &seats[..MANY as usize - 1] {
            lanes.leave(*seat);
        }
        // As with its heartbeat.
        let last = lanes.leave(seats[MANY as usize - 1]).unwrap();
        lanes.enter(last);
        assert_eq!(lanes.answer().together, 0..1);
        assert!(lanes.together.row.taken.capacity() < 10 && lanes.together.places.capacity() < 10);
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
