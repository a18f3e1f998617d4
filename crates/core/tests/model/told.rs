//! What a subscription tells, in the tests' own words, and a wire from which it can be read back.

use bytes::Bytes;
use dualcast_core::{Entry, Form, Item, Position, Wire};

/// One item, or one entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Record {
        id: String,
        channel: String,
        /// None: the channel's end.
        text: Option<String>,
        bytes: usize,
    },
    Volatile {
        channel: String,
        text: String,
        bytes: usize,
    },
    Gap {
        gap: ToldGap,
        id: String,
    },
    Merged {
        channel: String,
        count: u64,
        id: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToldGap {
    pub(crate) channel: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) reason: String,
}

impl Told {
    /// The id that a client remembers from it.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Volatile { .. } => None,
            Self::Record { id, .. } | Self::Gap { id, .. } | Self::Merged { id, .. } => Some(id),
        }
    }

    /// What it counts for against the bytes that a reader asked for.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Record { bytes, .. } | Self::Volatile { bytes, .. } => *bytes,
            Self::Gap { .. } | Self::Merged { .. } => 0,
        }
    }
}

pub(crate) fn from_item(item: &Item) -> Told {
    match item {
        Item::Record(record) => told(Entry::Record(record)),
        Item::Volatile(volatile) => told(Entry::Volatile(volatile)),
        Item::Gap { gap, id } => told(Entry::Gap { gap, id: *id }),
        Item::Merged { merged, id } => told(Entry::Merged { merged, id: *id }),
        _ => unreachable!(),
    }
}

fn told(entry: Entry<'_>) -> Told {
    let size = |message: &dualcast_core::Message| message.payload().len() + message.event().len();
    let text = |message: &dualcast_core::Message| match message.payload() {
        dualcast_core::Payload::Text(text) => text.to_string(),
        other => unreachable!("{other:?}"),
    };
    match entry {
        Entry::Record(record) => Told::Record {
            id: record.position().to_string(),
            channel: record.channel().to_string(),
            text: record.message().map(text),
            bytes: record.message().map_or(1, size),
        },
        Entry::Volatile(volatile) => Told::Volatile {
            channel: volatile.channel().to_string(),
            text: text(volatile.message()),
            bytes: size(volatile.message()),
        },
        Entry::Gap { gap, id } => Told::Gap {
            gap: ToldGap {
                channel: gap.channel.to_string(),
                from: gap.from.map(|from| from.to_string()),
                to: gap.to.map(|to| to.to_string()),
                reason: gap.reason.to_string(),
            },
            id: id.to_string(),
        },
        Entry::Merged { merged, id } => Told::Merged {
            channel: merged.channel.to_string(),
            count: merged.count,
            id: id.to_string(),
        },
        Entry::Presence(update) => unreachable!("nobody asked for {update:?}"),
    }
}

/// A line an entry, its fields parted by spaces. Sealed, the batch has its length in front.
pub(crate) struct Lines {
    pub(crate) is_sealed: bool,
}

const LENGTH_BYTES: usize = 8;

impl Wire for Lines {
    fn form(&self) -> Form {
        Form::new(0, u8::from(self.is_sealed))
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
        let line = match told(entry) {
            Told::Record {
                id, channel, text, ..
            } => format!("record {id} {channel} {}\n", or_none(text)),
            Told::Volatile { channel, text, .. } => format!("volatile {channel} {text}\n"),
            Told::Gap { gap, id } => {
                let (from, to) = (or_none(gap.from), or_none(gap.to));
                format!("gap {} {from} {to} {} {id}\n", gap.channel, gap.reason)
            }
            Told::Merged { channel, count, id } => format!("merged {channel} {count} {id}\n"),
        };
        out.extend_from_slice(line.as_bytes());
    }

    fn headroom(&self) -> usize {
        if self.is_sealed { LENGTH_BYTES } else { 0 }
    }

    fn seal(&self, mut out: Vec<u8>) -> Bytes {
        if self.is_sealed {
            let length = (out.len() - LENGTH_BYTES) as u64;
            out[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        }
        out.into()
    }
}

impl Lines {
    /// Reads back one piece of a batch.
    pub(crate) fn parse(&self, mut piece: &[u8]) -> Vec<Told> {
        if self.is_sealed {
            let (length, rest) = piece.split_at(LENGTH_BYTES);
            assert_eq!(length, (rest.len() as u64).to_be_bytes());
            piece = rest;
        }
        let text = std::str::from_utf8(piece).unwrap();
        assert!(text.ends_with('\n'), "an entry is cut: {text:?}");
        text.lines().map(parse_line).collect()
    }
}

fn parse_line(line: &str) -> Told {
    let own = |text: &str| text.to_owned();
    let some = |text: &str| (text != "none").then(|| text.to_owned());
    let bytes = line.len() + 1;
    match *line.split(' ').collect::<Vec<_>>() {
        ["record", id, channel, text] => Told::Record {
            id: own(id),
            channel: own(channel),
            text: some(text),
            bytes,
        },
        ["volatile", channel, text] => Told::Volatile {
            channel: own(channel),
            text: own(text),
            bytes,
        },
        ["gap", channel, from, to, reason, id] => Told::Gap {
            gap: ToldGap {
                channel: own(channel),
                from: some(from),
                to: some(to),
                reason: own(reason),
            },
            id: own(id),
        },
        ["merged", channel, count, id] => Told::Merged {
            channel: own(channel),
            count: count.parse().unwrap(),
            id: own(id),
        },
        _ => panic!("not an entry: {line:?}"),
    }
}

/// The sequence number in a position's text, if it is of this epoch.
pub(crate) fn sequence(id: &str, epoch: &str) -> Option<u64> {
    let (of, sequence) = id.split_once('-')?;
    id.parse::<Position>().ok()?;
    (of == epoch).then(|| sequence.parse().unwrap())
}
