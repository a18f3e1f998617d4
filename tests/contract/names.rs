//! What a user types into a channel's name stays in its segment, whichever way it comes in.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{any, post};
use dualcast::{Error, Hub, Inbound, Reply, Sse, Ws};
use dualcast_tests::{Answer, Server, Setup, Under, contract};

contract!(
    over nats: what_a_user_types_reaches_no_other_channel,
    what_is_no_name_is_refused_and_opens_nothing
);

/// What reaches for the channel `room.victim`, or for all of them.
const HOSTILE: [&str; 20] = [
    "victim.",
    ".victim",
    "..victim",
    "../victim",
    "/victim",
    "victim/",
    "room.victim",
    "x.victim",
    "victim.x",
    "*",
    ">",
    "**",
    "VICTIM",
    "victim\0",
    "victim\r\n",
    "victim%00",
    "%76ictim",
    "_x76ictim",
    " victim",
    "\u{ff56}ictim",
];

fn rooms(hub: &Hub) -> Router {
    Router::new()
        .route("/rooms/{id}/sse", any(sse))
        .route("/rooms/{id}/ws", any(ws))
        .route("/rooms/{id}/say", post(say))
        .with_state(hub.clone())
}

async fn sse(State(hub): State<Hub>, Path(id): Path<String>, sse: Sse) -> Result<Response, Error> {
    Ok(sse.subscribe(hub.channel(("room", &id))?))
}

async fn ws(State(hub): State<Hub>, Path(id): Path<String>, ws: Ws) -> Result<Response, Error> {
    Ok(ws.subscribe(hub.channel(("room", &id))?))
}

async fn say(State(hub): State<Hub>, Path(id): Path<String>, message: Inbound) -> Result<Reply, Error> {
    let room = hub.channel(("room", &id))?;
    Ok(Reply::from(room.publish(message.into_message()).await))
}

async fn start(under: Under) -> Server {
    let setup = Setup::new(under).app(|app, hub| app.merge(rooms(hub)));
    setup.start().await
}

/// As a client has to write it in a path, and more so.
fn encoded(typed: &str) -> String {
    typed.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn path(under: Under, typed: &str) -> String {
    let end = if under.transport == dualcast::Transport::Sse {
        "sse"
    } else {
        "ws"
    };
    format!("/rooms/{}/{end}", encoded(typed))
}

async fn post_to(server: &Server, typed: &str, text: &str) -> Answer {
    let (id, body) = (
        encoded(typed),
        serde_json::json!({ "event": "message", "data": text }).to_string(),
    );
    server
        .request(format!(
            "POST /rooms/{id}/say HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
}

async fn what_a_user_types_reaches_no_other_channel(under: Under) {
    let server = start(under).await;
    let mut victim = server.dial_path(&path(under, "victim")).open().await;
    let mut clients = Vec::new();
    for typed in HOSTILE {
        clients.push((typed, server.dial_path(&path(under, typed)).open().await));
    }
    assert_eq!(server.channel("room.victim").followers(), 1);
    for (number, typed) in HOSTILE.iter().enumerate() {
        assert_eq!(post_to(&server, typed, &number.to_string()).await.status(), 200);
    }
    assert_eq!(post_to(&server, "victim", "its own").await.status(), 200);
    assert_eq!(victim.next().await.text(), "its own");
    for (number, (typed, mut client)) in clients.into_iter().enumerate() {
        assert_eq!(client.next().await.text(), number.to_string());
        server
            .hub
            .channel(("room", typed))
            .unwrap()
            .finish()
            .await
            .unwrap();
        let next = client.next().await;
        assert!(
            matches!(next, dualcast_tests::Told::Finished { .. }),
            "{typed}: {next:?}"
        );
    }
    assert_eq!(server.hub.channel_count(), HOSTILE.len() + 1);
}

async fn what_is_no_name_is_refused_and_opens_nothing(under: Under) {
    let server = start(under).await;
    // A dot takes four bytes.
    for typed in ["a".repeat(2_000), ".".repeat(50), "\u{e4}".repeat(25)] {
        let answer = server
            .dial_path(&path(under, &typed))
            .attempt()
            .await
            .unwrap_err();
        assert_eq!(
            (answer.status(), answer.json()["code"].as_str()),
            (400, Some("bad-channel"))
        );
        let answer = post_to(&server, &typed, "hello").await;
        assert_eq!(
            (answer.status(), answer.json()["code"].as_str()),
            (400, Some("bad-channel"))
        );
    }
    for (id, status) in [("", 400), ("%ff", 400), ("a/b", 404)] {
        let request = format!("GET /rooms/{id}/sse HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(server.request(request).await.status(), status, "{id:?}");
    }
    assert_eq!((server.hub.session_count(), server.hub.channel_count()), (0, 0));
}
