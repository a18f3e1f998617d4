//! What a publisher is told, where its broker is far, small or busy.

use std::time::Duration;

use dualcast::{Hub, Identity, Message, Nats, NatsOptions, Position, PublishError};
use dualcast_nats_server::{Direction, Link, NatsServer};
use dualcast_tests::{Under, eventually, run};
use futures::future;
use serde_json::{Value, json};
use tokio::time;

use crate::works::{come_by, under};

/// A hub whose connection goes by a link.
struct Scene {
    broker: NatsServer,
    link: Link,
    hub: Hub,
    outsider: async_nats::Client,
}

impl Scene {
    async fn begin(change: impl FnOnce(&mut NatsOptions)) -> Self {
        let broker = NatsServer::builder().config("max_payload: 64KB").start().await;
        let link = Link::to(broker.address()).await;
        let mut options = NatsOptions::default();
        come_by(&link.url(), &mut options);
        options.stream.max_bytes = 16 << 20;
        change(&mut options);
        let nats = Nats::connect(options).await.unwrap();
        let hub = Hub::builder().fan_out(nats).build().unwrap();
        let outsider = async_nats::connect(broker.url()).await.unwrap();
        eventually("it is ready", || hub.health().is_ready).await;
        Self {
            broker,
            link,
            hub,
            outsider,
        }
    }

    fn publishing(&self, message: Message) -> impl Future<Output = Result<Position, PublishError>> + use<> {
        let channel = self.hub.channel("room").unwrap();
        async move { channel.publish(message).await }
    }

    /// How many messages a channel has.
    async fn stored(&self, channel: &str) -> u64 {
        let subject = format!("dualcast.log.{channel}");
        let asked = json!({ "subjects_filter": subject }).to_string();
        let asking = self
            .outsider
            .request("$JS.API.STREAM.INFO.dualcast", asked.into());
        let info: Value = serde_json::from_slice(&asking.await.unwrap().payload).unwrap();
        info["state"]["subjects"][subject].as_u64().unwrap_or(0)
    }

    /// Waits until the channel has so many, and no more.
    async fn are_stored(&self, count: u64) {
        while self.stored("room").await < count {}
        assert_eq!(self.stored("room").await, count);
    }

    /// How many connections the broker has had.
    async fn connections(&self) -> u64 {
        self.broker.monitor("/varz").await["total_connections"]
            .as_u64()
            .unwrap()
    }
}

fn text(text: &str) -> Message {
    Message::text("message", text)
}

fn is_too_large(published: &Result<Position, PublishError>) -> bool {
    matches!(published, Err(PublishError::TooLarge { limit: "max_payload", bytes, max: 65_536 }) if *bytes > 65_536)
}

#[test]
fn what_has_a_key_is_sent_again_when_its_connection_is_lost_and_stored_once() {
    run(sent_again, under());
}

async fn sent_again(_: Under) {
    let scene = Scene::begin(|options| {
        options.request_deadline = Duration::from_millis(500);
        options.publish_deadline = Duration::from_secs(30);
    })
    .await;
    // They are stored, and no answer comes.
    scene.link.swallow_one_way(Direction::ToClient);
    let with_key = tokio::spawn(scene.publishing(text("no answer").idempotency_key("key")));
    scene.are_stored(1).await;
    let without = tokio::spawn(scene.publishing(text("no answer, no key")));
    scene.are_stored(2).await;
    scene.link.pass();
    scene.link.reset();
    assert!(without.await.unwrap().unwrap_err().is_unconfirmed());
    let first = with_key.await.unwrap().unwrap();
    // They never arrive.
    scene.link.swallow_one_way(Direction::ToServer);
    let with_key = tokio::spawn(scene.publishing(text("lost").idempotency_key("another key")));
    let without = tokio::spawn(scene.publishing(text("lost, no key")));
    // What was asked behind them on the same connection is lost, too.
    let is_degraded = || scene.hub.health().degraded.is_some();
    eventually("what follows them has no answer", is_degraded).await;
    scene.link.pass();
    scene.link.reset();
    assert!(without.await.unwrap().unwrap_err().is_unconfirmed());
    let second = with_key.await.unwrap().unwrap();
    assert_eq!(second.sequence(), first.sequence() + 2);
    scene.are_stored(3).await;
}

#[test]
fn without_its_broker_a_publish_waits_within_its_deadline_and_is_certainly_not_in_the_log() {
    run(without_broker, under());
}

