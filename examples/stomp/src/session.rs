//! A conversation: what a client's frames do, and what it is told.
//!
//! Frames are handled one at a time, in order. So a RECEIPT says that all before it is done, too; and behind the receipt of an UNSUBSCRIBE
//! no message of it follows.

use dualcast::{Disconnected, Gap, Hub, Item, Message, Payload, Position, RawMessage, RawSocket};

use crate::followed::{AllFollowed, Followed};
use crate::frame::{Decoder, Frame, Malformed, Version};
use crate::heart::{self, Beats, Patience};

/// How many destinations a client may follow at a time. 100: as many channels as a client of Dualcast's own protocol may join.
const MAX_SUBSCRIPTIONS: usize = 100;

const TOPIC: &str = "/topic/";

/// The close code behind an ERROR: the client broke a rule (RFC 6455 section 7.4.1).
const POLICY: u16 = 1008;

/// Why a conversation is over.
enum End {
    /// The client said DISCONNECT, or the session ended: nobody is left to be told.
    Over,
    /// The client is told by an ERROR, after which STOMP has nothing but the end of the connection.
    Error {
        message: String,
        receipt: Option<String>,
    },
}

impl From<Disconnected> for End {
    fn from(_: Disconnected) -> Self {
        Self::Over
    }
}

impl From<Malformed> for End {
    fn from(malformed: Malformed) -> Self {
        refuse(malformed.to_string())
    }
}

/// Speaks with one client until it leaves, or has to.
pub(crate) async fn run(hub: Hub, socket: RawSocket) {
    let mut session = Session {
        hub,
        socket,
        decoder: Decoder::new(Version::V1_0),
        is_connected: false,
        beats: Beats::default(),
        patience: Patience::to_connect(),
        followed: AllFollowed::default(),
    };
    let Err(End::Error { message, receipt }) = session.talk().await else {
        return;
    };
    let mut error = Frame::new("ERROR").with("message", &message);
    if !session.is_connected {
        error = error.with("version", Version::ALL);
    }
    if let Some(receipt) = receipt {
        error = error.with("receipt-id", receipt);
    }
    if session.send(&error).await.is_ok() {
        let _ = session.socket.close(POLICY, &message).await;
    }
}

struct Session {
    hub: Hub,
    socket: RawSocket,
    decoder: Decoder,
    is_connected: bool,
    beats: Beats,
    patience: Patience,
    followed: AllFollowed,
}

impl Session {
    /// A client that does not read holds up nothing but its own conversation: `send` waits for it.
    async fn talk(&mut self) -> Result<(), End> {
        loop {
            tokio::select! {
                heard = self.patience.within(self.socket.recv()) => match heard {
                    Some(Some(RawMessage::Text(text))) => self.hear(text.as_bytes()).await?,
                    Some(Some(RawMessage::Binary(bytes))) => self.hear(&bytes).await?,
                    Some(None) => return Err(End::Over),
                    None => return Err(refuse("nothing came within the time that was agreed on")),
                },
                (followed, items) = self.followed.next() => {
                    let id = followed.id.clone();
                    match items {
                        Ok(items) => {
                            let frames: Vec<_> = items.iter().filter_map(|item| tell(followed, item)).collect();
                            for frame in frames {
                                self.send(&frame).await?;
                            }
                        }
                        Err(_finished) => drop(self.followed.remove(&id)),
                    }
                }
                () = self.beats.next() => self.socket.send(RawMessage::Text("\n".into())).await?,
            }
        }
    }

    async fn hear(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.decoder.feed(bytes);
        while let Some(frame) = self.decoder.next()? {
            let receipt = frame.header("receipt").map(ToOwned::to_owned);
            let done = self.handle(&frame).await.map_err(|end| match end {
                End::Error { message, .. } => End::Error {
                    message,
                    receipt: receipt.clone(),
                },
                End::Over => End::Over,
            })?;
            if let (Some(receipt), true) = (receipt, self.is_connected) {
                let answer = Frame::new("RECEIPT").with("receipt-id", receipt);
                let answer = match done {
                    // With it a client resumes that is cut before the first message.
                    Some(id) => answer.with("last-event-id", id),
                    None => answer,
                };
                self.send(&answer).await?;
            }
            if frame.command == "DISCONNECT" {
                return Err(End::Over);
            }
        }
        Ok(())
    }

    /// Does what a frame asks for. A subscription and a message have an id then.
    async fn handle(&mut self, frame: &Frame) -> Result<Option<Position>, End> {
        if !frame.body.is_empty() && frame.command != "SEND" {
            return Err(refuse(format!("{} has no body", frame.command)));
        }
        match (&*frame.command, self.is_connected) {
            ("CONNECT" | "STOMP", false) => self.connect(frame).await.map(|()| None),
            (_, false) => Err(refuse("expected CONNECT")),
            ("SUBSCRIBE", _) => self.subscribe(frame).map(Some),
            ("UNSUBSCRIBE", _) => self.unsubscribe(frame).map(|()| None),
            ("SEND", _) => self.publish(frame).await.map(Some),
            ("DISCONNECT", _) => Ok(None),
            (command, _) => Err(refuse(format!("{command} is not spoken here"))),
        }
    }

    async fn connect(&mut self, frame: &Frame) -> Result<(), End> {
        let version = Version::choose(frame.header("accept-version"))
            .ok_or_else(|| refuse(format!("only {} are spoken here", Version::ALL)))?;
        let (beats, patience) = heart::agree(frame.header("heart-beat"))?;
        let connected = Frame::new("CONNECTED")
            .with("version", version.as_str())
            .with("server", concat!("dualcast/", env!("CARGO_PKG_VERSION")))
            .with("heart-beat", heart::offer());
        self.send(&connected).await?;
        (self.beats, self.patience) = (beats, patience);
        self.decoder.version = version;
        self.is_connected = true;
        Ok(())
    }

