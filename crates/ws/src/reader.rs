//! The reader: what a client sends, taken apart into messages, pings and its goodbye (RFC 6455).
//!
//! Plain data, without a socket: bytes go in as they come, and however they were cut the same comes out. While nothing is under way it holds nothing.
//! Of a message that is under way it holds what has come, in at most twice the space: never what a header merely claims.

use std::array;
use std::io::Cursor;
use std::mem;
use std::str;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes};
use dualcast_core::CloseReason;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::frame::{self, Opcode};
use crate::receiver::Letter;

/// How much is read at a time, into a buffer that all connections of a thread have in common: its stack. Most of what clients send is smaller by far; and
/// where a message finds its handler busy, as much as this of what came behind it is kept.
pub(crate) const READ_BYTES: usize = 4 << 10;

/// Takes apart what one client sends.
///
/// First [`next`](Self::next) is asked until it has no more, then new bytes are [handled](Self::handle), or [filled](Self::fill) in.
/// After a goodbye or an error nothing more is to be asked.
pub(crate) struct Reader {
    max_bytes: usize,
    /// Boxed: most clients are silent most of the time.
    under_way: Option<Box<UnderWay>>,
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Letter(Letter),
    /// Its answer is [there](Reader::answer).
    Ping,
    /// A close frame. Its answer, too.
    Goodbye,
}

/// What is not over yet.
#[derive(Default)]
struct UnderWay {
    /// What nobody has looked at: frames behind one that was taken, or the beginning of one. Nothing while a payload is under way.
    unread: Bytes,
    message: Option<Message>,
    /// The frame that answers the newest ping, or the goodbye.
    answer: Vec<u8>,
}

/// A message, as far as it has come.
struct Message {
    is_text: bool,
    bytes: Vec<u8>,
    /// Of a text: how much of it is known to be UTF-8. At most three bytes less than there are.
    valid: usize,
    /// How much of its newest frame is still to come.
    left: usize,
    /// Turned so that its first byte is for the next one.
    mask: [u8; 4],
    /// Whether its newest frame is its last.
    is_final: bool,
}

impl Reader {
    /// For messages of so many bytes at the most, with what was read before there was a reader.
    pub(crate) fn new(max_bytes: usize, read_ahead: &[u8]) -> Self {
        // Copied: as it is, it would keep the whole buffer that hyper read the request into.
        let under_way = UnderWay {
            unread: Bytes::copy_from_slice(read_ahead),
            ..UnderWay::default()
        };
        let mut reader = Self {
            max_bytes,
            under_way: None,
        };
        reader.keep(under_way);
        reader
    }

    /// What there is among the bytes that have come.
    ///
    /// # Errors
    ///
    /// How the client breaks the rules: `Protocol`, `NotUtf8`, `TooLarge`.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, CloseReason> {
        if self.under_way.is_none() {
            return Ok(None);
        }
        self.handle(&[])
    }

    /// Takes bytes that have come, and answers what there is now.
    ///
    /// # Errors
    ///
    /// As [`Reader::next`].
    pub(crate) fn handle(&mut self, fresh: &[u8]) -> Result<Option<Incoming>, CloseReason> {
        // Unboxed meanwhile: what is whole at once, as most is, needs no box.
        let mut under_way = self
            .under_way
            .take()
            .map_or_else(UnderWay::default, |boxed| *boxed);
        let unread = mem::take(&mut under_way.unread);
        let incoming = if unread.is_empty() {
            let mut rest = fresh;
            let incoming = under_way.take(&mut rest, self.max_bytes)?;
            under_way.unread = Bytes::copy_from_slice(rest);
            incoming
        } else {
            let mut unread = match fresh {
                [] => unread,
                fresh => [&unread, fresh].concat().into(),
            };
            let mut rest = &unread[..];
            let incoming = under_way.take(&mut rest, self.max_bytes)?;
            unread.advance(unread.len() - rest.len());
            // Not even an empty end of what was read may keep it.
            under_way.unread = if unread.is_empty() { Bytes::new() } else { unread };
            incoming
        };
        self.keep(under_way);
        Ok(incoming)
    }

    /// Lets more of a large payload be read to where it belongs. None where it is to be [handled](Self::handle).
    pub(crate) fn fill<T>(&mut self, read: impl FnOnce(&mut Limit<&mut Vec<u8>>) -> T) -> Option<T> {
        let message = self.under_way.as_mut()?.message.as_mut()?;
        // Together with what stands behind it a smaller rest takes fewer reads.
        if message.left < READ_BYTES || message.bytes.len() < READ_BYTES {
            return None;
        }
        message.make_room(READ_BYTES, self.max_bytes);
        let begin = message.bytes.len();
        let room = (message.bytes.capacity() - begin).min(message.left);
        let outcome = read(&mut (&mut message.bytes).limit(room));
        message.unmask_from(begin);
        Some(outcome)
    }

    /// The frame that is owed to the client: the answer to the newest ping, as RFC 6455 section 5.5.3 allows, or to its goodbye.
    pub(crate) fn answer(&self) -> Option<&[u8]> {
        let answer = &self.under_way.as_ref()?.answer;
        (!answer.is_empty()).then_some(answer)
    }

    /// It is owed no longer.
    pub(crate) fn answered(&mut self) {
        if let Some(mut under_way) = self.under_way.take() {
            under_way.answer = Vec::new();
            self.under_way = Some(under_way).filter(|under_way| !under_way.is_over());
        }
    }

    fn keep(&mut self, under_way: UnderWay) {
        self.under_way = (!under_way.is_over()).then(|| Box::new(under_way));
    }
}

