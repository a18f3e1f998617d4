//! What each route answers, and that what is refused changes nothing.

use axum::body::{Body, to_bytes};
use dualcast::Hub;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::store::{File, Store};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ANNA: &str = "DwBzhbb51LfusnSGBa_hqQ";
const BENS_KEY: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

struct Server {
    router: Router,
    app: App,
    _directory: TempDir,
}

impl Server {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(&directory.path().join("boards.redb")).unwrap();
        let app = App::new(Hub::new(), Store::File(file));
        Self {
            router: router(app.clone()),
            app,
            _directory: directory,
        }
    }

    async fn ask(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Response {
        let request = request.body(body.into()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Request::get(path), ()).await
    }

    async fn snapshot(&self) -> Value {
        let response = self.get("/b/one/snapshot").await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        json_of(response).await
    }

    /// Posts as whoever has a key, and answers the status with the code or the data.
    async fn say(&self, key: &str, event: &str, data: Value) -> (u16, Value) {
        let request = Request::post("/b/one/live?name=Anna&color=3")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        let body = json!({ "event": event, "data": data }).to_string();
        let response = self.ask(request, body).await;
        let status = response.status().as_u16();
        let answer = json_of(response).await;
        (
            status,
            if status == 200 {
                answer["data"].clone()
            } else {
                answer["code"].clone()
            },
        )
    }
}

