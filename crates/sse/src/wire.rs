//! The event stream format (HTML standard, section 9.2.6), written.
//!
//! Whatever an application publishes can't break out of its field: event names have no line endings (they are checked when they
//! are published), ids are ours, and data goes line by line. A reader of the standard joins the lines with LF, whichever
//! of CR, LF and CRLF ended them.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use dualcast_core::{
    BASE64_EVENT_SUFFIX, ChannelName, CloseReason, Entry, Form, Message, Payload, Position,
    RESERVED_EVENT_PREFIX, Wire,
};
use dualcast_http::{ClosingNotice, Dialect, FinishedNotice, Heartbeat, HeartbeatNotice, Opening, millis};
use serde::Serialize;

/// The longest head of a chunk: a length in hexadecimal and CRLF.
const CHUNK_HEAD_BYTES: usize = 10;

/// An event stream, in one of its four ways: of one channel or several, in chunks (RFC 9112 section 7.1) or in a body that
/// somebody else frames.
#[derive(Debug)]
pub(crate) struct SseWire {
    is_multi: bool,
    is_chunked: bool,
}

static WIRES: [SseWire; 4] = [
    SseWire {
        is_multi: false,
        is_chunked: false,
    },
    SseWire {
        is_multi: false,
        is_chunked: true,
    },
    SseWire {
        is_multi: true,
        is_chunked: false,
    },
    SseWire {
        is_multi: true,
        is_chunked: true,
    },
];

impl SseWire {
    pub(crate) fn in_body(is_multi: bool) -> &'static Self {
        &WIRES[usize::from(is_multi) * 2]
    }

    pub(crate) fn chunked(is_multi: bool) -> &'static Self {
        &WIRES[usize::from(is_multi) * 2 + 1]
    }

    fn message(&self, channel: Option<&ChannelName>, message: &Message, out: &mut Vec<u8>) {
        let suffix = if matches!(message.payload(), Payload::Binary(_)) {
            BASE64_EVENT_SUFFIX
        } else {
            ""
        };
        match channel {
            Some(channel) if self.is_multi => put(
                out,
                &["event: ", channel.as_str(), "/", message.event(), suffix, "\n"],
            ),
            // The standard's default.
            _ if message.event() == "message" && suffix.is_empty() => {}
            _ => put(out, &["event: ", message.event(), suffix, "\n"]),
        }
        match message.payload() {
            Payload::Text(text) | Payload::Json(text) => data(out, text),
            Payload::Binary(bytes) => put(out, &["data: ", &STANDARD.encode(bytes), "\n\n"]),
        }
    }
}

impl Wire for SseWire {
    fn form(&self) -> Form {
        Form::new(u8::from(self.is_multi), u8::from(self.is_chunked))
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        match entry {
            Entry::Record(record) => {
                id(out, record.position());
                match record.message() {
                    Some(message) => self.message(Some(record.channel()), message, out),
                    None => control(
                        out,
                        "finished",
                        &FinishedNotice {
                            channel: record.channel(),
                        },
                    ),
                }
            }
            Entry::Volatile(volatile) => self.message(Some(volatile.channel()), volatile.message(), out),
            Entry::Gap { gap, id: at } => {
                id(out, at);
                control(out, "gap", gap);
            }
            Entry::Merged { merged, id: at } => {
                id(out, at);
                control(out, "merged", merged);
            }
        }
    }

    fn headroom(&self) -> usize {
        if self.is_chunked { CHUNK_HEAD_BYTES } else { 0 }
    }

    fn seal(&self, mut out: Vec<u8>) -> Bytes {
        if !self.is_chunked {
            return out.into();
        }
        let head = format!("{:x}\r\n", out.len() - CHUNK_HEAD_BYTES);
        let start = CHUNK_HEAD_BYTES - head.len();
        out[start..CHUNK_HEAD_BYTES].copy_from_slice(head.as_bytes());
        out.extend_from_slice(b"\r\n");
        let mut sealed = Bytes::from(out);
        sealed.advance(start);
        sealed
    }
}

impl Dialect for SseWire {
    fn write_opening(&self, opening: &Opening, out: &mut Vec<u8>) {
        // Writing to a Vec can't fail.
        let _ = writeln!(out, "retry: {}", millis(opening.retry));
        self.write_heartbeat(&opening.heartbeat, out);
    }

    fn write_heartbeat(&self, heartbeat: &Heartbeat, out: &mut Vec<u8>) {
        match heartbeat.id {
            // Not an `id:` alone: Firefox, WebKit and others forget the id of a block without data.
            Some(at) => {
                id(out, at);
                control(out, "heartbeat", &HeartbeatNotice::from(heartbeat));
            }
            None => put(out, &[": heartbeat\n\n"]),
        }
    }

    fn write_closing(&self, reason: CloseReason, out: &mut Vec<u8>) {
        control(out, "closing", &ClosingNotice::from(reason));
    }

