//! Upgrades: connections that the application took over by itself, by axum's `WebSocketUpgrade` or any `hyper::upgrade::on`.
//!
//! No deadline is minded for them, and no shutdown waits for them, as under `axum::serve`. But each has its place, and none outlives
//! the server.

use std::sync::{Arc, Mutex, Weak};

use slab::Slab;

use crate::serve::loan::Lent;
use crate::serve::server::lock;

/// The connections of a server that the application has.
#[derive(Default)]
pub(super) struct Upgrades(Mutex<Slab<Weak<Lent>>>);

impl Upgrades {
    /// Lists a connection for as long as the application has it.
    pub(super) fn list(self: &Arc<Self>, lent: &Arc<Lent>) {
        lent.forget_deadline();
        let key = lock(&self.0).insert(Arc::downgrade(lent));
        let upgrades = Arc::clone(self);
        lent.stay_listed(Upgrade { upgrades, key });
    }

    /// Shuts the sockets of all that are left. Whoever reads or writes one of them learns of it at once.
    pub(super) fn end(&self) {
        let left: Vec<_> = lock(&self.0)
            .iter()
            .filter_map(|(_, lent)| lent.upgrade())
            .collect();
        for lent in left {
            lent.shut();
        }
    }
}

/// A connection in the list, until this is dropped.
pub(super) struct Upgrade {
    upgrades: Arc<Upgrades>,
    key: usize,
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        lock(&self.upgrades.0).remove(self.key);
    }
}
