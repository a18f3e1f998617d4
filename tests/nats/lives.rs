//! Lives of the log, as nodes know them that are apart from each other, or that lost the entry which says which life it is.

use std::time::Duration;

use dualcast::{Channel, Hub, Item, Message, Nats, NatsOptions, Payload, Position};
use dualcast_nats_server::{Link, NatsServer};
use dualcast_tests::{Outsider, Under, eventually, run};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time;

use crate::works::{come_by, delete, under};

pub(crate) async fn node(options: &NatsOptions) -> Hub {
    let nats = Nats::connect(options.clone()).await.unwrap();
    let hub = Hub::builder().fan_out(nats).build().unwrap();
    eventually("it is ready", || hub.health().is_ready).await;
    hub
}

pub(crate) async fn publish(channel: &Channel, text: &str) -> Position {
    channel.publish(Message::text("message", text)).await.unwrap()
}

/// What stands behind a cursor, told as one reads it.
pub(crate) async fn read_after(channel: &Channel, cursor: Position) -> Vec<String> {
    let mut subscription = channel.subscribe().after(cursor).open().unwrap();
    told(&subscription.next(usize::MAX).await.unwrap())
}

/// Of each what it says.
pub(crate) fn told(items: &[Item]) -> Vec<String> {
    let told = items.iter().map(|item| match item {
        Item::Record(record) => {
            let Some(Payload::Text(text)) = record.message().map(Message::payload) else {
                panic!("{record:?}");
            };
            text.to_string()
        }
        Item::Gap { gap, .. } => format!("gap {}", gap.reason),
        other => format!("{other:?}"),
    });
    told.collect()
}

#[test]
fn a_client_goes_on_in_a_life_that_its_new_node_has_yet_to_begin() {
    run(life_to_come, under());
}

async fn life_to_come(_: Under) {
    let broker = NatsServer::start().await;
    let options = NatsOptions::new([broker.url()]);
    let link = Link::to(broker.address()).await;
    let ahead = node(&options).await;
    let mut options = options;
    come_by(&link.url(), &mut options);
    let behind = node(&options).await;
    let [room, behind_room] = [&ahead, &behind].map(|hub| hub.channel("room").unwrap());
    for text in ["1", "2", "3"] {
        publish(&room, text).await;
    }
    eventually("both have it", || behind.position() == ahead.position()).await;
    let before = ahead.position().epoch();
    link.refuse();
    link.reset();
    eventually("the node is away", || behind.health().degraded.is_some()).await;
    delete(&broker, "dualcast").await;
    let is_another = || ahead.position().epoch() != before;
    eventually("the other one has made it anew", is_another).await;
    let seen = publish(&room, "one").await;
    publish(&room, "two").await;
    // It still shows the life before, of which the clients have seen everything. They come while it finds out, and after that.
    let reading: JoinSet<_> = (0..200)
        .map(|number| {
            let room = behind_room.clone();
            async move {
                time::sleep(Duration::from_millis(2 * number)).await;
                read_after(&room, seen).await
            }
        })
        .collect();
    link.pass();
    for read in reading.join_all().await {
        assert_eq!(read, ["two"], "no gap, and nothing twice");
    }
    // And whoever bears an id of neither is told.
    let told = read_after(&room, "4711474747-2".parse().unwrap()).await;
    assert_eq!(told[0], "gap epoch");
}

#[test]
fn nodes_stay_in_one_life_when_the_entry_that_names_it_is_lost() {
    run(lost_entry, under());
}

async fn lost_entry(_: Under) {
    let broker = NatsServer::start().await;
    let options = NatsOptions::new([broker.url()]);
    let first = node(&options).await;
    let room = first.channel("room").unwrap();
    let seen = publish(&room, "1").await;
    publish(&room, "2").await;
    for _ in 0..3 {
        delete(&broker, "KV_dualcast_epoch").await;
        let another = node(&options).await;
        let is_one = || another.position().epoch() == first.position().epoch();
        eventually("they agree", is_one).await;
        let of_another = another.channel("room").unwrap();
        let now = publish(&of_another, "3").await;
        assert_eq!(now.epoch(), first.position().epoch());
    }
    // A node that runs has put it back before long.
    delete(&broker, "KV_dualcast_epoch").await;
    let mut outsider = Outsider::connect(&broker.address(), None).await;
    loop {
        let bucket = outsider
            .ask("$JS.API.STREAM.INFO.KV_dualcast_epoch", b"", b"")
            .await;
        if bucket.contains("\"messages\":1") {
            break;
        }
        time::sleep(Duration::from_millis(20)).await;
    }
    let epoch = first.position().epoch();
    assert_eq!(node(&options).await.position().epoch(), epoch);
    if seen.epoch() == epoch {
        assert_eq!(read_after(&room, seen).await[0], "2");
    }
}

#[test]
fn a_node_says_which_setting_keeps_it_from_a_stream_that_was_made_otherwise() {
    run(made_otherwise, under());
}

async fn made_otherwise(_: Under) {
    let broker = NatsServer::start().await;
    let hub = node(&NatsOptions::new([broker.url()])).await;
    let room = hub.channel("room").unwrap();
    let mut follower = room.subscribe().open().unwrap();
    publish(&room, "1").await;
    assert_eq!(told(&follower.next(usize::MAX).await.unwrap()), ["1"]);
    let operator = async_nats::connect(broker.url()).await.unwrap();
    let ask = async |what: &str, config: String| -> Value {
        let asked = operator.request(format!("$JS.API.STREAM.{what}.dualcast"), config.into());
        serde_json::from_slice(&asked.await.unwrap().payload).unwrap()
    };
    let ours = ask("INFO", String::new()).await["config"].clone();
    let mut theirs = ours.clone();
    theirs["max_age"] = json!(180_000_000_000_i64);
    delete(&broker, "dualcast").await;
    let made = ask("CREATE", theirs.to_string()).await;
    assert!(made["error"].is_null(), "{made}");
    let is_told = || hub.health().degraded.is_some_and(|why| why.contains("max_age"));
    eventually("it says why", is_told).await;
    // What is stored there is not in the log that is here.
    let error = room.publish(Message::text("message", "2")).await.unwrap_err();
    assert!(error.is_unconfirmed(), "{error:?}");
    let updated = ask("UPDATE", ours.to_string()).await;
    assert!(updated["error"].is_null(), "{updated}");
    eventually("it has begun", || hub.health().degraded.is_none()).await;
    publish(&room, "3").await;
    let mut all = Vec::new();
    while all.last().is_none_or(|last| last != "3") {
        all.extend(told(&follower.next(usize::MAX).await.unwrap()));
    }
    assert_eq!(all[0], "gap epoch");
}
