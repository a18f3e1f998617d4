//! `docs/protocol.md` and the code: every name that one of them speaks stands in the other.
//!
//! The code's side is what public tables say, and what a real server sends. The document's side is what stands in backticks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::Request;
use dualcast::{
    CloseReason, Error, GapReason, Identity, Inbound, LagRule, LimitReached, MaxLag, Member, Message,
    NameError, OriginPolicy, Payload, Present, PublishError, Reconnect, Reply, SUBPROTOCOL, SubscribeError,
    Transport,
};
use dualcast_tests::{Event, EventStream, Frame, HttpServer, HttpVersion, Server, Setup, Told, Under, run};
use serde_json::{Value, json};
use tokio::runtime::Builder;

type Names = BTreeSet<String>;

fn document() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap()
}

/// What stands in backticks, outside of blocks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(ToOwned::to_owned)
        .collect()
}

/// The rows of the tables with a column of this name first, each as its cells.
fn rows(first_column: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut is_inside = false;
    for line in document().lines() {
        let Some(line) = line.strip_prefix('|') else {
            is_inside = false;
            continue;
        };
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        match cells[0].as_str() {
            first if first == first_column => is_inside = true,
            first if first.starts_with("---") => {}
            _ if is_inside => rows.push(cells),
            _ => {}
        }
    }
    assert!(!rows.is_empty(), "a table of {first_column:?}");
    rows
}

fn names(names: impl IntoIterator<Item = impl Into<String>>) -> Names {
    names.into_iter().map(Into::into).collect()
}

fn under() -> Under {
    Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1)
}

#[test]
fn close_reasons_are_those_of_the_code() {
    let row = |name: &str, code: u16, reconnect: &str| format!("{name} {code} {reconnect}");
    let code = CloseReason::ALL.map(|reason| {
        let reconnect = if reason.reconnect() == Reconnect::Yes {
            "yes"
        } else {
            "no"
        };
        row(reason.name(), reason.code(), reconnect)
    });
    let written = rows("`reason`")
        .into_iter()
        .filter(|cells| cells[1].parse::<u16>().is_ok());
    let written = written.map(|cells| row(&quoted(&cells[0])[0], cells[1].parse().unwrap(), &cells[2]));
    assert_eq!(names(written), names(code));
}

#[test]
fn gap_reasons_are_those_of_the_code() {
    let code = [
        GapReason::Trimmed,
        GapReason::Slow,
        GapReason::Epoch,
        GapReason::Unreadable,
        GapReason::Unavailable,
    ];
    let written = rows("`reason`")
        .into_iter()
        .filter(|cells| cells[1].parse::<u16>().is_err());
    let written = written.map(|cells| quoted(&cells[0]).remove(0));
    assert_eq!(names(written), names(code.map(GapReason::as_str)));
}

/// The fields of each notice, by its name on the wire.
#[derive(Default)]
struct Notices(BTreeMap<String, Names>);

impl Notices {
    fn note(&mut self, name: &str, fields: impl IntoIterator<Item = String>) {
        self.0.entry(name.into()).or_default().extend(fields);
    }

    fn note_event(&mut self, name: &str, event: &Event) {
        let notice: Value = serde_json::from_str(&event.data).unwrap();
        self.note(name, fields(&notice));
        self.note(name, event.id.as_ref().map(|_| "id".into()));
    }
}

fn fields(object: &Value) -> Vec<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

/// A server on which every notice can be had within moments.
async fn talkative() -> Server {
    let setup = Setup::new(under())
        .session(|options| options.heartbeat = Duration::from_millis(10))
        .subscribe(|subscribe| subscribe.lag(LagRule::Conflate(MaxLag::records(1))))
        .on_message(|_, message: Inbound| async move {
            match message.event.as_str() {
                "fine" => Ok(Reply::json(&1)),
                _ => Err(Error::too_fast(Duration::from_secs(1))),
            }
        })
        .joinable()
        .expiring(Duration::from_secs(3_600), |_| Ok(SystemTime::now()))
        .present();
    setup.start().await
}

