//! A bucket of boards: key-value of JetStream, in which all nodes store the same boards.
//!
//! It is read from its leader: a replica that lags would hand out a board that was, or none.

use async_nats::jetstream::kv::{Config, Store as KeyValue, UpdateErrorKind};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, StorageType};
use async_nats::{ConnectOptions, jetstream};
use bytes::Bytes;

use super::parts::Parts;
use super::{Known, StoreError};
use crate::board::admission::MAX_BOARD_BYTES;
use crate::name::BoardName;

/// The bucket, over a connection of its own: what is large waits for nothing that is live, and nothing for it.
#[derive(Debug)]
pub(crate) struct Bucket {
    values: Box<KeyValue>,
    /// What one message may hold of a board, in bytes.
    max_bytes: usize,
}

impl Bucket {
    /// Connects, and makes the bucket where there is none.
    pub(crate) async fn open(servers: &[String], replicas: usize) -> Result<Self, StoreError> {
        let options = ConnectOptions::new().name("whiteboard (boards)");
        let client = options.connect(servers).await.map_err(StoreError::unavailable)?;
        let max_payload = client.server_info().max_payload;
        if max_payload < MIN_PAYLOAD_BYTES {
            let message = format!(
                "a message of NATS has at most {max_payload} bytes here (`max_payload`), and a board {MIN_PAYLOAD_BYTES}"
            );
            return Err(StoreError::unavailable(message));
        }
        let config = Config {
            bucket: BUCKET.into(),
            description: "The boards of the whiteboard".into(),
            history: 1,
            storage: StorageType::File,
            num_replicas: replicas,
            ..Config::default()
        };
        let max_bytes = max_payload - HEADER_BYTES;
        let bucket = |values: KeyValue| Self {
            values: Box::new(values),
            max_bytes,
        };
        let jetstream = jetstream::new(client);
        // One that is there is taken as it is: its replicas may have been changed since.
        if let Ok(values) = jetstream.get_key_value(BUCKET).await {
            return Ok(bucket(values));
        }
        let values = jetstream.create_key_value(config).await;
        Ok(bucket(values.map_err(StoreError::unavailable)?))
    }

    /// A board as it is stored, and what is known of it then.
    pub(super) async fn read(&self, name: &BoardName) -> Result<(Known, Option<Vec<u8>>), StoreError> {
        for _ in 0..READS {
            let (revision, text) = self.get(name.as_str()).await?;
            let parts = text.as_deref().and_then(Parts::read);
            let text = match &parts {
                None => text,
                Some(parts) => match self.join(name, parts).await? {
                    Some(text) => Some(text),
                    // Another node has replaced it meanwhile.
                    None => continue,
                },
            };
            let mark = None;
            return Ok((
                Known {
                    revision,
                    parts,
                    mark,
                },
                text,
            ));
        }
        let message = format!("a part of `{name}` is missing");
        Err(StoreError::unavailable(message))
    }

    async fn join(&self, name: &BoardName, parts: &Parts) -> Result<Option<Vec<u8>>, StoreError> {
        let mut text = Vec::new();
        for key in parts.keys(name) {
            let (_, Some(part)) = self.get(&key).await? else {
                return Ok(None);
            };
            text.extend(part);
        }
        Ok(Some(text))
    }

    /// What stands under a key, and its revision, which is 0 where there never was anything.
    async fn get(&self, key: &str) -> Result<(u64, Option<Vec<u8>>), StoreError> {
        let subject = format!("{}{key}", self.values.prefix);
        match self.values.stream.get_last_raw_message_by_subject(&subject).await {
            // Somebody may have deleted it with a tool of NATS: then it begins anew.
            Ok(message) if message.headers.get("KV-Operation").is_some() => Ok((message.sequence, None)),
            Ok(message) => Ok((message.sequence, Some(message.payload.into()))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok((0, None)),
            Err(error) => Err(StoreError::unavailable(error)),
        }
    }

    /// Answers what is known of it then; none where it is not any more what is known of it now.
    pub(super) async fn write(
        &self,
        name: &BoardName,
        text: &str,
        known: &Known,
    ) -> Result<Option<Known>, StoreError> {
        let parts = Parts::of(text, self.max_bytes);
        let written = match &parts {
            None => self.update(name, text, known.revision).await?,
            Some(parts) => {
                let bytes = text.len();
                tracing::error!(board = %name, bytes, max = self.max_bytes, "a board is too large for a message of NATS, and is kept in parts");
                for (key, part) in parts.keys(name).zip(text.as_bytes().chunks(self.max_bytes)) {
                    let part = Bytes::copy_from_slice(part);
                    self.values
                        .put(key, part)
                        .await
                        .map_err(StoreError::unavailable)?;
                }
                self.update(name, &parts.to_text(), known.revision).await?
            }
        };
        // Nobody needs them any more: those of what was replaced, or, where another node was faster, of what was not stored.
        let (known, unused) = match written {
            Some(revision) => {
                let (parts, mark) = (parts, None);
                (
                    Some(Known {
                        revision,
                        parts,
                        mark,
                    }),
                    known.parts.as_ref(),
                )
            }
            None => (None, parts.as_ref()),
        };
        for key in unused.into_iter().flat_map(|parts| parts.keys(name)) {
            let subject = format!("{}{key}", self.values.prefix);
            if let Err(error) = self.values.stream.purge().filter(subject).await {
                tracing::warn!(board = %name, %error, "a part that nobody needs any more stays");
            }
        }
        Ok(known)
    }

    /// Answers the new revision; none where it is not at this one any more.
    async fn update(&self, name: &BoardName, text: &str, revision: u64) -> Result<Option<u64>, StoreError> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        match self.values.update(name.as_str(), text, revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(StoreError::unavailable(error)),
        }
    }
}

const BUCKET: &str = "whiteboard_boards";

/// The least that a message of NATS has to hold: a board at its largest, with its position and those before. It is NATS' own default, 1 MiB.
const MIN_PAYLOAD_BYTES: usize = MAX_BOARD_BYTES + (64 << 10);

/// What a message of NATS may have in headers, in bytes, of what it may have at all.
const HEADER_BYTES: usize = 4 << 10;

/// How often a board is read whose parts are replaced meanwhile.
const READS: usize = 10;