    fn write_message(&self, message: &Message, out: &mut Vec<u8>) {
        self.message(None, message, out);
    }

    fn naming_channels(&self) -> &'static dyn Dialect {
        &WIRES[2 + usize::from(self.is_chunked)]
    }
}

/// One of Dualcast's own events, with JSON as its data. Ends the block.
fn control<T: Serialize>(out: &mut Vec<u8>, name: &str, notice: &T) {
    put(out, &["event: ", RESERVED_EVENT_PREFIX, name, "\ndata: "]);
    // Neither writing to a Vec nor a notice's own JSON can fail.
    let _ = serde_json::to_writer(&mut *out, notice);
    put(out, &["\n\n"]);
}

fn id(out: &mut Vec<u8>, position: Position) {
    let _ = writeln!(out, "id: {position}");
}

/// Data, a field for each of its lines. Ends the block.
fn data(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let line_end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&rest[..line_end.unwrap_or(rest.len())]);
        out.push(b'\n');
        let Some(line_end) = line_end else { break };
        let is_crlf = rest[line_end..].starts_with(b"\r\n");
        rest = &rest[line_end + if is_crlf { 2 } else { 1 }..];
    }
    out.push(b'\n');
}

fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use dualcast_core::Hub;
    use proptest::prelude::*;

    use super::*;

    /// What a reader of the standard makes of a stream (HTML standard, section 9.2.6): the last id, and for each event its
    /// name and its data.
    fn read(stream: &[u8]) -> (String, Vec<(String, String)>) {
        let stream = String::from_utf8(stream.to_vec()).expect("a stream is text");
        let (mut last_id, mut id) = (String::new(), String::new());
        let (mut event, mut data, mut events) = (String::new(), String::new(), Vec::new());
        for line in stream.replace("\r\n", "\n").split(['\n', '\r']) {
            if line.is_empty() {
                last_id.clone_from(&id);
                if !data.is_empty() {
                    data.pop();
                    let name = if event.is_empty() {
                        "message".to_owned()
                    } else {
                        event.clone()
                    };
                    events.push((name, data.clone()));
                }
                event.clear();
                data.clear();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => event = value.to_owned(),
                "data" => data.push_str(&[value, "\n"].concat()),
                "id" if !value.contains('\0') => id = value.to_owned(),
                _ => {}
            }
        }
        (last_id, events)
    }

    fn written(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        SseWire::in_body(false).message(None, message, &mut out);
        out
    }

    /// CR, LF and CRLF, each as LF: the standard can't tell them apart.
    fn normal(text: &str) -> String {
        text.replace("\r\n", "\n").replace('\r', "\n")
    }

    #[test]
    fn the_default_event_needs_no_name() {
        assert_eq!(
            written(&Message::text("message", "a\r\nb")),
            b"data: a\ndata: b\n\n"
        );
        assert_eq!(written(&Message::text("note", "")), b"event: note\ndata: \n\n");
        assert_eq!(
            written(&Message::binary("message", &b"\0\xff"[..])),
            b"event: message;base64\ndata: AP8=\n\n"
        );
    }

    #[test]
    fn a_heartbeat_has_an_id_and_data_or_is_a_comment() {
        let id = Hub::new().position();
        let mut out = Vec::new();
        let heartbeat = Heartbeat {
            id: Some(id),
            interval: std::time::Duration::from_secs(15),
            expires: None,
        };
        SseWire::in_body(false).write_heartbeat(&heartbeat, &mut out);
        let events = vec![(
            "dualcast:heartbeat".to_owned(),
            r#"{"interval":15000}"#.to_owned(),
        )];
        assert_eq!(read(&out), (id.to_string(), events));
        out.clear();
        SseWire::in_body(false).write_heartbeat(
            &Heartbeat {
                id: None,
                ..heartbeat
            },
            &mut out,
        );
        assert_eq!(out, b": heartbeat\n\n");
    }

    #[test]
    fn a_chunk_says_its_length() {
        let wire = SseWire::chunked(false);
        for length in [1, 15, 16, 300, 70_000] {
            let mut out = vec![0; wire.headroom()];
            out.extend(vec![b'x'; length]);
            let expected = format!("{length:x}\r\n{}\r\n", "x".repeat(length));
            assert_eq!(wire.seal(out), expected);
        }
    }

    proptest! {
        #[test]
        fn a_reader_of_the_standard_reads_what_was_published(
            name in "(\\PC|[:/ ]){1,20}",
            texts in prop::collection::vec("(\\PC|[\r\n\0: ]|\r\n|data: |id: |\u{feff}){0,30}", 1..4),
        ) {
            let mut stream = Vec::new();
            for text in &texts {
                stream.extend(written(&Message::text(name.clone(), text.as_str())));
            }
            let expected = texts.iter().map(|text| (name.clone(), normal(text))).collect();
            prop_assert_eq!(read(&stream), (String::new(), expected));
        }
    }
}