/// Somebody who comes when somebody else is told who is there, and goes when that one is told so.
#[derive(Default)]
struct Visitor {
    present: Option<Present>,
    is_told_to_have_left: bool,
}

impl Visitor {
    fn hear(&mut self, server: &Server, update: &Value) {
        if update.get("members").is_some() {
            let presence = server.channel("room").presence();
            self.present = Some(presence.join(Member::new("visitor")).unwrap());
        } else if update.get("joined").is_some() {
            self.present.take().unwrap().leave();
        } else {
            self.is_told_to_have_left = true;
        }
    }
}

/// A channel with several records of one key, and a position before them.
async fn fill(server: &Server, channel: &str) -> String {
    let start = server.hub.position().to_string();
    for text in ["1", "2", "3"] {
        let message = Message::text("note", text).conflation_key("k");
        server.channel(channel).publish(message).await.unwrap();
    }
    start
}

/// Everything that Dualcast says on an event stream, and the names of the events that carried messages.
async fn said_by_sse() -> (Notices, Names) {
    let server = talkative().await;
    let start = fill(&server, "room").await;
    server
        .channel("room")
        .publish(Message::binary("image", vec![1]))
        .await
        .unwrap();
    let (mut notices, mut events) = (Notices::default(), Names::new());
    for cursor in [&*start, "garbage"] {
        let mut http = server.http().await;
        let request =
            format!("GET /sse?channels=room HTTP/1.1\r\nhost: a\r\nlast-event-id: {cursor}\r\n\r\n");
        http.send(request).await.unwrap();
        let mut framing = http.head().await.unwrap().body();
        let mut stream = EventStream::default();
        let (mut beats, mut is_finishing, mut visitor) = (0, false, Visitor::default());
        while let Some(piece) = http.body(&mut framing).await.unwrap() {
            stream.feed(&piece);
            while let Some(event) = stream.event() {
                let Some(_) = event.event.strip_prefix("dualcast:") else {
                    events.insert(event.event);
                    continue;
                };
                let is_heartbeat = event.event.ends_with("heartbeat");
                let name = if is_heartbeat && beats == 0 {
                    OPENING
                } else {
                    &event.event
                };
                beats += usize::from(is_heartbeat);
                notices.note_event(name, &event);
                if name.ends_with("presence") {
                    visitor.hear(&server, &serde_json::from_str(&event.data).unwrap());
                }
            }
            if cursor == "garbage" && beats > 1 && visitor.is_told_to_have_left && !is_finishing {
                is_finishing = true;
                server.channel("room").finish().await.unwrap();
            }
            if cursor != "garbage" && beats > 1 && visitor.is_told_to_have_left {
                break;
            }
        }
    }
    let client = server.dial("room,other").open().await;
    let Told::Opening { channels, .. } = client.opening() else {
        unreachable!()
    };
    notices.note(OPENING, channels.as_ref().map(|_| "channels".into()));
    (notices, events)
}

/// The first heartbeat of an event stream has more to say than the others.
const OPENING: &str = "the opening";

/// Everything that Dualcast says on a WebSocket.
async fn said_by_ws() -> Notices {
    let server = talkative().await;
    let start = fill(&server, "room").await;
    let mut notices = Notices::default();
    for cursor in [&*start, "garbage"] {
        let target = format!("room&who=anna&last-event-id={cursor}");
        let mut frames = server.frames(&target).await;
        for message in [
            json!({ "event": "fine", "ref": 1 }),
            json!({ "event": "not fine", "ref": 1 }),
            json!({ "control": "subscribe", "channel": "other" }),
        ] {
            frames.send(&Frame::text(&message.to_string())).await.unwrap();
        }
        let (mut beats, mut is_finishing, mut visitor) = (0, false, Visitor::default());
        loop {
            let frame = frames.next().await.unwrap();
            if frame.opcode == Frame::CLOSE {
                break;
            }
            let mut notice: Value = serde_json::from_slice(&frame.payload).unwrap();
            let Some(control) = notice.as_object_mut().unwrap().remove("control") else {
                continue;
            };
            beats += usize::from(control == "heartbeat");
            notices.note(control.as_str().unwrap(), fields(&notice));
            if control == "presence" {
                visitor.hear(&server, &notice);
            }
            if cursor == "garbage" && beats > 1 && visitor.is_told_to_have_left && !is_finishing {
                is_finishing = true;
                server.channel("room").finish().await.unwrap();
                let anna = Identity::new("anna");
                server.hub.unsubscribe(&anna, server.channel("other").name());
            }
            if ["finished", "unsubscribed"]
                .iter()
                .all(|name| notices.0.contains_key(*name))
            {
                server.hub.shutdown();
            }
            if cursor != "garbage" && beats > 1 && visitor.is_told_to_have_left {
                break;
            }
        }
    }
    notices
}

