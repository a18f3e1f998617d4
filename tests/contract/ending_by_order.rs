//! Sessions that the application ends: a user is sent away, a right is taken back, a session expires.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use dualcast::{CloseReason, Error, Hooks, Identity, SessionInfo};
use dualcast_tests::{Setup, Told, Under, contract, eventually};
use serde_json::json;
use tokio::sync::Semaphore;

contract!(
    over nats: a_user_is_sent_away_and_nobody_else,
    a_user_who_does_not_read_is_sent_away_too,
    a_right_to_a_channel_of_the_route_ends_the_session,
    a_right_to_a_channel_of_the_route_ends_a_session_that_does_not_read,
    a_right_that_nobody_used_ends_nothing,
    a_session_expires_and_is_told_to_come_back,
    a_session_that_does_not_read_expires_too,
);
contract!(
    over nats ws: nothing_more_is_heard_of_a_user_who_was_sent_away,
    a_right_that_is_taken_back_frees_a_joined_channel_of_a_client_that_does_not_read,
    a_new_token_lets_a_session_live_on,
    a_token_that_is_refused_changes_nothing,
    a_session_that_takes_no_tokens_says_so,
);

async fn a_user_is_sent_away_and_nobody_else(under: Under) {
    let reasons = Reasons::default();
    let setup = Setup::new(under).hub({
        let reasons = reasons.clone();
        move |hub| hub.hooks(reasons.clone())
    });
    let server = setup.start().await;
    let mut clients = Vec::new();
    for transport in [under.transport, under.other_transport()] {
        for who in ["who=anna", "who=bert", ""] {
            clients.push(server.dial_by(transport, "room").query(who).open().await);
        }
    }
    assert_eq!(server.hub.disconnect(&Identity::new("anna")), 2);
    assert_eq!(server.hub.disconnect(&Identity::new("nobody")), 0);
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 3 == 0 {
            assert_eq!(client.closing().await, ("disconnected".into(), false));
        }
    }
    eventually("both are gone", || server.hub.session_count() == 4).await;
    assert_eq!(*reasons.0.lock().unwrap(), [CloseReason::Disconnected; 2]);
    server.publish("room", "still here").await;
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 3 != 0 {
            assert_eq!(client.next().await.text(), "still here");
        }
    }
    // Nothing is remembered: whether she may come back is for the routes to say.
    server.dial("room").query("who=anna").open().await;
}

/// What sessions ended with.
#[derive(Clone, Default)]
struct Reasons(Arc<Mutex<Vec<CloseReason>>>);

impl Hooks for Reasons {
    fn session_closed(&self, _: &SessionInfo, reason: CloseReason) {
        self.0.lock().unwrap().push(reason);
    }
}

async fn a_user_who_does_not_read_is_sent_away_too(under: Under) {
    let server = Setup::new(under).small_buffers().start().await;
    let mut client = server.dial("room").query("who=anna").slow().open().await;
    for _ in 0..100 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    server.hub.disconnect(&Identity::new("anna"));
    if under.owns_sockets() {
        eventually("she is gone", || server.hub.session_count() == 0).await;
    }
    let (told, _) = client.until_end().await;
    assert!(told.len() < 100, "she was not sent all of it first");
    server.is_free_of(&["room"]).await;
}

async fn a_right_to_a_channel_of_the_route_ends_the_session(under: Under) {
    let server = Setup::new(under).start().await;
    let mut one = server.dial("room").query("who=anna").open().await;
    let mut several = server.dial("other,room").query("who=anna").open().await;
    let room = server.channel("room");
    assert_eq!(server.hub.unsubscribe(&Identity::new("anna"), room.name()), 2);
    for client in [&mut one, &mut several] {
        assert_eq!(client.closing().await, ("revoked".into(), true));
    }
    server.is_free_of(&["room", "other"]).await;
}

async fn a_right_to_a_channel_of_the_route_ends_a_session_that_does_not_read(under: Under) {
    let server = Setup::new(under).small_buffers().start().await;
    let mut client = server.dial("room").query("who=anna").slow().open().await;
    for _ in 0..100 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    let room = server.channel("room");
    assert_eq!(server.hub.unsubscribe(&Identity::new("anna"), room.name()), 1);
    if under.owns_sockets() {
        eventually("she is gone", || server.hub.session_count() == 0).await;
    }
    let (told, _) = client.until_end().await;
    assert!(told.len() < 100, "she was not sent all of it first");
    server.is_free_of(&["room"]).await;
}

