//! What all parts of a node's fan-out share.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Subscriber;
use futures::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time;

use crate::connect::Connection;
use crate::envelope::Outgoing;
use crate::epoch::{Epochs, Life};
use crate::landing::{Landing, Landings};
use crate::mirror::MirrorOptions;
use crate::options::NatsOptions;
use crate::publisher::Publisher;
use crate::reads::Reads;
use crate::status::Status;
use crate::stream::{Stream, StreamError};
use crate::subjects::Subjects;

/// Why something could not be done now, for people.
pub(crate) type Trouble = Box<dyn Error + Send + Sync>;

/// The connections of a node, and what goes by them.
pub(crate) struct Shared {
    /// By which others tell this node apart.
    pub(crate) node_id: String,
    pub(crate) options: NatsOptions,
    pub(crate) mirror_options: MirrorOptions,
    pub(crate) subjects: Subjects,
    pub(crate) live: Arc<Connection>,
    pub(crate) reading: Arc<Connection>,
    pub(crate) stream: Stream,
    /// By the connection for it.
    pub(crate) reads: Reads,
    /// By the live connection, where that one fails.
    pub(crate) live_reads: Reads,
    pub(crate) epochs: Epochs,
    pub(crate) publisher: Publisher,
    pub(crate) landings: Landings,
    /// See [`life`](Self::life).
    pub(crate) shown: Mutex<Option<Life>>,
    /// The highest number at which somebody here knows something to be stored, since the newest beginning of which somebody does.
    pub(crate) known: watch::Sender<Landing>,
    /// Whether it is settled that the stream is the one that is shown.
    pub(crate) settled: watch::Sender<Settled>,
    /// Told when somebody here knows of another life.
    pub(crate) look_at_life: Notify,
    pub(crate) status: Status,
}

/// Whether the stream is the one that is shown, and since when: as long as this is the same, what is read is of that stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    is_settled: bool,
    /// Up to which doubt of the live connection.
    doubts: u64,
    /// How often it was not.
    breaks: u64,
}

impl Settled {
    /// Answers whether that is news.
    pub(crate) fn turn(&mut self, is_settled: bool, doubts: u64) -> bool {
        let before = *self;
        self.breaks += u64::from(self.is_settled && !is_settled);
        self.is_settled = is_settled;
        if is_settled {
            self.doubts = doubts;
        }
        *self != before
    }
}

impl Shared {
    /// Hears everything that is stored from now on.
    pub(crate) async fn listen(&self) -> Result<Subscriber, Trouble> {
        self.listen_to(self.subjects.every_live()).await
    }

    /// Hears what is published on a subject from now on.
    pub(crate) async fn listen_to(&self, subject: String) -> Result<Subscriber, Trouble> {
        let listening = async {
            let client = self.live.client().await?;
            let subscriber = client.subscribe(subject).await?;
            // Out of the client's hands: whatever is asked by this connection afterwards, the server hears behind it.
            client.flush().await?;
            Ok(subscriber)
        };
        // NATS' client waits for a connection without an end, and whoever begins anew would not notice that its hub is gone.
        let deadline = self.options.request_deadline;
        let late = |_| Err(format!("the server didn't take the subscription within {deadline:?}").into());
        time::timeout(deadline, listening).await.unwrap_or_else(late)
    }

    /// Waits until it is settled that the stream is the one that this node shows.
    pub(crate) async fn settled(&self) -> Settled {
        let (mut link, mut settled) = (self.live.link(), self.settled.subscribe());
        loop {
            let doubts = link.borrow_and_update().doubts;
            let now = *settled.borrow_and_update();
            if now.is_settled && now.doubts == doubts {
                return now;
            }
            // Both senders are ours.
            tokio::select! {
                _ = link.changed() => {}
                _ = settled.changed() => {}
            }
        }
    }

    /// Whether nothing has spoken against it since.
    pub(crate) fn is_still(&self, settled: Settled) -> bool {
        *self.settled.borrow() == settled && self.live.link().borrow().doubts == settled.doubts
    }

    /// When the stream was made that is shown, in nanoseconds since 1970.
    pub(crate) fn created_ns(&self) -> i64 {
        self.lock_shown().as_ref().map_or(0, |life| life.created_ns)
    }

    /// Whether another life has come into the place of the one that is shown.
    pub(crate) fn is_replaced_by(&self, life: &Life) -> bool {
        self.lock_shown()
            .as_ref()
            .is_some_and(|shown| life.replaces(shown))
    }

    /// Whether the life that is shown began with this node.
    pub(crate) fn has_begun_the_life(&self) -> bool {
        self.lock_shown()
            .as_ref()
            .is_some_and(|shown| shown.by == self.node_id)
    }

    /// The life that is shown. None before the first.
    pub(crate) fn life(&self) -> Option<Life> {
        self.lock_shown().clone()
    }

    /// Another life is shown from now on.
    pub(crate) fn enter(&self, life: Life) {
        *self.lock_shown() = Some(life);
    }

    fn lock_shown(&self) -> MutexGuard<'_, Option<Life>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes or checks the stream.
    pub(crate) async fn open_stream(&self) -> Result<Stream, StreamError> {
        Stream::open(self.stream.api().clone(), &self.subjects, &self.options).await
    }

    /// Says so where the server takes less than the hub does: then the largest messages are refused one by one.
    pub(crate) fn warn_of_max_payload(&self, max_message_bytes: usize) {
        let client = self.live.client().now_or_never().and_then(Result::ok);
        if let Some(max_payload) = client.map(|client| client.max_payload())
            && max_payload < max_message_bytes.saturating_add(HEADER_BYTES)
        {
            tracing::warn!(
                max_payload,
                max_message_bytes,
                "the server's `max_payload` is below what the hub's `max_message_bytes` and headers need"
            );
        }
    }

    /// Sends a message that is not stored, if that can be done now.
    pub(crate) fn try_send(&self, outgoing: Outgoing) -> bool {
        if !self.live.link().borrow().is_connected {
            return false;
        }
        let Outgoing {
            subject,
            headers,
            payload,
        } = outgoing;
        let sending = async {
            let client = self.live.client().await.ok()?;
            client.publish_with_headers(subject, headers, payload).await.ok()
        };
        // It would wait for a place in the client's queue.
        sending.now_or_never().flatten().is_some()
    }

    /// Somebody here knows that something is stored at a number.
    pub(crate) fn know(&self, landing: Landing) {
        self.known.send_if_modified(|known| {
            let is_news = landing > *known;
            *known = landing.max(*known);
            is_news
        });
    }
}

/// What the headers of a message take at the most, in bytes: names, and the longest event, keys and sender, percent-encoded.
const HEADER_BYTES: usize = 4_096;
