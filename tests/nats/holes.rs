//! What is missing, and can't be read: the connection by which a node reads is stuck, and the one by which it listens goes on.

use std::time::Duration;

use dualcast::{Access, Hub, Message, Nats, NatsOptions, Position, Transport};
use dualcast_nats_server::{Link, NatsServer};
use dualcast_tests::{
    Client, HttpServer, HttpVersion, Outsider, Server, Setup, Told, Under, eventually, run,
};
use tokio::task::JoinSet;

use crate::lives::told;

/// A node that doesn't hear what is said on the channel `unheard`: it is stored, and the node has to read it.
struct Scene {
    broker: NatsServer,
    link: Link,
    server: Server,
}

impl Scene {
    async fn begin(change: impl Fn(&mut NatsOptions) + Send + Sync + 'static) -> Self {
        let broker = NatsServer::builder().config(CONFIG).start().await;
        let link = Link::to(broker.address()).await;
        let url = link.url();
        let under = Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1);
        let setup = Setup::new(under.over_nats(1)).nats(move |options| {
            options.servers = vec![url.clone()];
            as_node(options);
            change(options);
        });
        let server = setup.hub(|hub| hub.log(|log| log.max_records = 2)).start().await;
        Self { broker, link, server }
    }

    /// Over each transport, of one channel and of several.
    async fn clients(&self) -> Vec<(Client, &'static [&'static str])> {
        let mut clients = Vec::new();
        for transport in [Transport::Sse, Transport::WebSocket] {
            for channels in [&["room"][..], &["unheard", "room"]] {
                let dial = self.server.dial_by(transport, &channels.join(","));
                clients.push((dial.open().await, channels));
            }
        }
        clients
    }

    /// Somebody else at the broker.
    async fn outsider(&self) -> Outsider {
        Outsider::connect(&self.broker.address(), Some(("outsider", "secret"))).await
    }

    /// Something that the node doesn't hear, and something behind it.
    async fn make_a_hole(&self) {
        let mut outsider = self.outsider().await;
        outsider.store("shop.log.unheard", b"", b"in the hole").await;
        outsider.store("shop.log.room", b"", b"behind it").await;
    }

    async fn is_degraded(&self, why: &str) {
        let is_said = || {
            self.server
                .hub
                .health()
                .degraded
                .is_some_and(|said| said.contains(why))
        };
        eventually(why, is_said).await;
    }

    async fn is_well(&self) {
        eventually("it is well", || self.server.hub.health().degraded.is_none()).await;
    }
}

fn as_node(options: &mut NatsOptions) {
    options.prefix = "shop".into();
    options.access = Access::UserPassword {
        user: "node".into(),
        password: "secret".into(),
    };
}

#[test]
fn a_node_is_degraded_until_a_hole_is_read_back_and_clients_miss_nothing() {
    run(
        read_back,
        Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1),
    );
}

async fn read_back(_: Under) {
    let scene = Scene::begin(|_| {}).await;
    let mut clients = scene.clients().await;
    scene.link.only(READS).hold();
    scene.make_a_hole().await;
    // It has both of its connections, and says what it lacks.
    scene.is_degraded("records are missing").await;
    scene.link.pass();
    for (client, channels) in &mut clients {
        if channels.contains(&"unheard") {
            assert_eq!(client.next().await.text(), "in the hole");
        }
        assert_eq!(client.next().await.text(), "behind it");
    }
    scene.is_well().await;
}

#[test]
fn a_hole_that_can_not_be_read_within_its_deadline_is_told_and_all_goes_on() {
    run(
        given_up,
        Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1),
    );
}

