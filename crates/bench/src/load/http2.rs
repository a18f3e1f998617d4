//! HTTP/2 as far as event streams need it (RFC 9113, RFC 7541): requests without a body, and the frames that are their answers.
//!
//! The `h2` crate would be a client in earnest, and a thousand of it would be most of what is measured. Windows are those of Chromium.

use anyhow::{Result, ensure};

use super::framing::Control;

/// How much a server may send on a stream before it is told that there is room.
const STREAM_WINDOW: u32 = 6 << 20;
/// The same, on the connection.
const CONNECTION_WINDOW: u32 = 15 << 20;
/// What a connection's window is before anything is said (RFC 9113 section 6.9.2).
const FIRST_WINDOW: u32 = 65_535;
/// After how many bytes a server is told.
const ROOM_EVERY: u32 = 2 << 20;

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// Of DATA and HEADERS.
const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// The number that stands in the frames of a client's stream (RFC 9113 section 5.1.1).
fn number(stream: usize) -> u32 {
    2 * stream as u32 + 1
}

/// What opens a connection and asks for so many streams on it.
pub(crate) fn request(streams: usize, authority: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut settings = Vec::new();
    // SETTINGS_ENABLE_PUSH and SETTINGS_INITIAL_WINDOW_SIZE.
    for (setting, value) in [(2_u16, 0), (4, STREAM_WINDOW)] {
        settings.extend(setting.to_be_bytes());
        settings.extend(value.to_be_bytes());
    }
    bytes.extend(frame(SETTINGS, 0, 0, &settings));
    bytes.extend(window_update(0, CONNECTION_WINDOW - FIRST_WINDOW));
    let fields = fields(authority, path, headers);
    for stream in 0..streams {
        bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, number(stream), &fields));
    }
    bytes
}

