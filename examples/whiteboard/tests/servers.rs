//! The server as it is run: a process with a file, and two over NATS.

#![allow(clippy::unwrap_used)]

mod process;

use dualcast_nats_server::NatsServer;
use futures::{SinkExt, StreamExt};
use process::{ANNA, KEY, Process, op, until};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

fn note(id: &str, text: &str) -> Value {
    let props = json!({ "x": 0, "y": 0, "w": 100, "h": 100, "color": 0, "z": 0, "text": text });
    json!({ "add": id, "kind": "note", "props": props })
}

/// An editor's page, over a WebSocket.
async fn edit(server: &Process, name: &str) -> WebSocketStream<TcpStream> {
    let url = format!("ws://{}/b/{name}/live?name=Anna&color=3", server.address);
    let mut request = url.into_client_request().unwrap();
    let protocols = format!("dualcast.v1, dualcast.token.{KEY}");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "dualcast.v1");
    socket
}

#[tokio::test]
async fn a_restart_keeps_every_board() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "--data".into(),
        directory.path().join("boards.redb").display().to_string(),
    ];
    let mut server = Process::start(&arguments).await;
    for name in ["one", "two", "three"] {
        server.write(name, op(1, json!([note("a", name)]))).await;
    }
    // Far less than the pause before a board is stored: the end stores it.
    let before = server.snapshot("two").await;
    assert!(server.stop().await.success());
    let server = Process::start(&arguments).await;
    for name in ["one", "two", "three"] {
        assert_eq!(server.snapshot(name).await["board"]["objects"]["a"]["text"], name);
    }
    let after = server.snapshot("two").await;
    assert_eq!(after["board"], before["board"]);
    // A page that comes back with what it knew of the process before is told that it doesn't fit, and reads the snapshot.
    let told = server.listen("two", before["position"].as_str().unwrap()).await;
    assert!(told.contains(r#""reason":"epoch""#), "{told}");
    let told = server.listen("two", after["position"].as_str().unwrap()).await;
    assert!(!told.contains("dualcast:gap"), "{told}");
}

#[tokio::test]
async fn a_server_that_is_killed_has_what_was_stored() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "--data".into(),
        directory.path().join("boards.redb").display().to_string(),
    ];
    let mut n = 0;
    // However soon it is killed it begins again, with what was stored before; and what is stored is soon there.
    let mut has_been_kept = false;
    while !has_been_kept {
        let mut server = Process::start(&arguments).await;
        let said = server.snapshot("one").await["board"]["chat"]
            .as_array()
            .unwrap()
            .len() as u64;
        has_been_kept = said > 0;
        assert!(said <= n);
        n += 1;
        server.write("one", op(n, json!([{ "chat": "x" }]))).await;
        tokio::time::sleep(std::time::Duration::from_millis(100 * n)).await;
        server.kill().await;
    }
}

#[tokio::test]
async fn a_second_process_is_kept_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "--data".into(),
        directory.path().join("boards.redb").display().to_string(),
    ];
    let _first = Process::start(&arguments).await;
    let (status, said) = Process::run(&arguments).await;
    assert!(!status.success() && said.contains("already open"), "{said}");
}

#[tokio::test]
async fn an_editor_and_a_viewer_hear_one_channel() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(&[
        "--data".into(),
        directory.path().join("boards.redb").display().to_string(),
    ])
    .await;
    let mut socket = edit(&server, "one").await;
    let mut viewer = server.view("one").await;
    viewer.until(r#""name":"Anna""#).await;
    let said = json!({ "event": "op", "ref": 1, "data": op(1, json!([note("a", "hello")])) });
    socket.send(Message::text(said.to_string())).await.unwrap();
    let mut heard = Vec::new();
    while !["op", "reply"]
        .iter()
        .all(|what| heard.iter().any(|heard: &String| heard.contains(what)))
    {
        heard.push(
            socket
                .next()
                .await
                .unwrap()
                .unwrap()
                .into_text()
                .unwrap()
                .to_string(),
        );
    }
    viewer.until("event: op").await;
    viewer.until(r#""text":"hello""#).await;
    let snapshot = server.snapshot("one").await;
    assert_eq!(snapshot["board"]["objects"]["a"]["text"], "hello");
    assert!(
        heard
            .iter()
            .any(|heard| heard.contains(&format!(r#""id":{}"#, snapshot["position"]))),
        "{heard:?}"
    );
    let cursor = json!({ "event": "cursor", "data": { "x": 5, "y": -6 } });
    socket.send(Message::text(cursor.to_string())).await.unwrap();
    viewer.until(&format!(r#"["{ANNA}",5,-6]"#)).await;
}

#[tokio::test]
async fn two_nodes_have_one_board_and_one_of_them_may_be_killed() {
    let nats = NatsServer::start().await;
    let arguments = ["--nats".into(), nats.url()];
    let (mut first, second) = (Process::start(&arguments).await, Process::start(&arguments).await);
    first
        .write("one", op(1, json!([note("a", "first"), { "chat": "hello" }])))
        .await;
    second
        .has("one", |board| board["objects"]["a"]["text"] == "first")
        .await;
    second
        .write_as(
            "client02",
            "one",
            op(1, json!([{ "set": "a", "props": { "text": "second" } }])),
        )
        .await;
    first
        .has("one", |board| board["objects"]["a"]["text"] == "second")
        .await;
    first.write("one", op(2, json!([note("b", "last")]))).await;
    let last = first.snapshot("one").await;
    first.kill().await;
    second.has("one", |board| *board == last["board"]).await;
    // Nobody has it in memory that starts now, and it may not be stored.
    let mut third = Process::start(&arguments).await;
    third.has("one", |board| *board == last["board"]).await;
    // The position is good on each node.
    for node in [&second, &third] {
        let told = node.listen("one", last["position"].as_str().unwrap()).await;
        assert!(!told.contains("dualcast:gap"), "{told}");
    }
    // A repeat to another node is known.
    second.write("one", op(2, json!([note("b", "last")]))).await;
    assert_eq!(second.snapshot("one").await["board"], last["board"]);
    assert!(third.stop().await.success());
}

#[tokio::test]
async fn boards_outlive_all_nodes_and_the_broker() {
    let mut nats = NatsServer::start().await;
    let arguments = ["--nats".into(), nats.url()];
    let mut node = Process::start(&arguments).await;
    node.write("one", op(1, json!([note("a", "kept")]))).await;
    let before = node.snapshot("one").await;
    assert!(node.stop().await.success());
    nats.restart().await;
    let node = Process::start(&arguments).await;
    assert_eq!(node.snapshot("one").await["board"], before["board"]);
    until(async || node.get("/health/ready").await.0 == 200).await;
}

#[tokio::test]
async fn whoever_edits_on_a_node_that_is_killed_keeps_a_note_from_nobody() {
    let nats = NatsServer::start().await;
    let arguments = ["--nats".into(), nats.url()];
    let (mut first, second) = (Process::start(&arguments).await, Process::start(&arguments).await);
    let _editor = edit(&first, "one").await;
    let mut viewer = second.view("one").await;
    viewer.until(r#""name":"Anna""#).await;
    first
        .write("one", op(1, json!([note("a", "mine"), { "edit": "a" }])))
        .await;
    second
        .has("one", |board| board["objects"]["a"]["editing"] == ANNA)
        .await;
    first.kill().await;
    viewer.until(&format!(r#""left":["{ANNA}"]"#)).await;
    second
        .has("one", |board| board["objects"]["a"]["editing"].is_null())
        .await;
}