async fn without_broker(_: Under) {
    let scene = Scene::begin(|options| options.publish_deadline = Duration::from_secs(1)).await;
    scene.link.refuse();
    scene.link.reset();
    eventually("it is away", || scene.hub.health().degraded.is_some()).await;
    for message in [text("lost"), text("lost").idempotency_key("key")] {
        let error = scene.publishing(message).await.unwrap_err();
        assert!(matches!(error, PublishError::NotLogged(_)), "{error:?}");
        assert!(error.to_string().contains("no connection to NATS"), "{error}");
    }
    let publishing = [text("waits"), text("waits, too").idempotency_key("key")];
    let publishing = future::join_all(publishing.map(|message| scene.publishing(message)));
    let (published, ()) = tokio::join!(publishing, async { scene.link.pass() });
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    scene.are_stored(2).await;
}

#[test]
fn what_is_too_large_for_the_server_is_refused_by_that_name_and_not_sent() {
    run(too_large, under());
}

async fn too_large(_: Under) {
    let scene = Scene::begin(|_| {}).await;
    let connections = scene.connections().await;
    let largest = "x".repeat((64 << 10) - 100);
    scene.publishing(text(&largest)).await.unwrap();
    // Headers count, too.
    let event = "e".repeat(100);
    for large in [
        text(&"x".repeat((64 << 10) + 1)),
        Message::text(event, largest.as_str()),
    ] {
        for message in [large.clone(), large.idempotency_key("key")] {
            let published = scene.publishing(message).await;
            assert!(is_too_large(&published), "{published:?}");
        }
    }
    scene.publishing(text("small")).await.unwrap();
    scene.are_stored(2).await;
    // The server would have ended the connection.
    assert_eq!(scene.connections().await, connections);
    assert_eq!(scene.hub.health().degraded, None);
}

#[test]
fn a_publish_that_is_let_waits_for_its_broker_however_long_that_takes() {
    run(waits_for_broker, under());
}

async fn waits_for_broker(_: Under) {
    let scene = Scene::begin(|options| options.publish_deadline = Duration::MAX).await;
    scene.link.refuse();
    scene.link.reset();
    let is_away = || scene.hub.health().degraded.is_some();
    eventually("it is away", is_away).await;
    let publishing = tokio::spawn(scene.publishing(text("patient")));
    // Longer than a deadline by default, and than a cluster takes to have another leader.
    time::sleep(Duration::from_secs(6)).await;
    assert!(!publishing.is_finished());
    scene.link.pass();
    publishing.await.unwrap().unwrap();
    scene.are_stored(1).await;
}

#[test]
fn past_max_in_flight_a_publish_waits_for_another_to_end_within_its_deadline() {
    run(in_flight, under());
}

async fn in_flight(_: Under) {
    let scene = Scene::begin(|options| {
        options.max_in_flight = 2;
        options.publish_deadline = Duration::from_secs(3);
    })
    .await;
    let crowd = |what: &str| {
        let publishing = (0..10).map(|number| scene.publishing(text(&format!("{what} {number}"))));
        tokio::spawn(future::join_all(publishing.collect::<Vec<_>>()))
    };
    let published = crowd("at ease").await.unwrap();
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    // No answer comes, so that two are under way until their connection is lost.
    scene.link.swallow_one_way(Direction::ToClient);
    let publishing = crowd("two at a time");
    scene.are_stored(12).await;
    time::sleep(Duration::from_millis(200)).await;
    scene.are_stored(12).await;
    scene.link.pass();
    scene.link.reset();
    let published = publishing.await.unwrap();
    let unconfirmed =
        |published: &&Result<_, PublishError>| published.as_ref().is_err_and(PublishError::is_unconfirmed);
    assert_eq!(published.iter().filter(unconfirmed).count(), 2, "{published:?}");
    let stored = published.iter().filter(|published| published.is_ok()).count();
    assert_eq!(stored, 8, "they had their turn: {published:?}");
    scene.are_stored(20).await;
}

#[test]
fn a_publish_for_which_there_is_no_room_is_certainly_not_in_the_log() {
    run(no_room, under());
}

async fn no_room(_: Under) {
    let scene = Scene::begin(|options| {
        options.max_in_flight = 2;
        options.publish_deadline = Duration::from_millis(500);
    })
    .await;
    let orders = scene.stored("$control").await;
    // An order to other nodes waits longer for its answer.
    scene.link.swallow_one_way(Direction::ToClient);
    for who in ["anna", "bert"] {
        scene.hub.disconnect(&Identity::new(who));
    }
    while scene.stored("$control").await < orders + 2 {}
    let error = scene.publishing(text("no room")).await.unwrap_err();
    assert!(matches!(error, PublishError::NotLogged(_)), "{error:?}");
    assert!(error.to_string().contains("`max_in_flight` is 2"), "{error}");
    scene.are_stored(0).await;
}
