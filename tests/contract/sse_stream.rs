//! Streams of no channel: sessions like any other, without a cursor.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dualcast::{CloseReason, Hooks, Hub, Identity, Message, SessionInfo, Sse};
use dualcast_tests::{Data, End, Server, Setup, Told, Under, contract, eventually};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

contract!(
    sse: a_stream_of_no_channel_is_sent_and_ends,
    a_stream_of_no_channel_is_asked_only_as_its_client_reads,
    a_stream_of_no_channel_shows_life_by_comments,
    a_stream_of_no_channel_ends_with_its_client,
    a_stream_of_no_channel_is_a_session_of_its_hub,
    a_stream_of_no_channel_above_max_sessions_is_told_to_come_back_later,
    a_stream_of_no_channel_is_told_of_the_hubs_shutdown,
    a_stream_of_no_channel_that_panics_ends_its_own_session_alone,
    a_stream_of_no_channel_may_have_leave_to_finish,
    a_head_request_starts_no_stream,
    an_event_name_of_a_stream_breaks_out_of_nothing,
);

/// One more route, `/stream`, of messages that the test makes.
fn streaming(
    under: Under,
    messages: impl Fn() -> stream::BoxStream<'static, Message> + Clone + Send + Sync + 'static,
) -> Setup {
    Setup::new(under).app(move |app: Router, hub: &Hub| {
        let hub = hub.clone();
        let route = |sse: Sse| async move {
            sse.options(|options| options.session.heartbeat = Duration::from_millis(20))
                .identity(Identity::new("me"))
                .stream(&hub, messages())
        };
        app.route("/stream", get(route))
    })
}

async fn a_stream_of_no_channel_is_sent_and_ends(under: Under) {
    let setup = streaming(under, || {
        let messages = (1..=3).map(|number| Message::text("token", number.to_string()));
        stream::iter(messages.chain([Message::binary("image", vec![7])])).boxed()
    });
    let server = setup.start().await;
    let mut client = server.dial_path("/stream").connect().await;
    let (told, end) = client.until_end().await;
    for (number, told) in told[..3].iter().enumerate() {
        let expected = Told::Message {
            id: None,
            channel: None,
            event: "token".into(),
            data: Data::Text((number + 1).to_string()),
        };
        assert_eq!(*told, expected, "without an id: there is nothing to resume");
    }
    assert!(matches!(&told[3], Told::Message { data: Data::Binary(bytes), .. } if bytes == &[7]));
    assert!(matches!(&told[4], Told::Closing { reason, .. } if reason == "finished"));
    assert_eq!((told.len(), end), (5, End::Complete(None)));
    assert!(client.events().retry().is_some());
    assert_eq!(client.events().last_event_id(), "");
}

async fn a_stream_of_no_channel_is_asked_only_as_its_client_reads(under: Under) {
    let (asked, mut ask) = mpsc::unbounded_channel();
    let setup = streaming(under, move || {
        let asked = asked.clone();
        let messages = (0..400).map(move |number: u32| {
            asked.send(number).unwrap();
            Message::text("message", format!("{number}:{}", "x".repeat(12 << 10)))
        });
        stream::iter(messages).boxed()
    });
    let server = setup.small_buffers().start().await;
    let mut client = server.dial_path("/stream").slow().connect().await;
    assert!(client.next().await.text().starts_with("0:"));
    // A reader that stops; then nothing more is asked for, however long one waits.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = ask.len();
        if now == before {
            break;
        }
        before = now;
    }
    // A batch and a message, and what the two kernels take. Where hyper keeps the connection it takes 16 more.
    let bound = if under.owns_sockets() { 6 } else { 40 };
    assert!(
        before <= bound,
        "{before} messages of 12 KiB were asked for ahead"
    );
    for number in 1..400 {
        assert!(client.next().await.text().starts_with(&format!("{number}:")));
    }
    assert_eq!(ask.recv().await, Some(0));
}

async fn a_stream_of_no_channel_shows_life_by_comments(under: Under) {
    let server = streaming(under, || stream::pending().boxed()).start().await;
    let mut http = server.http().await;
    http.send("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut framing = http.head().await.unwrap().body();
    let first = String::from_utf8(http.body(&mut framing).await.unwrap().unwrap()).unwrap();
    assert!(first.starts_with("retry: "), "{first}");
    for _ in 0..3 {
        let piece = http.body(&mut framing).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(piece).unwrap(), ": heartbeat\n");
    }
}

async fn a_stream_of_no_channel_ends_with_its_client(under: Under) {
    let (alive, watched) = tokio::sync::watch::channel(());
    let watched = std::sync::Arc::new(watched);
    let setup = streaming(under, {
        let watched = std::sync::Arc::clone(&watched);
        move || {
            let watched = (*watched).clone();
            stream::pending()
                .chain(stream::once(async move {
                    drop(watched);
                    Message::text("message", "never")
                }))
                .boxed()
        }
    });
    let server = setup.start().await;
    let client = server.dial_path("/stream").connect().await;
    let idle = alive.receiver_count() - 1;
    assert!(idle > 0, "the stream is there");
    client.cut();
    eventually("the stream is dropped", || alive.receiver_count() == 1).await;
}

/// Notes what the hooks are told of sessions.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl Noted {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, what: &str, session: &SessionInfo) {
        let identity = session.identity.as_ref().map_or("nobody", Identity::as_str);
        let transport = session.transport.name();
        self.0
            .lock()
            .unwrap()
            .push(format!("{what} {transport} {identity}"));
    }
}

