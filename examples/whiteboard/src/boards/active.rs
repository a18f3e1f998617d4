//! A board that is in use: its fold, and what is known of what is stored of it.
//!
//! The fold and its position change together, under one lock, which is never held across an `await`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use dualcast::{Channel, Error, Hub, Message, Position, PresenceUpdate, Subscription};
use serde_json::value::RawValue;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::time::{self, Instant};

use crate::board::Board;
use crate::board::admission::{Admitted, Growth, Refused};
use crate::board::asked::Checked;
use crate::board::change::{Change, Op, Sent};
use crate::name::BoardName;
use crate::snapshot::{Mark, Snapshot};
use crate::store::{Known, Store, StoreError};
use crate::user::User;

/// A board in memory.
#[derive(Debug)]
pub(crate) struct Active {
    name: BoardName,
    channel: Channel,
    state: Mutex<State>,
    /// Up to where it is folded, for those who wait.
    folded: watch::Sender<Position>,
    /// Somebody waits: what stands in the log is to be folded now.
    pub(super) asked: Notify,
    /// There is something to be stored.
    pub(super) changed: Notify,
    /// Who is there is not as it was.
    pub(super) presence: Notify,
    /// Whether it is stored, where it has to be before anything is logged.
    founded: OnceCell<()>,
    /// What is known of what is stored. One at a time stores.
    known: tokio::sync::Mutex<Known>,
}

#[derive(Debug)]
struct State {
    board: Board,
    mark: Mark,
    /// How often it changed.
    version: u64,
    /// At which change it was stored.
    stored_version: u64,
    /// Its JSON, as of which change.
    json: Option<(u64, Arc<RawValue>)>,
    /// By how much it may grow yet by what is being published.
    under_way: Growth,
    /// Of each note that is edited, when its editor last said so.
    leases: HashMap<String, Lease>,
    /// Who has left of those who edit.
    left: HashSet<String>,
}

/// Since when somebody is known to edit a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// Where in the log that stands; where it was stored, up to where.
    position: Position,
    /// When this node has heard of it.
    pub(super) heard_at: Instant,
}

/// A note that is edited.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) id: String,
    pub(super) by: String,
    /// Whether its editor was seen to leave.
    pub(super) has_left: bool,
    pub(super) lease: Lease,
}

/// Reads a board from the store, and subscribes to what stands behind that in the log.
pub(super) async fn load(
    hub: &Hub,
    store: &Store,
    name: &BoardName,
) -> Result<(Active, Subscription), Error> {
    let channel = hub.channel(("board", name.as_str()))?;
    // First the position, then the store: whoever writes on a board that is not there stores it first, and logs then. So all that is logged of it
    // stands behind this position, where it is not there yet.
    let now = hub.position();
    let (stored, known) = store.read(name).await?;
    let is_founded = stored.is_some() || !store.is_shared();
    let (mark, board) = stored.map_or_else(
        || (Mark::new(now), Board::default()),
        |stored| (stored.mark, stored.board),
    );
    let subscription = channel.presence().watch().after(mark.position).open()?;
    let lease = Lease {
        position: mark.position,
        heard_at: Instant::now(),
    };
    let leases = board.edited().map(|(id, _)| (id.to_owned(), lease)).collect();
    let active = Active {
        name: name.clone(),
        channel,
        folded: watch::Sender::new(mark.position),
        state: Mutex::new(State {
            board,
            mark,
            version: 0,
            stored_version: 0,
            json: None,
            under_way: Growth::default(),
            leases,
            left: HashSet::new(),
        }),
        asked: Notify::new(),
        changed: Notify::new(),
        presence: Notify::new(),
        founded: OnceCell::new_with(is_founded.then_some(())),
        known: tokio::sync::Mutex::new(known),
    };
    Ok((active, subscription))
}

impl Active {
    pub(crate) fn name(&self) -> &BoardName {
        &self.name
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The board, with everything in it that was in the log when this was called.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.catch_up().await?;
        Ok(self.lock().snapshot()?.0)
    }

