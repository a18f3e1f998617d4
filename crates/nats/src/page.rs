//! A page of the stream: many records for one request, from whichever replica is free.
//!
//! NATS' client has no name for it (a batch of direct reads). A page is what its replica had. That may be less than what the leader has, at
//! either end: a replica lags, and removes what is aged by its own clock. But between its first record of a subject and its last
//! nothing of that subject is missing, since each replica has the records in the stream's order.

use std::time::Duration;

use async_nats::{Client, Message, StatusCode, Subscriber};
use futures::StreamExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::time;

use crate::api::{Api, ApiError, denial};
use crate::connect::Link;
use crate::stored::Stored;

/// What to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    /// From which sequence on.
    pub(crate) from: u64,
    /// Which subject, or `>`.
    pub(crate) subject: &'a str,
    /// At most so many records.
    pub(crate) max_records: usize,
    /// At most so many bytes, as the server counts them; but one record at least.
    pub(crate) max_bytes: usize,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Page {
    /// In order.
    pub(crate) records: Vec<Stored>,
    pub(crate) end: End,
}

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The replica had no more.
    Exhausted,
    /// A limit of the query was reached.
    More,
    /// The connection broke, or the answer made no sense, or nothing came any more.
    BrokenOff,
}

impl Page {
    /// What follows in it on this record. Nothing, where it doesn't have the record itself: its replica may have lost what stands between, or
    /// it is of a stream that stood here before.
    pub(crate) fn behind(mut self, record: &Stored) -> Self {
        let is_it =
            |other: &Stored| (other.sequence, other.timestamp_ns) == (record.sequence, record.timestamp_ns);
        match self.records.iter().position(is_it) {
            Some(at) => drop(self.records.drain(..=at)),
            None => {
                self.records.clear();
                self.end = End::BrokenOff;
            }
        }
        self
    }
}

/// Reads a page.
///
/// # Errors
///
/// [`ApiError`], where nobody answers.
pub(crate) async fn read(api: &Api, stream: &str, query: Query<'_>) -> Result<Page, ApiError> {
    let subject = api.subject(&format!("DIRECT.GET.{stream}"));
    let denials = api.connection().denials();
    let client = api.connection().client().await?;
    let mut link = api.connection().link();
    link.mark_unchanged();
    let mut answers = ask(&client, &subject, query).await?;
    tokio::select! {
        page = take(&mut answers, &mut link, stream, query, &subject) => page,
        denial = denial(denials, &subject) => Err(denial),
    }
}

async fn ask(client: &Client, subject: &str, query: Query<'_>) -> Result<Subscriber, ApiError> {
    let broken = |reason: String| ApiError::Broken {
        subject: subject.to_owned(),
        reason,
    };
    let body = json!({
        "seq": query.from,
        "next_by_subj": query.subject,
        "batch": query.max_records,
        "max_bytes": query.max_bytes,
    });
    let inbox = client.new_inbox();
    let answers = client
        .subscribe(inbox.clone())
        .await
        .map_err(|error| broken(error.to_string()))?;
    let body = body.to_string().into();
    let sent = client.publish_with_reply(subject.to_owned(), inbox, body).await;
    sent.map_err(|error| broken(error.to_string()))?;
    Ok(answers)
}

async fn take(
    answers: &mut Subscriber,
    link: &mut watch::Receiver<Link>,
    stream: &str,
    query: Query<'_>,
    subject: &str,
) -> Result<Page, ApiError> {
    let mut records: Vec<Stored> = Vec::new();
    let end = loop {
        let message = tokio::select! {
            // What came before the connection broke is taken first.
            biased;
            message = answers.next() => message,
            _ = link.changed() => None,
            () = time::sleep(SILENCE) => None,
        };
        let Some(message) = message else {
            break End::BrokenOff;
        };
        // Looked for first: a publisher's record may begin like a server's end.
        let message = match Stored::of_page(message, stream) {
            Err(message) => message,
            Ok(record) => {
                let least = records.last().map_or(query.from, |last| last.sequence + 1);
                let is_asked_for = query.subject == ">" || query.subject == record.subject;
                if record.sequence < least || !is_asked_for {
                    break End::BrokenOff;
                }
                records.push(record);
                continue;
            }
        };
        match message.status {
            Some(StatusCode::NO_RESPONDERS) => {
                return Err(ApiError::NobodyThere {
                    subject: subject.to_owned(),
                });
            }
            Some(StatusCode::NOT_FOUND) if records.is_empty() => break End::Exhausted,
            Some(status) if status.as_u16() == END_OF_BATCH => {
                break if pending(&message) == Some(0) {
                    End::Exhausted
                } else {
                    End::More
                };
            }
            _ => break End::BrokenOff,
        }
    };
    Ok(Page { records, end })
}

/// How many more there are behind a page.
fn pending(end: &Message) -> Option<u64> {
    let pending = end.headers.as_ref()?.get_last("Nats-Num-Pending")?;
    pending.as_str().parse().ok()
}

/// The status of a batch's last message.
const END_OF_BATCH: u16 = 204;

/// After how long without a further message a page has ended.
const SILENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(sequence: u64, timestamp_ns: i64) -> Stored {
        Stored {
            sequence,
            subject: "shop.log.a".to_owned(),
            timestamp_ns,
            headers: None,
            payload: Bytes::new(),
        }
    }

    #[test]
    fn only_a_page_that_has_a_record_says_what_follows_on_it() {
        let at = |sequence, timestamp_ns| {
            let page = Page {
                records: [5, 7, 9].map(|sequence| record(sequence, 1)).into(),
                end: End::More,
            };
            let page = page.behind(&record(sequence, timestamp_ns));
            let sequences: Vec<_> = page.records.iter().map(|record| record.sequence).collect();
            (sequences, page.end)
        };
        let behind = |sequence| at(sequence, 1);
        assert_eq!(behind(5), (vec![7, 9], End::More));
        assert_eq!(behind(9), (vec![], End::More));
        // Of a replica that trimmed earlier than the leader: 4 may be in the stream.
        assert_eq!(behind(3), (vec![], End::BrokenOff));
        assert_eq!(behind(6), (vec![], End::BrokenOff));
        assert_eq!(behind(10), (vec![], End::BrokenOff));
        // Of a stream that was deleted since.
        assert_eq!(at(5, 2), (vec![], End::BrokenOff));
    }
}
