//! What stands in the stream, and what is held against it: what publishers were told, and what clients were.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::message::StreamMessage;
use dualcast::{Check, Epoch, Position, PublishError};
use futures::StreamExt;
use tokio::task::AbortHandle;

/// A message, and what its publisher was told.
pub(crate) struct Published {
    pub(crate) channel: String,
    pub(crate) text: String,
    /// Whether it has an idempotency key.
    pub(crate) has_key: bool,
    pub(crate) outcome: Result<Position, PublishError>,
}

/// A client, and what it was told over all of its connections.
pub(crate) struct Followed {
    pub(crate) channels: &'static [&'static str],
    pub(crate) told: Vec<Noted>,
}

/// Something that a client was told, as small as it can be kept: there are millions of them.
pub(crate) enum Noted {
    Message {
        /// Which of the client's channels.
        channel: u8,
        at: Position,
        /// The text's hash.
        text: u64,
    },
    Gap {
        channel: u8,
        from: Option<Position>,
        to: Position,
        reason: Box<str>,
    },
}

/// A life of the stream: all that stood in it, but for what is of no channel.
pub(crate) struct Life {
    pub(crate) epoch: Epoch,
    pub(crate) records: Vec<Record>,
}

/// A record of the stream.
pub(crate) struct Record {
    position: Position,
    channel: String,
    text: String,
}

/// Hears what is stored, by a connection of its own: of a stream that was deleted nothing can be read any more.
pub(crate) struct Witness {
    heard: Arc<Mutex<Vec<StreamMessage>>>,
    hearing: AbortHandle,
    prefix: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) messages: usize,
    pub(crate) refused: usize,
    /// Of those without a key.
    pub(crate) unconfirmed: usize,
    /// Of those with one.
    pub(crate) unconfirmed_with_key: usize,
    pub(crate) clients: usize,
    pub(crate) delivered: usize,
    pub(crate) reconnects: u64,
    pub(crate) gaps: BTreeMap<String, usize>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            messages,
            refused,
            unconfirmed,
            unconfirmed_with_key,
            clients,
            delivered,
            reconnects,
            gaps,
        } = self;
        write!(
            f,
            "{messages} messages, {refused} refused, {unconfirmed} unconfirmed, {unconfirmed_with_key} of those with a key; {clients} clients, \
             {delivered} deliveries, {reconnects} reconnects, gaps: {gaps:?}; lost: 0, twice: 0"
        )
    }
}

impl Life {
    /// What stands in the stream now, as another client of NATS reads it.
    pub(crate) async fn read(url: &str, prefix: &str, epoch: Epoch) -> Self {
        let client = async_nats::connect(url.split(',').collect::<Vec<_>>())
            .await
            .expect("NATS is there");
        let stream = jetstream::new(client)
            .get_stream(prefix)
            .await
            .expect("the stream is there");
        let mut records = Vec::new();
        if stream.cached_info().state.messages == 0 {
            return Self { epoch, records };
        }
        let consumer = stream
            .create_consumer(OrderedConfig::default())
            .await
            .expect("it can be read");
        let mut messages = consumer.messages().await.expect("it can be read");
        while let Some(message) = messages.next().await {
            let message = message.expect("it can be read");
            let info = message.info().expect("it is a record");
            let (sequence, stored_at) = (info.stream_sequence, info.published.unix_timestamp_nanos());
            let is_last = info.pending == 0;
            records.extend(Record::of(
                prefix,
                epoch,
                sequence,
                stored_at,
                &message.subject,
                &message.payload,
            ));
            if is_last {
                break;
            }
        }
        Self { epoch, records }
    }

    /// With what stood in it later.
    pub(crate) fn and(mut self, later: Self) -> Self {
        let known = self.records.last().map_or(0, |last| last.position.sequence());
        let is_new = |record: &Record| record.position.sequence() > known;
        self.records.extend(later.records.into_iter().filter(is_new));
        self
    }
}

impl Record {
    /// None for what is of no channel.
    fn of(
        prefix: &str,
        epoch: Epoch,
        sequence: u64,
        stored_at: i128,
        subject: &str,
        payload: &[u8],
    ) -> Option<Self> {
        let nanos = u64::try_from(stored_at).expect("it is after 1970");
        let position = format!("{epoch}-{sequence}-{}", Check::of(nanos));
        let channel = subject
            .strip_prefix(&format!("{prefix}.log."))
            .expect("it is a record's subject");
        (!channel.starts_with('$')).then(|| Self {
            position: position.parse().expect("it is a position"),
            channel: channel.to_owned(),
            text: String::from_utf8(payload.to_vec()).expect("it is text"),
        })
    }
}