    /// Publishes what a user asks for, if the board lets it in, and answers where it stands in the log. It is in the board then.
    ///
    /// # Errors
    ///
    /// `bad-change`, `locked`, `forgotten` and `board-full` where the board doesn't let it in; else why it could not be published.
    pub(crate) async fn publish(
        &self,
        store: &Store,
        user: &User,
        name: String,
        asked: Checked,
    ) -> Result<Position, Error> {
        let Checked {
            client,
            n,
            mut changes,
        } = asked;
        let Some((_under_way, forget)) = self.admit(user, &client, n, &changes)? else {
            // It is in the board: nothing that may have changed since can be a reason to refuse it now.
            return Ok(*self.folded.borrow());
        };
        self.founded.get_or_try_init(|| self.store(store)).await?;
        if !forget.is_empty() {
            changes.push(Change::Forget { ids: forget });
        }
        let key = format!("{client}-{n}");
        let op = Op {
            by: user.id.clone(),
            name,
            sent: Some(Sent { client, n }),
            at: now(),
            changes,
        };
        let message = Message::json("op", &op)?
            .sender(user.identity())
            .idempotency_key(key);
        let position = self.channel.publish(message).await?;
        // What comes next from the same page is held to a board with this in it. It is logged, whether that takes long or not.
        let _ = time::timeout(FOLD_DEADLINE, self.has_come_to(position)).await;
        Ok(position)
    }

