//! Volatile messages: for who is there now, without a place in the order.

use dualcast::{Message, PublishError};
use dualcast_tests::{Data, Setup, Told, Under, contract};

contract!(
    over nats: a_volatile_message_comes_without_an_id_and_is_never_replayed,
    several_channels_tell_whose_volatile_message_it_is,
    a_client_that_does_not_read_loses_volatile_messages_and_no_others,
    of_one_key_a_client_that_does_not_read_gets_the_newest,
);
contract!(a_volatile_message_to_nobody_is_dropped_and_counted);

fn typing(text: &str) -> Message {
    Message::text("typing", text).volatile()
}

async fn a_volatile_message_comes_without_an_id_and_is_never_replayed(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    let opening = client.last_id().to_owned();
    server.channel("room").publish(typing("ann")).await.unwrap();
    let told = client.next().await;
    let expected = Told::Message {
        id: None,
        channel: None,
        event: "typing".into(),
        data: Data::Text("ann".into()),
    };
    assert_eq!(told, expected);
    assert_eq!(client.last_id(), opening, "it moves no cursor");

    let mut back = server.dial("room").cursor(&opening).open().await;
    server.publish("room", "logged").await;
    assert_eq!(back.next().await.text(), "logged");
    assert_eq!(client.next().await.text(), "logged");
}

async fn several_channels_tell_whose_volatile_message_it_is(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("a,b").open().await;
    for channel in ["a", "b", "a"] {
        server.channel(channel).publish(typing("ann")).await.unwrap();
        let Told::Message { id, channel: of, .. } = client.next().await else {
            panic!("a message")
        };
        assert_eq!((id, of.as_deref()), (None, Some(channel)));
    }
}

async fn a_volatile_message_to_nobody_is_dropped_and_counted(under: Under) {
    let server = Setup::new(under).start().await;
    server.channel("room").publish(typing("nobody")).await.unwrap();
    assert_eq!(
        (server.hub.volatile_dropped(), server.hub.channel_count()),
        (1, 0)
    );
    let mut client = server.dial("room").open().await;
    let large = server.channel("room").publish(typing(&"x".repeat(1 << 20))).await;
    assert!(matches!(
        large,
        Err(PublishError::TooLarge {
            limit: "max_volatile_bytes",
            ..
        })
    ));
    server.channel("room").publish(typing("somebody")).await.unwrap();
    assert_eq!(client.next().await.text(), "somebody");
}

async fn a_client_that_does_not_read_loses_volatile_messages_and_no_others(under: Under) {
    let server = Setup::new(under).small_buffers().start().await;
    let mut client = server.dial("room").slow().open().await;
    for number in 0..100 {
        server
            .publish("room", format!("{number}:{}", "x".repeat(12 << 10)))
            .await;
        server
            .channel("room")
            .publish(typing(&"y".repeat(2 << 10)))
            .await
            .unwrap();
    }
    server.publish("room", "last").await;
    let mut told = client.until_text("last").await;
    // They are in no order towards the logged ones.
    server
        .channel("room")
        .publish(typing("now it reads"))
        .await
        .unwrap();
    told.extend(client.until_text("now it reads").await);
    let (logged, volatile): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.id().is_some());
    assert_eq!(logged.len(), 101, "every logged message came");
    assert!(volatile.len() < 101, "some volatile messages did not");
    assert_eq!(
        volatile.len() as u64 + server.hub.volatile_dropped(),
        101,
        "and were counted"
    );
}

async fn of_one_key_a_client_that_does_not_read_gets_the_newest(under: Under) {
    const ROUNDS: usize = 200;
    let server = Setup::new(under).small_buffers().start().await;
    let mut client = server.dial("room").slow().open().await;
    let channel = server.channel("room");
    for round in 0..ROUNDS {
        server.publish("room", "x".repeat(4 << 10)).await;
        for who in ["ann", "bob"] {
            let place = typing(&format!("{who} {round}")).conflation_key(who);
            channel.publish(place).await.unwrap();
        }
    }
    let mut heard = Vec::new();
    let last: Vec<_> = ["ann", "bob"].map(|who| format!("{who} {}", ROUNDS - 1)).into();
    while !last.iter().all(|last| heard.contains(last)) {
        let told = client.next().await;
        if told.id().is_none() {
            heard.push(told.text().to_owned());
        }
    }
    assert!(heard.len() < 2 * ROUNDS, "it got each of them");
    for who in ["ann", "bob"] {
        let rounds = heard
            .iter()
            .filter_map(|text| text.strip_prefix(who)?.trim().parse::<usize>().ok());
        let rounds: Vec<_> = rounds.collect();
        assert!(rounds.is_sorted(), "{rounds:?}");
    }
    assert_eq!(
        server.hub.volatile_dropped(),
        0,
        "for what it missed a newer one stood there"
    );
}
