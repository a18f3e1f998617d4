//! Orders to all nodes: who is to go goes, also on a node that was away when it was said.

use std::time::Duration;

use dualcast::{Hub, Identity, Nats, NatsOptions, Transport};
use dualcast_nats_server::{Link, NatsServer, clocks_can_be_set};
use dualcast_tests::{Client, HttpServer, HttpVersion, Server, Setup, Told, Under, eventually, run};
use serde_json::json;
use tokio::time;

use crate::works::{come_by, delete, under};

#[test]
fn an_order_in_a_log_that_began_anew_while_a_node_was_away_reaches_its_sessions() {
    for transport in [Transport::Sse, Transport::WebSocket] {
        let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1);
        run(order_in_another_life, under.over_nats(1));
    }
}

#[test]
fn an_order_means_the_sessions_that_were_open_when_it_was_given_on_every_node() {
    for transport in [Transport::Sse, Transport::WebSocket] {
        let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1);
        run(order_that_was_long_on_its_way, under.over_nats(2));
    }
}

async fn order_that_was_long_on_its_way(under: Under) {
    let broker = NatsServer::start().await;
    let link = Link::to(broker.address()).await;
    let url = link.url();
    let setup = Setup::new(under).nats(move |ours| come_by(&url, ours));
    let server = setup.start().await;
    let nodes = [&server, &server.others[0]];
    let anna = |node: &Server| node.dial_here(under.transport, "room").query("who=anna").open();
    let before = [anna(nodes[0]).await, anna(nodes[1]).await];
    link.refuse();
    link.reset();
    let hub = &server.others[0].hub;
    eventually("it is away", || hub.health().degraded.is_some()).await;
    hub.disconnect(&Identity::new("anna"));
    let [on_the_other, on_its_own] = before;
    // More than an order's age may be told too small by.
    time::sleep(Duration::from_millis(2_500)).await;
    let after = [anna(nodes[0]).await, anna(nodes[1]).await];
    link.pass();
    for mut client in [on_its_own, on_the_other] {
        assert_eq!(client.closing().await, ("disconnected".into(), false));
    }
    server.publish("room", "for those who came later").await;
    for mut client in after {
        assert_eq!(client.next().await.text(), "for those who came later");
    }
}

/// A node that can be cut off, and the hub of another one that can't.
async fn node_behind_a_link(under: Under, broker: &NatsServer) -> (Server, Link, Hub) {
    let link = Link::to(broker.address()).await;
    let mut options = NatsOptions::new([broker.url()]);
    options.prefix = "shop".into();
    let nats = Nats::connect(options.clone()).await.unwrap();
    let hub = Hub::builder().fan_out(nats).build().unwrap();
    come_by(&link.url(), &mut options);
    let server = Setup::new(under)
        .nats(move |ours| *ours = options.clone())
        .start()
        .await;
    (server, link, hub)
}

async fn goes_away(server: &Server, link: &Link) {
    link.refuse();
    link.reset();
    eventually("the node is away", || server.hub.health().degraded.is_some()).await;
}

async fn is_sent_away(client: &mut Client) {
    let (told, _) = client.until_end().await;
    let is_it = |told: &Told| matches!(told, Told::Closing { reason, .. } if reason == "disconnected");
    assert!(told.iter().any(is_it), "{told:?}");
}

#[test]
fn an_order_reaches_sessions_that_were_there_also_where_the_brokers_clock_was_set_behind_it() {
    if !clocks_can_be_set() {
        return;
    }
    for transport in [Transport::Sse, Transport::WebSocket] {
        let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1);
        run(order_before_another_time, under.over_nats(1));
    }
}

