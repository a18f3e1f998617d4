//! Where boards are kept: a file, or a bucket of NATS that all nodes share.
//!
//! An older snapshot never replaces a newer one. What can't be read is never taken for a board that isn't there.

mod bucket;
mod file;
mod parts;

use std::error::Error as StdError;
use std::time::Duration;

use crate::name::BoardName;
use crate::snapshot::{Mark, Snapshot, Stored};

pub(crate) use bucket::Bucket;
pub(crate) use file::File;

use parts::Parts;

/// A place where boards are kept.
#[derive(Debug)]
pub(crate) enum Store {
    /// This node's own.
    File(File),
    /// That of all nodes.
    Bucket(Bucket),
}

/// What is known of what is stored of a board. Of none is known that there is nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Its number in the store, which changes with it; 0 where there is none.
    revision: u64,
    /// In which parts it is, where it is too large to be in one.
    parts: Option<Parts>,
    mark: Option<Mark>,
}

/// Why a store didn't do as it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It can't be reached, or not be read or written.
    #[error("the store of boards can't be used: {0}")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// What is stored is no board.
    #[error("what is stored of `{name}` can't be read: {source}")]
    Unreadable {
        name: BoardName,
        source: serde_json::Error,
    },
}

impl StoreError {
    fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Store {
    /// What is stored of a board, and what is known of it then.
    pub(crate) async fn read(&self, name: &BoardName) -> Result<(Option<Stored>, Known), StoreError> {
        let (mut known, text) = match self {
            Self::File(file) => (Known::default(), file.read(name).await?),
            Self::Bucket(bucket) => bucket.read(name).await?,
        };
        let Some(text) = text else {
            return Ok((None, known));
        };
        let read = serde_json::from_slice::<Stored>(&text);
        let stored = read.map_err(|source| StoreError::Unreadable {
            name: name.clone(),
            source,
        })?;
        known.mark = Some(stored.mark.clone());
        Ok((Some(stored), known))
    }

    /// Stores a board, unless the same or more of it is stored. Answers what is known of it then.
    pub(crate) async fn write(
        &self,
        name: &BoardName,
        snapshot: &Snapshot,
        mut known: Known,
    ) -> Result<Known, StoreError> {
        let text = snapshot.to_stored();
        loop {
            if known
                .mark
                .as_ref()
                .is_some_and(|known| !snapshot.mark.is_past(known))
            {
                return Ok(known);
            }
            let written = match self {
                // Nobody else writes to it, and boards are stored one after another.
                Self::File(file) => {
                    file.write(name, text).await?;
                    known.mark = Some(snapshot.mark.clone());
                    return Ok(known);
                }
                Self::Bucket(bucket) => bucket.write(name, &text, &known).await?,
            };
            if let Some(mut written) = written {
                written.mark = Some(snapshot.mark.clone());
                return Ok(written);
            }
            // Another node was faster.
            let (_, now) = self.read(name).await?;
            known = now;
        }
    }

    /// Whether other nodes fold the same log: then a board has to be stored before the first change of it is logged, so that whoever opens it later
    /// knows from where the log has all of it.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    /// How long after a change it is stored: what a crash of all nodes may cost beyond what the log keeps. By 250 ms a file, which costs
    /// one `fsync`. To a bucket after 1 to 3 seconds: the log is kept by NATS anyway, and so the nodes rarely all store the same.
    pub(crate) fn pause(&self) -> Duration {
        match self {
            Self::File(_) => Duration::from_millis(250),
            Self::Bucket(_) => Duration::from_millis(fastrand::u64(1_000..3_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dualcast_nats_server::NatsServer;

    use super::*;
    use crate::board::Board;

    fn snapshot(position: &str) -> Snapshot {
        let board = serde_json::value::to_raw_value(&Board::default()).unwrap();
        Snapshot {
            mark: Mark::new(position.parse().unwrap()),
            board: Arc::from(board),
        }
    }

    async fn store(server: &NatsServer) -> Store {
        Store::Bucket(Bucket::open(&[server.url()], 1).await.unwrap())
    }

    async fn position(store: &Store, name: &BoardName) -> Option<String> {
        let (stored, _) = store.read(name).await.unwrap();
        stored.map(|stored| stored.mark.position.to_string())
    }

    #[tokio::test]
    async fn an_older_snapshot_never_replaces_a_newer_one() {
        let server = NatsServer::start().await;
        let (first, second) = (store(&server).await, store(&server).await);
        let name = BoardName::parse("one").unwrap();
        assert_eq!(position(&first, &name).await, None);
        let known = first
            .write(&name, &snapshot("aaaaaaaaaa-10"), Known::default())
            .await
            .unwrap();
        // Each knows what it knew last.
        for (store, at, is) in [
            (&second, "aaaaaaaaaa-9", "aaaaaaaaaa-10"),
            (&second, "aaaaaaaaaa-11", "aaaaaaaaaa-11"),
            (&first, "aaaaaaaaaa-11", "aaaaaaaaaa-11"),
            (&first, "aaaaaaaaaa-12", "aaaaaaaaaa-12"),
        ] {
            let known = if at == "aaaaaaaaaa-12" {
                known.clone()
            } else {
                Known::default()
            };
            store.write(&name, &snapshot(at), known).await.unwrap();
            assert_eq!(position(store, &name).await.unwrap(), is, "{at}");
        }
        let mut all = tokio::task::JoinSet::new();
        let stores = Arc::new([first, second]);
        for number in 0..20_usize {
            let (stores, name) = (Arc::clone(&stores), name.clone());
            // None in order.
            let at = format!("aaaaaaaaaa-{}", 100 + number * 7 % 20);
            all.spawn(async move {
                stores[number % 2]
                    .write(&name, &snapshot(&at), Known::default())
                    .await
            });
        }
        all.join_all()
            .await
            .into_iter()
            .for_each(|written| drop(written.unwrap()));
        assert_eq!(position(&stores[0], &name).await.unwrap(), "aaaaaaaaaa-119");
    }

    /// A board with a text so long.
    fn large(position: &str, length: usize) -> Snapshot {
        let note = serde_json::json!({ "kind": "note", "by": "anna", "text": "x".repeat(length), "deleted": false, "editing": null });
        let mut board = serde_json::to_value(Board::default()).unwrap();
        board["objects"]["a"] = note;
        let board = serde_json::value::to_raw_value(&board).unwrap();
        Snapshot {
            mark: Mark::new(position.parse().unwrap()),
            board: Arc::from(board),
        }
    }

    #[tokio::test]
    async fn a_board_that_is_too_large_for_a_message_is_kept_in_parts_and_no_part_too_long() {
        let server = NatsServer::start().await;
        let (first, second) = (store(&server).await, store(&server).await);
        let name = BoardName::parse("one").unwrap();
        let client = async_nats::connect(server.url()).await.unwrap();
        let jetstream = async_nats::jetstream::new(client);
        let messages = async || {
            let mut stream = jetstream.get_stream("KV_whiteboard_boards").await.unwrap();
            stream.info().await.unwrap().state.messages
        };
        let length = async |store: &Store| {
            let (stored, known) = store.read(&name).await.unwrap();
            let board = stored.unwrap().board;
            (board.object("a").unwrap().text().unwrap().len(), known)
        };
        let mut known = Known::default();
        for (number, size, kept) in [
            (1, 10, 1),
            (2, 3 << 20, 5),
            (3, 2 << 20, 4),
            (4, 1 << 20, 3),
            (5, 100, 1),
        ] {
            let snapshot = large(&format!("aaaaaaaaaa-{number}"), size);
            known = first.write(&name, &snapshot, known).await.unwrap();
            assert_eq!(
                (length(&second).await.0, messages().await),
                (size, kept),
                "{number}"
            );
        }
        // Who comes too late with a large one leaves nothing of it.
        let (_, late) = length(&second).await;
        first
            .write(&name, &large("aaaaaaaaaa-9", 2 << 20), known)
            .await
            .unwrap();
        let Store::Bucket(bucket) = &second else {
            unreachable!()
        };
        let text = large("aaaaaaaaaa-10", 3 << 20).to_stored();
        assert!(bucket.write(&name, &text, &late).await.unwrap().is_none());
        assert_eq!((length(&second).await.0, messages().await), (2 << 20, 4));
    }

    #[tokio::test]
    async fn what_is_no_board_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(&directory.path().join("boards.redb")).unwrap();
        let name = BoardName::parse("one").unwrap();
        file.write(&name, "{}".into()).await.unwrap();
        let store = Store::File(file);
        assert!(matches!(
            store.read(&name).await,
            Err(StoreError::Unreadable { .. })
        ));
    }
}
