//! What a client heard, read again from the bytes, and held to what the server did.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::client::{REF, Refs};
use super::server::Published;
use super::{BINARY, CLOSE, FINAL, PING, PONG, TEXT};

/// All that the server sent, but for a last frame that a cut left unfinished.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    frames: Vec<(u8, Vec<u8>)>,
}

impl Transcript {
    /// Reads frames (RFC 6455 section 5.2). The server sends every message in one.
    pub(super) fn read(mut bytes: &[u8]) -> Self {
        let mut frames = Vec::new();
        while let Some(&head) = bytes.first() {
            let opcode = head & 0x0f;
            assert_eq!(head & 0xf0, FINAL, "no fragments, no extensions: {bytes:?}");
            assert!(
                [TEXT, BINARY, CLOSE, PING, PONG].contains(&opcode),
                "opcode {opcode} in {bytes:?}"
            );
            let Some((length, begin)) = length(bytes) else {
                break;
            };
            assert!(length <= MAX_FRAME_BYTES, "{length} bytes in {bytes:?}");
            assert!(opcode < CLOSE || length <= 125, "a control frame is short");
            let Some(payload) = bytes.get(begin..begin + length) else {
                break;
            };
            frames.push((opcode, payload.to_vec()));
            bytes = &bytes[begin + length..];
        }
        Self { frames }
    }

    pub(super) fn hold_to(&self, published: &Published, refs: &Refs) {
        let mut story = Story::default();
        for (at, (opcode, payload)) in self.frames.iter().enumerate() {
            match *opcode {
                TEXT => story.hear(object(payload), published),
                BINARY => {
                    let line_end = payload
                        .iter()
                        .position(|byte| *byte == b'\n')
                        .expect("a line of JSON");
                    story.hear(object(&payload[..line_end]), published);
                }
                CLOSE => {
                    assert_eq!(at + 1, self.frames.len(), "nothing follows a close");
                    assert!(payload.is_empty() || std::str::from_utf8(&payload[2..]).is_ok());
                }
                _ => {}
            }
        }
        let known = |reference: &str| reference.starts_with(&format!("\"{REF}"));
        for (reference, count) in story.answered.iter().filter(|(reference, _)| known(reference)) {
            assert!(
                refs.get(reference).is_some_and(|sent| count <= sent),
                "{reference} was answered {count} times"
            );
        }
    }
}

/// Where the client stands, by all that it was told.
#[derive(Debug, Default)]
struct Story {
    /// The sequence up to which nothing is missing that no gap has named. The hub has one channel, so its numbers have no holes.
    stands_at: Option<u64>,
    is_closing: bool,
    answered: HashMap<String, usize>,
}

impl Story {
    fn hear(&mut self, mut object: Map<String, Value>, published: &Published) {
        let id = object.get("id").and_then(Value::as_str).map(ToOwned::to_owned);
        let Some(Value::String(control)) = object.remove("control") else {
            return self.hear_message(&object, id.as_deref(), published);
        };
        let at = id.as_deref().map(sequence);
        match &*control {
            "welcome" => assert_eq!(
                self.stands_at.replace(at.expect("an id")),
                None,
                "one welcome, and first"
            ),
            "heartbeat" => assert_eq!(at, self.stands_at),
            "gap" => {
                let end = |name: &str| object[name].as_str().map(sequence);
                assert!(
                    end("from").is_none_or(|from| Some(from) == self.stands_at),
                    "{object:?}"
                );
                assert!(
                    at > self.stands_at && end("to").is_none_or(|to| Some(to) == at),
                    "{object:?}"
                );
                self.stands_at = at;
            }
            "finished" => self.step(at.expect("an id")),
            "closing" => self.is_closing = true,
            "reply" | "error" => {
                if let Some(reference) = object.get("ref") {
                    *self.answered.entry(reference.to_string()).or_default() += 1;
                }
            }
            other => panic!("no such notice: {other}"),
        }
        assert!(
            self.stands_at.is_some() || self.is_closing,
            "the welcome comes first"
        );
    }

    fn hear_message(&mut self, object: &Map<String, Value>, id: Option<&str>, published: &Published) {
        assert!(
            self.stands_at.is_some() && !self.is_closing,
            "between welcome and goodbye"
        );
        // A volatile message has no id.
        let Some(id) = id else { return };
        self.step(sequence(id));
        if let Some(text) = published.get(id) {
            assert_eq!(object["data"].as_str(), Some(&**text));
        }
    }

    /// To the next record, and no further.
    fn step(&mut self, to: u64) {
        assert_eq!(Some(to - 1), self.stands_at);
        self.stands_at = Some(to);
    }
}

/// Nothing that is said here is longer: 255 bytes, each of them escaped, and what stands around them.
const MAX_FRAME_BYTES: usize = 2_048;

/// The length of a frame's payload, and where that begins. None where the bytes end before.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        short @ 0..=125 => Some((short.into(), 2)),
        126 => {
            let length = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
            assert!(length > 125, "lengths are written in the shortest way");
            Some((length.into(), 4))
        }
        other => panic!("a server masks nothing and here sends nothing so long: {other}"),
    }
}

fn object(text: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(text).expect("every frame is a JSON object")
}

/// The number in an id. Clients read nothing from it; this one knows more.
fn sequence(id: &str) -> u64 {
    let (_, sequence) = id.split_once('-').expect("an id");
    sequence.parse().expect("an id ends in a number")
}