async fn order_before_another_time(under: Under) {
    for (ahead, is_made_anew) in [(5_400, false), (-86_400, false), (5_400, true)] {
        let broker = NatsServer::builder().clock().start().await;
        let (server, link, hub) = node_behind_a_link(under, &broker).await;
        goes_away(&server, &link).await;
        if is_made_anew {
            delete_the_stream(&broker, &hub).await;
        }
        // When the node comes back, only the broker's clock tells it that she was there before the order.
        let mut anna = server.dial("room").query("who=anna").open().await;
        let begun = hub.position();
        hub.disconnect(&Identity::new("anna"));
        eventually("it is said", || hub.position() > begun).await;
        broker.set_clock_ahead(ahead);
        link.pass();
        is_sent_away(&mut anna).await;
    }
}

/// Deletes it, and waits until a node that is there has made it anew.
async fn delete_the_stream(broker: &NatsServer, hub: &Hub) {
    let before = hub.position().epoch();
    delete(broker, "shop").await;
    eventually("it is made anew", || hub.position().epoch() != before).await;
}

async fn order_in_another_life(under: Under) {
    let broker = NatsServer::start().await;
    let (server, link, hub) = node_behind_a_link(under, &broker).await;
    let mut anna = server.dial("room").query("who=anna").open().await;
    let mut bert = server.dial("room").query("who=bert").open().await;
    goes_away(&server, &link).await;
    delete_the_stream(&broker, &hub).await;
    let begun = hub.position();
    hub.disconnect(&Identity::new("anna"));
    eventually("it is said", || hub.position() > begun).await;
    link.pass();
    is_sent_away(&mut anna).await;
    assert!(matches!(bert.next().await, Told::Gap { reason, .. } if reason == "epoch"));
    server.publish("room", "to bert").await;
    assert_eq!(bert.next().await.text(), "to bert");
}

#[test]
fn a_right_that_is_taken_back_on_one_node_is_taken_back_on_all() {
    for transport in [Transport::Sse, Transport::WebSocket] {
        run(right_taken_back, Under { transport, ..under() });
    }
}

async fn right_taken_back(under: Under) {
    let server = Setup::new(under.over_nats(2)).joinable().start().await;
    let mut sent_away = Vec::new();
    let mut staying = Vec::new();
    for node in server.nodes() {
        for channels in ["room", "other,room"] {
            let dial = node.dial_here(under.transport, channels);
            sent_away.push(dial.query("who=anna").open().await);
        }
        for (channels, who) in [("room", "who=bert"), ("other", "who=anna"), ("room", "")] {
            staying.push(node.dial_here(under.transport, channels).query(who).open().await);
        }
    }
    let (anna, room) = (Identity::new("anna"), server.channel("room"));
    assert_eq!(
        server.hub.unsubscribe(&anna, room.name()),
        3,
        "those of this node are told at once"
    );
    for client in &mut sent_away {
        assert_eq!(client.closing().await, ("revoked".into(), true));
    }
    for channel in ["room", "other"] {
        server.publish(channel, "still here").await;
    }
    for client in &mut staying {
        assert_eq!(client.next().await.text(), "still here");
    }
}

#[test]
fn a_joined_channel_whose_right_is_taken_back_on_another_node_ends_alone() {
    let under = Under {
        transport: Transport::WebSocket,
        ..under()
    };
    run(joined_right_taken_back, under.over_nats(2));
}

async fn joined_right_taken_back(under: Under) {
    let server = Setup::new(under).joinable().start().await;
    let mut client = server
        .dial_here(Transport::WebSocket, "other")
        .query("who=anna")
        .open()
        .await;
    let join = json!({ "control": "subscribe", "channel": "room", "ref": 1 });
    let answer = client.ask(&join).await;
    assert!(matches!(answer, Told::Reply { .. }), "{answer:?}");
    let room = server.channel("room");
    assert_eq!(
        server.others[0]
            .hub
            .unsubscribe(&Identity::new("anna"), room.name()),
        0,
        "she is not there"
    );
    let told = client.next().await;
    assert!(
        matches!(&told, Told::Unsubscribed { channel } if channel == "room"),
        "{told:?}"
    );
    server.publish("room", "not for her").await;
    server.publish("other", "for her").await;
    assert_eq!(client.next().await.text(), "for her");
}
