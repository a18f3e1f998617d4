//! Frames of all kinds, as they may be and as they may not, whole and cut anywhere, beside tungstenite's reading of them.

use std::io::{self, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Theirs, WebSocket};

use super::*;

/// A frame of a client, as it may be, and as it may not.
#[derive(Debug, Clone)]
struct Frame {
    head: u8,
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
    /// How many bytes more than it must its length takes.
    length_bytes: usize,
}

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

fn frame(head: u8, payload: &[u8]) -> Frame {
    Frame {
        head,
        mask: Some([0x12, 0xf4, 0, 0x81]),
        payload: payload.to_vec(),
        length_bytes: 0,
    }
}

impl Frame {
    fn bytes(&self) -> Vec<u8> {
        let length = self.payload.len();
        let least = match length {
            ..126 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![self.head];
        match least.max(self.length_bytes) {
            0 => bytes.push(masked | length as u8),
            2 => {
                bytes.push(masked | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        let mask = self.mask.unwrap_or_default();
        bytes.extend(self.mask.iter().flatten());
        bytes.extend(
            self.payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }
}

fn bytes(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::bytes).collect()
}

/// What comes of what a client sends, and all that it is answered, where each answer leaves at once.
#[derive(Debug, Default, PartialEq, Eq)]
struct Story {
    letters: Vec<Letter>,
    answers: Vec<u8>,
    end: Option<CloseReason>,
}

impl Story {
    /// Goes on for as long as there is something. Answers whether anything is to follow.
    fn go_on(&mut self, reader: &mut Reader, mut read: Result<Option<Incoming>, CloseReason>) -> bool {
        loop {
            if let Some(answer) = reader.answer() {
                self.answers.extend_from_slice(answer);
                reader.answered();
            }
            match read {
                Ok(Some(Incoming::Letter(letter))) => self.letters.push(letter),
                Ok(Some(Incoming::Ping)) => {}
                Ok(Some(Incoming::Goodbye)) => self.end = Some(CloseReason::Left),
                Ok(None) => return true,
                Err(reason) => self.end = Some(reason),
            }
            if self.end.is_some() {
                assert!(reader.under_way.is_none(), "nothing is kept behind the end");
                return false;
            }
            read = reader.next();
        }
    }
}

/// Reads bytes that come in pieces of these sizes, over and over. What fits is filled in.
fn story(bytes: &[u8], pieces: &[usize], max_bytes: usize) -> Story {
    let mut reader = Reader::new(max_bytes, &[]);
    let mut story = Story::default();
    let (mut rest, mut pieces) = (bytes, pieces.iter().cycle());
    while !rest.is_empty() {
        let piece = rest.len().min(*pieces.next().unwrap());
        let filled = reader.fill(|room| {
            let piece = piece.min(room.remaining_mut());
            room.put_slice(&rest[..piece]);
            piece
        });
        let read = match filled {
            Some(_) => reader.next(),
            None => reader.handle(&rest[..piece]),
        };
        rest = &rest[filled.unwrap_or(piece)..];
        if !story.go_on(&mut reader, read) {
            break;
        }
        let held = reader.under_way.as_ref().map_or(0, |under_way| {
            let message = under_way.message.as_ref();
            under_way.unread.len() + message.map_or(0, |message| message.bytes.capacity())
        });
        let come = bytes.len() - rest.len();
        assert!(held <= 2 * come, "{held} bytes are held of {come}");
    }
    story
}

fn whole(frames: &[Frame]) -> Story {
    let bytes = bytes(frames);
    story(&bytes, &[bytes.len()], 1_000)
}

fn text(text: &str) -> Letter {
    Letter::Text(text.into())
}

fn end(frames: &[Frame]) -> Option<CloseReason> {
    whole(frames).end
}

#[test]
fn a_reader_holds_nothing_between_messages() {
    let mut reader = Reader::new(1_000, &[]);
    let hello = frame(FIN | TEXT, b"hello").bytes();
    for _ in 0..2 {
        for byte in &hello[..hello.len() - 1] {
            assert_eq!(reader.handle(&[*byte]), Ok(None));
            assert!(reader.under_way.is_some());
        }
        let read = reader.handle(&hello[hello.len() - 1..]);
        assert_eq!(read, Ok(Some(Incoming::Letter(text("hello")))));
        assert!(reader.under_way.is_none());
        assert_eq!(reader.next(), Ok(None));
    }
    let two = hello.repeat(2);
    assert!(matches!(reader.handle(&two), Ok(Some(Incoming::Letter(_)))));
    assert!(reader.under_way.is_some());
    assert!(matches!(reader.next(), Ok(Some(Incoming::Letter(_)))));
    assert!(reader.under_way.is_none());
}

#[test]
fn what_was_read_before_is_read_first() {
    let bytes = bytes(&[frame(FIN | TEXT, b"1"), frame(FIN | BINARY, b"2")]);
    let mut reader = Reader::new(1_000, &bytes[..9]);
    assert_eq!(reader.next(), Ok(Some(Incoming::Letter(text("1")))));
    assert_eq!(reader.next(), Ok(None));
    let two = Letter::Binary(Bytes::from_static(b"2"));
    assert_eq!(reader.handle(&bytes[9..]), Ok(Some(Incoming::Letter(two))));
}

#[test]
fn what_a_head_claims_costs_nothing() {
    let mut reader = Reader::new(1 << 20, &[]);
    let message = Frame {
        mask: Some([0; 4]),
        ..frame(FIN | BINARY, &vec![7; 1 << 20])
    };
    let bytes = message.bytes();
    assert_eq!(reader.handle(&bytes[..14]), Ok(None));
    let held = |reader: &Reader| {
        reader
            .under_way
            .as_ref()
            .unwrap()
            .message
            .as_ref()
            .unwrap()
            .bytes
            .capacity()
    };
    assert_eq!(held(&reader), 0);
    assert_eq!(reader.handle(&bytes[14..114]), Ok(None));
    assert_eq!(held(&reader), 100);
    assert!(
        reader
            .fill(|_| panic!("it is handled, so that nothing is reserved"))
            .is_none()
    );
    assert_eq!(reader.handle(&bytes[114..10_014]), Ok(None));
    assert_eq!(reader.fill(|room| room.put_bytes(7, 1)), Some(()));
    assert_eq!(reader.next(), Ok(None));
    assert!(held(&reader) <= 2 * 10_001);
}

#[test]
fn a_large_message_is_read_where_it_belongs_and_takes_no_more_than_it_must() {
    let long = "é".repeat(50_000);
    let bytes = frame(FIN | TEXT, long.as_bytes()).bytes();
    let mut reader = Reader::new(1 << 20, &[]);
    let (first, mut rest) = bytes.split_at(READ_BYTES + 100);
    assert_eq!(reader.handle(first), Ok(None));
    let mut fills = 0;
    while let Some(filled) = reader.fill(|room| {
        let count = rest.len().min(room.remaining_mut());
        room.put_slice(&rest[..count]);
        count
    }) {
        fills += 1;
        rest = &rest[filled..];
        let read = reader.next().unwrap();
        if let Some(Incoming::Letter(Letter::Text(text))) = read {
            assert_eq!(text, long);
            assert_eq!(text.capacity(), text.len());
        }
    }
    assert!(rest.is_empty() && fills <= 6, "{fills} for {} bytes", bytes.len());
    assert!(reader.under_way.is_none());
}

#[test]
fn a_message_in_tiny_fragments_is_not_copied_for_each() {
    let mut reader = Reader::new(1 << 16, &[]);
    let mut grown = 0;
    let mut capacity = 0;
    for number in 0..60_000 {
        let head = if number == 0 { BINARY } else { CONTINUATION };
        assert_eq!(reader.handle(&frame(head, b"x").bytes()), Ok(None));
        let message = reader.under_way.as_ref().unwrap().message.as_ref().unwrap();
        grown += usize::from(message.bytes.capacity() != capacity);
        capacity = message.bytes.capacity();
    }
    assert!(grown < 20 && capacity <= 1 << 16, "{grown} times, to {capacity}");
}

#[test]
fn control_frames_stand_between_fragments() {
    let told = whole(&[
        frame(TEXT, b"fr\xc3"),
        frame(FIN | PING, b"1"),
        frame(CONTINUATION, b""),
        frame(FIN | PONG, b"unasked"),
        frame(FIN | CONTINUATION, b"\xa9d"),
        frame(FIN | BINARY, b""),
        frame(FIN | PING, &[7; 125]),
        frame(FIN | CLOSE, b"\x03\xe9gone"),
        frame(FIN | TEXT, b"not heard"),
    ]);
    assert_eq!(told.letters, [text("fréd"), Letter::Binary(Bytes::new())]);
    let longest = [&[0x8a, 125][..], &[7; 125]].concat();
    let goodbye = b"\x88\x06\x03\xe9gone".to_vec();
    assert_eq!(told.answers, [vec![0x8a, 1, b'1'], longest, goodbye].concat());
    assert_eq!(told.end, Some(CloseReason::Left));
}

#[test]
fn only_the_newest_ping_is_answered_and_no_ping_behind_a_goodbye() {
    let mut reader = Reader::new(1_000, &[]);
    for payload in [b"1", b"2"] {
        assert_eq!(
            reader.handle(&frame(FIN | PING, payload).bytes()),
            Ok(Some(Incoming::Ping))
        );
    }
    assert_eq!(reader.answer(), Some(&b"\x8a\x012"[..]));
    let last = bytes(&[frame(FIN | CLOSE, b""), frame(FIN | PING, b"3")]);
    assert_eq!(reader.handle(&last), Ok(Some(Incoming::Goodbye)));
    assert_eq!(reader.answer(), Some(&b"\x88\x00"[..]));
}

#[test]
fn rules_that_are_broken_are_told_apart() {
    let unmasked = |frame: Frame| Frame { mask: None, ..frame };
    let protocol = [
        vec![unmasked(frame(FIN | TEXT, b"{}"))],
        vec![unmasked(frame(FIN | TEXT, b""))],
        vec![frame(FIN | 0x40 | TEXT, b"")],
        vec![frame(FIN | 0x20 | PING, b"")],
        vec![frame(FIN | 0x10 | CLOSE, b"")],
        vec![frame(FIN | 3, b"")],
        vec![frame(FIN | 7, b"")],
        vec![frame(FIN | 0xb, b"")],
        vec![frame(FIN | 0xf, b"")],
        vec![frame(PING, b"")],
        vec![frame(CLOSE, b"")],
        vec![frame(FIN | PONG, &[0; 126])],
        vec![frame(FIN | CONTINUATION, b"")],
        vec![frame(TEXT, b""), frame(FIN | TEXT, b"")],
        vec![frame(TEXT, b""), frame(BINARY, b"")],
        vec![
            frame(BINARY, b""),
            frame(FIN | CONTINUATION, b""),
            frame(CONTINUATION, b""),
        ],
        vec![frame(FIN | CLOSE, b"\x03")],
    ];
    for frames in protocol {
        assert_eq!(end(&frames), Some(CloseReason::Protocol), "{frames:?}");
    }
    let not_utf8 = [
        vec![frame(FIN | TEXT, b"\xff")],
        vec![frame(FIN | TEXT, b"\xed\xa0\x80")],
        vec![frame(FIN | TEXT, b"\xf0\x9f")],
        vec![frame(TEXT, b"\xf0\x9f"), frame(CONTINUATION, b"x")],
        vec![frame(TEXT, b"\xf0\x9f"), frame(FIN | CONTINUATION, b"")],
        vec![frame(FIN | CLOSE, b"\x03\xe8\xff")],
    ];
    for frames in not_utf8 {
        assert_eq!(end(&frames), Some(CloseReason::NotUtf8), "{frames:?}");
    }
    let too_large = [
        vec![frame(FIN | BINARY, &[0; 1_001])],
        vec![frame(BINARY, &[0; 600]), frame(FIN | CONTINUATION, &[0; 401])],
        vec![frame(BINARY, &[0; 1_000]), frame(CONTINUATION, &[0; 1])],
    ];
    for frames in too_large {
        assert_eq!(end(&frames), Some(CloseReason::TooLarge));
    }
    let largest = [frame(BINARY, &[0; 600]), frame(FIN | CONTINUATION, &[0; 400])];
    assert_eq!((end(&largest), whole(&largest).letters.len()), (None, 1));
}

#[test]
fn a_head_alone_tells_that_a_message_is_too_large() {
    let cases: [(&[u8], _); 5] = [
        (b"\x82\xfe\x03\xe9....", CloseReason::TooLarge),
        (b"\x82\xff\0\0\0\0\0\0\x03\xe9....", CloseReason::TooLarge),
        (
            b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....",
            CloseReason::TooLarge,
        ),
        // Section 5.2: its first bit has to be 0.
        (b"\x82\xff\x80\0\0\0\0\0\0\x01....", CloseReason::Protocol),
        (b"\x89\xfe\0\x7e....", CloseReason::Protocol),
    ];
    for (head, reason) in cases {
        assert_eq!(story(head, &[1], 1_000).end, Some(reason), "{head:?}");
    }
}

#[test]
fn text_that_can_become_nothing_is_not_waited_for() {
    // Autobahn's cases 6.4: a frame that is not whole yet, and whose newest byte is wrong already.
    let begun = [b"ok\xf4\x90".as_slice(), &[b'x'; 50]].concat();
    let bytes = frame(FIN | TEXT, &begun).bytes();
    let mut reader = Reader::new(1_000, &[]);
    assert_eq!(reader.handle(&bytes[..9]), Ok(None));
    assert_eq!(reader.handle(&bytes[9..10]), Err(CloseReason::NotUtf8));
}

#[test]
fn lengths_may_take_more_bytes_than_they_must() {
    for length_bytes in [2, 8] {
        let long = Frame {
            length_bytes,
            ..frame(FIN | TEXT, b"short")
        };
        assert_eq!(whole(&[long]).letters, [text("short")]);
    }
}

#[test]
fn a_goodbye_with_a_code_that_may_not_be_sent_is_answered_with_what_is_wrong() {
    for code in [
        0_u16, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 2_999, 5_000, 65_535,
    ] {
        let told = whole(&[frame(FIN | CLOSE, &code.to_be_bytes())]);
        assert_eq!(told.end, Some(CloseReason::Left));
        // 1004 is nobody's, and tungstenite takes it for one that is wrong, too.
        assert_eq!(told.answers[2..4], 1_002_u16.to_be_bytes(), "{code}");
    }
    for code in [1_000_u16, 1_003, 1_007, 1_014, 3_000, 4_999] {
        let said = whole(&[frame(FIN | CLOSE, &code.to_be_bytes())]).answers;
        let is_own = said[2..] == code.to_be_bytes();
        assert_eq!(is_own, CloseCode::from(code).is_allowed(), "{code}");
    }
}

#[test]
fn a_mask_goes_on_where_it_stood() {
    let mask = [1, 2, 4, 8];
    let expected: Vec<_> = mask.into_iter().cycle().take(100).collect();
    for first in 0..40 {
        let (mut bytes, mut turned) = ([0; 100], mask);
        let (front, back) = bytes.split_at_mut(first);
        unmask(front, &mut turned);
        unmask(back, &mut turned);
        assert_eq!(bytes[..], expected, "{first}");
    }
}

/// What tungstenite makes of the same bytes.
fn theirs(bytes: &[u8]) -> Story {
    struct Pipe<'a>(&'a [u8], Vec<u8>);

    impl Read for Pipe<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.read(out)
        }
    }

    impl Write for Pipe<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_BYTES))
        .max_frame_size(Some(MAX_BYTES));
    let mut socket = WebSocket::from_raw_socket(Pipe(bytes, Vec::new()), Role::Server, Some(config));
    let mut story = Story::default();
    while story.end.is_none() {
        match socket.read() {
            Ok(Theirs::Text(text)) => story.letters.push(Letter::Text(text.as_str().into())),
            Ok(Theirs::Binary(bytes)) => story.letters.push(Letter::Binary(bytes)),
            Ok(Theirs::Close(_)) => story.end = Some(CloseReason::Left),
            Ok(_) => {}
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break,
            Err(Error::Protocol(_)) => story.end = Some(CloseReason::Protocol),
            Err(Error::Utf8(_)) => story.end = Some(CloseReason::NotUtf8),
            Err(Error::Capacity(_)) => story.end = Some(CloseReason::TooLarge),
            Err(error) => panic!("{error}"),
        }
    }
    let _ = socket.flush();
    story.answers = socket.get_ref().1.clone();
    story
}

