//! Places: how many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use dualcast_core::count_refused;

use crate::serve::options::ServerOptions;
use crate::serve::server::lock;

/// The places for connections.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    max_per_address: Option<usize>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Counted only where there is a limit.
    by_neighbour: HashMap<Neighbour, usize>,
    refused: u64,
}

/// Who may be one and the same: an address, or a network of IPv6 (/64), of which every host has as many as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Neighbour(IpAddr);

impl Places {
    pub(super) fn new(options: &ServerOptions) -> Arc<Self> {
        Arc::new(Self {
            max: options.max_connections,
            max_per_address: options.max_connections_per_address,
            taken: Mutex::default(),
        })
    }

    /// A place for a connection, for as long as it is held. None where a limit is reached.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let neighbour = self.max_per_address.map(|_| Neighbour::from(address));
        let limit = if taken.all >= self.max {
            Some(("max_connections", self.max))
        } else {
            let here = neighbour.and_then(|neighbour| taken.by_neighbour.get(&neighbour));
            let most = self
                .max_per_address
                .filter(|most| here.copied().unwrap_or(0) >= *most);
            most.map(|most| ("max_connections_per_address", most))
        };
        if let Some((limit, max)) = limit {
            taken.refused += 1;
            let refused = taken.refused;
            drop(taken);
            count_refused(limit);
            // Who floods the server must not flood its log.
            if refused.is_power_of_two() {
                tracing::warn!(limit, max, refused, %address, "connections are refused");
            }
            return None;
        }
        taken.all += 1;
        if let Some(neighbour) = neighbour {
            *taken.by_neighbour.entry(neighbour).or_default() += 1;
        }
        drop(taken);
        let places = Arc::clone(self);
        Some(Place { places, neighbour })
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    neighbour: Option<Neighbour>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        taken.all -= 1;
        if let Some(neighbour) = self.neighbour
            && let Some(here) = taken.by_neighbour.get_mut(&neighbour)
        {
            *here -= 1;
            if *here == 0 {
                taken.by_neighbour.remove(&neighbour);
            }
        }
    }
}

impl From<IpAddr> for Neighbour {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            address => Self(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max: usize, max_per_address: Option<usize>) -> Arc<Places> {
        let mut options = ServerOptions::default();
        (options.max_connections, options.max_connections_per_address) = (max, max_per_address);
        Places::new(&options)
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_place_that_is_left_may_be_taken_again() {
        let places = places(2, None);
        let first = places.take(ip("10.0.0.1")).unwrap();
        let _second = places.take(ip("10.0.0.1")).unwrap();
        assert!(places.take(ip("10.0.0.2")).is_none());
        drop(first);
        assert!(places.take(ip("10.0.0.2")).is_some());
    }

    #[test]
    fn one_address_does_not_take_the_places_of_others() {
        let places = places(100, Some(2));
        let held: Vec<_> = (0..2).map(|_| places.take(ip("10.0.0.1")).unwrap()).collect();
        assert!(places.take(ip("10.0.0.1")).is_none());
        assert!(
            places.take(ip("::ffff:10.0.0.1")).is_none(),
            "the same, written otherwise"
        );
        let _other = places.take(ip("10.0.0.2")).unwrap();
        drop(held);
        assert!(places.take(ip("10.0.0.1")).is_some());
        assert_eq!(
            lock(&places.taken).by_neighbour.len(),
            1,
            "who has left is forgotten"
        );
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let places = places(100, Some(1));
        let _held = places.take(ip("2001:db8:1:2::1")).unwrap();
        assert!(places.take(ip("2001:db8:1:2:ffff::7")).is_none());
        assert!(places.take(ip("2001:db8:1:3::1")).is_some());
    }
}
