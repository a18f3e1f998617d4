//! Channels that a client joins and leaves on a live WebSocket, each with a cursor of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use dualcast::{Error, Identity, LagRule, MaxLag, Message, Position, Transport};
use dualcast_tests::{Client, Server, Setup, Told, Under, contract, eventually};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

contract!(
    over nats ws: a_joined_channel_follows_from_its_answer_on_and_is_named,
    nothing_follows_behind_the_answer_to_a_goodbye_to_a_channel,
    each_channel_comes_back_with_a_cursor_of_its_own,
    a_heartbeat_moves_every_cursor_and_passes_none,
    a_session_that_moves_to_an_event_stream_resumes_at_its_smallest_cursor,
    who_may_follow_is_for_the_application_to_say,
    what_can_not_be_joined_is_answered_with_an_error,
    joined_channels_are_bounded_and_their_places_are_freed,
    a_finished_channel_is_told_and_the_session_goes_on,
    the_end_of_a_channel_that_a_client_has_seen_is_told_again,
    a_busy_channel_starves_no_other,
    a_channel_is_let_in_with_the_lag_rule_of_its_handler,
    a_right_that_is_taken_back_ends_a_joined_channel_alone,
    a_right_that_is_taken_back_while_it_is_asked_for_is_not_given,
    a_client_that_leaves_while_it_asks_follows_nothing,
    a_session_that_ends_leaves_every_channel,
);
contract!(ws: a_joined_channel_that_was_trimmed_begins_with_a_gap);

fn subscribe(channel: &str, reference: u32) -> Value {
    json!({ "control": "subscribe", "channel": channel, "ref": reference })
}

fn unsubscribe(channel: &str) -> Value {
    json!({ "control": "unsubscribe", "channel": channel, "ref": "bye" })
}

/// A client that follows nothing yet.
async fn listener(server: &Server) -> Client {
    let mut client = server.dial("").connect().await;
    let none = Some(Vec::new());
    assert!(
        matches!(client.next().await, Told::Opening { id: None, channels, .. } if channels == none),
        "it follows none of its own"
    );
    client
}

/// Joins a channel. Answers the position from which it follows.
async fn join(client: &mut Client, channel: &str) -> String {
    position(client.ask(&subscribe(channel, 1)).await)
}

async fn join_after(client: &mut Client, channel: &str, cursor: &str) -> String {
    let mut asked = subscribe(channel, 1);
    asked["id"] = json!(cursor);
    let from = position(client.ask(&asked).await);
    client.catching_up();
    from
}

fn position(answer: Told) -> String {
    let Told::Reply { data: Some(data), .. } = &answer else {
        panic!("expected to be let in, not {answer:?}");
    };
    data["id"].as_str().unwrap().to_owned()
}

fn expect_error(answer: &Told, expected: &str) {
    assert!(
        matches!(answer, Told::Error { code, reference: Some(_), .. } if code == expected),
        "expected {expected}, not {answer:?}"
    );
}

/// The channel and the text of a message.
fn said(told: &Told) -> (Option<&str>, &str) {
    let Told::Message { channel, .. } = told else {
        panic!("expected a message, not {told:?}");
    };
    (channel.as_deref(), told.text())
}

