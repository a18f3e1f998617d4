//! What compression would give, and what it would take: deflate over messages as they stand on the wire, each by itself or with what came before
//! as its dictionary. Dualcast compresses nothing.
//!
//! A stream is compressed as servers and proxies do it, flushed behind each message, so that it arrives. A WebSocket message is compressed as by
//! `permessage-deflate` (RFC 7692), with the context kept or not.

use std::fmt;
use std::hint::black_box;

use anyhow::{Result, ensure};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde::Serialize;
use serde_json::{Value, json};

use super::row;
use super::setting::Setting;
use crate::process::Process;
use crate::target::Transport;

/// What is sent.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Corpus {
    /// Changes of prices, a few numbers each.
    Prices,
    /// What people write.
    Chat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Context {
    /// Each message begins with nothing known.
    Alone,
    /// Up to 32 KiB of what came before are known.
    Shared,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Case {
    corpus: Corpus,
    transport: Transport,
    context: Context,
    messages: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} on {}, {:?}",
            self.corpus,
            self.transport.name(),
            self.context
        )
    }
}

/// Bytes a message, and microseconds of CPU.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    plain: f64,
    compressed: f64,
    compressing: f64,
    decompressing: f64,
}

/// zlib's own default, and that of most servers.
const LEVEL: u32 = 6;
/// What RFC 7692 section 7.2.1 has a sender leave out behind each message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

pub(super) fn ask(setting: &Setting) -> Result<Vec<Value>> {
    let messages = setting.sizes.corpus;
    let mut rows = Vec::new();
    for corpus in [Corpus::Prices, Corpus::Chat] {
        for (transport, context) in [
            (Transport::Sse, Context::Shared),
            (Transport::Ws, Context::Shared),
            (Transport::Ws, Context::Alone),
        ] {
            let case = Case {
                corpus,
                transport,
                context,
                messages,
            };
            rows.push(row(case, measure(case))?);
        }
    }
    Ok(rows)
}

fn measure(case: Case) -> Result<Figures> {
    let texts = texts(case);
    let mut deflate = Deflate::new(case.context);
    let (mut compressed, before) = (Vec::with_capacity(texts.len()), Process::own().cpu()?);
    for text in &texts {
        compressed.push(deflate.message(black_box(text.as_bytes()))?);
    }
    let compressing = Process::own().cpu_since(before)?;
    let (mut inflate, before) = (Inflate::new(case.context), Process::own().cpu()?);
    for (text, compressed) in texts.iter().zip(&compressed) {
        let back = inflate.message(black_box(compressed), text.len())?;
        ensure!(
            back == text.as_bytes(),
            "a message came out otherwise than it went in"
        );
    }
    let decompressing = Process::own().cpu_since(before)?;
    // On an event stream the tail is part of the stream.
    let left_out = if case.transport == Transport::Ws {
        TAIL.len()
    } else {
        0
    };
    let each = |bytes: usize| bytes as f64 / texts.len() as f64;
    let microseconds = |time: std::time::Duration| time.as_secs_f64() * 1e6 / texts.len() as f64;
    Ok(Figures {
        plain: each(texts.iter().map(String::len).sum()),
        compressed: each(compressed.iter().map(|bytes| bytes.len() - left_out).sum()),
        compressing: microseconds(compressing),
        decompressing: microseconds(decompressing),
    })
}

struct Deflate {
    state: Compress,
    context: Context,
}

impl Deflate {
    fn new(context: Context) -> Self {
        Self {
            state: Compress::new(Compression::new(LEVEL), false),
            context,
        }
    }

    /// A message, whole: what a receiver needs to have all of it.
    fn message(&mut self, text: &[u8]) -> Result<Vec<u8>> {
        if self.context == Context::Alone {
            self.state.reset();
        }
        // Enough for what can't be made smaller, so that one call does it.
        let mut compressed = Vec::with_capacity(text.len() + 64);
        let before = self.state.total_in();
        self.state
            .compress_vec(text, &mut compressed, FlushCompress::Sync)?;
        ensure!(
            self.state.total_in() - before == text.len() as u64 && compressed.ends_with(&TAIL),
            "a message was not compressed whole"
        );
        Ok(compressed)
    }
}

struct Inflate {
    state: Decompress,
    context: Context,
}

impl Inflate {
    fn new(context: Context) -> Self {
        Self {
            state: Decompress::new(false),
            context,
        }
    }

