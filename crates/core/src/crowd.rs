//! Crowds: all who wait on a channel, in one way or the other.

use std::sync::Arc;

use crate::cell::{Cell, State};
use crate::sleepers::Woken;

/// All who waited on a channel for more. To be told that there is, with no lock held.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// About how many they are.
    pub(crate) clients: usize,
    /// The tasks that slept.
    pub(crate) woken: Woken,
    /// The channel, where lanes are lent to it at which nobody is called to look already.
    pub(crate) lent: Option<Arc<Cell>>,
}

impl Crowd {
    /// All who wait on this channel now.
    pub(crate) fn of(cell: &Arc<Cell>, state: &mut State) -> Self {
        let woken = state.sleepers.take();
        let lent = state.lanes.call().then(|| Arc::clone(cell));
        let lanes = if lent.is_some() { state.lanes.clients() } else { 0 };
        Self {
            clients: woken.len() + lanes,
            woken,
            lent,
        }
    }

    /// Those who lent their lanes to a channel, and for whom somebody was called.
    pub(crate) fn lent(cell: Arc<Cell>) -> Self {
        let clients = cell.lock().lanes.clients();
        Self {
            clients,
            woken: Woken::default(),
            lent: Some(cell),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.woken.is_empty() && self.lent.is_none()
    }

    /// Wakes each of them on the spot: those who lent their lanes take them back.
    pub(crate) fn wake(self) {
        self.woken.wake();
        if let Some(cell) = self.lent {
            recall(&cell);
        }
    }
}

/// Has all lanes that are lent to a channel taken back by their sessions.
pub(crate) fn recall(cell: &Cell) {
    let lanes = {
        let lanes = &mut cell.lock().lanes;
        let all = lanes.answer();
        lanes.at(&all)
    };
    for waker in lanes.iter().filter_map(|lane| lane.stop()) {
        waker.wake();
    }
}
