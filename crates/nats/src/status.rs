//! Status: what a node says of itself when it is asked how it is.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dualcast_core::Health;

/// How a node is.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_ready: bool,
    degraded: Option<Cow<'static, str>>,
}

impl Status {
    /// What was published has come back: from here on it is ready, for good.
    pub(crate) fn is_ready_now(&self) {
        let mut state = self.lock();
        if !state.is_ready {
            state.is_ready = true;
            tracing::info!("the node is ready");
        }
    }

    /// Why it is not quite itself. None: all is well.
    pub(crate) fn set_degraded(&self, why: Option<Cow<'static, str>>) {
        let mut state = self.lock();
        if state.degraded == why {
            return;
        }
        match (&state.degraded, &why) {
            (_, Some(why)) => tracing::warn!(%why, "the node is degraded"),
            (Some(_), None) => tracing::info!("the node is itself again"),
            (None, None) => {}
        }
        state.degraded = why;
    }

    pub(crate) fn is_degraded(&self) -> bool {
        self.lock().degraded.is_some()
    }

    pub(crate) fn health(&self) -> Health {
        let state = self.lock();
        if state.is_ready {
            return state
                .degraded
                .clone()
                .map_or_else(Health::default, Health::degraded);
        }
        let why = state.degraded.clone();
        Health::starting(why.unwrap_or(Cow::Borrowed("nothing that was published has come back yet")))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