impl UnderWay {
    fn is_over(&self) -> bool {
        self.unread.is_empty() && self.message.is_none() && self.answer.is_empty()
    }

    /// Takes from the front what belongs together. What is left is the beginning of something.
    fn take(&mut self, bytes: &mut &[u8], max_bytes: usize) -> Result<Option<Incoming>, CloseReason> {
        loop {
            if let Some(message) = &mut self.message {
                message.take(bytes, max_bytes);
                if message.left > 0 || !message.is_final {
                    message.check()?;
                } else if let Some(message) = self.message.take() {
                    return Ok(Some(Incoming::Letter(message.finish()?)));
                }
            }
            if self.message.as_ref().is_some_and(|message| message.left > 0) {
                return Ok(None);
            }
            let Some(head) = Head::parse(bytes, max_bytes)? else {
                return Ok(None);
            };
            match head.opcode {
                OpCode::Control(control) => {
                    let Some(payload) = head.take_control(bytes) else {
                        return Ok(None);
                    };
                    match control {
                        Control::Ping => {
                            self.answer.clear();
                            frame::write(Opcode::Pong, &[&payload], &mut self.answer);
                            return Ok(Some(Incoming::Ping));
                        }
                        Control::Close => {
                            self.answer = goodbye(&payload)?;
                            // Of what is under way nothing is to come.
                            (self.message, *bytes) = (None, &[]);
                            return Ok(Some(Incoming::Goodbye));
                        }
                        _ => {}
                    }
                }
                OpCode::Data(data) => {
                    let mut message = match (data, self.message.take()) {
                        (Data::Continue, Some(message)) => message,
                        (Data::Text, None) => Message::new(true),
                        (Data::Binary, None) => Message::new(false),
                        _ => return Err(CloseReason::Protocol),
                    };
                    if head.length > max_bytes - message.bytes.len() {
                        return Err(CloseReason::TooLarge);
                    }
                    *bytes = &bytes[head.bytes..];
                    (message.left, message.mask, message.is_final) = (head.length, head.mask, head.is_final);
                    self.message = Some(message);
                }
            }
        }
    }
}

/// The head of a frame, of which all is well that can be said without what came before.
struct Head {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    length: usize,
    /// How many bytes it takes itself.
    bytes: usize,
}

impl Head {
    /// None where the bytes end within it.
    fn parse(bytes: &[u8], max_bytes: usize) -> Result<Option<Self>, CloseReason> {
        let mut cursor = Cursor::new(bytes);
        // A reserved opcode.
        let head = FrameHeader::parse(&mut cursor).map_err(|_| CloseReason::Protocol)?;
        let Some((head, length)) = head else {
            return Ok(None);
        };
        // RFC 6455 section 5.2: the first bit of a length is none of it.
        if length > i64::MAX as u64 {
            return Err(CloseReason::Protocol);
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= max_bytes);
        let length = length.ok_or(CloseReason::TooLarge)?;
        let mask = head.mask.ok_or(CloseReason::Protocol)?;
        let is_reserved = head.rsv1 || head.rsv2 || head.rsv3;
        let is_control = matches!(head.opcode, OpCode::Control(_));
        if is_reserved || is_control && (!head.is_final || length > MAX_CONTROL_BYTES) {
            return Err(CloseReason::Protocol);
        }
        Ok(Some(Self {
            opcode: head.opcode,
            is_final: head.is_final,
            mask,
            length,
            bytes: cursor.position() as usize,
        }))
    }

