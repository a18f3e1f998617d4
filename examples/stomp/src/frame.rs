//! Frames: a command, headers, a body, and a NUL behind it (STOMP 1.2, "STOMP Frames").
//!
//! A frame may come in pieces, and several in one WebSocket message. Beside that message no more than one frame is kept.

use std::fmt;

/// The largest frame, in bytes. 64 KiB: as much as a WebSocket message may have by default, so that only a client that cuts its
/// frames to pieces gets to it.
const MAX_FRAME_BYTES: usize = 64 << 10;

const TOO_LARGE: Malformed = Malformed("a frame has at most 65536 bytes");

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// Also what CONNECT and CONNECTED are written in, whatever is spoken later: nothing in a header is escaped.
    V1_0,
    V1_1,
    V1_2,
}

impl Version {
    pub(crate) const ALL: &str = "1.0,1.1,1.2";

    /// The newest of those that a client accepts. One that names none knows 1.0 alone.
    pub(crate) fn choose(accepted: Option<&str>) -> Option<Self> {
        let parse = |version: &str| match version.trim() {
            "1.0" => Some(Self::V1_0),
            "1.1" => Some(Self::V1_1),
            "1.2" => Some(Self::V1_2),
            _ => None,
        };
        accepted.unwrap_or("1.0").split(',').filter_map(parse).max()
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// How a character of a header is escaped.
    fn escape(self, c: char) -> Option<&'static str> {
        match c {
            '\\' if self > Self::V1_0 => Some("\\\\"),
            '\n' if self > Self::V1_0 => Some("\\n"),
            ':' if self > Self::V1_0 => Some("\\c"),
            '\r' if self > Self::V1_1 => Some("\\r"),
            // What this version can't say must not end the line.
            '\n' | '\r' | '\0' => Some(" "),
            _ => None,
        }
    }

    fn unescape(self, text: &str) -> Result<String, Malformed> {
        if self == Self::V1_0 {
            return Ok(text.to_owned());
        }
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            out.push(match (c, (c == '\\').then(|| chars.next()).flatten()) {
                ('\\', Some('n')) => '\n',
                ('\\', Some('c')) => ':',
                ('\\', Some('\\')) => '\\',
                ('\\', Some('r')) if self > Self::V1_1 => '\r',
                ('\\', _) => return Err(Malformed("a header has an escape that there is not")),
                _ => c,
            });
        }
        Ok(out)
    }
}

/// Why what came is no frame. Nothing that follows can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) command: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Gives it a body, and with it the length: so a body may have NULs.
    pub(crate) fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = body.to_owned();
        self.with("content-type", content_type)
            .with("content-length", body.len())
    }

    /// A header. Of several with one name the first counts ("Repeated Header Entries").
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn encode(&self, version: Version) -> Vec<u8> {
        let mut head = format!("{}\n", self.command);
        for (name, value) in &self.headers {
            for (text, end) in [(name, ':'), (value, '\n')] {
                for c in text.chars() {
                    match version.escape(c) {
                        Some(escaped) => head.push_str(escaped),
                        None => head.push(c),
                    }
                }
                head.push(end);
            }
        }
        head.push('\n');
        [head.as_bytes(), &self.body, b"\0"].concat()
    }

    fn parse_head(head: &[u8], version: Version) -> Result<Self, Malformed> {
        let head = std::str::from_utf8(head).map_err(|_| Malformed("a header is not UTF-8"))?;
        if head.contains('\0') {
            return Err(Malformed("a frame ends within its headers"));
        }
        let mut lines = head
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut frame = Self::new(lines.next().unwrap_or_default());
        let version = match &*frame.command {
            "CONNECT" | "CONNECTED" => Version::V1_0,
            _ => version,
        };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Malformed("a header has no colon"))?;
            frame
                .headers
                .push((version.unescape(name)?, version.unescape(value)?));
        }
        Ok(frame)
    }

    fn content_length(&self) -> Result<Option<usize>, Malformed> {
        let length = self.header("content-length").map(str::parse);
        length
            .transpose()
            .map_err(|_| Malformed("content-length is not a number"))
    }
}

