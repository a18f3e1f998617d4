//! Volatile messages between nodes: heard where somebody follows, for as long as somebody does, and lost while the broker is away.

use dualcast::{Message, NatsOptions, Transport};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Server, Under, eventually, run};
use tokio::time::{self, Duration};

use crate::works::{nodes, under};

fn typing(who: &str) -> Message {
    Message::text("typing", who).volatile()
}

/// How many subscriptions to a channel's volatile messages the broker has.
async fn interests(broker: &NatsServer, channel: &str) -> usize {
    let connections = broker.monitor("/connz?subs=true").await;
    let subject = format!("dualcast.volatile.{channel}");
    let connections = connections["connections"].as_array().unwrap().iter();
    let subscriptions = connections.filter_map(|connection| connection["subscriptions_list"].as_array());
    subscriptions.flatten().filter(|of| **of == *subject).count()
}

async fn are_interested(broker: &NatsServer, channel: &str, count: usize) {
    while interests(broker, channel).await != count {
        time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_node_hears_what_is_followed_there_and_stops_after_the_last_follower_has_gone() {
    run(followed, under());
}

async fn followed(_: Under) {
    let broker = NatsServer::start().await;
    let server = nodes(NatsOptions::new([broker.url()]), 1_000).await;
    let mut stays = server.dial_here(Transport::Sse, "stays").open().await;
    let mut leaving = Vec::new();
    for node in server.nodes() {
        for transport in [Transport::Sse, Transport::WebSocket] {
            leaving.push(node.dial_here(transport, "left").open().await);
        }
    }
    are_interested(&broker, "stays", 1).await;
    are_interested(&broker, "left", 2).await;
    // One of each node's.
    drop(leaving.remove(3));
    drop(leaving.remove(0));
    let followers = |server: &Server| {
        server
            .nodes()
            .map(|node| node.channel("left").followers())
            .sum::<usize>()
    };
    eventually("two are gone", || followers(&server) == 2).await;
    server.others[0]
        .channel("left")
        .publish(typing("anna"))
        .await
        .unwrap();
    for client in &mut leaving {
        assert_eq!(client.next().await.text(), "anna");
    }
    drop(leaving);
    are_interested(&broker, "left", 0).await;
    assert_eq!(interests(&broker, "stays").await, 1, "that is followed");
    server.others[0]
        .channel("stays")
        .publish(typing("bert"))
        .await
        .unwrap();
    assert_eq!(stays.next().await.text(), "bert");
    // Whoever comes later is heard of again.
    let _back = server.others[0].dial_here(Transport::Sse, "left").open().await;
    are_interested(&broker, "left", 1).await;
}

#[test]
fn while_the_broker_is_away_the_clients_of_the_node_get_them_and_they_count_as_dropped() {
    run(dropped, under());
}

async fn dropped(_: Under) {
    let mut broker = NatsServer::start().await;
    let server = nodes(NatsOptions::new([broker.url()]), 1_000).await;
    let mut clients = Vec::new();
    for transport in [Transport::Sse, Transport::WebSocket] {
        clients.push(server.dial_here(transport, "room").open().await);
    }
    let mut elsewhere = server.others[0].dial_here(Transport::Sse, "room").open().await;
    are_interested(&broker, "room", 2).await;
    let room = server.channel("room");
    room.publish(typing("heard by all")).await.unwrap();
    assert_eq!(elsewhere.next().await.text(), "heard by all");
    let dropped = server.hub.volatile_dropped();
    broker.kill();
    let away = || server.nodes().all(|node| node.hub.health().degraded.is_some());
    eventually("it is away", away).await;
    for _ in 0..3 {
        room.publish(typing("heard here")).await.unwrap();
    }
    assert_eq!(server.hub.volatile_dropped(), dropped + 3);
    for client in &mut clients {
        let heard = ["heard by all", "heard here", "heard here", "heard here"];
        assert_eq!(client.texts(heard.len()).await, heard);
    }
    broker.restart().await;
    server.publish("room", "logged").await;
    assert_eq!(elsewhere.next().await.text(), "logged", "nothing of it came late");
}