const MAX_BYTES: usize = 300;

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        &b"a"[..],
        b"\xc3\xa9",
        b"\xc3",
        b"\xa9",
        b"\xf0\x9f\x98\x80",
        b"\xf0\x9f",
        b"\x98\x80",
        b"\xff",
    ]);
    prop_oneof![
        8 => "[a-zé😀]{0,12}".prop_map(String::into_bytes),
        2 => vec(pieces, 0..6).prop_map(|pieces| pieces.concat()),
        1 => (100_usize..140).prop_map(|count| vec![b'x'; count]),
        1 => (250_usize..310).prop_map(|count| vec![b'y'; count]),
    ]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let head = prop_oneof![
        20 => prop::sample::select(vec![
            FIN | TEXT, FIN | BINARY, TEXT, BINARY, CONTINUATION, CONTINUATION, FIN | CONTINUATION, FIN | CONTINUATION,
            FIN | PING, FIN | PONG,
        ]),
        1 => Just(FIN | CLOSE),
        1 => any::<u8>(),
    ];
    let mask = prop_oneof![20 => any::<[u8; 4]>().prop_map(Some), 1 => Just(None)];
    let length_bytes = prop_oneof![8 => Just(0_usize), 1 => Just(2), 1 => Just(8)];
    (head, mask, payload(), length_bytes).prop_map(|(head, mask, payload, length_bytes)| Frame {
        head,
        mask,
        payload,
        length_bytes,
    })
}

