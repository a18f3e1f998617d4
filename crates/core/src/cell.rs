//! Cells: what a channel is in memory, behind its one lock.
//!
//! Invariants: a cell that is dead has no followers and no records, is no longer in the map, and stays dead: who
//! holds one looks the channel up again. `State` has no clock and wakes nobody.

use std::sync::Arc;

use crate::config::LogLimits;
use crate::followed::Reborn;
use crate::lanes::Lanes;
use crate::life::Life;
use crate::log::Log;
use crate::name::ChannelName;
use crate::ring::Ring;
use crate::sleepers::Sleepers;
use crate::stretch::Stretches;
use crate::sync::{Mutex, MutexGuard};

/// A channel in memory.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) name: ChannelName,
    pub(crate) log_limits: Arc<LogLimits>,
    state: Mutex<State>,
}

/// What changes of it.
#[derive(Debug)]
pub(crate) struct State {
    /// The number of the life that its log is of. Who reads in another one finds nothing here.
    pub(crate) life: u64,
    pub(crate) log: Log,
    pub(crate) ring: Ring,
    pub(crate) stretches: Stretches,
    pub(crate) sleepers: Sleepers,
    pub(crate) lanes: Lanes,
    pub(crate) followers: usize,
    /// Taken out of the map.
    pub(crate) is_dead: bool,
    /// Known to the upkeep as one with records.
    pub(crate) is_indexed: bool,
    /// Known to the upkeep as one with volatile messages or joined stretches.
    pub(crate) is_warm: bool,
}

impl Cell {
    pub(crate) fn new(
        name: ChannelName,
        log_limits: Arc<LogLimits>,
        life: u64,
        trimmed_through: u64,
    ) -> Self {
        let state = State {
            life,
            log: Log::new(trimmed_through),
            ring: Ring::default(),
            stretches: Stretches::default(),
            sleepers: Sleepers::default(),
            lanes: Lanes::default(),
            followers: 0,
            is_dead: false,
            is_indexed: false,
            is_warm: false,
        };
        Self {
            name,
            log_limits,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// Whether it may leave memory.
    pub(crate) fn is_quiet(&self) -> bool {
        self.followers == 0 && self.log.is_empty()
    }

    /// Whether it is of the life in which somebody reads.
    pub(crate) fn check(&self, life: &Life) -> Result<(), Reborn> {
        if self.life == life.number() {
            Ok(())
        } else {
            Err(Reborn)
        }
    }

    /// Whether the channel has ended, and nothing that was torn can have come behind its end.
    pub(crate) fn is_finished(&self, life: &Life) -> bool {
        self.log.is_finished() && life.torn_through() <= self.log.last_sequence()
    }

    /// Forgets its log for one of a life that begins, of which nothing is known up to its head.
    pub(crate) fn begin_anew(&mut self, life: &Life) {
        self.life = life.number();
        self.log = Log::new(life.head());
        self.stretches.clear();
    }

    /// Drops what is only of use to followers that are close behind.
    pub(crate) fn cool(&mut self) {
        self.ring.clear();
        self.stretches.clear();
    }
}