/// Frames out of what a client sends.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) version: Version,
    received: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            version,
            received: Vec::new(),
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The next frame that is whole.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        // Line ends between frames are heart-beats.
        let beats = self.received.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
        let beats = beats.count();
        self.received.drain(..beats);
        let Some((frame, end)) = self.parse()? else {
            if self.received.len() > MAX_FRAME_BYTES {
                return Err(TOO_LARGE);
            }
            return Ok(None);
        };
        self.received.drain(..end);
        Ok(Some(frame))
    }

    /// A frame, and where it ends.
    fn parse(&self) -> Result<Option<(Frame, usize)>, Malformed> {
        let Some((head_end, body_start)) = find_body(&self.received) else {
            return Ok(None);
        };
        let mut frame = Frame::parse_head(&self.received[..head_end], self.version)?;
        let rest = &self.received[body_start..];
        let length = match frame.content_length()? {
            Some(length) if length > MAX_FRAME_BYTES => {
                return Err(TOO_LARGE);
            }
            Some(length) => length,
            None => match rest.iter().position(|byte| *byte == 0) {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        match rest.get(length) {
            None => return Ok(None),
            Some(0) => {}
            Some(_) => return Err(Malformed("no NUL stands behind the body")),
        }
        frame.body = rest[..length].to_owned();
        Ok(Some((frame, body_start + length + 1)))
    }
}

/// Where the headers end, and where the body begins: around the first empty line.
fn find_body(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut line_ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    line_ends.find_map(|(at, _)| match &bytes[at + 1..] {
        [b'\n', ..] => Some((at, at + 2)),
        [b'\r', b'\n', ..] => Some((at, at + 3)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8], version: Version) -> Result<Option<Frame>, Malformed> {
        let mut decoder = Decoder::new(version);
        decoder.feed(bytes);
        decoder.next()
    }

    #[test]
    fn a_frame_is_read_with_either_line_end_and_heart_beats_around_it() {
        let expected = Frame::new("SEND").with("destination", "/topic/a").with("x", "1");
        for text in [
            "SEND\ndestination:/topic/a\nx:1\n\nhi\0",
            "\n\r\nSEND\r\ndestination:/topic/a\r\nx:1\r\n\r\nhi\0",
        ] {
            let frame = decode(text.as_bytes(), Version::V1_2).unwrap().unwrap();
            assert_eq!(frame.headers, expected.headers);
            assert_eq!((&*frame.command, &*frame.body), ("SEND", &b"hi"[..]));
        }
        assert_eq!(decode(b"\n\r\n\n", Version::V1_2), Ok(None));
    }

    #[test]
    fn a_body_with_a_nul_needs_its_length() {
        let frame = decode(b"SEND\ncontent-length:3\n\na\0b\0", Version::V1_2)
            .unwrap()
            .unwrap();
        assert_eq!(frame.body, b"a\0b");
    }

    #[test]
    fn of_a_header_that_comes_twice_the_first_counts() {
        let frame = decode(b"SEND\na:1\na:2\n\n\0", Version::V1_2).unwrap().unwrap();
        assert_eq!(frame.header("a"), Some("1"));
    }

    #[test]
    fn headers_are_escaped_as_each_version_knows_it() {
        let frame = Frame::new("MESSAGE").with("a:b", "\\\r\n:");
        for (version, written) in [
            (Version::V1_0, "MESSAGE\na:b:\\  :\n\n\0"),
            (Version::V1_1, "MESSAGE\na\\cb:\\\\ \\n\\c\n\n\0"),
            (Version::V1_2, "MESSAGE\na\\cb:\\\\\\r\\n\\c\n\n\0"),
        ] {
            assert_eq!(String::from_utf8(frame.encode(version)).unwrap(), written);
        }
        let read = |text: &[u8], version| decode(text, version).map(|frame| frame.unwrap().headers);
        assert_eq!(
            read(b"SEND\na:\\r\\n\\c\\\\\n\n\0", Version::V1_2).unwrap()[0].1,
            "\r\n:\\"
        );
        assert_eq!(read(b"SEND\na:\\t\n\n\0", Version::V1_0).unwrap()[0].1, "\\t");
        assert_eq!(read(b"CONNECT\na:\\t\n\n\0", Version::V1_2).unwrap()[0].1, "\\t");
        for (text, version) in [
            (&b"SEND\na:\\t\n\n\0"[..], Version::V1_2),
            (b"SEND\na:\\\n\n\0", Version::V1_2),
            (b"SEND\na:\\r\n\n\0", Version::V1_1),
        ] {
            read(text, version).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for text in [
            &b"SEND\nno colon\n\n\0"[..],
            b"SEND\n\xff:a\n\n\0",
            b"SEND\0SEND\n\n\0",
            b"SEND\ncontent-length:x\n\n\0",
            b"SEND\ncontent-length:-1\n\n\0",
            b"SEND\ncontent-length:1\n\nabc\0",
            b"SEND\ncontent-length:18446744073709551615\n\n",
            &[b'A'; MAX_FRAME_BYTES + 1],
        ] {
            decode(text, Version::V1_2).unwrap_err();
        }
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        assert_eq!(Version::choose(None), Some(Version::V1_0));
        assert_eq!(Version::choose(Some("1.1, 1.0,1.3")), Some(Version::V1_1));
        assert_eq!(Version::choose(Some("1.2,1.1")), Some(Version::V1_2));
        assert_eq!(Version::choose(Some("2.0")), None);
    }

    fn frames() -> impl Strategy<Value = Frame> {
        let name = "[^\0]{1,8}".prop_filter("it is not ours", |name| !name.starts_with("content-"));
        let headers = vec((name, "[^\0]{0,12}"), 0..4);
        let body = vec(any::<u8>(), 0..40);
        ("[A-Z]{1,8}", headers, body)
            .prop_filter("they are never escaped", |(command, ..)| {
                !command.starts_with("CONNECT")
            })
            .prop_map(|(command, headers, body)| {
                let frame = Frame {
                    command,
                    headers,
                    body: Vec::new(),
                };
                frame.body("x/y", &body)
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_however_it_is_cut(
            sent in vec(frames(), 1..4),
            lengths in vec(1_usize..30, 1..20),
        ) {
            let bytes: Vec<u8> = sent.iter().flat_map(|frame| frame.encode(Version::V1_2)).collect();
            let mut decoder = Decoder::new(Version::V1_2);
            let (mut rest, mut read) = (&bytes[..], Vec::new());
            for length in lengths.iter().cycle() {
                let (piece, left) = rest.split_at((*length).min(rest.len()));
                decoder.feed(piece);
                while let Some(frame) = decoder.next().unwrap() {
                    read.push(frame);
                }
                rest = left;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read, sent);
            prop_assert!(decoder.received.is_empty());
        }

        #[test]
        fn nothing_that_a_client_sends_makes_it_panic(bytes in vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(Version::V1_2);
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        }
    }
}