    fn subscribe(&mut self, frame: &Frame) -> Result<Position, End> {
        let destination = required(frame, "destination")?;
        let id = self.id(frame)?;
        if frame.header("ack").is_some_and(|ack| ack != "auto") {
            // The client's cursor is its acknowledgement, and the client keeps it.
            return Err(refuse("there is no ack but auto: come back with last-event-id"));
        }
        if self.followed.has(id) {
            return Err(refuse(format!("there is a subscription {id:?} already")));
        }
        if self.followed.len() >= MAX_SUBSCRIPTIONS {
            return Err(refuse(format!(
                "a connection has at most {MAX_SUBSCRIPTIONS} subscriptions"
            )));
        }
        let subscribe = self.channel(destination)?.subscribe();
        let subscribe = match frame.header("last-event-id") {
            Some(cursor) => subscribe.cursor(cursor),
            None => subscribe,
        };
        let subscription = subscribe.open().map_err(refuse)?;
        let position = subscription.cursor();
        self.followed.add(Followed {
            id: id.to_owned(),
            destination: destination.to_owned(),
            subscription,
        });
        Ok(position)
    }

    fn unsubscribe(&mut self, frame: &Frame) -> Result<(), End> {
        let id = self.id(frame)?;
        if !self.followed.remove(id) {
            return Err(refuse(format!("there is no subscription {id:?}")));
        }
        Ok(())
    }

    async fn publish(&self, frame: &Frame) -> Result<Position, End> {
        let channel = self.channel(required(frame, "destination")?)?;
        if frame.header("transaction").is_some() {
            return Err(refuse("there are no transactions"));
        }
        let event = frame.header("event").unwrap_or("message").to_owned();
        let message = Message::new(event, payload(frame)?);
        let message = match frame.header("idempotency-key") {
            Some(key) => message.idempotency_key(key),
            None => message,
        };
        channel.publish(message).await.map_err(refuse)
    }

    /// A subscription's name: the client's own, but for STOMP 1.0, where the destination may be all there is.
    fn id<'a>(&self, frame: &'a Frame) -> Result<&'a str, End> {
        match frame.header("id") {
            None if self.decoder.version == Version::V1_0 => required(frame, "destination"),
            _ => required(frame, "id"),
        }
    }

    fn channel(&self, destination: &str) -> Result<dualcast::Channel, End> {
        let topic = destination.strip_prefix(TOPIC);
        let topic = topic.ok_or_else(|| refuse(format!("a destination begins with {TOPIC}")))?;
        crate::channel(&self.hub, topic).map_err(refuse)
    }

    async fn send(&self, frame: &Frame) -> Result<(), Disconnected> {
        let version = match &*frame.command {
            "CONNECTED" => Version::V1_0,
            _ => self.decoder.version,
        };
        let message = match String::from_utf8(frame.encode(version)) {
            Ok(text) => RawMessage::Text(text),
            Err(binary) => RawMessage::Binary(binary.into_bytes().into()),
        };
        self.socket.send(message).await
    }
}

fn refuse(why: impl ToString) -> End {
    End::Error {
        message: why.to_string(),
        receipt: None,
    }
}

fn required<'a>(frame: &'a Frame, name: &str) -> Result<&'a str, End> {
    let missing = || refuse(format!("{} needs the header {name}", frame.command));
    frame.header(name).ok_or_else(missing)
}

/// JSON that says so is JSON, what is UTF-8 is text unless it says otherwise, and the rest is bytes.
fn payload(frame: &Frame) -> Result<Payload, End> {
    let content_type = frame.header("content-type").unwrap_or("text/plain");
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(&frame.body).ok();
    match (essence, text) {
        ("application/json", _) => {
            let json: &serde_json::value::RawValue = serde_json::from_slice(&frame.body).map_err(refuse)?;
            Ok(Payload::Json(json.get().into()))
        }
        (essence, Some(text)) if essence.starts_with("text/") => Ok(Payload::Text(text.into())),
        _ => Ok(Payload::Binary(frame.body.clone().into())),
    }
}

/// What a client is told of an item. A gap and a channel's end are messages, too, whose header `dualcast` says what they are.
fn tell(followed: &Followed, item: &Item) -> Option<Frame> {
    let message = |id: Position| {
        Frame::new("MESSAGE")
            .with("subscription", &followed.id)
            .with("destination", &followed.destination)
            .with("message-id", id)
    };
    match item {
        Item::Record(record) => {
            let told = message(record.position());
            let Some(published) = record.message() else {
                return Some(told.with("dualcast", "finished"));
            };
            let told = told.with("event", published.event());
            Some(match published.payload() {
                Payload::Text(text) => told.body("text/plain", text.as_bytes()),
                Payload::Json(json) => told.body("application/json", json.as_bytes()),
                Payload::Binary(bytes) => told.body("application/octet-stream", bytes),
            })
        }
        Item::Gap { gap, id } => Some(tell_gap(message(*id), gap)),
        // A volatile message has no id, and each of STOMP's needs one. Nothing is merged for a subscription that catches up.
        _ => None,
    }
}

/// In the words that a gap has on the other transports.
fn tell_gap(told: Frame, gap: &Gap) -> Frame {
    let json = serde_json::to_string(gap).unwrap_or_default();
    told.with("dualcast", "gap")
        .body("application/json", json.as_bytes())
}
