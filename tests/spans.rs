//! The spans, as a log has them: one for each session, with why and after how long it ended, and what happens in it. A process has
//! one subscriber, so that this is a program of its own.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};

use dualcast::{Identity, Transport};
use dualcast_tests::{HttpServer, HttpVersion, Setup, Under, eventually, run};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Those who say on the way what is not ours to test.
const LIBRARIES: [&str; 3] = ["h2", "hyper", "tungstenite"];

/// The fields of a span, and the events in it.
#[derive(Debug, Clone, Default)]
struct Session {
    fields: HashMap<String, String>,
    events: Vec<String>,
}

impl Visit for Session {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}").trim_matches('"').to_owned();
        if field.name() == "message" {
            self.events.push(value);
        } else {
            self.fields.insert(field.name().to_owned(), value);
        }
    }
}

impl Session {
    fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }
}

/// Keeps the spans of sessions.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<Spans>>);

#[derive(Default)]
struct Spans {
    open: HashMap<u64, Session>,
    over: Vec<Session>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.0.lock().unwrap()
    }

    fn open(&self, who: &str) -> Session {
        only(self.lock().open.values(), who)
    }

    fn over(&self, who: &str) -> Session {
        only(self.lock().over.iter(), who)
    }
}

fn only<'a>(sessions: impl Iterator<Item = &'a Session>, who: &str) -> Session {
    let mut found = sessions.filter(|session| session.get("identity") == Some(who));
    let session = found.next().unwrap_or_else(|| panic!("{who} has none"));
    assert!(found.next().is_none(), "{who} has one");
    session.clone()
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Sessions {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "session" {
            let mut session = Session::default();
            attributes.record(&mut session);
            self.lock().open.insert(id.into_u64(), session);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(session) = self.lock().open.get_mut(&id.into_u64()) {
            values.record(session);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let target = event.metadata().target();
        if LIBRARIES.iter().any(|library| target.starts_with(library)) {
            return;
        }
        if let Some(span) = context.event_span(event)
            && let Some(session) = self.lock().open.get_mut(&span.id().into_u64())
        {
            event.record(session);
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let mut spans = self.lock();
        if let Some(session) = spans.open.remove(&id.into_u64()) {
            spans.over.push(session);
        }
    }
}

#[test]
fn each_session_is_a_span_that_says_how_it_came_and_why_it_went() {
    let sessions = Sessions::default();
    let subscriber = tracing_subscriber::registry().with(sessions.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        for transport in [Transport::Sse, Transport::WebSocket] {
            let under = Under::new(transport, HttpServer::Dualcast, version);
            run(|under| told(under, sessions.clone()), under);
        }
    }
}

async fn told(under: Under, sessions: Sessions) {
    *sessions.lock() = Spans::default();
    let setup = Setup::new(under).on_message(|_, _| async {
        tracing::warn!("from a handler");
    });
    let server = setup.start().await;
    let cursor = server.publish("room", "before").await.to_string();
    let dial = |who: &str, channels: &str| server.dial(channels).query(format!("who={who}"));
    let mut anna = dial("anna", "room").open().await;
    let mut bert = dial("bert", "room,other").cursor(&cursor).open().await;
    if under.transport == Transport::WebSocket {
        anna.ask(&json!({ "event": "e", "ref": 1 })).await;
    }
    server.hub.disconnect(&Identity::new("anna"));
    anna.closing().await;
    assert_eq!(sessions.open("bert").get("reason"), None);
    server.hub.shutdown();
    bert.closing().await;
    drop((anna, bert));
    server.is_free_of(&["room", "other"]).await;
    eventually("both spans are closed", || sessions.lock().over.len() == 2).await;

    for (who, channels, resumed, reason) in [
        ("anna", "1", "false", "disconnected"),
        ("bert", "2", "true", "shutdown"),
    ] {
        let session = sessions.over(who);
        assert_eq!(session.get("transport"), Some(under.transport.name()));
        assert_eq!(session.get("channels"), Some(channels));
        assert_eq!(session.get("resumed"), Some(resumed));
        assert_eq!(session.get("reason"), Some(reason));
        assert!(session.get("id").unwrap().parse::<u64>().is_ok());
        assert!(session.get("seconds").unwrap().parse::<f64>().unwrap() < 60.0);
        let first_and_last = (session.events.first(), session.events.last());
        let expected = ("a session begins".to_owned(), "a session ends".to_owned());
        assert_eq!(first_and_last, (Some(&expected.0), Some(&expected.1)));
        let from_handler = session.events.iter().filter(|event| *event == "from a handler");
        let has_asked = who == "anna" && under.transport == Transport::WebSocket;
        assert_eq!(from_handler.count(), usize::from(has_asked));
    }
}