/// The request's fields, without a table that grows and without Huffman's code.
fn fields(authority: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    // `:method: GET` and `:scheme: http`, whole in the static table; `:path` and `:authority` have their names there.
    let mut block = vec![0x82, 0x86, 0x04];
    string(&mut block, path);
    block.push(0x01);
    string(&mut block, authority);
    for (name, value) in headers {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

/// A string as it is: its length with a prefix of seven bits (RFC 7541 section 5.1), and its bytes.
fn string(block: &mut Vec<u8>, text: &str) {
    const PREFIX: usize = 0x7f;
    if text.len() < PREFIX {
        block.push(text.len() as u8);
    } else {
        block.push(PREFIX as u8);
        let mut rest = text.len() - PREFIX;
        while rest >= 0x80 {
            block.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        block.push(rest as u8);
    }
    block.extend(text.as_bytes());
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// Whether the heads of so many answers have come. One that is not 200 is an error.
pub(crate) fn is_answered(streams: usize, mut bytes: &[u8]) -> Result<bool> {
    ensure!(!bytes.starts_with(b"HTTP/1."), "the server answered in HTTP/1.1");
    let mut answered = 0;
    while let Some((head, rest)) = Head::read(bytes) {
        let Some(payload) = rest.get(..head.left) else {
            return Ok(false);
        };
        ensure!(head.kind != GOAWAY, "the server speaks no HTTP/2 to us");
        ensure!(head.kind != RST_STREAM, "the server refused the stream");
        if head.kind == HEADERS {
            // `:status: 200` is the eighth of the static table, and stands first.
            ensure!(
                payload.first() == Some(&0x88),
                "the server answered another status than 200"
            );
            answered += 1;
        }
        if answered == streams {
            return Ok(true);
        }
        bytes = &rest[head.left..];
    }
    Ok(false)
}

/// Where a reader of frames stands.
#[derive(Debug)]
pub(crate) struct Http2 {
    /// What came of a frame's head.
    begun: Vec<u8>,
    head: Head,
    /// What came of a frame that isn't data.
    said: Vec<u8>,
    /// How much data came since the server was told that there is room: on the connection, and on each stream.
    taken: u32,
    taken_of: Box<[u32]>,
}

/// A frame's head, and how much of its payload is to come.
#[derive(Debug, Default, Clone, Copy)]
struct Head {
    kind: u8,
    flags: u8,
    stream: u32,
    left: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let [a, b, c, kind, flags, stream @ ..] = *head;
        let head = Self {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            left: u32::from_be_bytes([0, a, b, c]) as usize,
        };
        Some((head, rest))
    }
}

impl Http2 {
    /// With so many streams.
    pub(crate) fn new(streams: usize) -> Self {
        Self {
            begun: Vec::new(),
            head: Head::default(),
            said: Vec::new(),
            taken: 0,
            taken_of: vec![0; streams].into(),
        }
    }

    /// Hands on the payload of each stream, of which the first is 0.
    pub(crate) fn feed(
        &mut self,
        mut piece: &[u8],
        mut payload: impl FnMut(usize, &[u8]),
        mut control: impl FnMut(Control),
    ) -> Result<()> {
        while !piece.is_empty() {
            if self.head.left > 0 {
                let (data, rest) = piece.split_at(self.head.left.min(piece.len()));
                self.head.left -= data.len();
                piece = rest;
                if self.head.kind == DATA {
                    ensure!(self.head.flags & PADDED == 0, "a padded frame");
                    let stream = (self.head.stream / 2) as usize;
                    ensure!(
                        self.head.stream == number(stream) && stream < self.taken_of.len(),
                        "data on a stream that nobody opened"
                    );
                    payload(stream, data);
                    self.take(stream, data.len() as u32, &mut control);
                } else {
                    self.said.extend_from_slice(data);
                }
                if self.head.left == 0 {
                    self.end(&mut control);
                }
                continue;
            }
            let wanted = HEAD_BYTES - self.begun.len();
            let (begun, rest) = piece.split_at(wanted.min(piece.len()));
            self.begun.extend_from_slice(begun);
            piece = rest;
            if let Some((head, _)) = Head::read(&self.begun) {
                self.begun.clear();
                self.said.clear();
                self.head = head;
                if head.left == 0 {
                    self.end(&mut control);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, stream: usize, bytes: u32, control: &mut impl FnMut(Control)) {
        for (number, taken) in [(0, &mut self.taken), (number(stream), &mut self.taken_of[stream])] {
            *taken += bytes;
            if *taken >= ROOM_EVERY {
                control(Control::Answer(window_update(number, *taken)));
                *taken = 0;
            }
        }
    }

    fn end(&mut self, control: &mut impl FnMut(Control)) {
        let Head { kind, flags, .. } = self.head;
        match kind {
            DATA | HEADERS if flags & END_STREAM != 0 => control(Control::End("the stream's end".into())),
            RST_STREAM => control(Control::End("a reset of the stream".into())),
            GOAWAY => control(Control::End("the connection's last word".into())),
            SETTINGS if flags & ACK == 0 => control(Control::Answer(frame(SETTINGS, ACK, 0, &[]))),
            PING if flags & ACK == 0 => control(Control::Answer(frame(PING, ACK, 0, &self.said))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_standard_says() {
        let bytes = request(2, "a.b", "/sse", &[("accept", "x")]);
        let (preface, rest) = bytes.split_at(24);
        assert_eq!(preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let settings = b"\0\0\x0c\x04\0\0\0\0\0\0\x02\0\0\0\0\0\x04\0\x60\0\0";
        let (sent, rest) = rest.split_at(settings.len());
        assert_eq!(sent, settings);
        let (update, rest) = rest.split_at(13);
        assert_eq!(update[..9], *b"\0\0\x04\x08\0\0\0\0\0");
        assert_eq!(
            u32::from_be_bytes(update[9..].try_into().unwrap()),
            (15 << 20) - 65_535
        );
        let fields = b"\x82\x86\x04\x04/sse\x01\x03a.b\0\x06accept\x01x";
        let streams = [1, 3].map(|number| [b"\0\0\x17\x01\x05\0\0\0", &[number][..], fields].concat());
        assert_eq!(rest, streams.concat());
    }

    #[test]
    fn a_long_string_has_its_length_in_several_bytes() {
        let mut block = Vec::new();
        string(&mut block, &"x".repeat(127 + 130));
        assert_eq!(block[..3], [0x7f, 0x82, 0x01]);
        assert_eq!(block.len(), 3 + 257);
    }

    #[test]
    fn a_head_is_known_when_it_is_whole() {
        let mut bytes = frame(SETTINGS, 0, 0, &[0; 6]);
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &[0x88, 0x76]));
        assert!(is_answered(1, &bytes).unwrap());
        bytes.extend(frame(DATA, 0, 1, b"hello"));
        bytes.extend(frame(HEADERS, END_HEADERS, 3, &[0x88]));
        assert!(is_answered(2, &bytes).unwrap());
        for cut in 0..bytes.len() {
            assert!(!is_answered(2, &bytes[..cut]).unwrap(), "cut at {cut}");
        }
        let refused = frame(HEADERS, END_HEADERS, 1, &[0x8d]);
        assert!(is_answered(1, &refused).is_err());
        assert!(is_answered(1, b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
    }

    #[test]
    fn frames_are_joined_wherever_they_are_cut() {
        let mut bytes = frame(SETTINGS, 0, 0, &[0; 6]);
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &[0x88]));
        bytes.extend(frame(DATA, 0, 1, b"hello"));
        bytes.extend(frame(DATA, 0, 3, b"beside"));
        bytes.extend(frame(PING, 0, 0, b"12345678"));
        bytes.extend(frame(SETTINGS, ACK, 0, &[]));
        bytes.extend(frame(DATA, END_STREAM, 1, b" world"));
        for cut in 1..bytes.len() {
            let (mut frames, mut data, mut controls) = (Http2::new(2), [vec![], vec![]], Vec::new());
            for piece in bytes.chunks(cut) {
                let read = frames.feed(
                    piece,
                    |stream, piece| data[stream].extend_from_slice(piece),
                    |said| controls.push(said),
                );
                read.unwrap();
            }
            assert_eq!(data, [&b"hello world"[..], b"beside"], "cut at {cut}");
            let expected = [
                Control::Answer(b"\0\0\0\x04\x01\0\0\0\0".into()),
                Control::Answer(b"\0\0\x08\x06\x01\0\0\0\x0012345678".into()),
                Control::End("the stream's end".into()),
            ];
            assert_eq!(controls, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_comes_on_a_stream_that_nobody_opened_is_an_error() {
        for stream in [0, 2, 5, 1 << 31 | 1] {
            let data = frame(DATA, 0, stream, b"hello");
            assert!(Http2::new(2).feed(&data, |_, _| {}, |_| {}).is_err(), "{stream}");
        }
    }

    #[test]
    fn a_server_is_told_of_room_before_it_has_none() {
        let (mut frames, mut told) = (Http2::new(2), Vec::new());
        let data = frame(DATA, 0, 1, &[b'x'; 16 << 10]);
        // One piece more than that.
        for _ in 0..=ROOM_EVERY / (16 << 10) {
            let told = |said| told.push(said);
            frames.feed(&data, |_, _| {}, told).unwrap();
        }
        assert_eq!(
            told,
            [0, 1].map(|number| Control::Answer(window_update(number, ROOM_EVERY)))
        );
        told.clear();
        // What comes on another stream is the connection's, too.
        let data = frame(DATA, 0, 3, &[b'x'; 16 << 10]);
        for _ in 1..ROOM_EVERY / (16 << 10) {
            frames.feed(&data, |_, _| {}, |said| told.push(said)).unwrap();
        }
        assert_eq!(told, [Control::Answer(window_update(0, ROOM_EVERY))]);
    }
}
