//! What a transport puts around its payload, taken off again: as little as counting needs.

use anyhow::{Result, bail, ensure};

use super::http2::Http2;

/// What a server says to the generator itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Something that asks for these bytes back: a ping, say.
    Answer(Vec<u8>),
    /// The end, in good order.
    End(String),
}

/// The framing of a stream from a server, wherever it is cut into pieces.
#[derive(Debug)]
pub(crate) enum Framing {
    /// HTTP's chunks, RFC 9112 section 7.1.
    Chunked(Chunked),
    /// A body that ends with its connection.
    Plain,
    /// Frames of RFC 6455 section 5.2.
    WebSocket(Frames),
    /// Frames of RFC 9113 section 4.
    Http2(Http2),
}

impl Framing {
    /// Takes the framing off a piece. What is left is handed on in order, with the number of its stream: 0 where a connection has but one.
    pub(crate) fn feed(
        &mut self,
        piece: &[u8],
        mut payload: impl FnMut(usize, &[u8]),
        control: impl FnMut(Control),
    ) -> Result<()> {
        match self {
            Self::Chunked(chunked) => chunked.feed(piece, |data| payload(0, data), control),
            Self::Plain => {
                payload(0, piece);
                Ok(())
            }
            Self::WebSocket(frames) => frames.feed(piece, |data| payload(0, data), control),
            Self::Http2(frames) => frames.feed(piece, payload, control),
        }
    }
}

/// Where a reader of chunks stands.
#[derive(Debug, Default)]
pub(crate) enum Chunked {
    /// In a chunk's size, of which this much is read.
    Size(usize),
    /// Behind the size, before its line's end.
    #[default]
    Start,
    /// In a chunk extension, which says nothing to us.
    Extension(usize),
    /// In a chunk: so many bytes are left of it.
    Data(usize),
    /// Behind the last chunk.
    Over,
}

impl Chunked {
    fn feed(
        &mut self,
        mut piece: &[u8],
        mut payload: impl FnMut(&[u8]),
        mut control: impl FnMut(Control),
    ) -> Result<()> {
        while let Some((byte, rest)) = piece.split_first() {
            match *self {
                Self::Data(left) => {
                    let (data, rest) = piece.split_at(left.min(piece.len()));
                    payload(data);
                    piece = rest;
                    *self = if data.len() == left {
                        Self::Start
                    } else {
                        Self::Data(left - data.len())
                    };
                    continue;
                }
                // The line's end behind the chunk before.
                Self::Start if matches!(byte, b'\r' | b'\n') => {}
                Self::Start => *self = Self::Size(digit(*byte)?),
                Self::Size(size) | Self::Extension(size) if *byte == b'\n' => {
                    *self = if size == 0 { Self::Over } else { Self::Data(size) };
                    if size == 0 {
                        control(Control::End("the body's end".into()));
                    }
                }
                Self::Size(_) if *byte == b'\r' => {}
                Self::Size(size) if *byte == b';' => *self = Self::Extension(size),
                Self::Size(size) => {
                    ensure!(size < 1 << 24, "a chunk of {size:x} and more bytes");
                    *self = Self::Size(size << 4 | digit(*byte)?);
                }
                Self::Extension(_) | Self::Over => {}
            }
            piece = rest;
        }
        Ok(())
    }
}

fn digit(byte: u8) -> Result<usize> {
    match char::from(byte).to_digit(16) {
        Some(digit) => Ok(digit as usize),
        None => bail!("no chunk size begins with {:?}", char::from(byte)),
    }
}

/// Where a reader of frames stands.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// What came of a frame's head.
    head: Vec<u8>,
    /// So many bytes are left of the frame.
    left: usize,
    /// What came of a control frame, which has at most 125 bytes.
    said: Vec<u8>,
    opcode: u8,
}

const CLOSE: u8 = 8;
const PING: u8 = 9;
/// The longest head of a frame that isn't masked, in bytes.
const MAX_HEAD: usize = 10;

impl Frames {
    fn feed(
        &mut self,
        mut piece: &[u8],
        mut payload: impl FnMut(&[u8]),
        mut control: impl FnMut(Control),
    ) -> Result<()> {
        while !piece.is_empty() {
            if self.left > 0 {
                let (data, rest) = piece.split_at(self.left.min(piece.len()));
                self.take(data, &mut payload, &mut control);
                piece = rest;
                continue;
            }
            // Mostly a head comes whole; then nothing is copied.
            if self.head.is_empty()
                && let Some((head, rest)) = Head::read(piece)?
            {
                self.begin(&head, &mut control);
                piece = rest;
                continue;
            }
            self.head.push(piece[0]);
            piece = &piece[1..];
            if let Some((head, _)) = Head::read(&self.head)? {
                self.head.clear();
                self.begin(&head, &mut control);
            }
        }
        Ok(())
    }