#[test]
fn notices_and_their_fields_are_those_on_the_wire() {
    run(
        |_| async {
            let (mut sse, events) = said_by_sse().await;
            let opening = sse.0.remove(OPENING);
            let mut ws = said_by_ws().await;
            let (mut written_sse, mut written_ws) = (Names::new(), BTreeMap::new());
            for cells in rows("notice") {
                written_sse.extend(
                    quoted(&cells[1])
                        .into_iter()
                        .filter(|name| name.starts_with("dualcast:")),
                );
                let mut fields: Names = quoted(&cells[4]).into_iter().collect();
                for name in quoted(&cells[2]) {
                    written_ws.insert(name, fields.clone());
                }
                // What the opening has beside a heartbeat stands in a field of the format, or is of sockets alone.
                fields.remove("retry");
                fields.remove("max_bytes");
                for name in quoted(&cells[1])
                    .iter()
                    .filter(|name| name.starts_with("dualcast:"))
                {
                    let said = if cells[0] == "welcome" {
                        opening.as_ref()
                    } else {
                        sse.0.get(name)
                    };
                    assert_eq!(said, Some(&fields), "{name} as {}", cells[0]);
                }
            }
            assert_eq!(sse.0.keys().cloned().collect::<Names>(), written_sse);

            // Both are answers, and share a row.
            let answers: Names = ["reply", "error"]
                .iter()
                .flat_map(|name| ws.0[*name].clone())
                .collect();
            for name in ["reply", "error"] {
                ws.0.insert(name.into(), answers.clone());
            }
            assert_eq!(ws.0, written_ws);

            assert_eq!(events, names(["note", "image;base64"]));
            let everywhere = names(quoted(&document()));
            for name in [
                ";base64",
                "dualcast:",
                "event:",
                "data:",
                "id:",
                "retry:",
                "type: json",
                SUBPROTOCOL,
                "last-event-id",
            ] {
                assert!(everywhere.contains(name), "{name}");
            }
            for name in everywhere
                .iter()
                .filter(|name| name.starts_with("dualcast:") && name.len() > 9)
            {
                assert!(sse.0.contains_key(name), "{name} is nothing that the code says");
            }
        },
        under(),
    );
}

#[test]
fn headers_are_those_on_the_wire() {
    run(
        |_| async {
            let server = Setup::new(under()).start().await;
            let client = server.dial("room").open().await;
            let framing = ["date", "transfer-encoding", "connection", "keep-alive"];
            let sent = client
                .head()
                .headers
                .iter()
                .filter(|(name, _)| !framing.contains(&&**name));
            let sent = sent.map(|(name, value)| format!("{name}: {value}"));
            let written = quoted(&document());
            let is_response = |text: &&String| {
                ["content-type: text", "cache-control: ", "x-accel-"]
                    .iter()
                    .any(|start| text.starts_with(start))
            };
            assert_eq!(names(sent), names(written.iter().filter(is_response)));
        },
        under(),
    );
}

