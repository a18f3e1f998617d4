//! An event stream, written: what each entry looks like in the format of the HTML standard (section 9.2.6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use dualcast_core::{
    BASE64_EVENT_SUFFIX, ChannelName, CloseReason, Entry, Form, Gap, Message, Payload, Position, Wire,
};
use dualcast_http::{
    Closing, ClosingNotice, Dialect, FinishedNotice, Heartbeat, HeartbeatNotice, Opening, OpeningNotice,
    millis,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::field;
use crate::options::{HeartbeatAs, SseOptions};

/// The longest head of a chunk: a length in hexadecimal and CRLF.
const CHUNK_HEAD_BYTES: usize = 10;

/// What tells JSON from text that looks like it. The standard has no such field, and says that one it doesn't have is ignored.
const TYPE_JSON: &str = "type: json\n";

/// How many ways there are to write an event stream, not counting its chunks.
pub(crate) const WAYS: usize = 6;

/// An event stream in one of its ways: of one channel or several; with what Dualcast says as events or not; in chunks (RFC
/// 9112 section 7.1) or in a body that somebody else frames.
#[derive(Debug)]
pub(crate) struct SseWire {
    is_multi: bool,
    own: Own,
    is_chunked: bool,
}

/// How it says what no application published. In the order of [`SseWire::all`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Events,
    /// As events, but for heartbeats.
    HeartbeatComments,
    /// As comments and error objects.
    Plain,
}

static IN_BODY: [SseWire; WAYS] = SseWire::all(false);
static CHUNKED: [SseWire; WAYS] = SseWire::all(true);

impl SseWire {
    const fn all(is_chunked: bool) -> [Self; WAYS] {
        [
            Self::new(false, Own::Events, is_chunked),
            Self::new(true, Own::Events, is_chunked),
            Self::new(false, Own::HeartbeatComments, is_chunked),
            Self::new(true, Own::HeartbeatComments, is_chunked),
            Self::new(false, Own::Plain, is_chunked),
            Self::new(true, Own::Plain, is_chunked),
        ]
    }

    const fn new(is_multi: bool, own: Own, is_chunked: bool) -> Self {
        Self {
            is_multi,
            own,
            is_chunked,
        }
    }

    /// Which of the ways it is: for [`SseWire::in_body`] and [`SseWire::chunked`].
    pub(crate) fn way(is_multi: bool, options: &SseOptions) -> usize {
        let own = match options {
            SseOptions { is_plain: true, .. } => Own::Plain,
            SseOptions {
                heartbeat_as: HeartbeatAs::Comment,
                ..
            } => Own::HeartbeatComments,
            _ => Own::Events,
        };
        own as usize * 2 + usize::from(is_multi)
    }

    pub(crate) fn in_body(way: usize) -> &'static Self {
        &IN_BODY[way]
    }

    pub(crate) fn chunked(way: usize) -> &'static Self {
        &CHUNKED[way]
    }

    fn message(&self, channel: Option<&ChannelName>, message: &Message, out: &mut Vec<u8>) {
        let suffix = if matches!(message.payload(), Payload::Binary(_)) {
            BASE64_EVENT_SUFFIX
        } else {
            ""
        };
        match channel {
            Some(channel) if self.is_multi => field::put(
                out,
                &["event: ", channel.as_str(), "/", message.event(), suffix, "\n"],
            ),
            // The standard's default.
            _ if message.event() == "message" && suffix.is_empty() => {}
            _ => field::put(out, &["event: ", message.event(), suffix, "\n"]),
        }
        match message.payload() {
            Payload::Text(text) => field::data(out, text),
            Payload::Json(json) => {
                // A text that claims to be JSON and isn't would break its reader: then it goes out as text.
                if serde_json::from_str::<&RawValue>(json).is_ok() {
                    field::put(out, &[TYPE_JSON]);
                }
                field::data(out, json);
            }
            Payload::Binary(bytes) => field::put(out, &["data: ", &STANDARD.encode(bytes), "\n\n"]),
        }
    }

    /// The id of a sign of life that is an event. Without one it is a comment, which says nothing else.
    fn beat_id(&self, heartbeat: &Heartbeat) -> Option<Position> {
        heartbeat.id.filter(|_| self.own == Own::Events)
    }

    fn beat<T: Serialize>(&self, id: Option<Position>, notice: &T, out: &mut Vec<u8>) {
        match id {
            // Not an `id:` alone: Firefox, WebKit and others forget the id of a block without data.
            Some(id) => {
                field::id(out, id);
                field::notice(out, "heartbeat", notice);
            }
            None => field::comment(out, "heartbeat"),
        }
    }

    fn finish(&self, channel: &ChannelName, out: &mut Vec<u8>) {
        if self.own == Own::Plain {
            // The block goes on: this id is that of the `[DONE]` which follows.
            field::comment(out, "finished");
        } else {
            field::notice(out, "finished", &FinishedNotice { channel });
        }
    }
}

