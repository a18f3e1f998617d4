//! The routes: one to start a run and hear it, two to go on with it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use dualcast::{Channel, Sse, Subscribe, Ws};

use crate::chunk::Asked;
use crate::failure::Failure;
use crate::run::Runs;

pub(crate) fn router(runs: Runs) -> Router {
    Router::new()
        .route("/", get("POST to /v1/chat/completions."))
        .route("/v1/chat/completions", post(complete))
        .route("/v1/streams/{channel}", get(resume))
        .route("/v1/streams/{channel}/ws", any(resume_by_ws))
        .with_state(runs)
}

/// Starts a run and streams it. The head names its channel, for whoever is cut.
async fn complete(State(runs): State<Runs>, sse: Sse, Json(asked): Json<Asked>) -> Result<Response, Failure> {
    if !asked.stream {
        let message = "this server only streams: ask with \"stream\": true";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "only_streams", message));
    }
    let run = runs.start(&asked)?;
    Ok(plain(sse).subscribe(from_start(&run)))
}

/// Goes on behind the cursor that the client sends, or begins at the run's start.
async fn resume(
    State(runs): State<Runs>,
    Path(channel): Path<String>,
    sse: Sse,
) -> Result<Response, Failure> {
    Ok(plain(sse).subscribe(from_start(&runs.find(&channel)?)))
}

/// The same over WebSocket.
async fn resume_by_ws(
    State(runs): State<Runs>,
    Path(channel): Path<String>,
    ws: Ws,
) -> Result<Response, Failure> {
    Ok(ws.subscribe(from_start(&runs.find(&channel)?)))
}

fn plain(sse: Sse) -> Sse {
    sse.options(|options| {
        options.is_plain = true;
        options.names_channels = true;
    })
}

/// A run may have said something before its client listens.
fn from_start(run: &Channel) -> Subscribe {
    run.subscribe().from_start()
}
