//! Asking JetStream: one request, one answer in JSON, within a deadline.
//!
//! By hand rather than by NATS' client, since what is asked for is more than it knows: a server's own words about a setting that our client never
//! heard of, and which permission is missing.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::{Client, HeaderMap, Request, RequestErrorKind};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::time;

use crate::connect::{ConnectError, Connection};

/// JetStream, by one connection.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    connection: Arc<Connection>,
    prefix: String,
    deadline: Duration,
}

/// Why there is no answer, or none that serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Nobody is there to answer: JetStream is off, for the server or for this account, or the stream is offline or has no direct reads.
    #[error("nobody answers on `{subject}`: is JetStream on?")]
    NobodyThere {
        /// What was asked.
        subject: String,
    },
    /// No answer in time.
    #[error("no answer on `{subject}` within {deadline:?}")]
    Deadline {
        /// What was asked.
        subject: String,
        /// How long we waited.
        deadline: Duration,
    },
    /// We may not ask.
    #[error("we may not ask on `{subject}`; the server says: {said}")]
    Denied {
        /// What was asked.
        subject: String,
        /// The server's words.
        said: String,
    },
    /// The server answers with an error.
    #[error("`{subject}` is answered with the error {code}: {description}")]
    Refused {
        /// What was asked.
        subject: String,
        /// JetStream's number for it.
        code: u64,
        /// JetStream's words for it.
        description: String,
    },
    /// The answer makes no sense.
    #[error("the answer on `{subject}` makes no sense: {source}")]
    Answer {
        /// What was asked.
        subject: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The connection broke.
    #[error("`{subject}` could not be asked: {reason}")]
    Broken {
        /// What was asked.
        subject: String,
        /// What NATS' client said.
        reason: String,
    },
}

impl ApiError {
    /// JetStream's number for it, where it refused.
    pub(crate) fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl Api {
    pub(crate) fn new(connection: Arc<Connection>, domain: Option<&str>, deadline: Duration) -> Self {
        let prefix = domain.map_or("$JS.API".to_owned(), |domain| format!("$JS.{domain}.API"));
        Self {
            connection,
            prefix,
            deadline,
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// For how long an answer is waited for.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The subject of a request.
    pub(crate) fn subject(&self, what: &str) -> String {
        format!("{}.{what}", self.prefix)
    }

    /// Asks, again and again while nobody answers: for what may be asked twice.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: JetStream's own, or that there is no answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, ApiError> {
        let subject = self.subject(what);
        match serde_json::to_vec(body) {
            Ok(body) => self.request(subject, Request::new().payload(body.into())).await,
            Err(source) => Err(ApiError::Answer { subject, source }),
        }
    }

    /// Publishes, and waits until it is stored. Sent again while nobody answers: for what may be stored twice.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: JetStream's own, or that there is no answer.
    pub(crate) async fn publish(&self, subject: &str, payload: Bytes) -> Result<(), ApiError> {
        let request = Request::new().payload(payload);
        let _: IgnoredAny = self.request(subject.to_owned(), request).await?;
        Ok(())
    }

    /// Publishes where the last record on the subject is still this one, or none for 0. Like a question it is sent again while nobody answers: the
    /// second of two finds the first one's record.
    ///
    /// # Errors
    ///
    /// [`ApiError`], with [`WRONG_LAST`] where there is another record.
    pub(crate) async fn publish_after(
        &self,
        subject: &str,
        last: u64,
        payload: Bytes,
    ) -> Result<(), ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
        let request = Request::new().headers(headers).payload(payload);
        let _: IgnoredAny = self.request(subject.to_owned(), request).await?;
        Ok(())
    }

    async fn request<T: DeserializeOwned>(&self, subject: String, request: Request) -> Result<T, ApiError> {
        // Before the request, so that its refusal is not missed.
        let denials = self.connection.denials();
        let late = || ApiError::Deadline {
            subject: subject.clone(),
            deadline: self.deadline,
        };
        let asking = async {
            tokio::select! {
                answer = self.ask_until_answered(&subject, request) => answer,
                denial = denial(denials, &subject) => Err(denial),
            }
        };
        // NATS' client waits without an end for a place in its queue, so its own deadline is none.
        time::timeout(self.deadline, asking)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// A leader that is not there is silent, and a new one knows nothing of what the old one was asked.
    async fn ask_until_answered<T: DeserializeOwned>(
        &self,
        subject: &str,
        request: Request,
    ) -> Result<T, ApiError> {
        loop {
            let client = self.connection.client().await?;
            let Ok(answer) = time::timeout(ASK_AGAIN, send(&client, subject, &request)).await else {
                continue;
            };
            match read(subject, &answer?) {
                Err(error) if error.code().is_some_and(|code| NO_LEADER.contains(&code)) => {
                    time::sleep(ASK_AGAIN).await;
                }
                answer => return answer,
            }
        }
    }
}

fn read<T: DeserializeOwned>(subject: &str, answer: &[u8]) -> Result<T, ApiError> {
    let subject = subject.to_owned();
    match serde_json::from_slice(answer) {
        Ok(Answer::Fine(answer)) => Ok(answer),
        Ok(Answer::Error { error }) => Err(ApiError::Refused {
            subject,
            code: error.err_code.unwrap_or(error.code),
            description: error.description,
        }),
        Err(source) => Err(ApiError::Answer { subject, source }),
    }
}

async fn send(client: &Client, subject: &str, request: &Request) -> Result<Bytes, ApiError> {
    // The time is ours to mind.
    let mut once = Request::new().timeout(None);
    once.payload.clone_from(&request.payload);
    once.headers.clone_from(&request.headers);
    match client.send_request(subject.to_owned(), once).await {
        Ok(answer) => Ok(answer.payload),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Err(ApiError::NobodyThere {
            subject: subject.to_owned(),
        }),
        Err(error) => Err(ApiError::Broken {
            subject: subject.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Waits until the server says that this subject is denied to us.
pub(crate) async fn denial(mut denials: broadcast::Receiver<Arc<str>>, subject: &str) -> ApiError {
    let quoted = format!("\"{subject}\"");
    loop {
        match denials.recv().await {
            Ok(said) if said.contains(&quoted) => {
                return ApiError::Denied {
                    subject: subject.to_owned(),
                    said: said.as_ref().to_owned(),
                };
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The connection is gone, and whoever waits for its answer learns of it.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Error { error: Refusal },
    Fine(T),
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: u64,
    err_code: Option<u64>,
    #[serde(default)]
    description: String,
}

/// After how long without an answer we ask again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// JetStream's numbers for another last sequence than was expected: the second where the other record is on its way.
pub(crate) const WRONG_LAST: [u64; 2] = [10_071, 10_164];

/// JetStream's numbers for "not now": no leader, not the leader.
const NO_LEADER: [u64; 2] = [10_008, 10_009];
