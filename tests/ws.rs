//! A WebSocket, heard by a client: tokio-tungstenite, which checks every frame.

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::http::Head;
use crate::io::Io;
use crate::told::{End, Told};

/// A WebSocket.
#[derive(Debug)]
pub(crate) struct WsStream {
    stream: WebSocketStream<Io>,
    pub(crate) head: Head,
    code: Option<u16>,
}

impl WsStream {
    pub(crate) fn new(stream: WebSocketStream<Io>, head: Head) -> Self {
        Self {
            stream,
            head,
            code: None,
        }
    }

    pub(crate) async fn next(&mut self) -> Told {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Told::from_text(&text),
                Some(Ok(Message::Binary(frame))) => return Told::from_binary(&frame),
                Some(Ok(Message::Close(frame))) => {
                    self.code = Some(frame.map_or(NO_CODE, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) if is_cut(&error) => return Told::End(End::Cut),
                Some(Err(error)) => panic!("the server spoke no WebSocket: {error}"),
                None => return Told::End(self.code.map_or(End::Cut, |code| End::Complete(Some(code)))),
            }
        }
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.stream.send(message).await.expect("the message is sent");
    }

    /// Says goodbye. The other side's is still to be heard.
    pub(crate) async fn close(&mut self) {
        self.stream.close(None).await.expect("the goodbye is sent");
    }

    /// Vanishes with a reset, or just closes its socket.
    pub(crate) fn vanish(self, is_reset: bool) {
        self.stream.into_inner().vanish(is_reset);
    }
}

fn is_cut(error: &tungstenite::Error) -> bool {
    matches!(
        error,
        tungstenite::Error::Io(_) | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

/// Stands for a close frame without a code (RFC 6455 section 7.1.5).
const NO_CODE: u16 = 1005;