    fn begin(&mut self, head: &Head, control: &mut impl FnMut(Control)) {
        self.opcode = head.opcode;
        self.left = head.length;
        self.said.clear();
        if self.left == 0 {
            self.end(control);
        }
    }

    fn take(&mut self, data: &[u8], payload: &mut impl FnMut(&[u8]), control: &mut impl FnMut(Control)) {
        self.left -= data.len();
        if self.opcode >= CLOSE {
            self.said.extend_from_slice(data);
        } else {
            payload(data);
        }
        if self.left == 0 {
            self.end(control);
        }
    }

    fn end(&mut self, control: &mut impl FnMut(Control)) {
        match self.opcode {
            PING => control(Control::Answer(pong(&self.said))),
            CLOSE => control(Control::End(close_frame(&self.said))),
            _ => {}
        }
    }
}

struct Head {
    opcode: u8,
    length: usize,
}

impl Head {
    /// Reads a frame's head. None if it isn't whole yet.
    fn read(bytes: &[u8]) -> Result<Option<(Self, &[u8])>> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        ensure!(second & 0x80 == 0, "a frame from the server is masked");
        let (length, rest) = match second {
            126 => match rest.split_first_chunk::<2>() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            short => (u64::from(*short), rest),
        };
        let opcode = first & 0x0f;
        ensure!(
            opcode < CLOSE || length <= 125,
            "a control frame of {length} bytes"
        );
        debug_assert!(bytes.len() - rest.len() <= MAX_HEAD);
        let length = usize::try_from(length)?;
        Ok(Some((Self { opcode, length }, rest)))
    }
}

fn close_frame(said: &[u8]) -> String {
    match said.split_first_chunk::<2>() {
        Some((code, text)) => {
            let code = u16::from_be_bytes(*code);
            format!("a close frame, {code} {}", String::from_utf8_lossy(text))
        }
        None => "a close frame".into(),
    }
}

/// A pong from a client. Its mask is zero: no proxy stands between us and the server that could be fooled.
fn pong(said: &[u8]) -> Vec<u8> {
    masked(0x8a, said)
}

/// A text message from a client.
pub(crate) fn text(text: &str) -> Vec<u8> {
    masked(0x81, text.as_bytes())
}

fn masked(first: u8, said: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(said.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | length as u8),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((said.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(said);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a stream that is cut after every so many bytes.
    fn read(mut framing: Framing, stream: &[u8], cut: usize) -> (Vec<u8>, Vec<Control>) {
        let (mut data, mut controls) = (Vec::new(), Vec::new());
        for piece in stream.chunks(cut) {
            let read = framing.feed(
                piece,
                |_, piece| data.extend_from_slice(piece),
                |said| controls.push(said),
            );
            read.unwrap();
        }
        (data, controls)
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_cut() {
        let stream = b"5\r\nhello\r\n1a;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";
        for cut in 1..stream.len() {
            let (data, controls) = read(Framing::Chunked(Chunked::default()), stream, cut);
            assert_eq!(data, b"helloabcdefghijklmnopqrstuvwxyz", "cut at {cut}");
            assert_eq!(controls, [Control::End("the body's end".into())]);
        }
    }

    #[test]
    fn frames_are_joined_wherever_they_are_cut() {
        let mut stream = b"\x81\x05hello\x89\x02hi\x8a\x00\x82\x7e\x01\x00".to_vec();
        stream.extend([b'x'; 256]);
        stream.extend(b"\x88\x06\x03\xe9away");
        for cut in 1..stream.len() {
            let (data, controls) = read(Framing::WebSocket(Frames::default()), &stream, cut);
            assert_eq!(
                data,
                [b"hello".to_vec(), vec![b'x'; 256]].concat(),
                "cut at {cut}"
            );
            let expected = [
                Control::Answer(pong(b"hi")),
                Control::End("a close frame, 1001 away".into()),
            ];
            assert_eq!(controls, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_breaks_the_framing_is_an_error() {
        let garbage = |mut framing: Framing, bytes: &[u8]| framing.feed(bytes, |_, _| {}, |_| {}).is_err();
        assert!(garbage(Framing::Chunked(Chunked::default()), b"data: x"));
        assert!(garbage(Framing::WebSocket(Frames::default()), b"\x81\x80mask"));
        assert!(garbage(
            Framing::WebSocket(Frames::default()),
            b"\x89\x7e\x01\x00"
        ));
    }

    #[test]
    fn a_clients_frame_has_its_length_in_the_shortest_form() {
        assert_eq!(pong(b"hi"), b"\x8a\x82\0\0\0\0hi");
        assert_eq!(text(&"x".repeat(300))[..4], [0x81, 0xfe, 0x01, 0x2c]);
    }
}
