//! Order: every record comes, once, in the hub's order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dualcast::{Message, Position};
use dualcast_tests::{Ledger, Setup, Told, Under, contract};

contract!(
    over nodes: records_arrive_in_order_and_once,
    records_of_many_publishers_arrive_in_the_order_of_their_positions,
    clients_that_come_amid_a_burst_see_all_that_follows_their_opening,
    several_channels_come_on_one_connection_in_the_hubs_order,
    many_clients_see_the_same,
    batches_of_any_size_keep_the_order,
);
contract!(over nats servers: plain_clients_of_both_transports_see_the_same_events_ids_and_order);

async fn records_arrive_in_order_and_once(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    let positions = server.publish_numbers("room", 1..=300).await;
    let told = client.take(300).await;
    let ids: Vec<_> = told.iter().map(|told| told.id().unwrap().to_owned()).collect();
    let expected: Vec<_> = positions.iter().map(Position::to_string).collect();
    assert_eq!(ids, expected);
    let texts: Vec<_> = told.iter().map(Told::text).collect();
    let expected: Vec<_> = (1..=300).map(|number| number.to_string()).collect();
    assert_eq!(texts, expected);

    server.publish("room", "last").await;
    assert_eq!(client.next().await.text(), "last", "nothing came twice");
}

async fn records_of_many_publishers_arrive_in_the_order_of_their_positions(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("room").open().await;
    let start = client.position();
    let publishers = (0..8).map(|publisher| {
        let room = server.channel("room");
        tokio::spawn(async move {
            let mut published = Vec::new();
            for number in 0..40 {
                let text = format!("{publisher}:{number}");
                published.push((
                    room.publish(Message::text("message", &*text)).await.unwrap(),
                    text,
                ));
            }
            published
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let mut ledger = Ledger::default();
    for publisher in publishers {
        for (position, text) in publisher.await.unwrap() {
            ledger.note("room", position, &text);
        }
    }
    let told = client.take(8 * 40).await;
    assert_eq!(ledger.check(start, &["room"], &told), 0);
}

async fn clients_that_come_amid_a_burst_see_all_that_follows_their_opening(under: Under) {
    let setup = Setup::new(under).hub(|hub| hub.log(|log| log.max_records = 1_000_000));
    let server = setup.start().await;
    let room = server.channel("room");
    let is_enough = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn({
        let is_enough = Arc::clone(&is_enough);
        async move {
            let mut ledger = Ledger::default();
            for number in 0.. {
                let is_last = is_enough.load(Ordering::SeqCst);
                let text = if is_last {
                    "last".into()
                } else {
                    number.to_string()
                };
                let position = room.publish(Message::text("message", &*text)).await.unwrap();
                ledger.note("room", position, &text);
                if is_last {
                    break;
                }
                tokio::task::yield_now().await;
            }
            ledger
        }
    });
    let mut heard = Vec::new();
    for _ in 0..6 {
        let mut client = server.dial("room").open().await;
        let start = client.position();
        heard.push(tokio::spawn(
            async move { (start, client.until_text("last").await) },
        ));
    }
    is_enough.store(true, Ordering::SeqCst);
    let ledger = publisher.await.unwrap();
    for heard in heard {
        let (start, told) = heard.await.unwrap();
        assert_eq!(ledger.check(start, &["room"], &told), 0);
    }
}

async fn several_channels_come_on_one_connection_in_the_hubs_order(under: Under) {
    let server = Setup::new(under).start().await;
    let mut client = server.dial("a,b,c").open().await;
    let start = client.position();
    let publishers = ["a", "b", "c", "other"].map(|name| {
        let channel = server.channel(name);
        tokio::spawn(async move {
            let mut published = Vec::new();
            for number in 0..60 {
                let text = format!("{name}{number}");
                published.push((
                    channel.publish(Message::text("message", &*text)).await.unwrap(),
                    text,
                ));
                tokio::task::yield_now().await;
            }
            (name, published)
        })
    });
    let mut ledger = Ledger::default();
    for publisher in publishers {
        let (name, published) = publisher.await.unwrap();
        for (position, text) in published {
            ledger.note(name, position, &text);
        }
    }
    let told = client.take(3 * 60).await;
    assert_eq!(ledger.check(start, &["a", "b", "c"], &told), 0);
    let texts: Vec<_> = told.iter().map(Told::text).collect();
    assert_eq!(
        texts,
        ledger.texts_after(start, &["a", "b", "c"]),
        "across the channels, too"
    );
}

async fn many_clients_see_the_same(under: Under) {
    let server = Setup::new(under).start().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.dial("room").open().await);
    }
    server.publish_numbers("room", 1..=50).await;
    let first = clients[0].take(50).await;
    for client in &mut clients[1..] {
        assert_eq!(client.take(50).await, first);
    }
}

async fn batches_of_any_size_keep_the_order(under: Under) {
    for max_batch_bytes in [0, 1, 100, 1 << 20] {
        let setup = Setup::new(under).session(move |options| options.max_batch_bytes = max_batch_bytes);
        let server = setup.start().await;
        let mut client = server.dial("a,b").open().await;
        let start = client.position();
        let mut ledger = Ledger::default();
        for number in 0..40 {
            let channel = ["a", "b"][number % 2];
            let text = number.to_string();
            ledger.note(channel, server.publish(channel, &*text).await, &text);
        }
        let told = client.take(40).await;
        assert_eq!(
            ledger.check(start, &["a", "b"], &told),
            0,
            "in batches of {max_batch_bytes}"
        );
    }
}

async fn plain_clients_of_both_transports_see_the_same_events_ids_and_order(under: Under) {
    let server = Setup::new(under).start().await;
    for channels in ["room", "room,other"] {
        let mut one = server.dial(channels).open().await;
        let mut other = server.dial_by(under.other_transport(), channels).open().await;
        assert_eq!(one.last_id(), other.last_id());
        let room = server.channel("room");
        room.publish(Message::text("message", "plain")).await.unwrap();
        room.publish(Message::text("a long name: and more", ""))
            .await
            .unwrap();
        room.publish(Message::binary("image", vec![0, 255]))
            .await
            .unwrap();
        server.publish("other", "elsewhere").await;
        room.publish(Message::text("joined", "two\nlines")).await.unwrap();
        server.publish("room", "last").await;
        let told = one.until_text("last").await;
        assert_eq!(told.len(), if channels == "room" { 5 } else { 6 });
        assert_eq!(told, other.until_text("last").await);
    }
}
