//! The boards that are in use on this node.
//!
//! A board is loaded when somebody first asks for it, once however many ask; it stays while anybody uses it, and a while after; and it goes when
//! what it has is stored. Nobody who has it in hand loses it: it is counted under the lock under which it would be put away. Who listens needs its channel
//! alone, and keeps no board here.

mod active;
mod follow;
mod gone;
mod keep;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use dualcast::{Error, Hub};
use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{self, Instant};

use crate::name::BoardName;
use crate::store::{Store, StoreError};

pub(crate) use active::Active;

/// All of them.
#[derive(Debug, Clone)]
pub(crate) struct Boards(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hub: Hub,
    store: Arc<Store>,
    slots: Mutex<HashMap<BoardName, Arc<Slot>>>,
}

/// A place for a board: while it is loaded, while it is here, and while nobody has come for it again.
#[derive(Debug)]
struct Slot {
    open: OnceCell<Open>,
    usage: Mutex<Usage>,
}

#[derive(Debug)]
struct Usage {
    /// How many have it in hand.
    users: usize,
    /// When it was last used.
    last: Instant,
}

/// A board that is here, and those who work for it. They end with it.
#[derive(Debug)]
struct Open {
    board: Arc<Active>,
    workers: Vec<AbortHandle>,
}

/// A board in somebody's hand: it is not put away meanwhile.
#[derive(Debug)]
pub(crate) struct InUse {
    board: Arc<Active>,
    _held: Held,
}

impl Boards {
    pub(crate) fn new(hub: Hub, store: Store) -> Self {
        let boards = Self(Arc::new(Shared {
            hub,
            store: Arc::new(store),
            slots: Mutex::default(),
        }));
        let weak = Arc::downgrade(&boards.0);
        tokio::spawn(async move {
            loop {
                time::sleep(SWEEP_INTERVAL).await;
                let Some(shared) = weak.upgrade() else {
                    return;
                };
                shared.sweep();
            }
        });
        boards
    }

    /// A board, loaded if need be. One that nobody ever wrote on is empty.
    ///
    /// # Errors
    ///
    /// `busy` where too many boards are in use, `unavailable` where it can't be loaded.
    pub(crate) async fn open(&self, name: &BoardName) -> Result<InUse, Error> {
        let held = Held(self.0.slot(name)?);
        let loading = held.0.open.get_or_try_init(|| self.0.load(name));
        let board = Arc::clone(&loading.await?.board);
        Ok(InUse { board, _held: held })
    }

    /// Whose channels are theirs.
    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Where they are kept.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Stores what is not stored yet, at the end. Answers how many boards could not be.
    pub(crate) async fn store_all(&self) -> usize {
        let slots: Vec<_> = self.0.slots().values().cloned().collect();
        let mut storing = JoinSet::new();
        for slot in slots {
            let store = Arc::clone(&self.0.store);
            storing.spawn(async move {
                let Some(Open { board, .. }) = slot.open.get() else {
                    return true;
                };
                // What was published last may not be folded yet.
                let _ = board.catch_up().await;
                match board.store(&store).await {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::error!(board = %board.name(), %error, "a board could not be stored at the end");
                        false
                    }
                }
            });
        }
        let is_stored = storing.join_all().await;
        is_stored.iter().filter(|is_stored| !**is_stored).count()
    }

    /// How many are here.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.slots().len()
    }
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, HashMap<BoardName, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a board, with one more user.
    fn slot(&self, name: &BoardName) -> Result<Arc<Slot>, Error> {
        let mut slots = self.slots();
        if !slots.contains_key(name) && slots.len() >= MAX_ACTIVE_BOARDS {
            make_room(&mut slots)?;
        }
        let slot = slots.entry(name.clone()).or_insert_with(|| {
            Arc::new(Slot {
                open: OnceCell::new(),
                usage: Mutex::new(Usage {
                    users: 0,
                    last: Instant::now(),
                }),
            })
        });
        slot.usage().users += 1;
        Ok(Arc::clone(slot))
    }

    async fn load(&self, name: &BoardName) -> Result<Open, Error> {
        let (board, subscription) = active::load(&self.hub, &self.store, name).await?;
        let board = Arc::new(board);
        let follower = tokio::spawn(follow::follow(Arc::clone(&board), subscription));
        let keeper = tokio::spawn(keep::keep(Arc::clone(&board), Arc::clone(&self.store)));
        let releaser = tokio::spawn(gone::release(Arc::clone(&board), Arc::clone(&self.store)));
        // Ends them, too, where whoever waits for this goes away.
        let open = Open {
            board,
            workers: [follower, keeper, releaser]
                .iter()
                .map(JoinHandle::abort_handle)
                .collect(),
        };
        open.board.catch_up().await?;
        Ok(open)
    }

    /// Puts away what was not used for a while.
    fn sweep(&self) {
        let now = Instant::now();
        self.slots().retain(|_, slot| !slot.is_idle_since(now));
    }
}

/// Puts the board away that was not used for longest: one on which somebody edits only where there is no other.
fn make_room(slots: &mut HashMap<BoardName, Arc<Slot>>) -> Result<(), Error> {
    let idle = slots.iter().filter(|(_, slot)| slot.is_idle());
    let longest = idle.min_by_key(|(_, slot)| (slot.is_edited(), slot.usage().last));
    let Some(name) = longest.map(|(name, _)| name.clone()) else {
        let message = format!("{MAX_ACTIVE_BOARDS} boards are in use here, which is as many as may be");
        return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message));
    };
    slots.remove(&name);
    Ok(())
}

impl Slot {
    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is lost with it: nobody has it in hand, and all of it is stored.
    fn is_idle(&self) -> bool {
        if self.usage().users > 0 {
            return false;
        }
        self.open.get().is_none_or(|open| open.board.is_stored())
    }

    /// Whether somebody edits a note. It is seen here who leaves meanwhile; where the board was put away, not before it is here again.
    fn is_edited(&self) -> bool {
        self.open.get().is_some_and(|open| open.board.is_edited())
    }

    /// Whether nobody has used it for a while.
    fn is_idle_since(&self, now: Instant) -> bool {
        let is_quiet = self.open.get().is_none() || self.usage().last + KEEP_OPEN <= now;
        is_quiet && self.is_idle() && !self.is_edited()
    }

    fn put_down(&self) {
        let mut usage = self.usage();
        usage.users -= 1;
        usage.last = Instant::now();
    }
}

/// A place in somebody's hand, whose board may yet have to be loaded.
#[derive(Debug)]
struct Held(Arc<Slot>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.put_down();
    }
}

impl Deref for InUse {
    type Target = Active;

    fn deref(&self) -> &Active {
        &self.board
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.workers.iter().for_each(AbortHandle::abort);
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a board could not be read or stored");
        match error {
            StoreError::Unavailable(_) => {
                let message = "boards can't be read or stored at the moment";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            }
            StoreError::Unreadable { .. } => Self::internal(),
        }
    }
}

/// The most boards in memory. A full one takes some 2 MiB, most a hundredth of that.
const MAX_ACTIVE_BOARDS: usize = 1_000;

/// For how long a board stays that nobody uses: as long as somebody takes who loads the page anew, or goes through a tunnel.
const KEEP_OPEN: Duration = Duration::from_secs(60);

/// How often it is looked for those that may go.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