/// A message in fragments, with other things between them: by chance alone these would be rare.
fn fragments() -> impl Strategy<Value = Vec<Frame>> {
    let between = prop::sample::select(vec![FIN | PING, FIN | PONG]);
    (any::<bool>(), vec((payload(), prop::option::of(between)), 1..5)).prop_map(|(is_text, parts)| {
        let last = parts.len() - 1;
        let mut frames = Vec::new();
        for (index, (payload, between)) in parts.into_iter().enumerate() {
            let opcode = match (index, is_text) {
                (0, true) => TEXT,
                (0, false) => BINARY,
                _ => CONTINUATION,
            };
            let fin = if index == last { FIN } else { 0 };
            frames.push(frame(fin | opcode, &payload));
            frames.extend(between.map(|head| frame(head, b"between")));
        }
        frames
    })
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let some = prop_oneof![any_frame().prop_map(|frame| vec![frame]), fragments()];
    vec(some, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn however_bytes_are_cut_the_same_is_read(frames in frames(), pieces in vec(1_usize..40, 1..20)) {
        let bytes = bytes(&frames);
        let whole = story(&bytes, &[bytes.len()], MAX_BYTES);
        prop_assert_eq!(&story(&bytes, &pieces, MAX_BYTES), &whole);
        prop_assert_eq!(&story(&bytes, &[1], MAX_BYTES), &whole);
    }

    #[test]
    fn what_is_read_is_what_tungstenite_reads(frames in frames()) {
        let bytes = bytes(&frames);
        let (mut ours, theirs) = (story(&bytes, &[bytes.len()], MAX_BYTES), theirs(&bytes));
        // We say what is wrong with a goodbye in words of our own.
        let (mut wrong, wrong_to_us) = (Vec::new(), CloseReason::Protocol);
        frame::write_close(wrong_to_us.code(), wrong_to_us.text(), &mut wrong);
        if ours.answers.ends_with(&wrong) {
            ours.answers.truncate(ours.answers.len() - wrong.len());
            frame::write_close(1_002, "Protocol violation", &mut ours.answers);
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_large_message_is_read_however_it_comes(
        length in 0_usize..60_000,
        pieces in vec(prop_oneof![1_usize..200, 1_000_usize..20_000], 1..10),
        fin in any::<bool>(),
    ) {
        let payload: Vec<u8> = (0..length).map(|at| (at * 31) as u8).collect();
        let head = if fin { FIN | BINARY } else { BINARY };
        let mut frames = vec![frame(head, &payload)];
        if !fin {
            frames.extend([frame(FIN | PING, b""), frame(FIN | CONTINUATION, &payload)]);
        }
        frames.push(frame(FIN | TEXT, b"next"));
        let told = story(&bytes(&frames), &pieces, 1 << 20);
        let expected = if fin { payload } else { payload.repeat(2) };
        prop_assert_eq!(told.letters, [Letter::Binary(expected.into()), text("next")]);
    }

    #[test]
    fn garbage_panics_nowhere(bytes in vec(any::<u8>(), 0..300), pieces in vec(1_usize..20, 1..5)) {
        let whole = story(&bytes, &[bytes.len().max(1)], MAX_BYTES);
        let cut = story(&bytes, &pieces, MAX_BYTES);
        prop_assert_eq!(cut, whole);
    }
}