/// The codes of errors that can be had as values.
fn codes_of_values() -> Names {
    let limit = || LimitReached { limit: "x", max: 1 };
    let publish = [
        PublishError::Message(dualcast::MessageError::EventEmpty),
        PublishError::TooLarge {
            bytes: 2,
            limit: "x",
            max: 1,
        },
        PublishError::Finished,
        PublishError::Limit(limit()),
        PublishError::NotLogged("gone".into()),
        PublishError::Unconfirmed("gone".into()),
    ];
    let mut codes: Names = publish
        .into_iter()
        .map(|error| Error::from(error).code().to_owned())
        .collect();
    let nobody = SubscribeError::Member(dualcast::MemberError::IdEmpty);
    for error in [SubscribeError::NoChannel, SubscribeError::Limit(limit()), nobody] {
        codes.insert(Error::from(error).code().into());
    }
    let json = serde_json::from_str::<u8>("x").unwrap_err();
    let number = Inbound::new("e", Payload::Text("x".into()), None)
        .json::<u8>()
        .unwrap_err();
    for error in [
        NameError::Empty.into(),
        json.into(),
        Error::unknown_event("e"),
        Error::too_fast(Duration::ZERO),
        number,
        Inbound::parse("x").unwrap_err(),
    ] {
        codes.insert(error.code().into());
    }
    codes
}

/// Taken back while the handler thought it over.
async fn code_of_a_right_that_was_taken_back() -> String {
    let setup = Setup::new(under()).on_subscribe(|hub, request| async move {
        hub.unsubscribe(&Identity::new("anna"), &request.channel);
        // As long as a database takes: the order is there before this is over.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(hub.channel(&request.channel)?.subscribe())
    });
    let server = setup.start().await;
    let dial = server.dial_by(Transport::WebSocket, "room").query("who=anna");
    let mut client = dial.open().await;
    client
        .send(&json!({ "control": "subscribe", "channel": "other" }))
        .await;
    match client.next().await {
        Told::Error { code, .. } => code,
        told => panic!("expected a refusal, not {told:?}"),
    }
}

/// What becomes of a POST whose body never ends, once its time is over. Time is at nobody's cost here.
fn code_of_a_slow_post() -> String {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::post("/say").header("content-type", "application/json");
        let refused = Inbound::from_request(request.body(body).unwrap(), &()).await;
        refused.unwrap_err().code().to_owned()
    })
}

#[test]
fn error_codes_are_those_of_the_code() {
    let slow = code_of_a_slow_post();
    run(
        |_| async {
            let mut code = codes_of_values();
            code.insert(slow);
            let setup = Setup::new(under()).on_message(|_, _| async {});
            let server = setup
                .app(|app, _| app.layer(axum::Extension(OriginPolicy::same_origin())))
                .start()
                .await;
            let posts = [
                server
                    .say_text("room", "{}", "origin: https://evil.example\r\n")
                    .await,
                server
                    .request("POST /say?channels=room HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
                    .await,
                server.say_text("room", &" ".repeat(70_000), "").await,
                server
                    .request("GET /ws?channels=room HTTP/1.1\r\nhost: a\r\n\r\n")
                    .await,
            ];
            code.extend(posts.map(|answer| answer.json()["code"].as_str().unwrap().to_owned()));
            let deaf = Setup::new(under()).start().await;
            let joinable = Setup::new(under()).joinable().start().await;
            let full = Setup::new(under())
                .joinable()
                .ws(|options| options.max_subscriptions = 0);
            let full = full.start().await;
            let subscribe = json!({ "control": "subscribe", "channel": "room" });
            for (server, message) in [
                (&deaf, json!({ "event": "e" })),
                (&deaf, json!({ "control": "dance" })),
                (&deaf, json!({ "control": "token", "token": "t" })),
                (&deaf, subscribe.clone()),
                (&joinable, subscribe),
                (&joinable, json!({ "control": "unsubscribe", "channel": "other" })),
                (&full, json!({ "control": "subscribe", "channel": "other" })),
            ] {
                let mut client = server.dial_by(Transport::WebSocket, "room").open().await;
                client.send(&message).await;
                if let Told::Error { code: said, .. } = client.next().await {
                    code.insert(said);
                }
            }
            code.insert(code_of_a_right_that_was_taken_back().await);
            let written = rows("error `code`")
                .into_iter()
                .map(|cells| quoted(&cells[0]).remove(0));
            assert_eq!(names(written), code);
        },
        under(),
    );
}