    fn message(&mut self, compressed: &[u8], length: usize) -> Result<Vec<u8>> {
        if self.context == Context::Alone {
            self.state.reset(false);
        }
        let mut text = Vec::with_capacity(length + 64);
        self.state
            .decompress_vec(compressed, &mut text, FlushDecompress::Sync)?;
        Ok(text)
    }
}

/// Messages as they stand on the wire, without what frames them.
fn texts(case: Case) -> Vec<String> {
    let mut words = Words(0x5eed);
    (0..case.messages)
        .map(|number| {
            let id = format!("0k3f9x2abz-{}", 1_000 + number);
            let data = match case.corpus {
                Corpus::Prices => words.price(number),
                Corpus::Chat => words.line(number),
            };
            match case.transport {
                Transport::Ws => format!("{{\"id\":\"{id}\",\"event\":\"message\",\"data\":{data}}}"),
                _ => format!("id: {id}\ntype: json\ndata: {data}\n\n"),
            }
        })
        .collect()
}

/// What is said, the same in every run: xorshift64.
struct Words(u64);

impl Words {
    fn draw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn price(&mut self, number: usize) -> String {
        const SYMBOLS: [&str; 12] = [
            "EURUSD", "GBPUSD", "USDJPY", "USDCHF", "AUDUSD", "USDCAD", "NZDUSD", "EURGBP", "EURJPY",
            "GBPJPY", "EURCHF", "AUDJPY",
        ];
        let symbol = self.draw(SYMBOLS.len());
        let bid = 100_000 + symbol * 7_919 + self.draw(2_000);
        let price = |points: usize| points as f64 / 1e5;
        json!({
            "symbol": SYMBOLS[symbol],
            "bid": price(bid),
            "ask": price(bid + 5 + self.draw(20)),
            "size": (1 + self.draw(50)) * 100_000,
            "time": 1_790_000_000_000_u64 + number as u64 * 20 + self.draw(20) as u64,
        })
        .to_string()
    }

    fn line(&mut self, number: usize) -> String {
        const NAMES: [&str; 8] = ["ada", "bob", "cy", "dora", "eve", "finn", "gus", "hana"];
        let length = 3 + self.draw(22);
        let words: Vec<_> = (0..length).map(|_| self.word()).collect();
        json!({
            "user": NAMES[self.draw(NAMES.len())],
            "room": "general",
            "text": words.join(" "),
            "time": 1_790_000_000_000_u64 + number as u64 * 1_500 + self.draw(1_500) as u64,
        })
        .to_string()
    }

    /// Frequent words are drawn more often, roughly as Zipf has it.
    fn word(&mut self) -> &'static str {
        let most = 1 + self.draw(WORDS.len());
        WORDS[self.draw(most)]
    }
}

const WORDS: [&str; 120] = [
    "the", "to", "and", "a", "of", "it", "is", "in", "you", "that", "we", "for", "on", "not", "I", "this",
    "with", "have", "be", "but", "are", "do", "what", "so", "can", "at", "if", "just", "was", "there", "all",
    "they", "like", "one", "now", "when", "from", "or", "out", "will", "get", "about", "how", "know", "me",
    "go", "more", "time", "no", "would", "think", "see", "here", "yes", "then", "good", "why", "some", "who",
    "make", "want", "been", "today", "them", "need", "could", "way", "back", "right", "work", "new", "than",
    "tomorrow", "only", "look", "really", "over", "meeting", "should", "after", "said", "much", "where",
    "first", "day", "before", "thanks", "again", "send", "still", "release", "maybe", "even", "room",
    "server", "question", "done", "people", "test", "week", "problem", "build", "morning", "idea", "branch",
    "lunch", "coffee", "deploy", "button", "screen", "design", "review", "customer", "answer", "window",
    "number", "started", "together", "page", "wrong",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_from_before_makes_a_message_smaller() {
        let size = |context| {
            let mut deflate = Deflate::new(context);
            let text = br#"{"symbol":"EURUSD","bid":1.08731,"ask":1.08739}"#;
            deflate.message(text).unwrap();
            deflate.message(text).unwrap().len()
        };
        // Of the second the first is all there is to say.
        assert!(size(Context::Shared) < 16, "{}", size(Context::Shared));
        assert!(size(Context::Alone) > 40, "{}", size(Context::Alone));
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        for context in [Context::Shared, Context::Alone] {
            for corpus in [Corpus::Prices, Corpus::Chat] {
                let case = Case {
                    corpus,
                    transport: Transport::Ws,
                    context,
                    messages: 200,
                };
                let figures = measure(case).unwrap();
                assert!(figures.compressed < figures.plain, "{case}: {figures:?}");
            }
        }
    }
}
