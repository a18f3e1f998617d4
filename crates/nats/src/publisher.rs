//! Publishing: a request to the stream, whose answer says at which number the message stands.
//!
//! What was never handed to the connection, or what the stream answered with a refusal, is certainly not in the log. What was handed over and got
//! no answer may be: the answer may have been lost with its leader or its connection, or the server may still have it before it. With an
//! idempotency key such a message is handed over again, until the deadline.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Request, RequestErrorKind};
use dualcast_core::PublishError;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};
use tokio::time::{self, Instant};

use crate::connect::{ConnectError, Connection, Link};
use crate::envelope::Outgoing;

/// Publishes into a hub's stream.
#[derive(Debug)]
pub(crate) struct Publisher {
    connection: Arc<Connection>,
    in_flight: Semaphore,
    max_in_flight: usize,
    deadline: Duration,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    /// Whether it had been published before, with the same idempotency key.
    pub(crate) is_repeat: bool,
}

/// Why a message was not published, or perhaps not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there was no connection to NATS within {0:?}")]
    Away(Duration),
    #[error(
        "so many messages were under way for {0:?} that there was no room for another: `max_in_flight` is {1}"
    )]
    Full(Duration, usize),
    #[error("no server had the stream within {0:?}")]
    NoStream(Duration),
    #[error("the stream refused it: {0}")]
    Refused(String),
    #[error("with its headers it has {size} bytes, the server takes {max}")]
    TooLarge { size: usize, max: usize },
    #[error("it was sent, and no answer came within {0:?}")]
    Unanswered(Duration),
    #[error("one with its idempotency key is being stored, and it was not to be had within {0:?} where")]
    InProcess(Duration),
    #[error("the answer makes no sense: {0}")]
    Answer(serde_json::Error),
    #[error("the log began anew while it was under way")]
    OtherLife,
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Failure {
    /// Whether the message may be in the log all the same.
    fn is_unconfirmed(&self) -> bool {
        matches!(
            self,
            Self::Unanswered(_) | Self::InProcess(_) | Self::Answer(_) | Self::OtherLife
        )
    }

    /// Whether it may be otherwise in a moment.
    fn is_passing(&self) -> bool {
        matches!(self, Self::NoStream(_) | Self::InProcess(_) | Self::Connect(_))
    }
}

impl From<Failure> for PublishError {
    fn from(failure: Failure) -> Self {
        if let Failure::TooLarge { size, max } = failure {
            let limit = "max_payload";
            return Self::TooLarge {
                bytes: size,
                limit,
                max,
            };
        }
        let is_unconfirmed = failure.is_unconfirmed();
        let source: Box<dyn Error + Send + Sync> = failure.into();
        if is_unconfirmed {
            Self::Unconfirmed(source)
        } else {
            Self::NotLogged(source)
        }
    }
}

impl Publisher {
    pub(crate) fn new(connection: Arc<Connection>, max_in_flight: usize, deadline: Duration) -> Self {
        Self {
            connection,
            in_flight: Semaphore::new(max_in_flight.min(Semaphore::MAX_PERMITS)),
            max_in_flight,
            deadline,
        }
    }

