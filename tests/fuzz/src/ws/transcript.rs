//! What a client heard, read again from the bytes, and held to what the server did.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::client::{REF, Sent};
use super::server::{CHANNELS, Published, sequence};
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

    pub(super) fn hold_to(&self, published: &Published, sent: &Sent) {
        let mut story = Story {
            published,
            sent,
            follows: HashMap::new(),
            has_begun: false,
            is_closing: false,
            answered: HashMap::new(),
        };
        for (at, (opcode, payload)) in self.frames.iter().enumerate() {
            match *opcode {
                TEXT => story.hear(object(payload)),
                BINARY => {
                    let line_end = payload
                        .iter()
                        .position(|byte| *byte == b'\n')
                        .expect("a line of JSON");
                    story.hear(object(&payload[..line_end]));
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
            let times = sent.refs.get(reference);
            assert!(
                times.is_some_and(|times| count <= times),
                "{reference} was answered {count} times"
            );
        }
    }
}

/// Where the client stands, by all that it was told.
#[derive(Debug)]
struct Story<'a> {
    published: &'a Published,
    sent: &'a Sent,
    /// For each channel that it follows the sequence up to which nothing is missing that no gap has named.
    follows: HashMap<String, u64>,
    has_begun: bool,
    is_closing: bool,
    answered: HashMap<String, usize>,
}

impl Story<'_> {
    fn hear(&mut self, object: Map<String, Value>) {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let channel = text("channel").unwrap_or(CHANNELS[0]);
        let at = text("id").map(sequence);
        let Some(control) = text("control") else {
            assert!(self.has_begun && !self.is_closing, "between welcome and goodbye");
            assert!(
                self.sent.is_wild || self.follows.contains_key(channel),
                "{channel} is not followed"
            );
            // A volatile message has no id.
            let Some(at) = at else { return };
            self.step(channel, at);
            let logged = self.published.get(&at).and_then(|logged| logged.text.as_deref());
            return assert!(logged.is_none_or(|logged| text("data") == Some(logged)));
        };
        match control {
            "welcome" => {
                assert!(
                    !std::mem::replace(&mut self.has_begun, true),
                    "one welcome, and first"
                );
                self.follows.insert(channel.into(), at.expect("an id"));
            }
            // Without an id where nothing is followed any more.
            "heartbeat" => {
                let Some(at) = at else { return };
                let channels: Vec<_> = self.follows.keys().cloned().collect();
                for channel in channels {
                    self.expect_nothing_before(&channel, at + 1);
                    let stands_at = self.follows.entry(channel).or_default();
                    *stands_at = at.max(*stands_at);
                }
            }
            "gap" => {
                if let Some(from) = text("from").map(sequence) {
                    self.expect_nothing_before(channel, from + 1);
                }
                let to = text("to").map(sequence).or(at).expect("a gap leads somewhere");
                let stands_at = self.follows.entry(channel.into()).or_default();
                assert!(to >= *stands_at, "{object:?}");
                *stands_at = to;
            }
            "finished" => self.step(channel, at.expect("an id")),
            "unsubscribed" => drop(self.follows.remove(channel)),
            "closing" => self.is_closing = true,
            "reply" | "error" => {
                if let Some(reference) = object.get("ref") {
                    *self.answered.entry(reference.to_string()).or_default() += 1;
                    let asked = self.sent.asked.get(&reference.to_string());
                    match asked.filter(|_| control == "reply") {
                        Some((true, channel)) => {
                            let id = object["data"]["id"].as_str().expect("an id");
                            self.follows.insert((*channel).into(), sequence(id));
                        }
                        Some((false, channel)) => drop(self.follows.remove(*channel)),
                        None => {}
                    }
                }
            }
            other => panic!("no such notice: {other}"),
        }
        assert!(self.has_begun || self.is_closing, "the welcome comes first");
    }

    /// To the next record of a channel, and no further.
    fn step(&mut self, channel: &str, to: u64) {
        self.expect_nothing_before(channel, to);
        let before = self.follows.insert(channel.into(), to);
        assert!(
            self.sent.is_wild || before.is_some_and(|before| before < to),
            "once, and in order"
        );
        assert!(
            self.published
                .get(&to)
                .is_none_or(|logged| logged.channel == channel)
        );
    }

    fn expect_nothing_before(&self, channel: &str, end: u64) {
        let Some(&stands_at) = self.follows.get(channel).filter(|_| !self.sent.is_wild) else {
            return;
        };
        let mut between = self.published.range(stands_at + 1..end.max(stands_at + 1));
        let missing = between.find(|(_, logged)| logged.channel == channel);
        assert!(missing.is_none(), "{missing:?} is missing");
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
