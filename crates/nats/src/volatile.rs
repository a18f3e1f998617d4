//! Volatile messages of other nodes: one subscription for each channel that somebody follows here.
//!
//! It outlasts its last follower for a while, since a page that is loaded anew leaves and comes back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use dualcast_core::{ChannelName, WeakHub};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time;

use crate::envelope::Incoming;
use crate::garbage::leave_out;
use crate::shared::{Shared, Trouble};

/// The channels whose volatile messages a node hears.
pub(crate) struct Volatiles {
    shared: Arc<Shared>,
    hub: OnceLock<WeakHub>,
    runtime: Handle,
    heard: Mutex<HashMap<ChannelName, Heard>>,
}

struct Heard {
    task: AbortHandle,
    /// Since when nobody follows it.
    unfollowed_at: Option<Instant>,
}

impl Volatiles {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            hub: OnceLock::new(),
            runtime: Handle::current(),
            heard: Mutex::default(),
        }
    }

    pub(crate) fn start(&self, hub: WeakHub) {
        // A fan-out is of one hub.
        let _ = self.hub.set(hub);
    }

    /// Somebody follows a channel.
    pub(crate) fn followed(&self, channel: &ChannelName) {
        let Some(hub) = self.hub.get().cloned() else {
            return;
        };
        self.lock()
            .entry(channel.clone())
            .and_modify(|heard| heard.unfollowed_at = None)
            .or_insert_with(|| Heard {
                task: self
                    .runtime
                    .spawn(listen(Arc::clone(&self.shared), hub, channel.clone()))
                    .abort_handle(),
                unfollowed_at: None,
            });
    }

    /// Nobody follows it any more.
    pub(crate) fn unfollowed(&self, channel: &ChannelName) {
        if let Some(heard) = self.lock().get_mut(channel) {
            heard.unfollowed_at = Some(Instant::now());
        }
    }

    /// Stops listening to what nobody has followed for a while.
    pub(crate) fn maintain(&self) {
        self.lock().retain(|_, heard| {
            let is_over = heard.unfollowed_at.is_some_and(|at| at.elapsed() >= LINGER);
            if is_over {
                heard.task.abort();
            }
            !is_over
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelName, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Volatiles {
    fn drop(&mut self) {
        for heard in self.lock().values() {
            heard.task.abort();
        }
    }
}

/// Hears a channel until it is told to stop, or the hub is gone.
async fn listen(shared: Arc<Shared>, hub: WeakHub, channel: ChannelName) {
    loop {
        if let Err(error) = hear(&shared, &hub, &channel).await {
            tracing::debug!(%error, %channel, "its volatile messages can't be listened to");
        }
        if hub.upgrade().is_none() {
            return;
        }
        time::sleep(PAUSE).await;
    }
}

/// Hears a channel for as long as its connection lasts.
async fn hear(shared: &Shared, hub: &WeakHub, channel: &ChannelName) -> Result<(), Trouble> {
    let client = shared.live.client().await?;
    let mut messages = client.subscribe(shared.subjects.volatile(channel)).await?;
    while let Some(message) = messages.next().await {
        let Some(hub) = hub.upgrade() else {
            return Ok(());
        };
        let Message {
            subject,
            headers,
            payload,
            ..
        } = message;
        let (headers, payload) = (
            headers.unwrap_or_else(HeaderMap::new),
            Bytes::copy_from_slice(&payload),
        );
        match Incoming::volatile(&shared.subjects, &subject, &headers, payload) {
            Ok(Incoming::Message(channel, message)) => hub.ingest().send_volatile(&channel, message),
            Ok(Incoming::Finish(_) | Incoming::Order(_)) => {}
            Err(garbage) => leave_out(&garbage),
        }
    }
    Ok(())
}

/// For how long a channel is heard that nobody follows any more.
const LINGER: Duration = Duration::from_secs(5);

/// How long to wait before a subscription that failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);