    /// Until when a message that is published now may take.
    pub(crate) fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.deadline).unwrap_or_else(|| now + NEVER)
    }

    /// Has a message stored.
    ///
    /// # Errors
    ///
    /// [`Failure`] says whether it is certain that it was not.
    pub(crate) async fn publish(&self, outgoing: &Outgoing, deadline: Instant) -> Result<Stored, Failure> {
        let room = time::timeout_at(deadline, self.in_flight.acquire()).await;
        let full = || Failure::Full(self.deadline, self.max_in_flight);
        let _room = room.map_err(|_| full())?;
        // Those before it may have ended by the same deadline: what is sent now has no time to be answered.
        if Instant::now() >= deadline {
            return Err(full());
        }
        let mut link = self.connection.link();
        // What none of the attempts after it can make certain any more.
        let mut unconfirmed = None;
        loop {
            let attempt = match self.connected(&mut link, deadline).await {
                Ok(client) => self.attempt(client, &mut link, outgoing, deadline).await,
                Err(failure) => Err(failure),
            };
            let failure = match attempt {
                Ok(stored) => return Ok(stored),
                Err(failure) => failure,
            };
            let is_worth_another =
                failure.is_passing() || failure.is_unconfirmed() && outgoing.is_repeatable();
            let failure = match unconfirmed {
                Some(unconfirmed) if !failure.is_unconfirmed() => unconfirmed,
                _ => failure,
            };
            if !is_worth_another || Instant::now() + RETRY >= deadline {
                return Err(failure);
            }
            unconfirmed = failure.is_unconfirmed().then_some(failure);
            time::sleep(RETRY).await;
        }
    }

    /// A client with a connection, once there is one.
    async fn connected(
        &self,
        link: &mut watch::Receiver<Link>,
        deadline: Instant,
    ) -> Result<Client, Failure> {
        let connected = async {
            // A dead one is made anew by this.
            self.connection.client().await?;
            // The sender lives as long as the connection, which is borrowed here.
            let _ = link.wait_for(|link| link.is_connected).await;
            Ok(self.connection.client().await?)
        };
        time::timeout_at(deadline, connected)
            .await
            .unwrap_or(Err(Failure::Away(self.deadline)))
    }

    async fn attempt(
        &self,
        client: Client,
        link: &mut watch::Receiver<Link>,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Stored, Failure> {
        let (size, max) = (outgoing.size(), client.max_payload());
        if size > max {
            return Err(Failure::TooLarge { size, max });
        }
        let connections = link.borrow_and_update().connections;
        let request = Request::new()
            .headers(outgoing.headers.clone())
            .payload(outgoing.payload.clone())
            .timeout(None);
        let answer = client.send_request(outgoing.subject.clone(), request);
        // With the connection goes the answer.
        let lost = link.wait_for(|link| !link.is_connected || link.connections > connections);
        // It goes with the stream's leader, too, of which nothing tells.
        let until = if outgoing.is_repeatable() {
            deadline.min(Instant::now() + ATTEMPT)
        } else {
            deadline
        };
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            _ = lost => return Err(Failure::Unanswered(self.deadline)),
            () = time::sleep_until(until) => return Err(Failure::Unanswered(self.deadline)),
        };
        match answer {
            Ok(answer) => read(&answer.payload, self.deadline),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                Err(Failure::NoStream(self.deadline))
            }
            // It was in the client's queue, at least.
            Err(_) => Err(Failure::Unanswered(self.deadline)),
        }
    }
}

/// Reads the stream's answer.
fn read(answer: &[u8], deadline: Duration) -> Result<Stored, Failure> {
    let answer: Answer = serde_json::from_slice(answer).map_err(Failure::Answer)?;
    match (answer.error, answer.seq) {
        (Some(error), _) if error.err_code == IN_PROCESS => Err(Failure::InProcess(deadline)),
        (Some(error), _) => Err(Failure::Refused(error.description)),
        (None, Some(sequence)) => Ok(Stored {
            sequence,
            is_repeat: answer.duplicate,
        }),
        (None, None) => Err(Failure::Answer(serde::de::Error::missing_field("seq"))),
    }
}

/// One of two. As an untagged enum it would be copied into a tree before it is told which: each message pays for it.
#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// After how long another attempt is made: a leader is elected in less than a second.
const RETRY: Duration = Duration::from_millis(50);

/// For how long an attempt that may be repeated waits for its answer: a leader that was lost is followed by another within about that.
const ATTEMPT: Duration = Duration::from_secs(2);

/// JetStream's number for a message whose idempotency key is that of one on its way to the replicas.
const IN_PROCESS: u64 = 10_158;

/// A year.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    fn stored(answer: &str) -> Option<(u64, bool)> {
        let stored = read(answer.as_bytes(), DEADLINE).ok()?;
        Some((stored.sequence, stored.is_repeat))
    }

    /// Each message is published by a future of its own, on the heap.
    #[test]
    fn a_publish_under_way_takes_little_memory() {
        fn size<'a, F>(_: impl FnOnce(&'a Publisher, &'a Outgoing, Instant) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(Publisher::publish);
        assert!(bytes <= 3 << 10, "{bytes}");
    }

    #[test]
    fn an_answer_says_where_a_message_stands() {
        assert_eq!(stored(r#"{"stream":"s","seq":7}"#), Some((7, false)));
        assert_eq!(
            stored(r#"{"stream":"s","domain":"d","seq":7,"duplicate":true}"#),
            Some((7, true))
        );
    }

    #[test]
    fn a_refusal_is_certain_and_nonsense_is_not() {
        let refused = r#"{"error":{"code":503,"description":"no room"},"stream":"s","seq":0}"#;
        match read(refused.as_bytes(), DEADLINE) {
            Err(Failure::Refused(why)) => assert_eq!(why, "no room"),
            _ => panic!("it is refused"),
        }
        let in_process =
            r#"{"error":{"code":409,"err_code":10158,"description":"..."},"stream":"s","seq":0}"#;
        let failure = read(in_process.as_bytes(), DEADLINE).unwrap_err();
        assert!(failure.is_unconfirmed() && failure.is_passing(), "{failure}");
        for nonsense in [
            "",
            "{}",
            "[]",
            r#"{"seq":-1}"#,
            r#"{"seq":"7"}"#,
            r#"{"stream":"s"}"#,
        ] {
            let failure = read(nonsense.as_bytes(), DEADLINE).unwrap_err();
            assert!(failure.is_unconfirmed(), "{nonsense}");
        }
    }
}
