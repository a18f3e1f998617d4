//! The event stream format, read as the HTML standard says (section 9.2.6), from pieces that are cut anywhere.

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

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut line = std::str::from_utf8(&line).expect("a line is UTF-8");
        if !std::mem::replace(&mut self.has_begun, true) {
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
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let id = self.id.take();
        if let Some(id) = &id {
            self.last_event_id.clone_from(id);
        }
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        if data.pop().is_none() {
            return;
        }
        let event = if event.is_empty() { "message".into() } else { event };
        self.events.push_back(Event { event, data, id });
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
    fn an_id_alone_moves_the_cursor_and_fires_nothing() {
        let mut stream = EventStream::default();
        stream.feed(b"id: 7\n\nid: 8\ndata: never ended\n");
        assert_eq!((stream.event(), stream.last_event_id()), (None, "7"));
    }
}
