//! A client: one interface over both transports.

use std::collections::VecDeque;
use std::time::Duration;

use dualcast::{Position, Transport};
use dualcast_event_stream::EventStream;
use serde_json::Value;
use tokio::time;
use tokio_tungstenite::tungstenite::Message;

use crate::http::Head;
use crate::sse::SseStream;
use crate::told::{Data, End, Told};
use crate::ws::WsStream;

/// A client that reads when it is asked to, and never by itself.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    opening: Option<Told>,
    last_id: Option<String>,
    /// Whether it came back, and waits for the heartbeat that says that it has all it missed.
    is_catching_up: bool,
    /// Read already, but passed over.
    waiting: VecDeque<Told>,
    /// The last that it heard, to show when a test fails.
    heard: VecDeque<String>,
}

#[derive(Debug)]
pub(crate) enum Stream {
    Sse(Box<SseStream>),
    Ws(Box<WsStream>),
}

impl Client {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            opening: None,
            last_id: None,
            is_catching_up: false,
            waiting: VecDeque::new(),
            heard: VecDeque::new(),
        }
    }

    /// Passes over the next heartbeat, which says that it has all that it missed, and holds it to that: no test of anything else has to
    /// know of it.
    pub fn catching_up(&mut self) {
        self.is_catching_up = true;
    }

    /// Reads the opening, which has to come first and to name the position from which the stream follows.
    pub(crate) async fn open(mut self) -> Self {
        let opening = self.next().await;
        let is_opening = matches!(&opening, Told::Opening { id: Some(_), .. });
        assert!(is_opening, "expected the opening, not {opening:?}");
        self.opening = Some(opening);
        self
    }

    /// The first that it was told.
    pub fn opening(&self) -> &Told {
        self.opening.as_ref().expect("the opening was read")
    }

    /// Its transport.
    pub fn transport(&self) -> Transport {
        match &self.stream {
            Stream::Sse(_) => Transport::Sse,
            Stream::Ws(_) => Transport::WebSocket,
        }
    }

    /// The last id that it saw: its cursor.
    pub fn last_id(&self) -> &str {
        self.last_id.as_deref().expect("it has seen an id")
    }

    /// The last id that it saw, read.
    pub fn position(&self) -> Position {
        self.last_id().parse().expect("an id is a position")
    }

    /// The next thing that it is told.
    pub async fn next(&mut self) -> Told {
        if let Some(told) = self.waiting.pop_front() {
            return told;
        }
        let told = self.hear().await;
        let is_awaited = self.is_catching_up && matches!(&told, Told::Heartbeat { id: Some(_), .. });
        if !is_awaited {
            return told;
        }
        self.is_catching_up = false;
        self.hear().await
    }

    async fn hear(&mut self) -> Told {
        let next = async {
            match &mut self.stream {
                Stream::Sse(stream) => stream.next().await,
                Stream::Ws(stream) => stream.next().await,
            }
        };
        let Ok(told) = time::timeout(STEP, next).await else {
            panic!("nothing came for {STEP:?}; before that: {:#?}", self.heard);
        };
        if let Some(id) = told.id() {
            self.last_id = Some(id.to_owned());
        }
        if self.heard.len() == HEARD {
            self.heard.pop_front();
        }
        let short: String = format!("{told:?}").chars().take(300).collect();
        self.heard.push_back(short);
        told
    }

    /// The next thing that it is told but for signs of life.
    pub async fn next_but_heartbeats(&mut self) -> Told {
        loop {
            let told = self.next().await;
            if !matches!(told, Told::Heartbeat { .. }) {
                return told;
            }
        }
    }

    /// The next `count` things that it is told.
    pub async fn take(&mut self, count: usize) -> Vec<Told> {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(self.next().await);
        }
        all
    }

    /// The texts of the next `count` things, which have to be messages.
    pub async fn texts(&mut self, count: usize) -> Vec<String> {
        let told = self.take(count).await;
        told.iter().map(|told| told.text().to_owned()).collect()
    }

    /// All that it is told until a message with this text, and that message.
    pub async fn until_text(&mut self, text: &str) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            let told = self.next().await;
            assert!(
                !matches!(told, Told::End(_)),
                "the end came before {text:?}: {:#?}",
                self.heard
            );
            let is_last = matches!(&told, Told::Message { data: Data::Text(found), .. } if found == text);
            all.push(told);
            if is_last {
                return all;
            }
        }
    }

    /// All that it is told until the connection ends, but for that, and how it ended.
    pub async fn until_end(&mut self) -> (Vec<Told>, End) {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Told::End(end) => return (all, end),
                told => all.push(told),
            }
        }
    }

    /// The closing that comes next, by its reason and whether to come back; and the end in good order after it.
    pub async fn closing(&mut self) -> (String, bool) {
        let told = self.next_but_heartbeats().await;
        let Told::Closing {
            reason,
            code,
            reconnect,
            retry,
            message,
        } = told
        else {
            panic!("expected a closing, not {told:?}");
        };
        assert!(!message.is_empty());
        assert_eq!(retry.is_some(), reconnect, "who should come back is told when");
        let expected = match self.transport() {
            Transport::Sse => End::Complete(None),
            Transport::WebSocket => End::Complete(Some(code)),
        };
        assert_eq!(self.next().await, Told::End(expected), "after the closing");
        (reason, reconnect)
    }

    /// The next answer to an inbound message. What comes before it is read afterwards.
    pub async fn answer(&mut self) -> Told {
        let mut passed = VecDeque::new();
        let answer = loop {
            match self.next().await {
                answer @ (Told::Reply { .. } | Told::Error { .. }) => break answer,
                Told::End(end) => panic!("the end came before the answer: {end:?}"),
                told => passed.push_back(told),
            }
        };
        passed.append(&mut self.waiting);
        self.waiting = passed;
        answer
    }

    /// Sends a text message. Only by WebSocket.
    pub async fn send(&mut self, message: &Value) {
        self.ws().send(Message::text(message.to_string())).await;
    }

    /// Sends a text message and reads its answer. Only by WebSocket.
    pub async fn ask(&mut self, message: &Value) -> Told {
        self.send(message).await;
        self.answer().await
    }

    /// Sends any message. Only by WebSocket.
    pub async fn send_message(&mut self, message: Message) {
        self.ws().send(message).await;
    }

    /// Says goodbye as its transport does: a close frame, or it just goes.
    pub async fn leave(mut self) {
        if let Stream::Ws(stream) = &mut self.stream {
            stream.close().await;
            self.until_end().await;
        }
    }

    /// Says goodbye by WebSocket, and stays to hear what is answered.
    pub async fn say_goodbye(&mut self) {
        self.ws().close().await;
    }

    /// Vanishes without a word: the server is sent a reset.
    pub fn cut(self) {
        self.vanish(true);
    }

    /// Closes its socket without a word.
    pub fn hang_up(self) {
        self.vanish(false);
    }

    fn vanish(self, is_reset: bool) {
        match self.stream {
            Stream::Sse(stream) => stream.vanish(is_reset),
            Stream::Ws(stream) => stream.vanish(is_reset),
        }
    }

    /// The response's head.
    pub fn head(&self) -> &Head {
        match &self.stream {
            Stream::Sse(stream) => &stream.head,
            Stream::Ws(stream) => &stream.head,
        }
    }

    /// The reader of the event stream.
    pub fn events(&self) -> &EventStream {
        match &self.stream {
            Stream::Sse(stream) => &stream.events,
            Stream::Ws(_) => panic!("this is no event stream"),
        }
    }

    fn ws(&mut self) -> &mut WsStream {
        match &mut self.stream {
            Stream::Ws(stream) => stream,
            Stream::Sse(_) => panic!("an event stream goes one way"),
        }
    }
}

/// How long a client waits for what has to come. Far longer than it ever takes: it only says which step hangs.
const STEP: Duration = Duration::from_secs(20);

const HEARD: usize = 12;
