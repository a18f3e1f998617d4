//! Event streams: whatever is published, a reader of the standard reads back.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dualcast::{Channel, Error, Hub, Message, Payload, Position, Sse};
use dualcast_tests::EventStream;
use serde_json::value::RawValue;
use tower::ServiceExt;

use crate::input::Input;
use crate::runtime::block_on;

/// A cursor that a client comes back with, and messages that were published before, on a channel that is then finished.
///
/// # Panics
///
/// Where the reader reads anything else.
pub fn event_stream(bytes: &[u8]) {
    block_on(play(Input::new(bytes)));
}

async fn play(mut input: Input<'_>) {
    let hub = Hub::builder().build().expect("the limits hold together");
    let (one, other) = (channel(&hub, "one"), channel(&hub, "other"));
    let is_multi = input.byte() % 2 == 1;
    let start = hub.position();
    let cursor = match input.byte() % 3 {
        0 => start.to_string(),
        1 => input.text(),
        _ => String::new(),
    };
    let is_whole = cursor == start.to_string();
    let mut published = Vec::new();
    while !input.is_empty() && published.len() < MAX_MESSAGES {
        let (kind, event, data) = (input.byte(), input.text(), input.piece());
        let text = String::from_utf8_lossy(data);
        let payload = match kind % 3 {
            0 => Payload::Text(text.into()),
            1 => Payload::Json(text.into()),
            _ => Payload::Binary(data.to_vec().into()),
        };
        let channel = if is_multi && kind & 0x80 != 0 {
            &other
        } else {
            &one
        };
        // What breaks a rule is refused, and is the publisher's to mend.
        if let Ok(position) = channel
            .publish(Message::new(event.clone(), payload.clone()))
            .await
        {
            let prefix = if is_multi {
                format!("{}/", channel.name())
            } else {
                String::new()
            };
            published.push((position, prefix + &event, payload));
        }
    }
    for channel in [&one, &other] {
        channel.finish().await.expect("it was not finished");
    }

    let channels = if is_multi { vec![one, other] } else { vec![one] };
    let app = Router::new().route("/", get(stream)).with_state((hub, channels));
    let request = Request::builder().header("last-event-id", cursor.replace(char::is_control, " "));
    let Ok(request) = request.body(Body::empty()) else {
        return;
    };
    let response = app.oneshot(request).await.expect("it answers");
    if response.status() == 204 {
        // Nothing but the end is left.
        return assert!(is_whole && published.is_empty());
    }
    assert_eq!(response.status(), 200);
    let body = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a stream ends");
    let heard = read(&body);
    assert_eq!(heard.last().map(|event| &*event.event), Some("dualcast:closing"));

    let messages = heard.iter().filter(|event| !event.event.starts_with("dualcast:"));
    let messages: Vec<_> = messages
        .map(|event| (&*event.event, &*event.data, event.id.as_deref(), &*event.unknown))
        .collect();
    let expected = published
        .iter()
        .map(|(position, event, payload)| expect(*position, event, payload));
    let expected: Vec<_> = expected.collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(event, data, id, unknown)| (&**event, &**data, Some(&**id), &**unknown))
        .collect();
    if is_whole {
        assert_eq!(messages, expected);
    } else {
        assert!(
            expected.ends_with(&messages),
            "what comes is what was published last"
        );
    }
}

async fn stream(State((hub, channels)): State<(Hub, Vec<Channel>)>, sse: Sse) -> Result<Response, Error> {
    Ok(sse.subscribe(hub.subscribe(channels.iter().map(|channel| channel.name().clone()))))
}

fn channel(hub: &Hub, name: &str) -> Channel {
    hub.channel(name).expect("a name")
}

fn read(body: &[u8]) -> Vec<dualcast_tests::Event> {
    let mut stream = EventStream::default();
    stream.feed(body);
    std::iter::from_fn(|| stream.event()).collect()
}

/// An event as `docs/protocol.md` says.
fn expect(position: Position, event: &str, payload: &Payload) -> (String, String, String, Vec<String>) {
    let mut unknown = Vec::new();
    let (event, data) = match payload {
        Payload::Text(text) | Payload::Json(text) => {
            (event.to_owned(), text.replace("\r\n", "\n").replace('\r', "\n"))
        }
        Payload::Binary(bytes) => (format!("{event};base64"), STANDARD.encode(bytes)),
    };
    if let Payload::Json(json) = payload
        && serde_json::from_str::<&RawValue>(json).is_ok()
    {
        unknown.push("type: json".to_owned());
    }
    (event, data, position.to_string(), unknown)
}

/// More of them is more of the same.
const MAX_MESSAGES: usize = 16;