async fn given_up(_: Under) {
    let scene = Scene::begin(|options| options.hole_deadline = Duration::from_secs(3)).await;
    let mut clients = scene.clients().await;
    let start = scene.server.hub.position().sequence();
    scene.link.only(READS).swallow();
    scene.make_a_hole().await;
    scene.is_degraded("records are missing").await;
    let room = scene.server.channel("room");
    let last = room.publish(Message::text("message", "the last")).await.unwrap();
    for (client, channels) in &mut clients {
        let mut told_of = Vec::new();
        for told in client.take(channels.len()).await {
            let Told::Gap {
                channel,
                reason,
                from: Some(from),
                to: Some(to),
                ..
            } = told
            else {
                panic!("expected a gap, not {told:?}");
            };
            let [from, to] = [from, to].map(|place| place.parse::<Position>().unwrap().sequence());
            assert_eq!((&*reason, from, to), ("unavailable", start, start + 1));
            told_of.push(channel);
        }
        told_of.sort_by_key(|channel| channels.iter().position(|of| of == channel));
        assert_eq!(told_of, *channels);
        assert_eq!(client.texts(2).await, ["behind it", "the last"]);
        assert_eq!(client.last_id(), last.to_string());
    }
    // What it can't read it doesn't miss any more.
    scene.is_well().await;
}

#[test]
fn a_resume_that_can_not_be_read_within_its_deadline_ends_and_comes_back_whole() {
    run(
        history,
        Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1),
    );
}

async fn history(_: Under) {
    let scene = Scene::begin(|options| options.history_deadline = Duration::from_millis(500)).await;
    let start = scene.server.hub.position().to_string();
    scene.server.publish_numbers("room", 1..=5).await;
    let mut clients = scene.clients().await;
    scene.link.only(READS).hold();
    for transport in [Transport::Sse, Transport::WebSocket] {
        let mut back = scene
            .server
            .dial_by(transport, "room")
            .cursor(&start)
            .open()
            .await;
        assert_eq!(back.last_id(), start, "it keeps its cursor");
        assert_eq!(back.closing().await, ("unavailable".into(), true));
    }
    // Who is there notices nothing.
    scene.server.publish("room", "6").await;
    for (client, _) in &mut clients {
        assert_eq!(client.next().await.text(), "6");
    }
    scene.link.pass();
    for transport in [Transport::Sse, Transport::WebSocket] {
        let mut back = scene
            .server
            .dial_by(transport, "room")
            .cursor(&start)
            .open()
            .await;
        assert_eq!(back.texts(6).await, ["1", "2", "3", "4", "5", "6"]);
    }
}

/// On one thread, where it is certain who comes next.
#[tokio::test]
async fn a_crowd_follows_what_is_read_back_though_its_log_holds_little_of_it() {
    const MESSAGES: usize = 2_000;
    let broker = NatsServer::builder().config(CONFIG).start().await;
    let link = Link::to(broker.address()).await;
    let mut options = NatsOptions::new([link.url()]);
    as_node(&mut options);
    let nats = Nats::connect(options).await.unwrap();
    let hub = Hub::builder().fan_out(nats).log(|log| log.max_records = 300);
    let hub = hub.build().unwrap();
    dualcast::maintain(&hub);
    let unheard = hub.channel("unheard").unwrap();
    let mut crowd = JoinSet::new();
    for _ in 0..200 {
        let mut follower = unheard.subscribe().open().unwrap();
        crowd.spawn(async move {
            for expected in 0..MESSAGES {
                assert_eq!(told(&follower.next(1).await.unwrap()), [expected.to_string()]);
            }
        });
    }
    link.only(READS).hold();
    let mut outsider = Outsider::connect(&broker.address(), Some(("outsider", "secret"))).await;
    for number in 0..MESSAGES {
        outsider
            .store("shop.log.unheard", b"", number.to_string().as_bytes())
            .await;
    }
    link.pass();
    while let Some(followed) = crowd.join_next().await {
        followed.unwrap();
    }
}

/// What the client of the connection that reads says in the beginning.
const READS: &str = "(reads)";

const CONFIG: &str = r#"
authorization { users: [
    { user: node, password: secret, permissions: { subscribe: { deny: "shop.live.unheard" } } }
    { user: outsider, password: secret }
] }
"#;