async fn a_joined_channel_follows_from_its_answer_on_and_is_named(under: Under) {
    const MESSAGES: u32 = 2_000;
    let keeping_all = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 2 * MESSAGES as usize));
    let server = keeping_all.joinable().start().await;
    let mut client = server.dial("own").open().await;
    let own = Some(vec!["own".to_owned()]);
    assert!(matches!(client.opening(), Told::Opening { channels, .. } if *channels == own));
    server.publish("room", "before").await;
    let from = join(&mut client, "room").await;
    assert_eq!(from, server.hub.position().to_string());
    server.publish("room", "hers").await;
    assert_eq!(said(&client.next().await), (Some("room"), "hers"));
    server.publish("own", "his").await;
    assert_eq!(
        said(&client.next().await),
        (None, "his"),
        "the route's own is told as before"
    );
    // Asked for while messages come without a pause: what stands before the answer is not of it, and what follows is whole.
    let publisher = {
        let room = server.channel("other");
        tokio::spawn(async move {
            for number in 0..MESSAGES {
                let message = Message::text("message", number.to_string());
                room.publish(message).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    client.send(&subscribe("other", 2)).await;
    let told = client.next().await;
    let from = position(told);
    let mut numbers = Vec::new();
    while numbers.last() != Some(&(MESSAGES - 1)) {
        let told = client.next().await;
        if numbers.is_empty() {
            assert!(told.id().unwrap() > from.as_str() || told.id().unwrap().len() > from.len());
        }
        numbers.push(said(&told).1.parse::<u32>().unwrap());
    }
    assert!(
        numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{numbers:?}"
    );
    publisher.await.unwrap();
}

async fn nothing_follows_behind_the_answer_to_a_goodbye_to_a_channel(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut client = listener(&server).await;
    let room = server.channel("room");
    for _ in 0..20 {
        join(&mut client, "room").await;
        let publisher = tokio::spawn({
            let room = room.clone();
            async move {
                for _ in 0..50 {
                    let message = Message::text("message", "on and on");
                    room.publish(message).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        client.next().await;
        client.send(&unsubscribe("room")).await;
        while !matches!(client.next().await, Told::Reply { .. }) {}
        publisher.await.unwrap();
        server.publish("room", "to nobody").await;
        let refused = client.ask(&unsubscribe("room")).await;
        expect_error(&refused, "not-subscribed");
        assert_eq!(room.followers(), 0);
    }
}

async fn each_channel_comes_back_with_a_cursor_of_its_own(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut client = server.dial("own").open().await;
    join(&mut client, "a").await;
    join(&mut client, "b").await;
    for number in 0..3 {
        for channel in ["own", "a", "b"] {
            server.publish(channel, format!("{channel}{number}")).await;
        }
    }
    let mut cursors = std::collections::HashMap::new();
    for told in client.take(9).await {
        let channel = said(&told).0.unwrap_or("own").to_owned();
        cursors.insert(channel, told.id().unwrap().to_owned());
    }
    client.cut();
    for number in 3..6 {
        for channel in ["b", "a", "own"] {
            server.publish(channel, format!("{channel}{number}")).await;
        }
    }
    let mut client = server.dial("own").cursor(&cursors["own"]).open().await;
    assert_eq!(client.texts(3).await, ["own3", "own4", "own5"]);
    for channel in ["b", "a"] {
        let from = join_after(&mut client, channel, &cursors[channel]).await;
        assert_eq!(from, cursors[channel]);
        let texts = client.texts(3).await;
        assert_eq!(texts, [3, 4, 5].map(|number| format!("{channel}{number}")));
    }
}

async fn a_heartbeat_moves_every_cursor_and_passes_none(under: Under) {
    let setup = Setup::new(under).joinable().session(|options| {
        options.heartbeat = Duration::from_millis(20);
    });
    let server = setup.start().await;
    let mut client = server.dial("busy").open().await;
    // A heartbeat may have left before the first message.
    let mut seen: Position = join(&mut client, "quiet").await.parse().unwrap();
    server.publish("busy", "0").await;
    let mut count = 0;
    while count < 3 {
        let told = client.next().await;
        let id: Position = told.id().unwrap().parse().unwrap();
        match told {
            // The id of a message of one channel says nothing of the other; that of a heartbeat is good for both.
            Told::Heartbeat { .. } => {
                assert!(id >= seen && id <= server.hub.position(), "{id} after {seen}");
                count += 1;
            }
            Told::Message { .. } => {
                seen = id;
                server.publish("busy", "and on").await;
            }
            told => panic!("{told:?}"),
        }
    }
}

async fn a_session_that_moves_to_an_event_stream_resumes_at_its_smallest_cursor(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut client = listener(&server).await;
    join(&mut client, "a").await;
    join(&mut client, "b").await;
    server.publish("a", "a0").await;
    server.publish("b", "b0").await;
    let mut smallest = None;
    let mut seen = Vec::new();
    for told in client.take(2).await {
        smallest.get_or_insert(told.id().unwrap().to_owned());
        seen.push(told.id().unwrap().to_owned());
    }
    client.cut();
    for number in 1..4 {
        server.publish("b", format!("b{number}")).await;
        server.publish("a", format!("a{number}")).await;
    }
    let dial = server.dial_by(Transport::Sse, "a,b").cursor(&smallest.unwrap());
    let mut stream = dial.open().await;
    let mut texts = Vec::new();
    while texts.len() < 6 {
        let told = stream.next().await;
        if !seen.contains(&told.id().unwrap().to_owned()) {
            texts.push(told.text().to_owned());
        }
    }
    assert_eq!(texts, ["b1", "a1", "b2", "a2", "b3", "a3"]);
}

async fn a_joined_channel_that_was_trimmed_begins_with_a_gap(under: Under) {
    let setup = Setup::new(under)
        .joinable()
        .hub(|hub| hub.log(|log| log.max_records = 5));
    let server = setup.start().await;
    let positions = server.publish_numbers("room", 1..=20).await;
    let mut client = listener(&server).await;
    join_after(&mut client, "room", &positions[2].to_string()).await;
    let Told::Gap {
        id,
        channel,
        from,
        to,
        reason,
    } = client.next().await
    else {
        panic!("a gap");
    };
    let at = |number: usize| Some(positions[number - 1].to_string());
    assert_eq!((&*channel, &*reason), ("room", "trimmed"));
    assert_eq!((from, &to, id), (at(3), &at(15), at(15)));
    assert_eq!(client.texts(5).await, ["16", "17", "18", "19", "20"]);

    let mut client = listener(&server).await;
    join_after(&mut client, "room", "nonsense").await;
    assert!(matches!(client.next().await, Told::Gap { reason, .. } if reason == "unreadable"));
}

async fn who_may_follow_is_for_the_application_to_say(under: Under) {
    let setup = Setup::new(under).on_subscribe(|hub, request| async move {
        if request.channel.as_str().starts_with("secret") {
            return Err(Error::new(StatusCode::FORBIDDEN, "not-yours", "it is secret"));
        }
        let name = if request.channel.as_str() == "crossed" {
            "secret"
        } else {
            request.channel.as_str()
        };
        Ok(hub.channel(name)?.subscribe())
    });
    let server = setup.start().await;
    let mut client = listener(&server).await;
    let refused = client.ask(&subscribe("secret.1", 1)).await;
    expect_error(&refused, "not-yours");
    join(&mut client, "open").await;
    // A handler that opens another channel than was asked for has a bug: better nothing than that.
    let crossed = client.ask(&subscribe("crossed", 1)).await;
    expect_error(&crossed, "internal");
    server.publish("secret", "unheard").await;
    server.publish("secret.1", "unheard").await;
    server.publish("open", "heard").await;
    assert_eq!(client.next().await.text(), "heard");
    assert_eq!(server.channel("secret").followers(), 0);
}

async fn what_can_not_be_joined_is_answered_with_an_error(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut client = server.dial("own").open().await;
    join(&mut client, "room").await;
    for channel in ["room", "own"] {
        let refused = client.ask(&subscribe(channel, 1)).await;
        expect_error(&refused, "already-subscribed");
    }
    for channel in ["own", "elsewhere"] {
        expect_error(&client.ask(&unsubscribe(channel)).await, "not-subscribed");
    }
    for channel in ["", "a..b", "ü", "a*", "a.>", &"x".repeat(201)] {
        let refused = client.ask(&subscribe(channel, 1)).await;
        expect_error(&refused, "bad-channel");
    }
    let refused = client.ask(&json!({ "control": "subscribe", "ref": 1 })).await;
    expect_error(&refused, "bad-message");

    let deaf = Setup::new(under).start().await;
    let mut client = deaf.dial("own").open().await;
    let refused = client.ask(&subscribe("room", 1)).await;
    expect_error(&refused, "no-subscribe");
}

async fn joined_channels_are_bounded_and_their_places_are_freed(under: Under) {
    let setup = Setup::new(under)
        .joinable()
        .ws(|options| options.max_subscriptions = 3)
        .hub(|hub| hub.limits(|limits| limits.max_subscriptions = 5));
    let server = setup.start().await;
    let mut client = server.dial("own").open().await;
    for channel in ["a", "b", "c"] {
        join(&mut client, channel).await;
    }
    let refused = client.ask(&subscribe("d", 1)).await;
    expect_error(&refused, "too-many-channels");
    assert!(matches!(&refused, Told::Error { message, .. } if message.contains("`max_subscriptions` is 3")));
    // It makes sense, and so it costs no session however often it is asked: more often than what makes none.
    for _ in 0..30 {
        expect_error(&client.ask(&subscribe("d", 1)).await, "too-many-channels");
    }
    assert!(matches!(client.ask(&unsubscribe("b")).await, Told::Reply { .. }));
    join(&mut client, "d").await;

    // The hub's own limit, which passes: one more is let in, the next is not.
    let mut other = server.dial("own").open().await;
    let refused = other.ask(&subscribe("a", 1)).await;
    expect_error(&refused, "busy");
    client.cut();
    eventually("its places are free", || server.channel("a").followers() == 0).await;
    join(&mut other, "a").await;
}

async fn a_finished_channel_is_told_and_the_session_goes_on(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut client = server.dial("own").open().await;
    join(&mut client, "run").await;
    server.publish("run", "last").await;
    server.channel("run").finish().await.unwrap();
    assert_eq!(client.next().await.text(), "last");
    assert!(matches!(client.next().await, Told::Finished { channel, .. } if channel == "run"));
    // The route's own, too: the client may still ask for others.
    server.channel("own").finish().await.unwrap();
    assert!(matches!(client.next().await, Told::Finished { channel, .. } if channel == "own"));
    join(&mut client, "next").await;
    server.publish("next", "on").await;
    assert_eq!(client.next().await.text(), "on");
    // One that is finished already: what is kept of it, then its end.
    join(&mut client, "run").await;
    assert_eq!(client.next().await.text(), "last");
    assert!(matches!(client.next().await, Told::Finished { channel, .. } if channel == "run"));
    assert_eq!(server.hub.session_count(), 1);
}

/// Or it would wait for ever for what can't come.
async fn the_end_of_a_channel_that_a_client_has_seen_is_told_again(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    server.publish("run", "last").await;
    let end = server.channel("run").finish().await.unwrap().to_string();
    let mut client = listener(&server).await;
    for _ in 0..2 {
        assert_eq!(join_after(&mut client, "run", &end).await, end);
        let told = client.next().await;
        assert!(matches!(&told, Told::Finished { channel, .. } if channel == "run"));
        assert_eq!(told.id(), Some(&*end));
    }
    // What is missing comes before that nothing follows.
    let mut client = listener(&server).await;
    join_after(&mut client, "run", "nonsense").await;
    assert!(matches!(client.next().await, Told::Gap { reason, .. } if reason == "unreadable"));
    assert!(matches!(client.next().await, Told::Finished { channel, .. } if channel == "run"));
    // And of the route's own.
    let mut client = server.dial("run").cursor(&end).open().await;
    assert!(matches!(client.next().await, Told::Finished { channel, .. } if channel == "run"));
    join(&mut client, "next").await;
    server.publish("next", "on").await;
    assert_eq!(client.next().await.text(), "on");
}

async fn a_busy_channel_starves_no_other(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .joinable()
        .hub(|hub| hub.log(|log| log.max_records = 50));
    let server = setup.start().await;
    let mut client = server.dial("busy").slow().open().await;
    for channel in ["busy2", "quiet"] {
        join(&mut client, channel).await;
    }
    let busy = ["busy", "busy2"].map(|name| server.channel(name));
    let publisher = tokio::spawn(async move {
        loop {
            for channel in &busy {
                let message = Message::text("message", "x".repeat(4 << 10));
                channel.publish(message).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    });
    for number in 0..5 {
        server.publish("quiet", number.to_string()).await;
        for before in 0.. {
            let told = client.next().await;
            if matches!(&told, Told::Message { channel: Some(channel), .. } if channel == "quiet") {
                assert_eq!(told.text(), number.to_string());
                break;
            }
            assert!(before < 2_000, "nothing of the quiet one among so many");
        }
    }
    publisher.abort();
}

async fn a_channel_is_let_in_with_the_lag_rule_of_its_handler(under: Under) {
    let setup = Setup::new(under)
        .small_buffers()
        .on_subscribe(|hub, request| async move {
            let subscribe = hub.channel(&request.channel)?.subscribe();
            Ok(subscribe.lag(LagRule::Disconnect(MaxLag::records(10))))
        });
    let server = setup.start().await;
    let mut client = server.dial("own").slow().open().await;
    join(&mut client, "room").await;
    for _ in 0..100 {
        server.publish("room", "x".repeat(12 << 10)).await;
    }
    eventually("it is too far behind", || server.hub.session_count() == 0).await;
    let (told, _) = client.until_end().await;
    assert!(told.len() < 100);
}

async fn a_right_that_is_taken_back_ends_a_joined_channel_alone(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut clients = Vec::new();
    for who in ["anna", "anna", "bert"] {
        let mut client = server.dial("own").query(format!("who={who}")).open().await;
        join(&mut client, "room").await;
        clients.push(client);
    }
    let (anna, room) = (Identity::new("anna"), server.channel("room"));
    assert_eq!(server.hub.unsubscribe(&anna, room.name()), 2);
    for client in &mut clients[..2] {
        assert!(matches!(client.next().await, Told::Unsubscribed { channel } if channel == "room"));
    }
    server.publish("room", "for bert").await;
    server.publish("own", "for all").await;
    for client in &mut clients[..2] {
        assert_eq!(client.next().await.text(), "for all");
    }
    // Two cursors: their order among each other is nobody's promise.
    let mut both = clients[2].texts(2).await;
    both.sort();
    assert_eq!(both, ["for all", "for bert"]);
    assert_eq!(room.followers(), 1);
    // It may ask again: the application decides anew.
    join(&mut clients[0], "room").await;
}

/// A server that lets clients join when it may: with the gate to open, and what says that one has asked.
async fn thoughtful(under: Under) -> (Server, Arc<Semaphore>, Arc<Semaphore>) {
    let (gate, asked) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let setup = Setup::new(under).on_subscribe({
        let (gate, asked) = (Arc::clone(&gate), Arc::clone(&asked));
        move |hub, request| {
            let (gate, asked) = (Arc::clone(&gate), Arc::clone(&asked));
            async move {
                asked.add_permits(1);
                gate.acquire().await.unwrap().forget();
                Ok(hub.channel(&request.channel)?.subscribe())
            }
        }
    });
    (setup.start().await, gate, asked)
}

async fn a_right_that_is_taken_back_while_it_is_asked_for_is_not_given(under: Under) {
    let (server, gate, asked) = thoughtful(under).await;
    let mut client = server.dial("own").query("who=anna").open().await;
    let anna = Identity::new("anna");
    for _ in 0..20 {
        client.send(&subscribe("room", 1)).await;
        asked.acquire().await.unwrap().forget();
        server.hub.unsubscribe(&anna, server.channel("room").name());
        gate.add_permits(1);
        // Either order of the two in the session is right, as long as it follows nothing in the end.
        match client.next().await {
            Told::Error { code, .. } => assert_eq!(code, "revoked"),
            Told::Reply { .. } => {
                assert!(matches!(client.next().await, Told::Unsubscribed { .. }));
            }
            told => panic!("{told:?}"),
        }
        assert_eq!(server.channel("room").followers(), 0);
    }
}

async fn a_client_that_leaves_while_it_asks_follows_nothing(under: Under) {
    let (server, gate, asked) = thoughtful(under).await;
    let mut client = server.dial("own").open().await;
    client.send(&subscribe("room", 1)).await;
    asked.acquire().await.unwrap().forget();
    client.cut();
    server.is_free_of(&["own"]).await;
    gate.add_permits(1);
    server.is_free_of(&["own", "room"]).await;
}

async fn a_session_that_ends_leaves_every_channel(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut client = server.dial("own").open().await;
    for channel in ["a", "b", "c"] {
        join(&mut client, channel).await;
        assert_eq!(server.channel(channel).followers(), 1);
    }
    server.hub.shutdown();
    assert_eq!(client.closing().await, ("shutdown".into(), true));
    server.is_free_of(&["own", "a", "b", "c"]).await;
}
