//! Cursors: where people point, collected so that a crowd costs a message for each interval and node, not one for each person.
//!
//! Whoever moves wakes a task for the board, which tells all the cursors that this node has, ten times a second while anything changes, and ends
//! when nobody points any more. Each message replaces the one before: one that is lost is made good by the next.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use dualcast::{Channel, Error, Message};
use serde_json::json;
use tokio::time::{self, Instant};

use crate::name::BoardName;

/// All cursors of this node.
#[derive(Debug, Clone)]
pub(crate) struct Cursors(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What tells this node's messages from those of others.
    node: String,
    boards: Mutex<HashMap<BoardName, Pointers>>,
}

/// Those of a board.
#[derive(Debug, Default)]
struct Pointers {
    places: BTreeMap<String, Place>,
    /// Whether anything changed since it was last told.
    is_news: bool,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    x: i64,
    y: i64,
    moved_at: Instant,
}

impl Cursors {
    pub(crate) fn new(node: String) -> Self {
        let boards = Mutex::default();
        Self(Arc::new(Shared { node, boards }))
    }

    /// Somebody points somewhere, or nowhere any more.
    ///
    /// # Errors
    ///
    /// `busy` where more people point, or on more boards, than is told.
    pub(crate) fn point(
        &self,
        board: &BoardName,
        channel: Channel,
        user: &str,
        to: Option<(i64, i64)>,
    ) -> Result<(), Error> {
        let mut boards = self.0.lock();
        if !boards.contains_key(board) {
            if to.is_none() {
                return Ok(());
            }
            check(boards.len(), MAX_BOARDS, "boards")?;
            boards.insert(board.clone(), Pointers::default());
            tokio::spawn(pump(Arc::clone(&self.0), board.clone(), channel));
        }
        let Some(pointers) = boards.get_mut(board) else {
            return Ok(());
        };
        match to {
            Some((x, y)) => {
                if !pointers.places.contains_key(user) {
                    check(pointers.places.len(), MAX_CURSORS, "cursors")?;
                }
                let moved_at = Instant::now();
                pointers.places.insert(user.to_owned(), Place { x, y, moved_at });
                pointers.is_news = true;
            }
            None => pointers.is_news |= pointers.places.remove(user).is_some(),
        }
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<BoardName, Pointers>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be told of a board now, if anything, and whether nobody points any more.
    fn take(&self, board: &BoardName) -> (Option<Message>, bool) {
        let mut boards = self.lock();
        let Some(pointers) = boards.get_mut(board) else {
            return (None, true);
        };
        let count = pointers.places.len();
        let now = Instant::now();
        pointers.places.retain(|_, place| place.moved_at + LIFETIME > now);
        let is_news = pointers.is_news || pointers.places.len() < count;
        pointers.is_news = false;
        let cursors = pointers.places.iter();
        let cursors: Vec<_> = cursors
            .map(|(user, Place { x, y, .. })| json!([user, x, y]))
            .collect();
        let is_over = cursors.is_empty();
        if is_over {
            boards.remove(board);
        }
        drop(boards);
        let message = Message::json("cursors", &json!({ "node": self.node, "cursors": cursors }));
        let message = message.ok().filter(|_| is_news);
        let key = format!("cursors-{}", self.node);
        (
            message.map(|message| message.volatile().conflation_key(key)),
            is_over,
        )
    }
}

async fn pump(shared: Arc<Shared>, board: BoardName, channel: Channel) {
    loop {
        let (message, is_over) = shared.take(&board);
        if let Some(message) = message
            && let Err(error) = channel.publish(message).await
        {
            tracing::debug!(%board, %error, "cursors could not be told");
        }
        if is_over {
            return;
        }
        time::sleep(INTERVAL).await;
    }
}

fn check(count: usize, max: usize, what: &str) -> Result<(), Error> {
    if count < max {
        return Ok(());
    }
    let message = format!("no more than {max} {what} are told at a time");
    Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message))
}

/// How often cursors are told at the most: pages glide between two places.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a cursor is shown that doesn't move: who was cut off says nothing any more.
const LIFETIME: Duration = Duration::from_secs(5);

/// The most cursors of a board on this node: some 20 KiB a message.
const MAX_CURSORS: usize = 500;

/// The most boards on which people point at a time, some 100 bytes for each cursor.
const MAX_BOARDS: usize = 1_000;

#[cfg(test)]
mod tests {
    use dualcast::{Hub, Item, Payload, Subscription};
    use serde_json::Value;

    use super::*;

    struct Board {
        cursors: Cursors,
        channel: Channel,
        heard: Subscription,
    }

    impl Board {
        fn new() -> Self {
            let channel = Hub::new().channel("board.a").unwrap();
            Self {
                cursors: Cursors::new("n1".into()),
                heard: channel.subscribe().open().unwrap(),
                channel,
            }
        }

        fn point(&self, user: &str, to: Option<(i64, i64)>) -> Result<(), Error> {
            let name = BoardName::parse("a").unwrap();
            self.cursors.point(&name, self.channel.clone(), user, to)
        }

        /// What is told next, and when.
        async fn told(&mut self) -> (Value, Instant) {
            let items = self.heard.next(1).await.unwrap();
            let [Item::Volatile(told)] = &*items else {
                panic!("{items:?}")
            };
            let Payload::Json(json) = told.message().payload() else {
                panic!("{told:?}")
            };
            let told: Value = serde_json::from_str(json).unwrap();
            assert_eq!(told["node"], "n1");
            (told["cursors"].clone(), Instant::now())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_cursors_are_told_together_and_no_more_often_than_every_interval() {
        let mut board = Board::new();
        board.point("anna", Some((1, 2))).unwrap();
        let (told, first) = board.told().await;
        assert_eq!(told, json!([["anna", 1, 2]]));
        for x in 0..50 {
            board.point("anna", Some((x, 0))).unwrap();
            board.point("ben", Some((0, x))).unwrap();
        }
        let (told, second) = board.told().await;
        assert_eq!(told, json!([["anna", 49, 0], ["ben", 0, 49]]));
        assert_eq!(second - first, INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stays_still_or_leaves_is_not_told_any_more_and_the_last_message_is_empty() {
        let mut board = Board::new();
        board.point("anna", Some((1, 2))).unwrap();
        board.point("ben", Some((3, 4))).unwrap();
        let (_, first) = board.told().await;
        board.point("ben", None).unwrap();
        assert_eq!(board.told().await.0, json!([["anna", 1, 2]]));
        // Nothing is told as long as nothing changes.
        let (told, last) = board.told().await;
        assert_eq!(told, json!([]));
        assert!(last - first >= LIFETIME && last - first <= LIFETIME + INTERVAL);
        time::sleep(INTERVAL).await;
        assert!(board.cursors.0.lock().is_empty());
        board.point("ben", None).unwrap();
        board.point("ben", Some((5, 6))).unwrap();
        assert_eq!(board.told().await.0, json!([["ben", 5, 6]]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_cursors_is_bounded() {
        let board = Board::new();
        for user in 0..MAX_CURSORS {
            board.point(&user.to_string(), Some((0, 0))).unwrap();
        }
        assert_eq!(board.point("more", Some((0, 0))).unwrap_err().code(), "busy");
        board.point("7", Some((1, 1))).unwrap();
        board.point("7", None).unwrap();
        board.point("more", Some((0, 0))).unwrap();
    }
}