impl Hooks for Noted {
    fn session_opened(&self, session: &SessionInfo) {
        self.note("opened", session);
    }

    fn session_closed(&self, session: &SessionInfo, reason: CloseReason) {
        self.note(reason.name(), session);
    }
}

async fn a_stream_of_no_channel_is_a_session_of_its_hub(under: Under) {
    let noted = Noted::default();
    let hooks = noted.clone();
    let setup = streaming(under, || stream::iter([Message::text("message", "only")]).boxed());
    let server = setup.hub(move |hub| hub.hooks(hooks.clone())).start().await;
    let mut client = server.dial_path("/stream").connect().await;
    client.until_end().await;
    server.is_free_of(&[]).await;
    eventually("both are told", || noted.all().len() == 2).await;
    assert_eq!(noted.all(), ["opened sse me", "finished sse me"]);
}

async fn until_open(server: &Server) {
    eventually("its session is open", || server.hub.session_count() == 1).await;
}

async fn a_stream_of_no_channel_above_max_sessions_is_told_to_come_back_later(under: Under) {
    let setup = streaming(under, || stream::pending().boxed());
    let server = setup
        .hub(|hub| hub.limits(|limits| limits.max_sessions = 1))
        .start()
        .await;
    let first = server.dial_path("/stream").connect().await;
    until_open(&server).await;
    let mut second = server.dial_path("/stream").connect().await;
    let (told, end) = second.until_end().await;
    let is_busy = matches!(&told[..], [Told::Closing { reason, reconnect: true, .. }] if reason == "busy");
    assert!(is_busy, "{told:?}");
    assert_eq!(end, End::Complete(None));
    assert!(second.events().retry().is_some());
    first.leave().await;
    server.is_free_of(&[]).await;
    let _third = server.dial_path("/stream").connect().await;
    until_open(&server).await;
}

async fn a_stream_of_no_channel_is_told_of_the_hubs_shutdown(under: Under) {
    let server = streaming(under, || stream::pending().boxed()).start().await;
    let mut client = server.dial_path("/stream").connect().await;
    until_open(&server).await;
    server.hub.shutdown();
    let (told, end) = client.until_end().await;
    assert!(
        matches!(&told[..], [Told::Closing { reason, .. }] if reason == "shutdown"),
        "{told:?}"
    );
    assert_eq!(end, End::Complete(None));
    server.is_free_of(&[]).await;
}

async fn a_stream_of_no_channel_that_panics_ends_its_own_session_alone(under: Under) {
    let setup = streaming(under, || {
        let first = stream::iter([Message::text("message", "first")]);
        first
            .chain(stream::once(async { resume_unwind(Box::new("on purpose")) }))
            .boxed()
    });
    let server = setup.start().await;
    let mut other = server.dial("room").open().await;
    let mut client = server.dial_path("/stream").connect().await;
    assert_eq!(client.next().await.text(), "first");
    assert_eq!(client.closing().await, ("internal".into(), true));
    server.publish("room", "goes on").await;
    assert_eq!(other.next().await.text(), "goes on");
}

async fn a_head_request_starts_no_stream(under: Under) {
    let (asked, ask) = mpsc::unbounded_channel();
    let setup = streaming(under, move || {
        let asked = asked.clone();
        let messages = stream::iter(0..3).map(move |number: u32| {
            asked.send(number).unwrap();
            Message::text("message", number.to_string())
        });
        messages.boxed()
    });
    let server = setup.start().await;
    let mut http = server.http().await;
    http.send("HEAD /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(http.head().await.unwrap().status, 200);
    assert_eq!((server.hub.session_count(), ask.len()), (0, 0));
}

async fn an_event_name_of_a_stream_breaks_out_of_nothing(under: Under) {
    for event in [
        "x\nid: 0\ndata: forged\n\nevent: y",
        "dualcast:closing",
        "",
        "a;base64",
    ] {
        let setup = streaming(under, move || {
            stream::iter([Message::text("fine", "1"), Message::text(event, "2")]).boxed()
        });
        let server = setup.start().await;
        let (told, _) = server.dial_path("/stream").connect().await.until_end().await;
        assert_eq!(told[0].text(), "1");
        assert!(
            matches!(&told[1..], [Told::Closing { reason, .. }] if reason == "internal"),
            "{event:?}: {told:?}"
        );
    }
}

/// Nobody could resume it.
async fn a_stream_of_no_channel_may_have_leave_to_finish(under: Under) {
    let (sender, receiver) = mpsc::channel::<Message>(1);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let setup = Setup::new(under).app(move |app: Router, hub: &Hub| {
        let hub = hub.clone();
        let route = |sse: Sse| async move {
            let mut receiver = receiver.lock().unwrap().take().unwrap();
            let messages = stream::poll_fn(move |cx| receiver.poll_recv(cx));
            sse.options(|options| options.session.shutdown_grace = Duration::from_secs(40))
                .stream(&hub, messages)
        };
        app.route("/stream", get(route))
    });
    let setup = setup.options(|options| options.drain_timeout = Duration::from_secs(50));
    let mut server = setup.start().await;
    let mut client = server.dial_path("/stream").connect().await;
    sender.send(Message::text("token", "before")).await.unwrap();
    assert_eq!(client.next().await.text(), "before");
    server.begin_shutdown();
    for number in 0..5 {
        sender
            .send(Message::text("token", number.to_string()))
            .await
            .unwrap();
        assert_eq!(client.next().await.text(), number.to_string());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(sender);
    assert_eq!(client.closing().await, ("finished".into(), false));
    drop(client);
    server.is_over().await;
}
