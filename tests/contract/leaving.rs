//! Leaving: a client that goes, in whichever way, leaves nothing behind.

use std::sync::{Arc, Mutex};

use dualcast::{CloseReason, Hooks, SessionInfo, Transport};
use dualcast_tests::{Client, Frame, Server, Setup, Told, Under, contract, eventually};

contract!(
    over nats: a_client_that_says_goodbye_frees_everything,
    a_client_that_is_reset_frees_everything,
    a_client_that_closes_its_socket_frees_everything,
    a_stalled_client_that_vanishes_frees_everything,
    clients_come_and_go_in_numbers_and_nothing_is_left,
    the_application_is_told_who_came_and_why_they_left,
    a_client_that_comes_back_is_told_of_as_one_that_came_and_left_each_time,
);
contract!(ws: a_client_that_vanishes_while_its_message_is_handled_frees_everything);
contract!(ws: a_client_that_vanishes_in_the_middle_of_a_frame_frees_everything);

/// Two clients, one of two channels; goes away; and nothing of them is left.
async fn leaves_nothing(under: Under, go: impl AsyncFn(Client)) {
    let server = Setup::new(under).start().await;
    let one = server.dial("room").open().await;
    let other = server.dial("room,other").open().await;
    assert_eq!((server.hub.session_count(), server.hub.channel_count()), (2, 2));
    assert_eq!(
        (
            server.channel("room").followers(),
            server.channel("other").followers()
        ),
        (2, 1)
    );
    go(one).await;
    eventually("one of two is gone", || server.hub.session_count() == 1).await;
    eventually("one of two is gone", || server.channel("room").followers() == 1).await;
    go(other).await;
    is_empty(&server).await;
}

async fn is_empty(server: &Server) {
    server.is_free_of(&["room", "other"]).await;
    eventually("the channels have left memory", || {
        server.hub.channel_count() == 0
    })
    .await;
}

pub(crate) async fn a_client_that_says_goodbye_frees_everything(under: Under) {
    leaves_nothing(under, Client::leave).await;
}

pub(crate) async fn a_client_that_is_reset_frees_everything(under: Under) {
    leaves_nothing(under, async |client: Client| client.cut()).await;
}

pub(crate) async fn a_client_that_closes_its_socket_frees_everything(under: Under) {
    leaves_nothing(under, async |client: Client| client.hang_up()).await;
}

async fn a_stalled_client_that_vanishes_frees_everything(under: Under) {
    let server = Setup::new(under).small_buffers().start().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.dial("room").slow().open().await);
    }
    for _ in 0..100 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    for client in clients {
        client.cut();
    }
    server.is_free_of(&["room"]).await;
}

async fn clients_come_and_go_in_numbers_and_nothing_is_left(under: Under) {
    let server = Setup::new(under).start().await;
    let waves = (0..4).map(|wave| {
        let dials: Vec<_> = (0..25).map(|_| server.dial("room")).collect();
        tokio::spawn(async move {
            for (number, dial) in dials.into_iter().enumerate() {
                let client = dial.open().await;
                match (wave + number) % 3 {
                    0 => client.cut(),
                    1 => drop(client),
                    _ => client.leave().await,
                }
            }
        })
    });
    for wave in waves.collect::<Vec<_>>() {
        wave.await.unwrap();
    }
    is_empty(&server).await;
}

/// What the application was told.
#[derive(Default, Clone)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

fn name(session: &SessionInfo) -> String {
    let who = session.identity.as_ref().map_or("nobody", |who| who.as_str());
    format!("{who} by {}", session.transport.name())
}

impl Hooks for Notes {
    fn first_follower(&self, channel: &dualcast::ChannelName) {
        self.note(format!("first of {channel}"));
    }

    fn last_follower_gone(&self, channel: &dualcast::ChannelName) {
        self.note(format!("last of {channel}"));
    }

    fn session_opened(&self, session: &SessionInfo) {
        self.note(format!("{} came", name(session)));
    }

    fn session_closed(&self, session: &SessionInfo, reason: CloseReason) {
        self.note(format!("{} left: {}", name(session), reason.name()));
    }
}

