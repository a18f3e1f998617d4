//! Rooms: the same for every user, however it logged in and by which transport it listens.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get, post, put};
use dualcast::{
    Channel, Error, Identity, Inbound, InboundHandler, Message, Position, Reply, Sse, SubscribeRequest, Ws,
};
use serde_json::json;

use crate::App;
use crate::user::{Kind, User};

/// What streams, and the POST beside it. They look at the origin themselves.
pub(crate) fn streams() -> Router<App> {
    Router::new()
        .route("/rooms/{id}/sse", get(sse))
        .route("/rooms/{id}/ws", any(ws))
        .route("/rooms/{id}/say", post(say))
        .route("/ws", any(ws_of_choice))
}

/// What an administrator does.
pub(crate) fn actions() -> Router<App> {
    Router::new().route("/rooms/{id}/members/{name}", put(let_in).delete(put_out))
}

/// The route says which channel it is. An id that somebody typed stays one segment of its name.
async fn sse(
    State(app): State<App>,
    Path(id): Path<String>,
    sse: Sse,
    user: User,
) -> Result<Response, Error> {
    let room = app.hub.channel(("room", &id))?;
    let sse = sse.identity(user.identity()).expires_at(user.expires_at);
    app.access.open(&user, Some(room.name()), || sse.subscribe(&room))
}

async fn ws(State(app): State<App>, Path(id): Path<String>, ws: Ws, user: User) -> Result<Response, Error> {
    let room = app.hub.channel(("room", &id))?;
    let ws = with_user(&app, ws, &user).on_message(app.inbound(&user, &room));
    app.access.open(&user, Some(room.name()), || ws.subscribe(&room))
}

/// The client says which channels, one by one, and the hook whether it may.
async fn ws_of_choice(State(app): State<App>, ws: Ws, user: User) -> Result<Response, Error> {
    let (hub, access) = (app.hub.clone(), Arc::clone(&app.access));
    let ws = with_user(&app, ws, &user);
    let asks = user.clone();
    let ws = ws.on_subscribe(move |request: SubscribeRequest| {
        let allowed = access.check_member(&asks, &request.channel);
        let channel = hub.channel(&request.channel);
        async move { allowed.and_then(|()| Ok(channel?)) }
    });
    app.access.open(&user, None, || ws.listen(&app.hub))
}

async fn say(
    State(app): State<App>,
    Path(id): Path<String>,
    user: User,
    message: Inbound,
) -> Result<Reply, Error> {
    let room = app.hub.channel(("room", &id))?;
    Ok(app.inbound(&user, &room).handle(message).await)
}

/// Whose session it is, until when, and how that is put off: by a token that is good and the same user's.
fn with_user(app: &App, ws: Ws, user: &User) -> Ws {
    let (access, name) = (Arc::clone(&app.access), Arc::clone(&user.name));
    ws.identity(user.identity())
        .expires_at(user.expires_at)
        .on_token(move |token: String| {
            let found = access.find(Kind::Token, &token);
            let own = found.filter(|user| user.name == name);
            let message = "this token is not good, or another user's";
            let refused = Error::new(StatusCode::UNAUTHORIZED, "bad-token", message);
            async { own.map(|user| user.expires_at).ok_or(refused) }
        })
}

impl App {
    /// One handler for both ways of speaking: a message's sender and its idempotency key are the user's.
    fn inbound(&self, user: &User, room: &Channel) -> impl InboundHandler + use<> {
        let (app, user, room) = (self.clone(), user.clone(), room.clone());
        move |message: Inbound| {
            let (app, user, room) = (app.clone(), user.clone(), room.clone());
            async move { app.publish(&user, &room, message).await }
        }
    }

    async fn publish(&self, user: &User, room: &Channel, said: Inbound) -> Result<Position, Error> {
        if said.event != "note" {
            return Err(Error::unknown_event(&said.event));
        }
        // Each time: the right may have been taken back since the connection was opened.
        self.access.check_member(user, room.name())?;
        self.says.check(&user.name)?;
        let note = json!({ "by": *user.name, "text": said.text()? });
        let message = Message::json("note", &note)?.sender(user.identity());
        let message = match said.key {
            Some(key) => message.idempotency_key(key),
            None => message,
        };
        Ok(room.publish(message).await?)
    }
}

async fn let_in(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
    user: User,
) -> Result<StatusCode, Error> {
    user.check_administrator()?;
    app.access.let_in(app.hub.channel(("room", &id))?.name(), &name);
    Ok(StatusCode::NO_CONTENT)
}

/// First what the routes and the hook look at, then the sessions.
async fn put_out(
    State(app): State<App>,
    Path((id, name)): Path<(String, String)>,
    user: User,
) -> Result<StatusCode, Error> {
    user.check_administrator()?;
    let room = app.hub.channel(("room", &id))?;
    app.access.put_out(room.name(), &name);
    app.hub.unsubscribe(&Identity::new(name), room.name());
    Ok(StatusCode::NO_CONTENT)
}