impl Wire for SseWire {
    fn form(&self) -> Form {
        // Which events Dualcast's own are shows in no record but a channel's end.
        let finish_slot = u8::from(self.own == Own::Plain);
        Form::new(u8::from(self.is_multi), u8::from(self.is_chunked)).with_finish_slot(finish_slot)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        match entry {
            Entry::Record(record) => {
                field::id(out, record.position());
                match record.message() {
                    Some(message) => self.message(Some(record.channel()), message, out),
                    None => self.finish(record.channel(), out),
                }
            }
            Entry::Volatile(volatile) => self.message(Some(volatile.channel()), volatile.message(), out),
            Entry::Gap { gap, id } => {
                field::id(out, id);
                if self.own == Own::Plain {
                    field::json(out, &ErrorObject::from(gap));
                } else {
                    field::notice(out, "gap", gap);
                }
            }
            Entry::Presence(update) => field::notice(out, "presence", update),
            Entry::Merged { merged, id } => {
                if self.own == Own::Plain {
                    field::comment(out, "merged");
                } else {
                    field::id(out, id);
                    field::notice(out, "merged", merged);
                }
            }
        }
    }

    fn ends_at_gap(&self) -> bool {
        self.own == Own::Plain
    }

    fn tells_presence(&self) -> bool {
        self.own != Own::Plain
    }

    fn headroom(&self) -> usize {
        if self.is_chunked { CHUNK_HEAD_BYTES } else { 0 }
    }

    fn seal(&self, mut out: Vec<u8>) -> Bytes {
        if !self.is_chunked {
            return out.into();
        }
        let start = write_chunk_head(&mut out);
        out.extend_from_slice(b"\r\n");
        let mut sealed = Bytes::from(out);
        sealed.advance(start);
        sealed
    }
}

impl Dialect for SseWire {
    fn write_opening(&self, opening: &Opening<'_>, out: &mut Vec<u8>) {
        field::padding(out, opening.padding_bytes);
        field::retry(out, millis(opening.retry));
        let id = self.beat_id(&opening.heartbeat);
        // Without them nobody could tell what stands in front of a slash. Not in the head, where a hundred names of 200 bytes would be
        // more than proxies take, and which a page of another origin may not read. Before the sign of life, so that with that all is said.
        if let (None, Some(channels)) = (id, opening.channels) {
            let names: Vec<_> = channels.iter().map(|name| name.as_str()).collect();
            field::comment(out, &format!("channels {}", names.join(",")));
        }
        self.beat(id, &OpeningNotice::from(opening), out);
    }

    fn write_heartbeat(&self, heartbeat: &Heartbeat, out: &mut Vec<u8>) {
        self.beat(self.beat_id(heartbeat), &HeartbeatNotice::from(heartbeat), out);
    }

    fn has_positions(&self) -> bool {
        self.own == Own::Events
    }

