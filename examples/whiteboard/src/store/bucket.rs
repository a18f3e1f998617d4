//! A bucket of boards: key-value of JetStream, in which all nodes store the same boards.
//!
//! It is read from its leader: a replica that lags would hand out a board that was, or none.

use async_nats::jetstream::kv::{Config, Store as KeyValue, UpdateErrorKind};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, StorageType};
use async_nats::{ConnectOptions, jetstream};
use bytes::Bytes;

use super::StoreError;
use crate::board::admission::MAX_BOARD_BYTES;
use crate::name::BoardName;

/// The bucket, over a connection of its own: what is large waits for nothing that is live, and nothing for it.
#[derive(Debug)]
pub(crate) struct Bucket(Box<KeyValue>);

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
        let jetstream = jetstream::new(client);
        // One that is there is taken as it is: its replicas may have been changed since.
        if let Ok(bucket) = jetstream.get_key_value(BUCKET).await {
            return Ok(Self(Box::new(bucket)));
        }
        let bucket = jetstream.create_key_value(config).await;
        Ok(Self(Box::new(bucket.map_err(StoreError::unavailable)?)))
    }

    /// A board and its revision, which is 0 where there never was one.
    pub(super) async fn read(&self, name: &BoardName) -> Result<(u64, Option<Vec<u8>>), StoreError> {
        let subject = format!("{}{name}", self.0.prefix);
        match self.0.stream.get_last_raw_message_by_subject(&subject).await {
            // Somebody may have deleted it with a tool of NATS: then it begins anew.
            Ok(message) if message.headers.get("KV-Operation").is_some() => Ok((message.sequence, None)),
            Ok(message) => Ok((message.sequence, Some(message.payload.into()))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok((0, None)),
            Err(error) => Err(StoreError::unavailable(error)),
        }
    }

    /// Answers the new revision; none where it is not at this one any more.
    pub(super) async fn write(
        &self,
        name: &BoardName,
        text: &str,
        revision: u64,
    ) -> Result<Option<u64>, StoreError> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        match self.0.update(name.as_str(), text, revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(StoreError::unavailable(error)),
        }
    }
}

const BUCKET: &str = "whiteboard_boards";

/// The least that a message of NATS has to hold: a board at its largest, with its position and those before. It is NATS' own default, 1 MiB.
const MIN_PAYLOAD_BYTES: usize = MAX_BOARD_BYTES + (64 << 10);