async fn a_right_that_is_taken_back_frees_a_joined_channel_of_a_client_that_does_not_read(under: Under) {
    let setup = Setup::new(under).small_buffers().joinable();
    let server = setup.start().await;
    let mut client = server.dial("own").query("who=anna").slow().open().await;
    let joined = client
        .ask(&json!({ "control": "subscribe", "channel": "room", "ref": 1 }))
        .await;
    assert!(matches!(joined, Told::Reply { .. }));
    for _ in 0..100 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    let room = server.channel("room");
    assert_eq!(server.hub.unsubscribe(&Identity::new("anna"), room.name()), 1);
    eventually("nobody follows it", || room.followers() == 0).await;
    server.publish("own", "still here").await;
    let mut heard = 0;
    loop {
        match client.next().await {
            Told::Message { channel: Some(_), .. } => heard += 1,
            Told::Unsubscribed { channel } => break assert_eq!(channel, "room"),
            told => panic!("{told:?}"),
        }
    }
    assert!(heard < 100, "she was not sent all of it first");
    assert_eq!(client.next().await.text(), "still here");
}

async fn nothing_more_is_heard_of_a_user_who_was_sent_away(under: Under) {
    let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let setup = Setup::new(under).on_message({
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        move |_, _| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                begun.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
            }
        }
    });
    let server = setup.start().await;
    let mut client = server.dial("room").query("who=anna").open().await;
    for _ in 0..20 {
        client.send(&json!({ "event": "e" })).await;
    }
    eventually("the first is handled", || begun.load(Ordering::SeqCst) == 1).await;
    server.hub.disconnect(&Identity::new("anna"));
    gate.add_permits(20);
    assert_eq!(client.closing().await, ("disconnected".into(), false));
    server.is_free_of(&["room"]).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

async fn a_right_that_nobody_used_ends_nothing(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").query("who=anna").open().await;
    let other = server.channel("other");
    for _ in 0..3 {
        server.hub.unsubscribe(&Identity::new("anna"), other.name());
        server.publish("room", "on").await;
        assert_eq!(client.next().await.text(), "on");
    }
}

fn refuse(_token: String) -> Result<SystemTime, Error> {
    Err(Error::new(StatusCode::UNAUTHORIZED, "bad-token", "not that one"))
}

async fn a_session_expires_and_is_told_to_come_back(under: Under) {
    let server = Setup::new(under)
        .expiring(Duration::from_millis(200), refuse)
        .start()
        .await;
    let mut client = server.dial("room").open().await;
    let Told::Opening { expires, .. } = client.opening() else {
        unreachable!()
    };
    assert!(expires.is_some_and(|expires| expires <= 200), "{expires:?}");
    assert_eq!(client.closing().await, ("expired".into(), true));
    server.is_free_of(&["room"]).await;

    // With a token that was stale already it comes in to be told that.
    let server = Setup::new(under).expiring(Duration::ZERO, refuse).start().await;
    let mut client = server.dial("room").open().await;
    assert_eq!(client.closing().await, ("expired".into(), true));
}

async fn a_session_that_does_not_read_expires_too(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .expiring(Duration::from_millis(300), refuse);
    let server = setup.start().await;
    let mut client = server.dial("room").slow().open().await;
    for _ in 0..100 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    if under.owns_sockets() {
        server.is_free_of(&["room"]).await;
    } else {
        // There nobody asks the session before its client reads.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let (told, _) = client.until_end().await;
    assert!(told.len() < 100);
    server.is_free_of(&["room"]).await;
}

async fn a_new_token_lets_a_session_live_on(under: Under) {
    let setup = Setup::new(under).expiring(Duration::from_millis(300), |token| {
        assert_eq!(token, "fresh");
        Ok(SystemTime::now() + Duration::from_millis(900))
    });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    let Told::Reply { data: Some(data), .. } = client
        .ask(&json!({ "control": "token", "token": "fresh", "ref": 1 }))
        .await
    else {
        panic!("a reply");
    };
    let expires = data["expires"].as_u64().unwrap();
    assert!((1..=900).contains(&expires), "{expires}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    server.publish("room", "it lives").await;
    assert_eq!(client.next().await.text(), "it lives");
    assert_eq!(client.closing().await, ("expired".into(), true));
}

async fn a_token_that_is_refused_changes_nothing(under: Under) {
    let server = Setup::new(under)
        .expiring(Duration::from_millis(400), refuse)
        .start()
        .await;
    let mut client = server.dial("room").open().await;
    let refused = client
        .ask(&json!({ "control": "token", "token": "stale", "ref": 1 }))
        .await;
    assert!(
        matches!(&refused, Told::Error { code, reference: Some(_), .. } if code == "bad-token"),
        "{refused:?}"
    );
    server.publish("room", "still here").await;
    assert_eq!(client.next().await.text(), "still here");
    assert_eq!(client.closing().await, ("expired".into(), true));
}

async fn a_session_that_takes_no_tokens_says_so(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    let refused = client
        .ask(&json!({ "control": "token", "token": "t", "ref": 1 }))
        .await;
    assert!(
        matches!(&refused, Told::Error { code, .. } if code == "no-token"),
        "{refused:?}"
    );
    let refused = client.ask(&json!({ "control": "token", "ref": 1 })).await;
    assert!(
        matches!(&refused, Told::Error { code, .. } if code == "bad-message"),
        "{refused:?}"
    );
}
