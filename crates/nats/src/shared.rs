//! What all parts of a node's fan-out share.

use std::error::Error;
use std::sync::Arc;

use async_nats::Subscriber;
use futures::FutureExt;
use tokio::sync::watch;
use tokio::time;

use crate::connect::Connection;
use crate::envelope::Outgoing;
use crate::epoch::Epochs;
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
    pub(crate) options: NatsOptions,
    pub(crate) mirror_options: MirrorOptions,
    pub(crate) subjects: Subjects,
    pub(crate) live: Arc<Connection>,
    pub(crate) stream: Stream,
    pub(crate) reads: Reads,
    pub(crate) epochs: Epochs,
    pub(crate) publisher: Publisher,
    pub(crate) landings: Landings,
    /// The highest number at which somebody here knows something to be stored, since the newest beginning of which somebody does.
    pub(crate) known: watch::Sender<Landing>,
    /// Up to which doubt of the live connection it is settled that the stream is the one that it was.
    pub(crate) settled: watch::Sender<u64>,
    pub(crate) status: Status,
}

impl Shared {
    /// Hears everything that is stored from now on.
    pub(crate) async fn listen(&self) -> Result<Subscriber, Trouble> {
        let listening = async {
            let client = self.live.client().await?;
            let subscriber = client.subscribe(self.subjects.every_live()).await?;
            // Out of the client's hands: whatever is asked by this connection afterwards, the server hears behind it.
            client.flush().await?;
            Ok(subscriber)
        };
        // NATS' client waits for a connection without an end, and whoever begins anew would not notice that its hub is gone.
        let deadline = self.options.request_deadline;
        let late = |_| Err(format!("the server didn't take the subscription within {deadline:?}").into());
        time::timeout(deadline, listening).await.unwrap_or_else(late)
    }

    /// Waits until it is settled that the stream is the one that this node follows. Answers which was the last doubt: as long as there is no
    /// other, what is read is of that stream.
    pub(crate) async fn settled(&self) -> u64 {
        let (mut link, mut settled) = (self.live.link(), self.settled.subscribe());
        loop {
            let doubts = link.borrow_and_update().doubts;
            if *settled.borrow_and_update() == doubts {
                return doubts;
            }
            // Both senders are ours.
            tokio::select! {
                _ = link.changed() => {}
                _ = settled.changed() => {}
            }
        }
    }

    /// Whether there was another doubt since.
    pub(crate) fn is_still_settled(&self, doubts: u64) -> bool {
        self.live.link().borrow().doubts == doubts
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
