//! WebSocket frames by hand (RFC 6455 section 5.2): for clients that break the rules, and to hold the server to them.

use std::io;

use crate::http::Http;

/// A WebSocket of which the test writes every byte.
#[derive(Debug)]
pub struct Frames {
    http: Http,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whether it ends its message.
    pub is_final: bool,
    /// What it is.
    pub opcode: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A text message's only frame.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Self::TEXT, text.as_bytes())
    }

    /// A frame that ends its message.
    #[must_use]
    pub fn new(opcode: u8, payload: &[u8]) -> Self {
        Self {
            is_final: true,
            opcode,
            payload: payload.to_vec(),
        }
    }

    /// The same, but its message goes on.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.is_final = false;
        self
    }

    /// The frame as a client has to send it: masked.
    #[must_use]
    pub fn masked(&self) -> Vec<u8> {
        const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
        let mut bytes = vec![u8::from(self.is_final) << 7 | self.opcode];
        match self.payload.len() {
            length @ 0..=125 => bytes.push(0x80 | length as u8),
            length @ 126..=65_535 => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&MASK);
        bytes.extend(
            self.payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }

    /// The code of a close frame.
    #[must_use]
    pub fn close_code(&self) -> u16 {
        assert_eq!(self.opcode, Self::CLOSE, "{self:?}");
        u16::from_be_bytes([self.payload[0], self.payload[1]])
    }

    /// More of the message before.
    pub const CONTINUATION: u8 = 0x0;
    /// Text.
    pub const TEXT: u8 = 0x1;
    /// Bytes.
    pub const BINARY: u8 = 0x2;
    /// Goodbye.
    pub const CLOSE: u8 = 0x8;
    /// Are you there?
    pub const PING: u8 = 0x9;
    /// I am.
    pub const PONG: u8 = 0xa;
}

impl Frames {
    /// Frames on a connection that was upgraded.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.http.send(frame.masked()).await
    }

    /// Sends any bytes.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.http.send(bytes).await
    }

    /// Reads a frame, and holds it to the rules: not masked, nothing reserved, its length in the shortest form, and a control
    /// frame whole and small.
    ///
    /// # Errors
    ///
    /// The socket's, or that it ended before.
    pub async fn next(&mut self) -> io::Result<Frame> {
        let head = self.http.exactly(2).await?;
        let (flags, length) = (head[0], head[1]);
        assert_eq!(flags & 0x70, 0, "nothing is reserved");
        assert_eq!(length & 0x80, 0, "a server masks nothing");
        let length = match length {
            126 => {
                let length = self.http.exactly(2).await?;
                let length = usize::from(u16::from_be_bytes(length.try_into().unwrap()));
                assert!(length > 125);
                length
            }
            127 => {
                let length = self.http.exactly(8).await?;
                let length = u64::from_be_bytes(length.try_into().unwrap()) as usize;
                assert!(length > 65_535);
                length
            }
            length => usize::from(length),
        };
        let frame = Frame {
            is_final: flags & 0x80 != 0,
            opcode: flags & 0xf,
            payload: self.http.exactly(length).await?,
        };
        let is_control = matches!(frame.opcode, Frame::CLOSE | Frame::PING | Frame::PONG);
        let is_data = matches!(frame.opcode, Frame::TEXT | Frame::BINARY);
        assert!(frame.is_final, "nothing is sent in fragments: {frame:?}");
        assert!(is_data || is_control && length <= 125, "{frame:?}");
        Ok(frame)
    }

    /// Reads frames up to the first of a kind, and answers that one.
    ///
    /// # Panics
    ///
    /// If the connection ends before it.
    pub async fn until(&mut self, opcode: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection lasts");
            if frame.opcode == opcode {
                return frame;
            }
        }
    }

    /// Reads all frames until the connection ends, and answers the last; the end has to be in good order.
    ///
    /// # Panics
    ///
    /// If there is none, or the end is a reset.
    pub async fn last(&mut self) -> Frame {
        let mut last = None;
        loop {
            match self.next().await {
                Ok(frame) => last = Some(frame),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "after {last:?}");
                    return last.expect("there was a frame");
                }
            }
        }
    }

    /// The connection.
    #[must_use]
    pub fn into_http(self) -> Http {
        self.http
    }

    /// The connection.
    pub fn http(&mut self) -> &mut Http {
        &mut self.http
    }
}
