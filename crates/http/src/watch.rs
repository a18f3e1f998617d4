//! The watch over bodies: a session that isn't asked can't mind a deadline by itself.
//!
//! One task for each runtime, which is there while there are bodies. It looks at each of them about once a second; one that waits
//! for its channels costs it a look at a flag.

use std::collections::HashMap;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;
use tokio::runtime::{self, Handle};
use tokio::task;
use tokio::time::{self, Instant};

/// The bodies of each runtime that has any.
static BODIES: LazyLock<Mutex<HashMap<runtime::Id, Bodies>>> = LazyLock::new(Mutex::default);

/// A body that may not be asked.
pub(crate) trait Watchee: Send + Sync {
    /// The deadline that it is looked after for.
    fn patience(&self) -> Duration;

    /// Looks after it from outside, once in a while.
    fn look(&self, now: Instant);
}

struct Bodies {
    all: Slab<Arc<dyn Watchee>>,
    /// The shortest that any of them had.
    patience: Duration,
}

/// A body that is looked after until this is dropped.
pub(crate) struct Watched<T> {
    body: Arc<T>,
    /// None outside of a runtime: there nobody looks.
    place: Option<(runtime::Id, usize)>,
}

/// Looks after a body from now on.
pub(crate) fn watch<T: Watchee + 'static>(body: Arc<T>) -> Watched<T> {
    let Ok(handle) = Handle::try_current() else {
        return Watched { body, place: None };
    };
    let runtime = handle.id();
    let mut bodies = lock();
    let is_new = !bodies.contains_key(&runtime);
    let patience = body.patience();
    let here = bodies.entry(runtime).or_insert(Bodies {
        all: Slab::new(),
        patience,
    });
    here.patience = here.patience.min(patience);
    let key = here.all.insert(Arc::clone(&body) as Arc<dyn Watchee>);
    drop(bodies);
    if is_new {
        let is_over = false;
        handle.spawn(Walk { runtime, is_over }.go());
    }
    Watched {
        body,
        place: Some((runtime, key)),
    }
}

impl<T> Deref for Watched<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.body
    }
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        if let Some((runtime, key)) = self.place
            && let Some(here) = lock().get_mut(&runtime)
            && here
                .all
                .get(key)
                .is_some_and(|found| ptr::addr_eq(Arc::as_ptr(found), Arc::as_ptr(&self.body)))
        {
            here.all.remove(key);
        }
    }
}

/// The list of a runtime goes with the task that walks it: when nothing is listed, or when the runtime ends.
struct Walk {
    runtime: runtime::Id,
    is_over: bool,
}

impl Drop for Walk {
    fn drop(&mut self) {
        if !self.is_over {
            lock().remove(&self.runtime);
        }
    }
}

impl Walk {
    async fn go(mut self) {
        while let Some(pause) = self.pause() {
            time::sleep(pause).await;
            let now = Instant::now();
            let mut from = 0;
            while let Some(portion) = self.portion(from) {
                from += PORTION;
                for body in portion {
                    // What ends there is the application's, too: its hooks, its streams. None of them ends the watch over all others.
                    let looked = panic::catch_unwind(AssertUnwindSafe(|| {
                        body.look(now);
                        drop(body);
                    }));
                    if looked.is_err() {
                        tracing::error!("a hook or a stream panicked as its session ended");
                    }
                }
                task::yield_now().await;
            }
        }
    }

    /// How long to wait before the next round. None where nothing is listed, and no list is left.
    fn pause(&mut self) -> Option<Duration> {
        let mut bodies = lock();
        let here = bodies.get(&self.runtime)?;
        if here.all.is_empty() {
            bodies.remove(&self.runtime);
            self.is_over = true;
            return None;
        }
        Some((here.patience / 4).clamp(SHORTEST_PAUSE, PAUSE))
    }

    /// Those at the places from this on, but no more than do not lock the list for long. None past the last place.
    fn portion(&self, from: usize) -> Option<Vec<Arc<dyn Watchee>>> {
        let bodies = lock();
        let here = &bodies.get(&self.runtime)?.all;
        let places = from..(from + PORTION).min(here.capacity());
        let is_past = places.is_empty();
        (!is_past).then(|| places.filter_map(|key| here.get(key).map(Arc::clone)).collect())
    }
}

fn lock() -> MutexGuard<'static, HashMap<runtime::Id, Bodies>> {
    BODIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often each body is looked at. Its deadlines are minded to that.
const PAUSE: Duration = Duration::from_secs(1);

/// As often where a deadline is shorter.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// How many are looked at in one go.
const PORTION: usize = 1_024;