impl Witness {
    /// Hears all that is stored from now on.
    pub(crate) async fn begin(url: &str, prefix: &str) -> Self {
        let client = async_nats::connect(url).await.expect("NATS is there");
        let mut messages = client.subscribe(format!("{prefix}.live.>")).await.unwrap();
        client.flush().await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                let _connection = client;
                while let Some(message) = messages.next().await {
                    let message = message.try_into().expect("the server says where it stands");
                    heard.lock().unwrap().push(message);
                }
            }
        });
        Self {
            heard,
            hearing: hearing.abort_handle(),
            prefix: prefix.to_owned(),
        }
    }

    /// What it heard before the numbers began anew. They have to have done so.
    pub(crate) fn first_life(&self, epoch: Epoch) -> Life {
        let heard = self.heard.lock().unwrap();
        let is_anew = |pair: &[StreamMessage]| pair[1].sequence <= pair[0].sequence;
        let end = heard.windows(2).position(is_anew).expect("another life began") + 1;
        let records = heard[..end].iter().filter_map(|message| {
            let stored_at = message.time.unix_timestamp_nanos();
            let StreamMessage {
                subject,
                sequence,
                payload,
                ..
            } = message;
            Record::of(&self.prefix, epoch, *sequence, stored_at, subject, payload)
        });
        Life {
            epoch,
            records: records.collect(),
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

pub(crate) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Holds what publishers were told against the stream.
pub(crate) fn check_published(published: &[Published], lives: &[Life], summary: &mut Summary) {
    let mut stored: HashMap<(&str, &str), Vec<Position>> = HashMap::new();
    for record in lives.iter().flat_map(|life| &life.records) {
        let places = stored.entry((&record.channel, &record.text)).or_default();
        places.push(record.position);
    }
    for Published {
        channel,
        text,
        has_key,
        outcome,
    } in published
    {
        let places = stored.get(&(&**channel, &**text)).map_or(&[][..], Vec::as_slice);
        // A stream that is another one knows none of the keys.
        let is_once = |places: &[Position]| match places {
            [] | [_] => true,
            [one, other] => *has_key && one.epoch() != other.epoch(),
            _ => false,
        };
        assert!(
            is_once(places),
            "{channel}: {text} was published once, and stands at {places:?}"
        );
        match outcome {
            Ok(position) => {
                let place = places.iter().find(|place| place.epoch() == position.epoch());
                let place = place.unwrap_or_else(|| panic!("{channel}: {text} is not at {position}"));
                assert_eq!(place.sequence(), position.sequence(), "{channel}: {text}");
                // A node that lagged when it said so had not seen the record itself.
                assert!(
                    position.check().is_none_or(|_| place == position),
                    "{channel}: {text}"
                );
            }
            Err(error) if error.is_unconfirmed() && *has_key => summary.unconfirmed_with_key += 1,
            Err(error) if error.is_unconfirmed() => summary.unconfirmed += 1,
            Err(error) => {
                assert!(places.is_empty(), "{channel}: {text} was not published: {error}");
                summary.refused += 1;
            }
        }
    }
}

/// Holds what clients were told against the stream: of each channel every record came, in order and once, or lies in a gap. Into another life leads
/// a gap that says so, and nothing else.
pub(crate) fn check_followed(followed: &[Followed], lives: &[Life], start: Position, summary: &mut Summary) {
    let by_channel: Vec<_> = lives.iter().map(of_channels).collect();
    for Followed { channels, told } in followed {
        let records = |channel: usize, life: usize| {
            let records = by_channel[life].get(channels[channel]);
            records.map_or(&[][..], Vec::as_slice)
        };
        let behind = |channel: usize, life: usize, place: Position| {
            records(channel, life).partition_point(|record| record.position.sequence() <= place.sequence())
        };
        // In which life each channel is, and which of its records is next.
        let mut at: Vec<_> = (0..channels.len())
            .map(|channel| (0, behind(channel, 0, start)))
            .collect();
        for noted in told {
            match noted {
                Noted::Message {
                    channel,
                    at: position,
                    text,
                } => {
                    let channel = usize::from(*channel);
                    let (life, next) = at[channel];
                    let expected = records(channel, life)
                        .get(next)
                        .expect("nothing comes that was not published");
                    let is_expected = expected.position == *position && hash(&expected.text) == *text;
                    assert!(
                        is_expected,
                        "{position} came on {}, not {}: {}",
                        channels[channel], expected.position, expected.text
                    );
                    at[channel].1 += 1;
                    summary.delivered += 1;
                }
                Noted::Gap {
                    channel,
                    from,
                    to,
                    reason,
                } => {
                    let channel = usize::from(*channel);
                    let (mut life, mut next) = at[channel];
                    if let Some(from) = from.filter(|from| from.epoch() == lives[life].epoch) {
                        let untold = behind(channel, life, from);
                        assert!(untold <= next, "a gap after {from} hides what stands before it");
                    }
                    if to.epoch() != lives[life].epoch {
                        assert_eq!(&**reason, "epoch", "{to} is of another life");
                        (life, next) = (life + 1, 0);
                        assert_eq!(Some(to.epoch()), lives.get(life).map(|life| life.epoch));
                    }
                    at[channel] = (life, next.max(behind(channel, life, *to)));
                    *summary.gaps.entry(reason.to_string()).or_default() += 1;
                }
            }
        }
        for (channel, (life, next)) in at.into_iter().enumerate() {
            let name = channels[channel];
            assert_eq!(
                life + 1,
                lives.len(),
                "nobody said on {name} that another life began"
            );
            let missing = records(channel, life).get(next).map(|record| record.position);
            assert_eq!(missing, None, "it is missing on {name}");
        }
    }
}

fn of_channels(life: &Life) -> HashMap<&str, Vec<&Record>> {
    let mut by_channel: HashMap<&str, Vec<&Record>> = HashMap::new();
    for record in &life.records {
        by_channel.entry(&record.channel).or_default().push(record);
    }
    by_channel
}