async fn the_application_is_told_who_came_and_why_they_left(under: Under) {
    let notes = Notes::default();
    let server = Setup::new(under)
        .hub({
            let notes = notes.clone();
            move |hub| hub.hooks(notes.clone())
        })
        .start()
        .await;
    let client = server.dial("room").query("who=ann").open().await;
    client.cut();
    server.is_free_of(&["room"]).await;
    let mut client = server.dial("room").open().await;
    server.hub.shutdown();
    client.until_end().await;
    server.is_free_of(&["room"]).await;

    let by = match under.transport {
        Transport::Sse => "sse",
        Transport::WebSocket => "ws",
    };
    let expected = [
        format!("ann by {by} came"),
        "first of room".into(),
        "last of room".into(),
        format!("ann by {by} left: left"),
        format!("nobody by {by} came"),
        "first of room".into(),
        "last of room".into(),
        format!("nobody by {by} left: shutdown"),
    ];
    eventually("all is told", || notes.0.lock().unwrap().len() == expected.len()).await;
    let mut told = notes.0.lock().unwrap().clone();
    // Whether the channel or the session is told of first is nobody's concern.
    let mut expected = expected.to_vec();
    for both in [&mut told, &mut expected] {
        both[2..4].sort();
        both[6..8].sort();
    }
    assert_eq!(told, expected);
}

async fn a_client_that_vanishes_in_the_middle_of_a_frame_frees_everything(under: Under) {
    let server = Setup::new(under).start().await;
    let frame = Frame::text(r#"{"event":"never","data":"finished"}"#).masked();
    for length in [1, 2, 5, 6, 10, frame.len() - 1] {
        for is_reset in [true, false] {
            let mut frames = server.frames("room").await;
            frames.until(Frame::TEXT).await;
            frames.send_bytes(&frame[..length]).await.unwrap();
            let socket = frames.into_http().into_socket();
            if is_reset {
                socket.reset();
            } else {
                drop(socket);
            }
        }
    }
    is_empty(&server).await;
}

async fn a_client_that_vanishes_while_its_message_is_handled_frees_everything(under: Under) {
    let handling = Arc::new(tokio::sync::Notify::new());
    let setup = Setup::new(under).on_message({
        let handling = Arc::clone(&handling);
        move |_, _| {
            handling.notify_one();
            std::future::pending::<()>()
        }
    });
    let server = setup.start().await;
    for is_reset in [true, false] {
        let mut client = server.dial("room").open().await;
        client.send(&serde_json::json!({ "event": "e", "ref": 1 })).await;
        handling.notified().await;
        if is_reset {
            client.cut();
        } else {
            client.hang_up();
        }
        is_empty(&server).await;
    }
}

async fn a_client_that_comes_back_is_told_of_as_one_that_came_and_left_each_time(under: Under) {
    let notes = Notes::default();
    let setup = Setup::new(under).hub({
        let notes = notes.clone();
        move |hub| hub.hooks(notes.clone())
    });
    let server = setup.start().await;
    let mut seen = server.publish("room", "first").await;
    for (came, text) in ["second", "third"].into_iter().enumerate() {
        let last = server.publish("room", text).await;
        let dial = server.dial("room").query("who=ann").cursor(&seen.to_string());
        let mut client = dial.open().await;
        assert_eq!(client.next().await.text(), text);
        client.cut();
        server.is_free_of(&["room"]).await;
        seen = last;
        // Each time: she, the channel's first follower, its last, she.
        eventually("it is told", || notes.0.lock().unwrap().len() == 4 * (came + 1)).await;
    }
    let end = server.channel("room").finish().await.unwrap();
    let dial = server.dial("room").query("who=ann").cursor(&end.to_string());
    let over = match dial.attempt().await {
        Ok(mut client) => match client.until_end().await.0.pop() {
            Some(Told::Closing { reason, .. }) => reason,
            told => panic!("{told:?}"),
        },
        Err(answer) => answer.status().to_string(),
    };
    let (expected, reason) = match under.transport {
        Transport::Sse => ("204", "finished"),
        Transport::WebSocket => ("finished", "finished"),
    };
    assert_eq!(over, expected);
    let left = |told: &str| told.starts_with("ann") && told.ends_with(reason);
    eventually("it is told", || {
        notes.0.lock().unwrap().iter().any(|told| left(told))
    })
    .await;
    let told = notes.0.lock().unwrap().clone();
    let came = told.iter().filter(|told| told.ends_with("came")).count();
    let left = told.iter().filter(|told| told.contains(" left: ")).count();
    assert_eq!((came, left), (3, 3), "{told:?}");
}
