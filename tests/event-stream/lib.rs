//! The event stream format, read as the HTML standard says (sections 9.2.5 and 9.2.6), from pieces that are cut anywhere.
//!
//! For tests alone. It is strict where a browser is not: a stream has to be UTF-8, and a byte order mark at its start, which
//! readers pass over and Dualcast never sends, is noted.

use std::collections::VecDeque;

/// A reader of one stream.
#[derive(Debug, Default)]
pub struct EventStream {
    /// The bytes of the line under way.
    line: Vec<u8>,
    is_after_cr: bool,
    has_begun: bool,
    event: String,
    data: String,
    id: Option<String>,
    last_event_id: String,
    retry: Option<u64>,
    comments: Vec<String>,
    unknown: Vec<String>,
    has_byte_order_mark: bool,
    events: VecDeque<Event>,
}

/// An event, as it is fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type.
    pub event: String,
    /// Its data.
    pub data: String,
    /// The id in its own block. (The standard's `lastEventId` would be that of an earlier block where it has none.)
    pub id: Option<String>,
    /// The lines of its block whose fields the standard doesn't know. It says to ignore them; a reader of its own need not.
    pub unknown: Vec<String>,
}

impl EventStream {
    /// Takes what arrived.
    ///
    /// # Panics
    ///
    /// If a line is not UTF-8.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let is_after_cr = std::mem::replace(&mut self.is_after_cr, byte == b'\r');
            match byte {
                b'\n' if is_after_cr => {}
                b'\r' | b'\n' => self.end_line(),
                _ => self.line.push(byte),
            }
        }
    }

    /// The next event, if it is complete.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// With which id a client would come back.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// After how many milliseconds a client would come back, if the stream has said so.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The comments so far.
    #[must_use]
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    /// Whether the stream began with a byte order mark.
    #[must_use]
    pub fn has_byte_order_mark(&self) -> bool {
        self.has_byte_order_mark
    }

    /// Whether it stands between two blocks: nothing would be lost if the stream ended here.
    #[must_use]
    pub fn is_between_blocks(&self) -> bool {
        self.line.is_empty() && self.event.is_empty() && self.data.is_empty() && self.id.is_none()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut line = std::str::from_utf8(&line).expect("a line is UTF-8");
        if !std::mem::replace(&mut self.has_begun, true) {
            self.has_byte_order_mark = line.starts_with('\u{feff}');
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.comments.push(value.to_owned()),
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                self.retry = value.parse().ok();
            }
            "id" | "retry" => {}
            _ => self.unknown.push(line.to_owned()),
        }
    }

    fn dispatch(&mut self) {
        let id = self.id.take();
        if let Some(id) = &id {
            self.last_event_id.clone_from(id);
        }
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        let unknown = std::mem::take(&mut self.unknown);
        if data.pop().is_none() {
            return;
        }
        let event = if event.is_empty() { "message".into() } else { event };
        self.events.push_back(Event {
            event,
            data,
            id,
            unknown,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: &str, data: &str, id: Option<&str>) -> Event {
        Event {
            event: event.into(),
            data: data.into(),
            id: id.map(Into::into),
            unknown: Vec::new(),
        }
    }

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let mut stream = EventStream::default();
        for piece in pieces {
            stream.feed(piece);
        }
        std::iter::from_fn(|| stream.event()).collect()
    }

    #[test]
    fn the_standards_examples_read_as_it_says() {
        let stocks = b"data: YHOO\ndata: +2\ndata: 10\n\n";
        assert_eq!(read(&[stocks]), [event("message", "YHOO\n+2\n10", None)]);
        let four =
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let expected = [
            event("message", "first event", Some("1")),
            event("message", "second event", Some("")),
            event("message", " third event", None),
        ];
        assert_eq!(read(&[four]), expected);
        let ending = b"data\n\ndata\ndata\n\ndata:";
        assert_eq!(
            read(&[ending]),
            [event("message", "", None), event("message", "\n", None)]
        );
        assert_eq!(
            read(&[b"data:test\n\ndata: test\n\n"]),
            vec![event("message", "test", None); 2]
        );
    }

    #[test]
    fn wherever_the_stream_is_cut_it_reads_the_same() {
        let stream = "\u{feff}retry: 5\r\nid: 1\revent: é\r\ndata: a\r\rdata: 😀\u{2028}\r\n\r\n:c\n\ndata:\u{feff}\n\n";
        let bytes = stream.as_bytes();
        let whole = read(&[bytes]);
        assert_eq!(
            whole,
            [
                event("é", "a", Some("1")),
                event("message", "😀\u{2028}", None),
                event("message", "\u{feff}", None),
            ]
        );
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                assert_eq!(
                    read(&[&bytes[..first], &bytes[first..second], &bytes[second..]]),
                    whole
                );
            }
        }
    }

    #[test]
    fn fields_are_what_the_standard_says() {
        let mut stream = EventStream::default();
        stream.feed(b"id: 1\nid: a\0b\nretry: 10\nretry: 1x\nretry: -1\nretry:\nretry: \xd9\xa1\nunknown: x\n Data: x\n");
        stream.feed(b"event: first\nevent: second \nevent\ndata\ndata::\ndata:  \n\n");
        // The last `event` stands, an empty one is the default; one space behind the colon is no part of a value.
        let mut expected = event("message", "\n:\n ", Some("1"));
        expected.unknown = vec!["unknown: x".into(), " Data: x".into()];
        assert_eq!(stream.event(), Some(expected));
        assert_eq!((stream.retry(), stream.last_event_id()), (Some(10), "1"));
        stream.feed(b"event: only a name\n\ndata: b\n\n: c\n:\n");
        assert_eq!(
            stream.event(),
            Some(event("message", "b", None)),
            "a name alone fires nothing"
        );
        assert_eq!(
            (stream.last_event_id(), stream.comments()),
            ("1", &["c".to_owned(), String::new()][..])
        );
        assert!(stream.is_between_blocks() && !stream.has_byte_order_mark());
    }

    #[test]
    fn an_id_alone_moves_the_cursor_and_fires_nothing() {
        let mut stream = EventStream::default();
        stream.feed(b"id: 7\n\nid: 8\ndata: never ended\n");
        assert_eq!((stream.event(), stream.last_event_id()), (None, "7"));
    }
}