async fn json_of(response: Response) -> Value {
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn op(n: u64, changes: Value) -> Value {
    json!({ "client": "client01", "n": n, "changes": changes })
}

fn note() -> Value {
    let props = json!({ "x": 0, "y": 0, "w": 100, "h": 100, "color": 0, "z": 0, "text": "<b>hi</b>" });
    json!({ "add": "a", "kind": "note", "props": props })
}

#[tokio::test]
async fn pages_are_where_the_contract_says_and_nothing_else_is() {
    let server = Server::new();
    for path in [
        "/",
        "/b/one",
        "/b/one/view",
        "/whiteboard/board.mjs",
        "/dualcast.js",
        "/dualcast/presence.js",
        "/health/ready",
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        if !path.starts_with("/dualcast") && !path.starts_with("/health") {
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap();
            assert!(policy.starts_with("default-src 'self';"), "{path}");
        }
    }
    for path in [
        "/b/One",
        "/b/a_b",
        &format!("/b/{}", "x".repeat(41)),
        "/b/a_b/snapshot",
        "/b/A/live",
        "/b/A/stream",
        "/b/",
        "/whiteboard/none.mjs",
        "/whiteboard/../Cargo.toml",
        "/nothing",
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
    }
}

#[tokio::test]
async fn a_new_board_has_a_name_and_takes_no_room() {
    let server = Server::new();
    let response = server.ask(Request::post("/boards"), ()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let name = json_of(response).await["name"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/b/{name}")).await.status(), StatusCode::OK);
    assert_eq!(server.app.boards.count(), 0);
    let foreign = Request::post("/boards")
        .header("origin", "https://evil.example")
        .header("host", "here");
    assert_eq!(server.ask(foreign, ()).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_an_editor_changes_is_in_the_snapshot_with_who_did_it() {
    let server = Server::new();
    assert_eq!(server.snapshot().await["board"]["objects"], json!({}));
    let (status, reply) = server
        .say(KEY, "op", op(1, json!([note(), { "chat": "hello" }])))
        .await;
    assert_eq!(status, 200);
    let snapshot = server.snapshot().await;
    assert_eq!(snapshot["position"], reply["id"]);
    let board = &snapshot["board"];
    assert_eq!(
        (&board["objects"]["a"]["by"], &board["objects"]["a"]["text"]),
        (&json!(ANNA), &json!("<b>hi</b>"))
    );
    let said = &board["chat"][0];
    assert_eq!(
        (&said["by"], &said["name"], &said["text"]),
        (&json!(ANNA), &json!("Anna"), &json!("hello"))
    );
    assert_eq!(board["seen"], json!({ (format!("{ANNA}/client01")): 1 }));
    // A repeat is answered as the first was.
    assert_eq!(server.say(KEY, "op", op(1, json!([note()]))).await, (200, reply));
    assert_eq!(server.snapshot().await, snapshot);
}

#[tokio::test]
async fn bad_input_of_each_kind_has_its_error_and_changes_nothing() {
    let server = Server::new();
    server
        .say(KEY, "op", op(1, json!([note(), { "edit": "a" }])))
        .await;
    let before = server.snapshot().await;
    let set = |props: Value| json!([{ "set": "a", "props": props }]);
    for (key, event, data, status, code) in [
        (KEY, "op", json!("x"), 400, "bad-data"),
        (
            KEY,
            "op",
            json!({ "client": "client01", "n": 2 }),
            400,
            "bad-data",
        ),
        (KEY, "op", op(2, json!([])), 400, "bad-change"),
        (KEY, "op", op(2, set(json!({ "x": 1e9 }))), 400, "bad-change"),
        (
            KEY,
            "op",
            op(2, json!([{ "chat": "fine" }, { "paint": 1 }])),
            400,
            "bad-change",
        ),
        (KEY, "op", op(0, json!([{ "chat": "fine" }])), 400, "bad-change"),
        (
            BENS_KEY,
            "op",
            op(2, set(json!({ "text": "mine" }))),
            409,
            "locked",
        ),
        (
            BENS_KEY,
            "op",
            op(2, json!([{ "chat": "fine" }, { "edit": "a" }])),
            409,
            "locked",
        ),
        (KEY, "cursor", json!({ "x": 1.5, "y": 0 }), 400, "bad-data"),
        (
            KEY,
            "cursor",
            json!({ "x": 1, "y": 100_000_000 }),
            400,
            "bad-data",
        ),
        (KEY, "draw", json!({ "id": "a" }), 400, "bad-data"),
        (KEY, "draw", json!({ "id": "A", "end": true }), 400, "bad-data"),
        (
            KEY,
            "draw",
            json!({ "id": "a", "kind": "note", "color": 1, "width": 1, "points": [1, 2] }),
            400,
            "bad-data",
        ),
        (
            KEY,
            "draw",
            json!({ "id": "a", "kind": "stroke", "color": 1, "width": 1, "points": [1] }),
            400,
            "bad-data",
        ),
        (
            KEY,
            "draw",
            json!({ "id": "a", "props": { "z": 1 } }),
            400,
            "bad-data",
        ),
        (KEY, "draw", json!({ "id": "a", "props": {} }), 400, "bad-data"),
        (
            KEY,
            "draw",
            json!({ "id": "a", "props": { "x": 5 } }),
            400,
            "bad-data",
        ),
        (KEY, "typing", json!("yes"), 400, "bad-data"),
        (KEY, "paint", json!(1), 400, "unknown-event"),
        ("short", "op", op(2, json!([{ "chat": "fine" }])), 401, "no-token"),
    ] {
        assert_eq!(
            server.say(key, event, data.clone()).await,
            (status, json!(code)),
            "{event} {data}"
        );
    }
    assert_eq!(server.snapshot().await, before);
}

#[tokio::test]
async fn gestures_are_passed_on_with_who_makes_them_and_not_kept() {
    let server = Server::new();
    let channel = server.app.channel(&BoardName::parse("one").unwrap()).unwrap();
    let mut heard = channel.subscribe().open().unwrap();
    let stroke = json!({ "id": "a", "kind": "stroke", "color": 1, "width": 4, "points": [1, 2, 3, 4] });
    let dragged = json!({ "id": "a", "props": { "x": 1, "y": 2, "w": 9 } });
    let end = json!({ "id": "a", "end": true });
    let mut expected = Vec::new();
    for (event, data) in [
        ("draw", stroke),
        ("draw", dragged),
        ("draw", end),
        ("typing", json!(true)),
    ] {
        assert_eq!(server.say(KEY, event, data.clone()).await, (200, Value::Null));
        let mut told = if event == "typing" {
            json!({ "typing": data })
        } else {
            data
        };
        told["by"] = json!(ANNA);
        expected.push(told);
    }
    assert_eq!(server.say(KEY, "cursor", json!(null)).await.0, 200);
    let items = heard.read(1 << 20).unwrap();
    let told = items.iter().map(|item| match item {
        dualcast::Item::Volatile(told) => match told.message().payload() {
            dualcast::Payload::Json(json) => serde_json::from_str::<Value>(json).unwrap(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn only_whoever_has_a_key_and_a_name_may_edit() {
    let server = Server::new();
    let live = |query: &str, key: Option<&str>| {
        let request = Request::get(format!("/b/one/live{query}"));
        match key {
            Some(key) => request.header(header::AUTHORIZATION, format!("Bearer {key}")),
            None => request,
        }
    };
    for (query, key, status, code) in [
        ("?name=Anna&color=1", None, 401, "no-token"),
        ("?name=Anna&color=1", Some("short"), 401, "no-token"),
        ("", Some(KEY), 400, "bad-name"),
        ("?name=%20&color=1", Some(KEY), 400, "bad-name"),
        ("?name=Anna&color=9", Some(KEY), 400, "bad-color"),
    ] {
        let response = server.ask(live(query, key), ()).await;
        assert_eq!(response.status().as_u16(), status, "{query} {key:?}");
        assert_eq!(json_of(response).await["code"], code);
    }
    let response = server.ask(live("?name=Anna&color=1", Some(KEY)), ()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let channel = server.app.channel(&BoardName::parse("one").unwrap()).unwrap();
    let here = channel.presence().now();
    assert_eq!(&**here.members()[0].id(), ANNA);
    let data: Value = serde_json::from_str(here.members()[0].get_data().unwrap()).unwrap();
    assert_eq!(data, json!({ "name": "Anna", "color": 1 }));
    // A POST doesn't say the name; the stream does.
    let request = Request::post("/b/one/live")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    let body = json!({ "event": "op", "data": op(1, json!([{ "chat": "hi" }])) });
    assert_eq!(
        server.ask(request, body.to_string()).await.status(),
        StatusCode::OK
    );
    assert_eq!(server.snapshot().await["board"]["chat"][0]["name"], "Anna");
}

#[tokio::test]
async fn a_viewer_is_told_and_can_write_nothing() {
    let server = Server::new();
    let response = server.get("/b/one/stream").await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let channel = server.app.channel(&BoardName::parse("one").unwrap()).unwrap();
    assert_eq!(channel.presence().now().count(), 0, "a viewer is not there");
    let before = server.snapshot().await;
    let write = json!({ "event": "op", "data": op(1, json!([{ "chat": "hi" }])) }).to_string();
    for (path, status) in [
        ("/b/one/stream", 405),
        ("/b/one/live", 401),
        ("/b/one/snapshot", 405),
        ("/b/one", 405),
    ] {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        assert_eq!(
            server.ask(request, write.clone()).await.status().as_u16(),
            status,
            "{path}"
        );
    }
    assert_eq!(server.snapshot().await, before);
}

#[tokio::test]
async fn a_user_who_writes_too_fast_is_told_when_to_come_back_and_others_are_not() {
    let server = Server::new();
    let mut n = 0;
    let refused = loop {
        n += 1;
        let (status, answer) = server.say(KEY, "op", op(n, json!([{ "chat": "x" }]))).await;
        if status != 200 {
            break (status, answer);
        }
    };
    assert_eq!(refused, (429, json!("too-fast")));
    assert!(n > 300, "a queue of {n} passes");
    assert_eq!(
        server
            .say(BENS_KEY, "op", op(n + 1, json!([{ "chat": "x" }])))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_user_who_draws_too_much_is_told_when_to_come_back() {
    let server = Server::new();
    let points = vec![-99_999; 4_000];
    let mut count = 0;
    let refused = loop {
        let id = format!("a{count}");
        let stroke = json!({ "id": id, "kind": "stroke", "color": 1, "width": 4, "points": points });
        let (status, answer) = server.say(KEY, "draw", stroke).await;
        if status != 200 {
            break (status, answer);
        }
        count += 1;
    };
    assert_eq!(refused, (429, json!("too-fast")));
    assert!(count >= 10, "a second of the longest stroke, {count}, passes");
    let small = json!({ "id": "a", "end": true });
    assert_eq!(server.say(KEY, "draw", small).await.0, 200);
}
