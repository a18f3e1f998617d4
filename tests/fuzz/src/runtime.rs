//! A runtime with a clock that moves when nothing else can: what takes minutes is over at once.

use tokio::runtime::Builder;

/// Runs a future to its end. What it spawned is dropped behind it.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime starts").block_on(future)
}
