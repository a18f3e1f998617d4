//! Guards: a handler that panics ends its own session and no other, and one that is at work may finish when its session ends.

use std::panic::AssertUnwindSafe;

use dualcast_core::CloseReason;
use dualcast_http::ServerHandle;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;

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

/// Lets go on what its session has begun and does not live to see. Our server waits for that; under another it is on its own.
pub(crate) fn let_finish(server: Option<&ServerHandle>, work: impl Future<Output = ()> + Send + 'static) {
    // Without a runtime there is nobody to run it: that ends, and the session with it.
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    match server {
        Some(server) => server.let_finish(work),
        None => drop(runtime.spawn(work)),
    }
}
