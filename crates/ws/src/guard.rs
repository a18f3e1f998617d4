//! Guards: a handler that panics ends its own session and no other, and one that is at work may finish when its session ends.

use std::panic::AssertUnwindSafe;

use dualcast_core::{CloseReason, count_refused};
use dualcast_http::ServerHandle;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// A handler at work. Nobody sees what it leaves behind in the middle of a panic: it is dropped.
pub(crate) type Handling<T> = BoxFuture<'static, Result<T, CloseReason>>;

pub(crate) fn guarded<T: 'static>(handling: impl Future<Output = T> + Send + 'static) -> Handling<T> {
    let handling = AssertUnwindSafe(handling).catch_unwind();
    handling
        .map(|outcome| {
            outcome.map_err(|_| {
                tracing::error!("a handler panicked: its session ends");
                CloseReason::Internal
            })
        })
        .boxed()
}

/// Lets go on what its session has begun and does not live to see. Our server waits for that; under another it is on its own. Above a
/// limit it is dropped where it is: no other limit counts what has no client any more.
pub(crate) fn let_finish(server: Option<&ServerHandle>, work: impl Future<Output = ()> + Send + 'static) {
    // Without a runtime there is nobody to run it: that ends, and the session with it.
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let Ok(place) = FINISHING.try_acquire() else {
        count_refused("max_finishing_handlers");
        return tracing::warn!("a handler is dropped: too many others outlive their sessions");
    };
    let work = async move {
        work.await;
        drop(place);
    };
    match server {
        Some(server) => server.let_finish(work),
        None => drop(runtime.spawn(work)),
    }
}

static FINISHING: Semaphore = Semaphore::const_new(MAX_FINISHING_HANDLERS);

/// How many handlers of a process may outlive their sessions at a time: those of all clients of a node in a restart, and what
/// whoever connects and vanishes again and again can hold.
pub const MAX_FINISHING_HANDLERS: usize = 10_000;
