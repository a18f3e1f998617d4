//! What nodes read from the stream for clients that were away for long: bounded, whoever asks.

use std::time::Duration;

use dualcast::{CloseReason, Hub, Message, Nats, NatsOptions};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Outsider, Under, eventually, run};

use crate::lives::{node, publish, read_after};
use crate::works::under;

#[test]
fn clients_that_stall_in_the_past_hold_no_more_than_the_room_there_is() {
    run(stalled_in_the_past, under());
}

async fn stalled_in_the_past(_: Under) {
    let broker = NatsServer::start().await;
    let mut options = NatsOptions::new([broker.url()]);
    options.max_history_bytes = 64 << 10;
    options.history_deadline = Duration::from_secs(1);
    let nats = Nats::connect(options).await.unwrap();
    let hub = Hub::builder().fan_out(nats).log(|log| log.max_records = 1);
    let hub = hub.build().unwrap();
    let rooms = ["a", "b"].map(|name| hub.channel(name).unwrap());
    let mut seen = hub.position();
    for number in 0..20 {
        for room in &rooms {
            let text = format!("{number:04096}");
            let position = room.publish(Message::text("message", text)).await.unwrap();
            if number == 0 {
                seen = position;
            }
        }
    }
    let mut stalled = rooms[0].subscribe().after(seen).open().unwrap();
    // It has its page, and takes one message of it.
    assert_eq!(stalled.next(1).await.unwrap().len(), 1);
    let mut another = rooms[1].subscribe().after(seen).open().unwrap();
    assert_eq!(
        another.next(usize::MAX).await.unwrap_err(),
        CloseReason::Unavailable
    );
    drop(stalled);
    // What was read is kept for a moment, for others with the same need.
    loop {
        hub.maintain();
        let mut another = rooms[1].subscribe().after(seen).open().unwrap();
        // The last of them is in memory.
        if let Ok(items) = another.next(usize::MAX).await {
            assert_eq!(items.len(), 18);
            return;
        }
    }
}

#[test]
fn what_is_larger_than_the_hub_lets_be_published_is_left_out_on_every_way() {
    run(too_large, under());
}

async fn too_large(_: Under) {
    let broker = NatsServer::builder().config("max_payload: 16MB").start().await;
    let options = NatsOptions::new([broker.url()]);
    let hub = node(&options).await;
    let room = hub.channel("room").unwrap();
    let seen = publish(&room, "1").await;
    let mut outsider = Outsider::connect(&broker.address(), None).await;
    let large = vec![b'x'; 9 << 20];
    outsider.store("dualcast.log.room", b"", &large).await;
    publish(&room, "2").await;
    assert_eq!(read_after(&room, seen).await, ["2"], "from memory");
    // One that starts reads it with the tail.
    let another = node(&options).await;
    // Its canary is in the log too: the first hears of it in its own time.
    eventually("they are as far as each other", || {
        another.position() == hub.position()
    })
    .await;
    assert_eq!(read_after(&another.channel("room").unwrap(), seen).await, ["2"]);
    // One that has nothing in memory reads it with a page.
    let mut options = options;
    options.tail.max_records = 0;
    let forgetful = node(&options).await;
    eventually("it is there", || forgetful.position() >= hub.position()).await;
    assert_eq!(read_after(&forgetful.channel("room").unwrap(), seen).await, ["2"]);
}
