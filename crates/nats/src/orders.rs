//! Orders to all nodes: what one of them did with its sessions, the others are to do, too; and that another life of the log begins.
//!
//! An order stands in the log like a message, and is tried until it does. It means the sessions that were open when it was given: so it says
//! for how long it has been on its way, and the node that gave it, which has obeyed at once, leaves it out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dualcast_core::{Hub, Order as NodesOrder};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time;

use crate::envelope::{Order, Outgoing, Told, random_id};
use crate::shared::Shared;

/// Tells orders to the other nodes.
pub(crate) struct Orders {
    shared: Arc<Shared>,
    runtime: Handle,
    under_way: Arc<Semaphore>,
}

impl Orders {
    /// Works on the runtime that it is made on.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            runtime: Handle::current(),
            under_way: Arc::new(Semaphore::new(MAX_ORDERS)),
        }
    }

    /// Tells one, as soon as that can be done.
    pub(crate) fn send(&self, order: NodesOrder) {
        let Ok(room) = Arc::clone(&self.under_way).try_acquire_owned() else {
            tracing::error!(
                ?order,
                "{MAX_ORDERS} orders are under way: the other nodes don't hear of this one"
            );
            return;
        };
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            let told = |age| {
                Order::Nodes(Told {
                    order: order.clone(),
                    by: shared.node_id.clone(),
                    age,
                })
            };
            insist(&shared, told).await;
            drop(room);
        });
    }
}

/// Tells the other nodes that a life begins, who may have seen nothing of what this one saw.
pub(crate) fn tell_of_life(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move { insist(&shared, |_| Order::Life).await });
}

/// Does what another node ordered, to the sessions that were open when it did. That was when it was logged, less its age.
pub(crate) fn obey(shared: &Shared, hub: &Hub, told: &Told, logged_at: Instant) {
    if told.by == shared.node_id {
        return;
    }
    // One that was given before this process began means nobody here.
    if let Some(given_at) = logged_at.checked_sub(told.age) {
        hub.obey(&told.order, given_at);
    }
}

/// Has an order stored that says for how long it has been on its way.
async fn insist(shared: &Shared, order: impl Fn(Duration) -> Order) {
    let (given_at, id) = (time::Instant::now(), random_id());
    loop {
        let began = time::Instant::now();
        let order = order(began - given_at);
        let mut outgoing = Outgoing::order(&shared.subjects, &order);
        // Asked for again until it is stored, and stored once.
        outgoing.make_repeatable(&id);
        let Err(error) = shared.publisher.publish(&outgoing, began + ATTEMPT).await else {
            return;
        };
        if given_at.elapsed() >= ORDER_DEADLINE {
            tracing::error!(?order, %error, "the other nodes don't hear of an order");
            return;
        }
        tracing::warn!(?order, %error, "the other nodes don't hear of an order yet");
        // What fails at once is not to be tried at once.
        time::sleep_until(began + ATTEMPT).await;
    }
}

/// How many orders are under way at a time, while the broker is away. Further ones are done on this node alone.
const MAX_ORDERS: usize = 1_024;

/// For how long an order is tried: a broker that is restarted is back by then.
const ORDER_DEADLINE: Duration = Duration::from_secs(5 * 60);

/// How long an attempt takes. By so much at the most an order may be older than it says.
const ATTEMPT: Duration = Duration::from_secs(2);
