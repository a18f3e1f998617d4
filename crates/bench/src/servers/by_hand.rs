//! What one writes by hand: tokio's `broadcast` behind axum's own Server-Sent Events and WebSocket.
//!
//! It is written with care: no delay, a long backlog, a WebSocket message put into its envelope once and shared, and what has come
//! together flushed together. It does less than Dualcast: it keeps nothing, so nobody resumes, and who lags loses messages in silence.

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
use axum::serve::ListenerExt;
use dashmap::DashMap;
use futures::{SinkExt, Stream, StreamExt};
use serde::Serialize;
use socket2::SockRef;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};
use tokio_stream::wrappers::BroadcastStream;

/// How many messages a subscriber may lag behind.
const CAPACITY: usize = 128;

pub(crate) fn run() -> Result<()> {
    let app = Router::new()
        .route("/{room}/sse", get(sse))
        .route("/{room}/ws", get(ws))
        .route("/{room}/publish", post(publish))
        .with_state(Rooms::default());
    super::run(
        async || Ok(app),
        async |listener, app| {
            SockRef::from(&listener).listen(4_096)?;
            // A socket that can't be told is gone already.
            let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
            axum::serve(listener, app).await
        },
    )
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
    id: Arc<str>,
    text: Arc<str>,
    json: Utf8Bytes,
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    event: &'a str,
    data: &'a str,
}

impl Rooms {
    fn follow(&self, room: String) -> Receiver<Published> {
        self.0.entry(room).or_default().messages.subscribe()
    }
}

async fn publish(State(rooms): State<Rooms>, Path(room): Path<String>, text: String) -> String {
    let (messages, number) = {
        let room = rooms.0.entry(room).or_default();
        (
            room.messages.clone(),
            room.count.fetch_add(1, Ordering::Relaxed) + 1,
        )
    };
    let id = format!("{}{number}", super::EPOCH);
    let envelope = Envelope {
        id: &id,
        event: "message",
        data: &text,
    };
    let json = serde_json::to_string(&envelope).unwrap_or_default().into();
    let (id, text) = (Arc::from(id), text.into());
    let answer = format!("{id}\n");
    // Nobody may follow it.
    drop(messages.send(Published { id, text, json }));
    answer
}

async fn sse(
    State(rooms): State<Rooms>,
    Path(room): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let messages = BroadcastStream::new(rooms.follow(room));
    let events = messages.filter_map(async |message| {
        let Published { id, text, .. } = message.ok()?;
        Some(Ok(Event::default().id(id).data(text)))
    });
    Sse::new(events.boxed()).keep_alive(KeepAlive::default())
}

async fn ws(State(rooms): State<Rooms>, Path(room): Path<String>, upgrade: WebSocketUpgrade) -> Response {
    let messages = rooms.follow(room);
    upgrade
        .on_upgrade(async |socket| {
            // Whatever is wrong with a socket, it is over.
            drop(talk(socket, messages).await);
        })
        .into_response()
}

async fn talk(mut socket: WebSocket, mut messages: Receiver<Published>) -> Result<(), axum::Error> {
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(Published { json, .. }) => {
                    socket.feed(Message::Text(json)).await?;
                    // Together with what has come since.
                    while let Ok(Published { json, .. }) = messages.try_recv() {
                        socket.feed(Message::Text(json)).await?;
                    }
                    socket.flush().await?;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            said = socket.recv() => match said {
                Some(said) => drop(said?),
                None => return Ok(()),
            },
        }
    }
}