    /// Waits until all is folded that is in the log now.
    ///
    /// # Errors
    ///
    /// `unavailable` where that takes too long.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        let here = self.has_come_to(self.channel.hub().position());
        time::timeout(FOLD_DEADLINE, here).await.map_err(|_| {
            let message = "the board's log can't be read at the moment";
            Error::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        })
    }

    /// Waits until it is folded up to a position, or up to now in another life of the log.
    async fn has_come_to(&self, mut position: Position) {
        let mut folded = self.folded.subscribe();
        loop {
            let here = *folded.borrow_and_update();
            if here.epoch() == position.epoch() && here.sequence() >= position.sequence() {
                return;
            }
            if here.epoch() != position.epoch() {
                position = self.channel.hub().position();
            }
            self.asked.notify_one();
            // Asked again: what was waited for may have been that there is nothing.
            let _ = time::timeout(NUDGE_INTERVAL, folded.changed()).await;
        }
    }

    /// Folds a message that stands at a position. Those that are none are passed over.
    pub(super) fn fold(&self, op: Option<&Op>, position: Position) {
        let mut state = self.lock();
        if let Some(op) = op
            && state.board.apply(op)
        {
            state.version += 1;
            self.changed.notify_one();
            state.note_edits(op, position);
        }
        state.mark.advance(position);
        drop(state);
        self.folded.send_replace(position);
    }

    /// Takes up who has left, and who is there again.
    pub(super) fn hear_of(&self, update: &PresenceUpdate) {
        let mut state = self.lock();
        for left in update.left() {
            if state.board.edited().any(|(_, by)| *by == **left) {
                state.left.insert(left.to_string());
            }
        }
        for here in update.joined().iter().chain(update.members()) {
            state.left.remove(&**here.id());
        }
        drop(state);
        self.presence.notify_one();
    }

    /// The notes that are edited.
    pub(super) fn edited(&self) -> Vec<Edited> {
        let state = self.lock();
        let edited = state.board.edited().filter_map(|(id, by)| {
            Some(Edited {
                id: id.to_owned(),
                by: by.to_owned(),
                has_left: state.left.contains(by),
                lease: *state.leases.get(id)?,
            })
        });
        edited.collect()
    }

    /// Ends an edit in the name of whoever is gone. Several nodes may do so, and it is logged once: by those that have heard of it at the same place.
    pub(super) async fn end_edit(&self, store: &Store, edited: Edited) -> Result<(), Error> {
        self.founded.get_or_try_init(|| self.store(store)).await?;
        let key = format!("gone-{}-{}", edited.id, edited.lease.position.sequence());
        let op = Op {
            by: edited.by,
            name: String::new(),
            sent: None,
            at: now(),
            changes: vec![Change::Done { id: edited.id }],
        };
        let message = Message::json("op", &op)?.idempotency_key(key);
        self.channel.publish(message).await?;
        Ok(())
    }

    /// Up to where it is folded.
    pub(super) fn position(&self) -> Position {
        *self.folded.borrow()
    }

    /// Stores it, if it has changed.
    pub(crate) async fn store(&self, store: &Store) -> Result<(), StoreError> {
        let mut known = self.known.lock().await;
        let taken = self.lock().snapshot();
        let (snapshot, version) = taken.map_err(|source| StoreError::Unreadable {
            name: self.name.clone(),
            source,
        })?;
        let is_news = self.lock().stored_version != version || self.founded.get().is_none();
        if is_news {
            *known = store.write(&self.name, &snapshot, known.clone()).await?;
            self.lock().stored_version = version;
        }
        Ok(())
    }

    /// Whether all of it is stored.
    pub(super) fn is_stored(&self) -> bool {
        let state = self.lock();
        state.version == state.stored_version
    }

    /// Whether any of its notes is edited.
    pub(super) fn is_edited(&self) -> bool {
        self.lock().board.edited().next().is_some()
    }

    /// Counts what is to be published, and answers what is to be forgotten with it. None where it is in the board already.
    fn admit(
        &self,
        user: &User,
        client: &str,
        n: u64,
        changes: &[Change],
    ) -> Result<Option<(UnderWay<'_>, Vec<String>)>, Refused> {
        let mut state = self.lock();
        if state.board.has_seen(&user.id, client, n) {
            return Ok(None);
        }
        let Admitted { growth, forget } = state.board.admit(&user.id, changes, state.under_way)?;
        state.under_way = state.under_way + growth;
        Ok(Some((UnderWay { board: self, growth }, forget)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes which edits an op began or goes on with, and forgets those that are over.
    fn note_edits(&mut self, op: &Op, position: Position) {
        if self.board.edited().next().is_none() {
            self.leases.clear();
            self.left.clear();
            return;
        }
        let edited: HashMap<_, _> = self.board.edited().collect();
        for change in &op.changes {
            let id = match change {
                Change::Edit { id } => id,
                Change::Set { id, props } if props.text.is_some() => id,
                _ => continue,
            };
            if edited.get(id.as_str()) == Some(&op.by.as_str()) {
                let heard_at = Instant::now();
                self.leases.insert(id.clone(), Lease { position, heard_at });
            }
        }
        self.leases.retain(|id, _| edited.contains_key(id.as_str()));
        // Who is away and edits all the same is there in another way.
        self.left
            .retain(|user| *user != op.by && edited.values().any(|by| by == user));
    }

    /// The board as it is, and at which change that is.
    fn snapshot(&mut self) -> Result<(Snapshot, u64), serde_json::Error> {
        let json = match &self.json {
            Some((version, json)) if *version == self.version => Arc::clone(json),
            _ => serde_json::value::to_raw_value(&self.board)?.into(),
        };
        self.json = Some((self.version, Arc::clone(&json)));
        let mark = self.mark.clone();
        Ok((Snapshot { mark, board: json }, self.version))
    }
}

/// What is being published, and may be in the board soon.
struct UnderWay<'a> {
    board: &'a Active,
    growth: Growth,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.board.lock();
        state.under_way = state.under_way - self.growth;
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let (status, code) = match refused {
            Refused::Bad(_) => (StatusCode::BAD_REQUEST, "bad-change"),
            Refused::Locked { .. } => (StatusCode::CONFLICT, "locked"),
            Refused::Forgotten { .. } => (StatusCode::CONFLICT, "forgotten"),
            Refused::Full { .. } => (StatusCode::CONFLICT, "board-full"),
        };
        Self::new(status, code, refused.to_string())
    }
}

/// In milliseconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// For how long it is waited for what stands in the log to be folded. In memory that takes no time; from a broker's history up to 10 seconds, the
/// fan-out's own deadline, past which it is asked for again.
const FOLD_DEADLINE: Duration = Duration::from_secs(15);

/// How often it is asked again. Only who waits for a broker's history waits for so long.
const NUDGE_INTERVAL: Duration = Duration::from_millis(20);