    /// Takes the whole frame, and answers its payload. None where the bytes end within it.
    fn take_control(&self, bytes: &mut &[u8]) -> Option<Vec<u8>> {
        let frame = bytes.split_off(..self.bytes + self.length)?;
        let mut payload = frame[self.bytes..].to_vec();
        let mut mask = self.mask;
        unmask(&mut payload, &mut mask);
        Some(payload)
    }
}

impl Message {
    fn new(is_text: bool) -> Self {
        Self {
            is_text,
            bytes: Vec::new(),
            valid: 0,
            left: 0,
            mask: [0; 4],
            is_final: false,
        }
    }

    /// Takes from the front what belongs to its newest frame.
    fn take(&mut self, bytes: &mut &[u8], max_bytes: usize) {
        let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
        *bytes = rest;
        self.make_room(part.len(), max_bytes);
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(part);
        self.unmask_from(begin);
    }

    /// Room for so many bytes more. Where there is none, for as many as there are already, but no more than may still come: so a message
    /// in many pieces is copied a few times, and one in one piece gets what it takes.
    fn make_room(&mut self, more: usize, max_bytes: usize) {
        let length = self.bytes.len();
        if self.bytes.capacity() - length < more {
            let may_come = if self.is_final {
                self.left
            } else {
                max_bytes - length
            };
            self.bytes.reserve_exact(more.max(length).min(may_come));
        }
    }

    /// What has come from there on belongs to its newest frame.
    fn unmask_from(&mut self, begin: usize) {
        let part = &mut self.bytes[begin..];
        self.left -= part.len();
        unmask(part, &mut self.mask);
    }

    /// Looks at what has come of a text, so that one that can't become UTF-8 any more is not waited for.
    fn check(&mut self) -> Result<(), CloseReason> {
        if !self.is_text {
            return Ok(());
        }
        let unchecked = &self.bytes[self.valid..];
        match str::from_utf8(unchecked) {
            Ok(_) => self.valid = self.bytes.len(),
            // It may still become a character.
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return Err(CloseReason::NotUtf8),
        }
        Ok(())
    }

    fn finish(self) -> Result<Letter, CloseReason> {
        if !self.is_text {
            return Ok(Letter::Binary(self.bytes.into()));
        }
        let text = String::from_utf8(self.bytes).map_err(|_| CloseReason::NotUtf8)?;
        Ok(Letter::Text(text))
    }
}

/// The close frame that answers one with this payload: with the same, or with what is wrong with it.
fn goodbye(payload: &[u8]) -> Result<Vec<u8>, CloseReason> {
    let mut answer = Vec::new();
    let code = match payload {
        [] => None,
        [_] => return Err(CloseReason::Protocol),
        [first, second, text @ ..] => {
            str::from_utf8(text).map_err(|_| CloseReason::NotUtf8)?;
            Some(u16::from_be_bytes([*first, *second]))
        }
    };
    if code.is_none_or(|code| CloseCode::from(code).is_allowed()) {
        frame::write(Opcode::Close, &[payload], &mut answer);
    } else {
        let wrong = CloseReason::Protocol;
        frame::write_close(wrong.code(), wrong.text(), &mut answer);
    }
    Ok(answer)
}

/// RFC 6455 section 5.3. The mask is turned on by as many bytes.
fn unmask(bytes: &mut [u8], mask: &mut [u8; 4]) {
    const BLOCK: usize = 16;
    let wide: [u8; BLOCK] = array::from_fn(|at| mask[at % mask.len()]);
    let (blocks, rest) = bytes.as_chunks_mut::<BLOCK>();
    let apply = |bytes: &mut [u8]| bytes.iter_mut().zip(wide).for_each(|(byte, mask)| *byte ^= mask);
    blocks.iter_mut().for_each(|block| apply(block));
    apply(rest);
    let turned = rest.len() % mask.len();
    mask.rotate_left(turned);
}

/// RFC 6455 section 5.5.
const MAX_CONTROL_BYTES: usize = 125;

#[cfg(test)]
mod tests;
