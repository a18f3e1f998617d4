//! Guards: a handler that panics ends its own session and no other.

use std::panic::AssertUnwindSafe;

use dualcast_core::CloseReason;
use futures::FutureExt;
use futures::future::BoxFuture;

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