    fn write_closing(&self, closing: &Closing, out: &mut Vec<u8>) {
        // In front of what ends the block: an `EventSource` goes by it, and some read a block of `retry:` alone as an event.
        if let Some(retry) = closing.retry {
            field::retry(out, millis(retry));
        }
        match (self.own, closing.reason) {
            (Own::Plain, CloseReason::Finished) => field::put(out, &["data: [DONE]\n\n"]),
            (Own::Plain, reason) => field::json(out, &ErrorObject::from(reason)),
            _ => field::notice(out, "closing", &ClosingNotice::from(closing)),
        }
    }

    fn write_message(&self, message: &Message, out: &mut Vec<u8>) {
        self.message(None, message, out);
    }

    fn naming_channels(&self) -> &'static dyn Dialect {
        let all = if self.is_chunked { &CHUNKED } else { &IN_BODY };
        &all[self.own as usize * 2 + 1]
    }
}

/// Writes the head of a chunk in front of what is in it. Answers where it begins.
fn write_chunk_head(chunk: &mut [u8]) -> usize {
    let mut start = CHUNK_HEAD_BYTES - 2;
    let mut rest = chunk.len() - CHUNK_HEAD_BYTES;
    chunk[start..CHUNK_HEAD_BYTES].copy_from_slice(b"\r\n");
    loop {
        start -= 1;
        chunk[start] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
        if rest == 0 {
            return start;
        }
    }
}

/// A failure as clients of AI completions read it, and fail by.
#[derive(Serialize)]
struct ErrorObject<'a> {
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<&'a Gap>,
}

impl<'a> From<&'a Gap> for ErrorObject<'a> {
    fn from(gap: &'a Gap) -> Self {
        Self {
            error: Failure {
                message: "messages are missing here",
                kind: "dualcast_gap",
                param: None,
                code: gap.reason.as_str(),
                gap: Some(gap),
            },
        }
    }
}

impl From<CloseReason> for ErrorObject<'static> {
    fn from(reason: CloseReason) -> Self {
        Self {
            error: Failure {
                message: reason.text(),
                kind: "dualcast_closing",
                param: None,
                code: reason.name(),
                gap: None,
            },
        }
    }
}

#[cfg(test)]
mod read_back;

#[cfg(test)]
mod tests {
    use dualcast_core::Hub;

    use super::*;

    fn written(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        SseWire::in_body(0).message(None, message, &mut out);
        out
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
    fn json_says_that_it_is_and_what_only_claims_to_be_does_not() {
        let json = |json: &str| Message::new("note", Payload::Json(json.into()));
        assert_eq!(
            written(&json("{\n1:2}")),
            b"event: note\ndata: {\ndata: 1:2}\n\n",
            "no reader could make anything of it"
        );
        assert_eq!(
            written(&json("{\r\n\"a\":1}")),
            b"event: note\ntype: json\ndata: {\ndata: \"a\":1}\n\n"
        );
        assert_eq!(written(&Message::text("message", "5")), b"data: 5\n\n");
        assert_eq!(
            written(&Message::json("message", &5).unwrap()),
            b"type: json\ndata: 5\n\n"
        );
        assert_eq!(
            written(&Message::json("message", "5").unwrap()),
            b"type: json\ndata: \"5\"\n\n"
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
            presence: Vec::new(),
        };
        SseWire::in_body(0).write_heartbeat(&heartbeat, &mut out);
        let expected = format!("id: {id}\nevent: dualcast:heartbeat\ndata: {{\"interval\":15000}}\n\n");
        assert_eq!(out, expected.as_bytes());
        out.clear();
        SseWire::in_body(0).write_heartbeat(
            &Heartbeat {
                id: None,
                ..heartbeat
            },
            &mut out,
        );
        assert_eq!(out, b": heartbeat\n");
    }

    #[test]
    fn a_chunk_says_its_length() {
        let wire = SseWire::chunked(0);
        for length in [0, 1, 15, 16, 300, 70_000] {
            let mut out = vec![0; wire.headroom()];
            out.extend(vec![b'x'; length]);
            let expected = format!("{length:x}\r\n{}\r\n", "x".repeat(length));
            assert_eq!(wire.seal(out), expected);
        }
    }
}
