//! What a stream says, read as a client reads it: events of an event stream, or JSON objects of a WebSocket.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::target::Transport;

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// `message`, another event's name, or that of a notice, without `dualcast:`.
    pub(crate) name: String,
    pub(crate) is_notice: bool,
    pub(crate) id: Option<String>,
    /// The message's text, or all that the notice says.
    pub(crate) text: String,
    /// After how many milliseconds to come back, where it says so.
    pub(crate) retry: Option<u64>,
}

/// Puts together what comes in pieces.
#[derive(Debug)]
pub(crate) enum Reader {
    Events {
        bytes: Vec<u8>,
        /// In so many of them no event ends.
        searched: usize,
    },
    Objects {
        bytes: Vec<u8>,
    },
}

impl Reader {
    pub(crate) fn of(transport: Transport) -> Self {
        match transport {
            Transport::Sse | Transport::SseHttp2 => Self::Events {
                bytes: Vec::new(),
                searched: 0,
            },
            Transport::Ws => Self::Objects { bytes: Vec::new() },
        }
    }

    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let (Self::Events { bytes, .. } | Self::Objects { bytes }) = self;
        bytes.extend_from_slice(piece);
    }

    /// What has come and is in no event or object yet, for whoever reads it otherwise.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let fresh = match self {
            Self::Events { .. } => Self::of(Transport::Sse),
            Self::Objects { .. } => Self::of(Transport::Ws),
        };
        let (Self::Events { bytes, .. } | Self::Objects { bytes }) = std::mem::replace(self, fresh);
        bytes
    }

    /// What has come whole, if anything has.
    pub(crate) fn next(&mut self) -> Result<Option<Said>> {
        match self {
            Self::Events { bytes, searched } => loop {
                let Some(end) = memchr::memmem::find(&bytes[*searched..], b"\n\n") else {
                    *searched = bytes.len().saturating_sub(1);
                    return Ok(None);
                };
                let block: Vec<u8> = bytes.drain(..*searched + end + 2).collect();
                *searched = 0;
                // A block of comments says nothing.
                if let Some(said) = event(std::str::from_utf8(&block)?) {
                    return Ok(Some(said));
                }
            },
            Self::Objects { bytes } => {
                let mut objects = serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>();
                let said = match objects.next() {
                    None => return Ok(None),
                    Some(Err(error)) if error.is_eof() => return Ok(None),
                    Some(Err(error)) => bail!("what came is no JSON: {error}"),
                    Some(Ok(object)) => object_said(object.get())?,
                };
                let end = objects.byte_offset();
                bytes.drain(..end);
                Ok(Some(said))
            }
        }
    }
}

/// The HTML standard, section 9.2.6, as far as our servers go: lines end with LF.
fn event(block: &str) -> Option<Said> {
    let mut said = Said {
        name: "message".into(),
        is_notice: false,
        id: None,
        text: String::new(),
        retry: None,
    };
    let mut has_data = false;
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => said.name = value.into(),
            "id" => said.id = Some(value.into()),
            "retry" => said.retry = value.parse().ok(),
            "data" => {
                if has_data {
                    said.text.push('\n');
                }
                has_data = true;
                said.text += value;
            }
            _ => {}
        }
    }
    if let Some(notice) = said.name.strip_prefix("dualcast:") {
        said.name = notice.into();
        said.is_notice = true;
    }
    (has_data || said.retry.is_some()).then_some(said)
}

#[derive(Deserialize)]
struct Object {
    control: Option<String>,
    event: Option<String>,
    id: Option<String>,
    data: Option<Box<RawValue>>,
    retry: Option<u64>,
}

fn object_said(json: &str) -> Result<Said> {
    let object: Object = serde_json::from_str(json)?;
    let is_notice = object.control.is_some();
    let text = match (&object.data, is_notice) {
        (_, true) => json.into(),
        (Some(data), _) if data.get().starts_with('"') => serde_json::from_str(data.get())?,
        (data, _) => data.as_ref().map_or("", |data| data.get()).into(),
    };
    Ok(Said {
        name: object
            .control
            .or(object.event)
            .with_context(|| format!("neither a message nor a notice: {json}"))?,
        is_notice,
        id: object.id,
        text,
        retry: object.retry,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(transport: Transport, stream: &str, cut: usize) -> Vec<Said> {
        let (mut reader, mut all) = (Reader::of(transport), Vec::new());
        for piece in stream.as_bytes().chunks(cut) {
            reader.feed(piece);
            while let Some(said) = reader.next().unwrap() {
                all.push(said);
            }
        }
        all
    }

    #[test]
    fn both_transports_say_the_same_wherever_they_are_cut() {
        let events = "retry: 2874\nid: a-1\nevent: dualcast:heartbeat\ndata: {}\n\n: comment\n\n\
                      id: a-2\ndata: one\ndata: two\n\nid: a-3\nevent: price\ndata: {\"bid\":1}\n\n";
        let objects = r#"{"control":"heartbeat","id":"a-1","retry":2874}{"id":"a-2","event":"message","data":"one\ntwo"}
                         {"id":"a-3","event":"price","data":{"bid":1}}"#;
        for cut in 1..events.len() {
            let on_events = all(Transport::Sse, events, cut);
            let on_objects = all(Transport::Ws, objects, cut);
            for said in [&on_events, &on_objects] {
                assert_eq!(said.len(), 3, "cut at {cut}");
                let [first, rest @ ..] = &said[..] else {
                    unreachable!()
                };
                assert!(first.is_notice && first.name == "heartbeat" && first.retry == Some(2874));
                assert_eq!(first.id.as_deref(), Some("a-1"));
                assert_eq!((&*rest[0].name, &*rest[0].text), ("message", "one\ntwo"));
                assert_eq!((&*rest[1].name, &*rest[1].text), ("price", "{\"bid\":1}"));
            }
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let mut reader = Reader::of(Transport::Ws);
        reader.feed(b"hello");
        assert!(reader.next().is_err());
    }
}
