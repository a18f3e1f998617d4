//! The client's side: it sends what it is told to, reads when it is told to, and remembers every byte.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time;

use super::server::{LONG, Server};
use super::{FINAL, PONG, TEXT};

/// What a client sent that is answered.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// How often each `ref` was sent.
    pub(super) refs: HashMap<String, usize>,
    /// Which `ref` asked to join a channel (true) or to leave it.
    pub(super) asked: HashMap<String, (bool, &'static str)>,
    /// It may have asked for channels that this doesn't tell.
    pub(super) is_wild: bool,
}

pub(super) struct Client {
    socket: DuplexStream,
    heard: Vec<u8>,
    sent: Sent,
    said: usize,
    mask: [u8; 4],
}

impl Client {
    /// Opens a WebSocket, over a connection that holds little.
    pub(super) async fn connect(server: &Server, mask: u8) -> Self {
        let (near, far) = duplex(CONNECTION_BYTES);
        server.serve(far);
        let mut client = Self {
            socket: near,
            heard: Vec::new(),
            sent: Sent::default(),
            said: 0,
            mask: [mask, mask.rotate_left(3), !mask, 0],
        };
        client.send(HANDSHAKE.as_bytes()).await;
        let head_end = loop {
            if let Some(end) = client.heard.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            client.read(1).await;
        };
        assert!(client.heard.starts_with(b"HTTP/1.1 101 "));
        client.heard.drain(..head_end);
        client
    }

    /// Sends bytes, or as many of them as are taken within a moment.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _ = time::timeout(MOMENT, self.socket.write_all(bytes)).await;
    }

    /// Sends a masked frame with this first byte.
    pub(super) async fn send_frame(&mut self, head: u8, payload: &[u8]) {
        self.sent.is_wild |= ["sub", "contr"]
            .iter()
            .any(|part| contains(payload, part.as_bytes()));
        self.note_ref(payload);
        let mut frame = vec![head];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(&self.mask);
        frame.extend(
            payload
                .iter()
                .zip(self.mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        self.send(&frame).await;
    }

    /// Sends a message with a `ref` of its own.
    pub(super) async fn say(&mut self, event: &str, data: &str) {
        self.said += 1;
        let message =
            json!({ "event": event, "data": data, "ref": format!("{REF}{}", self.said) }).to_string();
        self.send_frame(FINAL | TEXT, message.as_bytes()).await;
    }

    /// Asks to join a channel, or to leave it.
    pub(super) async fn ask(&mut self, is_joining: bool, channel: &'static str, id: Option<String>) {
        self.said += 1;
        let reference = Value::from(format!("{REF}{}", self.said));
        let was_wild = self.sent.is_wild;
        self.sent
            .asked
            .insert(reference.to_string(), (is_joining, channel));
        let control = if is_joining { "subscribe" } else { "unsubscribe" };
        let asked = json!({ "control": control, "channel": channel, "id": id, "ref": reference });
        self.send_frame(FINAL | TEXT, asked.to_string().as_bytes()).await;
        self.sent.is_wild = was_wild;
    }

    /// Reads so many bytes, or what comes within a moment.
    pub(super) async fn read(&mut self, count: usize) {
        let mut buffer = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match time::timeout(MOMENT, self.socket.read(&mut buffer[filled..])).await {
                Ok(Ok(read)) if read > 0 => filled += read,
                _ => break,
            }
        }
        self.heard.extend_from_slice(&buffer[..filled]);
    }

    /// Sends no more.
    pub(super) async fn leave(&mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// Vanishes; or leaves, or stays and answers nothing, and reads to the end.
    pub(super) async fn finish(mut self, how: u8) -> (Vec<u8>, Sent) {
        match how % 4 {
            0 => return (self.heard, self.sent),
            1 => self.leave().await,
            2 => self.send_frame(FINAL | PONG, b"").await,
            _ => {}
        }
        let end = time::timeout(LONG, self.socket.read_to_end(&mut self.heard)).await;
        end.expect("the server lets go of a client that says nothing")
            .expect("a pipe does not fail");
        (self.heard, self.sent)
    }

    /// What looks like a message counts as sent, whoever wrote it.
    fn note_ref(&mut self, payload: &[u8]) {
        let head = payload.split(|byte| *byte == b'\n').next().unwrap_or(payload);
        for text in [head, payload] {
            let Ok(Value::Object(fields)) = serde_json::from_slice(text) else {
                continue;
            };
            if let Some(reference) = fields.get("ref") {
                *self.sent.refs.entry(reference.to_string()).or_default() += 1;
                return;
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// How the `ref`s of whole messages begin. What else is answered may have come in fragments.
pub(super) const REF: &str = "said-";

/// Enough for one small frame, and soon full.
const CONNECTION_BYTES: usize = 300;

/// The time of a clock that moves only when nothing else can.
const MOMENT: Duration = Duration::from_millis(50);

/// With the key of RFC 6455 section 1.3.
const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
