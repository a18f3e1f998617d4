//! The routes: pages, snapshots, and the channel of a board by whichever transport.

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use dualcast::{Error, Inbound, InboundHandler, Member, OriginPolicy, Reply, Sse, Ws};
use serde_json::json;

use crate::App;
use crate::messages::{self, Speaker};
use crate::name::BoardName;
use crate::page;
use crate::people;
use crate::user::{Persona, User};

pub(crate) fn router(app: App) -> Router {
    let health = dualcast::health(app.boards.hub());
    let new = Router::new()
        .route("/boards", post(make))
        .route_layer(middleware::from_fn(same_origin));
    Router::new()
        .route("/", get(async || page::file("start.html")))
        .route("/b/{name}", get(async |_: BoardName| page::file("index.html")))
        .route(
            "/b/{name}/view",
            get(async |_: BoardName| page::file("view.html")),
        )
        .route("/b/{name}/snapshot", get(snapshot))
        .route("/b/{name}/live", any(live).post(say))
        .route("/b/{name}/stream", get(stream))
        .merge(new)
        .merge(page::router())
        .merge(dualcast::client_js())
        .nest("/health", health)
        .fallback(async || page::not_found())
        .with_state(app)
}

/// A name for a new board. It takes no room before somebody writes on it.
async fn make() -> Result<Response, Error> {
    let name = BoardName::random()?;
    Ok((StatusCode::CREATED, Json(json!({ "name": name.as_str() }))).into_response())
}

async fn snapshot(State(app): State<App>, name: BoardName) -> Result<Response, Error> {
    let board = app.boards.open(&name).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, board.snapshot().await?.to_page()).into_response())
}

/// An editor's stream. Whoever has one is there for all others to see.
async fn live(
    State(app): State<App>,
    name: BoardName,
    user: User,
    persona: Persona,
    ws: Option<Ws>,
    sse: Sse,
) -> Result<Response, Error> {
    let channel = app.channel(&name)?;
    let member = Member::new(user.id.as_str()).data(&persona)?;
    app.people.note(&user.id, persona.name.clone());
    let speaker = Speaker {
        user,
        name: persona.name,
        board: name,
        channel: channel.clone(),
    };
    let identity = speaker.user.identity();
    let subscribe = channel.subscribe().present(member);
    Ok(match ws {
        Some(ws) => ws
            .identity(identity)
            .on_message(messages::handler(&app, speaker))
            .subscribe(subscribe),
        None => sse.identity(identity).subscribe(subscribe),
    })
}

/// What an editor says who has an event stream. The name is that which the stream was opened with, unless the query has one.
async fn say(
    State(app): State<App>,
    name: BoardName,
    user: User,
    Called(persona): Called,
    message: Inbound,
) -> Result<Reply, Error> {
    let channel = app.channel(&name)?;
    let called = persona.map(|persona| persona.name);
    let called = called
        .or_else(|| people::present_name(&channel, &user.id))
        .or_else(|| app.people.name_of(&user.id));
    let speaker = Speaker {
        name: called.unwrap_or_else(|| NOBODY.into()),
        user,
        board: name,
        channel,
    };
    Ok(messages::handler(&app, speaker).handle(message).await)
}

/// A viewer's stream. It is nobody's, and takes nothing; whoever has it is told who is there, and is not.
async fn stream(State(app): State<App>, name: BoardName, sse: Sse) -> Result<Response, Error> {
    Ok(sse.subscribe(app.channel(&name)?.presence().watch()))
}

/// A persona, where the query names one.
struct Called(Option<Persona>);

impl<S: Send + Sync> FromRequestParts<S> for Called {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        Persona::of_query(parts).map(Self)
    }
}

/// The board's name in the path. What is none is nowhere.
impl<S: Send + Sync> FromRequestParts<S> for BoardName {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let name = path.ok().and_then(|Path(name)| Self::parse(&name));
        name.ok_or_else(page::not_found)
    }
}

/// `Sse`, `Ws` and `Inbound` see to it themselves; foreign pages must not press our buttons either.
async fn same_origin(request: Request, next: Next) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    OriginPolicy::same_origin().check(&parts)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// What somebody is called whose name no node at hand knows: a POST that came to another than the stream.
const NOBODY: &str = "Somebody";

#[cfg(test)]
mod tests;
