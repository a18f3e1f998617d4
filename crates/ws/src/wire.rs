//! What stands in the frames: one JSON object in a text frame; for binary payloads a line of JSON and the bytes.

use std::borrow::Cow;
use std::io::Write;

use dualcast_core::{ChannelName, Entry, Form, Message, Payload, Position, Wire};
use dualcast_http::{
    Closing, ClosingNotice, Dialect, FinishedNotice, Heartbeat, HeartbeatNotice, Opening, OpeningNotice,
    UnsubscribedNotice, millis,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::frame::{self, Opcode};

/// WebSocket messages, of one channel or several.
#[derive(Debug)]
pub(crate) struct WsWire {
    is_multi: bool,
}

static WIRES: [WsWire; 2] = [WsWire { is_multi: false }, WsWire { is_multi: true }];

impl WsWire {
    pub(crate) fn get(is_multi: bool) -> &'static Self {
        &WIRES[usize::from(is_multi)]
    }

    fn message(
        &self,
        id: Option<Position>,
        channel: Option<&ChannelName>,
        message: &Message,
        out: &mut Vec<u8>,
    ) {
        let head = head(channel.filter(|_| self.is_multi), id, message.event());
        match message.payload() {
            Payload::Text(text) => text_message(&head, text, out),
            Payload::Json(json) => match serde_json::from_str::<&RawValue>(json) {
                Ok(json) => {
                    let json = json.get().as_bytes();
                    frame::write(Opcode::Text, &[&head, br#","data":"#, json, b"}"], out);
                }
                // A text that claims to be JSON and isn't would break the frame: then it goes out as text.
                Err(_) => text_message(&head, json, out),
            },
            Payload::Binary(bytes) => frame::write(Opcode::Binary, &[&head, b"}\n", bytes], out),
        }
    }
}

/// A message's object up to its event.
fn head(channel: Option<&ChannelName>, id: Option<Position>, event: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.push(b'{');
    // Neither a channel's name nor a position has anything to escape, and writing to a Vec can't fail.
    if let Some(channel) = channel {
        let _ = write!(head, r#""channel":"{channel}","#);
    }
    if let Some(id) = id {
        let _ = write!(head, r#""id":"{id}","#);
    }
    for part in [r#""event":""#, &escaped(event), "\""] {
        head.extend_from_slice(part.as_bytes());
    }
    head
}

fn text_message(head: &[u8], text: &str, out: &mut Vec<u8>) {
    let text = escaped(text);
    frame::write(
        Opcode::Text,
        &[head, br#","data":""#, text.as_bytes(), br#""}"#],
        out,
    );
}

/// What stands between the quotes of a string of JSON (RFC 8259 section 7).
fn escaped(text: &str) -> Cow<'_, str> {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // Nearly always there is nothing. Not cut short, so that many bytes are looked at in one instruction.
    let is_any_special = text.bytes().fold(false, |is_any, byte| is_any | is_special(byte));
    if !is_any_special {
        return Cow::Borrowed(text);
    }
    // A string can't fail to be JSON.
    let mut quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.pop();
    quoted.remove(0);
    Cow::Owned(quoted)
}

/// As long as the head of a message commonly is at the most.
const HEAD_BYTES: usize = 128;

/// What Dualcast itself says.
#[derive(Serialize)]
struct Control<'a, T> {
    control: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Position>,
    #[serde(flatten)]
    notice: &'a T,
}

#[derive(Serialize)]
struct WelcomeNotice<'a> {
    #[serde(flatten)]
    opening: OpeningNotice<'a>,
    retry: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<usize>,
}

impl Wire for WsWire {
    fn form(&self) -> Form {
        Form::new(2 + u8::from(self.is_multi), 0)
    }

    fn write(&self, entry: Entry<'_>, out: &mut Vec<u8>) {
        match entry {
            Entry::Record(record) => {
                let (id, channel) = (Some(record.position()), record.channel());
                match record.message() {
                    Some(message) => self.message(id, Some(channel), message, out),
                    None => control("finished", id, &FinishedNotice { channel }, out),
                }
            }
            Entry::Volatile(volatile) => {
                self.message(None, Some(volatile.channel()), volatile.message(), out);
            }
            Entry::Gap { gap, id } => control("gap", Some(id), gap, out),
            Entry::Merged { merged, id } => control("merged", Some(id), merged, out),
            Entry::Presence(update) => control("presence", None, update, out),
        }
    }
}

impl Dialect for WsWire {
    fn write_opening(&self, opening: &Opening<'_>, out: &mut Vec<u8>) {
        let welcome = WelcomeNotice {
            opening: OpeningNotice::from(opening),
            retry: millis(opening.retry),
            max_bytes: opening.max_inbound_bytes,
        };
        control("welcome", opening.heartbeat.id, &welcome, out);
    }

    fn write_heartbeat(&self, heartbeat: &Heartbeat, out: &mut Vec<u8>) {
        let notice = HeartbeatNotice::from(heartbeat);
        control("heartbeat", heartbeat.id, &notice, out);
    }

    fn write_closing(&self, closing: &Closing, out: &mut Vec<u8>) {
        let reason = closing.reason;
        control("closing", None, &ClosingNotice::from(closing), out);
        frame::write_close(reason.code(), reason.text(), out);
    }

    fn write_message(&self, message: &Message, out: &mut Vec<u8>) {
        self.message(None, None, message, out);
    }

    fn write_finished(&self, channel: &ChannelName, id: Position, out: &mut Vec<u8>) {
        control("finished", Some(id), &FinishedNotice { channel }, out);
    }

    fn write_unsubscribed(&self, channel: &ChannelName, out: &mut Vec<u8>) {
        control("unsubscribed", None, &UnsubscribedNotice { channel }, out);
    }

    fn naming_channels(&self) -> &'static dyn Dialect {
        Self::get(true)
    }
}

/// Nothing that it says can fail to be JSON: strings, numbers, and JSON that was read as such.
fn control<T: Serialize>(control: &'static str, id: Option<Position>, notice: &T, out: &mut Vec<u8>) {
    let json = serde_json::to_vec(&Control { control, id, notice }).unwrap_or_default();
    frame::write(Opcode::Text, &[&json], out);
}

#[cfg(test)]
mod tests {
    use dualcast_core::{Hub, IntoChannelName};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn payload(message: &Message) -> String {
        let mut out = Vec::new();
        WsWire::get(false).message(None, None, message, &mut out);
        String::from_utf8_lossy(&out[2..]).into_owned()
    }

    #[test]
    fn json_stands_as_json_and_text_as_a_string() {
        assert_eq!(
            payload(&Message::text("e", "a\r\n\0")),
            r#"{"event":"e","data":"a\r\n\u0000"}"#
        );
        let value = json!({ "a": [1, null] });
        assert_eq!(
            payload(&Message::json("e", &value).unwrap()),
            r#"{"event":"e","data":{"a":[1,null]}}"#
        );
        let broken = Message::new("e", Payload::Json("{".into()));
        assert_eq!(payload(&broken), r#"{"event":"e","data":"{"}"#);
    }

    #[test]
    fn binary_is_a_line_of_json_and_the_bytes() {
        assert_eq!(
            payload(&Message::binary("e", &b"\n\n"[..])),
            "{\"event\":\"e\"}\n\n\n"
        );
    }

    /// A message's object, as serde writes it.
    #[derive(Serialize)]
    struct Object<'a> {
        channel: &'a str,
        id: String,
        event: &'a str,
        data: &'a str,
    }

    proptest! {
        #[test]
        fn a_message_is_written_as_serde_writes_it(event in "\\PC+", text in "(?s).{0,99}", length in 0..300_usize) {
            let text = text + &"x".repeat(length);
            let message = Message::text(event.clone(), text.clone());
            let (hub, channel) = (Hub::new(), ("room", "7").into_channel_name().unwrap());
            let mut out = Vec::new();
            WsWire::get(true).message(Some(hub.position()), Some(&channel), &message, &mut out);
            let head = if out[1] < 126 { 2 } else { 4 };
            let object = Object {
                channel: channel.as_str(),
                id: hub.position().to_string(),
                event: &event,
                data: &text,
            };
            prop_assert_eq!(&out[head..], serde_json::to_vec(&object).unwrap());
        }
    }
}
