//! What one writes by hand: tokio's `broadcast` behind axum's own Server-Sent Events and WebSocket.
//!
//! It is written well: a message is put into its envelope once, and handed to everybody as shared bytes where axum allows that
//! (WebSocket). It does less than Dualcast: it keeps nothing, so nobody resumes, and who lags loses messages in silence.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dashmap::DashMap;
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};
use tokio_stream::wrappers::BroadcastStream;

/// How many messages a subscriber may lag behind.
const CAPACITY: usize = 128;

pub(crate) fn run() -> Result<()> {
    let app = Router::new()
        .route("/sse", get(async |State(rooms): State<Rooms>| sse(&rooms, "")))
        .route(
            "/ws",
            get(async |State(rooms): State<Rooms>, upgrade| ws(&rooms, "", upgrade)),
        )
        .route(
            "/publish",
            post(async |State(rooms): State<Rooms>, text| publish(&rooms, "", text)),
        )
        .route(
            "/{room}/sse",
            get(async |State(rooms): State<Rooms>, Path(room): Path<String>| sse(&rooms, &room)),
        )
        .route(
            "/{room}/ws",
            get(
                async |State(rooms): State<Rooms>, Path(room): Path<String>, upgrade| {
                    ws(&rooms, &room, upgrade)
                },
            ),
        )
        .route(
            "/{room}/publish",
            post(
                async |State(rooms): State<Rooms>, Path(room): Path<String>, text| {
                    publish(&rooms, &room, text)
                },
            ),
        )
        .with_state(Rooms::default());
    super::run(app, async |listener, app| axum::serve(listener, app).await)
}

#[derive(Clone, Default)]
struct Rooms(Arc<DashMap<String, Room>>);

struct Room {
    messages: Sender<Published>,
    count: AtomicU64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            messages: Sender::new(CAPACITY),
            count: AtomicU64::new(0),
        }
    }
}

#[derive(Clone)]
struct Published {
    id: u64,
    text: Arc<str>,
    json: Utf8Bytes,
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: u64,
    event: &'a str,
    data: &'a str,
}

impl Rooms {
    fn follow(&self, room: &str) -> Receiver<Published> {
        self.0.entry(room.into()).or_default().messages.subscribe()
    }
}

fn publish(rooms: &Rooms, room: &str, text: String) -> String {
    let room = rooms.0.entry(room.into()).or_default();
    let id = room.count.fetch_add(1, Ordering::Relaxed) + 1;
    let envelope = Envelope {
        id,
        event: "message",
        data: &text,
    };
    let json = serde_json::to_string(&envelope).unwrap_or_default().into();
    let text = text.into();
    // Nobody may follow it.
    drop(room.messages.send(Published { id, text, json }));
    format!("{id}\n")
}

fn sse(rooms: &Rooms, room: &str) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let messages = BroadcastStream::new(rooms.follow(room));
    let events = messages.filter_map(async |message| {
        let Published { id, text, .. } = message.ok()?;
        Some(Ok(Event::default().id(id.to_string()).data(text)))
    });
    Sse::new(events.boxed()).keep_alive(KeepAlive::default())
}

fn ws(rooms: &Rooms, room: &str, upgrade: WebSocketUpgrade) -> Response {
    let messages = rooms.follow(room);
    upgrade
        .on_upgrade(|socket| talk(socket, messages))
        .into_response()
}

async fn talk(mut socket: WebSocket, mut messages: Receiver<Published>) {
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(Published { json, .. }) => {
                    if socket.send(Message::Text(json)).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            said = socket.recv() => if !matches!(said, Some(Ok(_))) {
                return;
            },
        }
    }
}
