//! Who is present, over several nodes: killed ones leave nobody behind, and who moved over was never away.

use std::time::Duration;

use dualcast::{Hub, Item, Limits, Member, Nats, NatsOptions, Present, Subscription, Transport};
use dualcast_nats_server::{Link, NatsServer};
use dualcast_tests::{Client, HttpServer, HttpVersion, Server, Setup, Told, Under, eventually, run};

use futures::FutureExt;
use tokio::time;

use crate::works::{come_by, delete, under};

const LIFETIME: Duration = Duration::from_secs(2);

/// For longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

fn options(url: String) -> NatsOptions {
    let mut options = NatsOptions::new([url]);
    options.prefix = "shop".into();
    options.stream.max_bytes = 16 << 20;
    options.presence_lifetime = LIFETIME;
    options
}

async fn node(options: NatsOptions, limits: impl FnOnce(&mut Limits)) -> Hub {
    let nats = Nats::connect(options).await.unwrap();
    let hub = Hub::builder().fan_out(nats).limits(limits).build().unwrap();
    dualcast::maintain(&hub);
    hub
}

fn come(hub: &Hub, id: impl Into<String>) -> Present {
    let member = Member::new(id.into());
    hub.channel("room").unwrap().presence().join(member).unwrap()
}

fn watch(hub: &Hub) -> Subscription {
    hub.channel("room").unwrap().presence().watch().open().unwrap()
}

/// Who is there, joined by spaces.
fn there(hub: &Hub) -> String {
    let now = hub.channel("room").unwrap().presence().now();
    let names: Vec<_> = now.members().iter().map(|member| &**member.id()).collect();
    names.join(" ")
}

async fn eventually_there(hub: &Hub, expected: &str) {
    eventually(&format!("there are {expected:?}"), || there(hub) == expected).await;
}

#[test]
fn a_killed_nodes_people_vanish_and_who_moved_over_was_never_away() {
    for transport in [Transport::Sse, Transport::WebSocket] {
        let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1);
        run(killed, under.over_nats(2));
    }
}

async fn killed(under: Under) {
    let setup = Setup::new(under).present();
    let setup = setup.nats(|options| options.presence_lifetime = LIFETIME);
    // However long a session that ends is waited for: the node is dead, and waits for nobody.
    let setup = setup.hub(|hub| hub.limits(|limits| limits.presence_grace = LONG));
    let mut server = setup.start().await;
    let lives = server.others.remove(0);
    let mut viewer = lives.dial_here(transport_of(under), "room").open().await;
    let enter = |node: &Server, who: &str| {
        let dial = node.dial_here(transport_of(under), "room");
        dial.query(format!("who={who}")).open()
    };
    let moves = enter(&server, "moves").await;
    let goes = enter(&server, "goes").await;
    let _stays = enter(&lives, "stays").await;
    let mut count = 0;
    while count < 3 {
        count = told(&mut viewer).await.count;
    }
    drop(server);
    drop((moves, goes));
    let _moved = enter(&lives, "moves").await;
    let gone = told(&mut viewer).await;
    assert_eq!(
        (gone.count, gone.left, gone.joined.len()),
        (2, vec!["goes".into()], 0)
    );
}

fn transport_of(under: Under) -> Transport {
    under.transport
}

async fn told(client: &mut Client) -> dualcast_tests::Presence {
    match client.next().await {
        Told::Presence(presence) => presence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_on_two_nodes_counts_once_and_says_what_came_last() {
    run(twice, under());
}

async fn twice(_: Under) {
    let broker = NatsServer::start().await;
    let grace = |limits: &mut Limits| limits.presence_grace = Duration::ZERO;
    let hubs = [
        node(options(broker.url()), grace).await,
        node(options(broker.url()), grace).await,
    ];
    let says = |hub: &Hub| {
        let now = hub.channel("room").unwrap().presence().now();
        let data: Vec<_> = now
            .members()
            .iter()
            .map(|member| member.get_data().unwrap().to_owned())
            .collect();
        (now.count(), data.join(" "))
    };
    let come = |hub: &Hub, name: &str| {
        let member = Member::new("ada").data(name).unwrap();
        hub.channel("room").unwrap().presence().join(member).unwrap()
    };
    let _watchers = hubs.each_ref().map(watch);
    let first = come(&hubs[0], "Ada");
    eventually("both say so", || {
        hubs.iter().all(|hub| says(hub) == (1, "\"Ada\"".into()))
    })
    .await;
    let second = come(&hubs[1], "Countess");
    eventually("both say the last", || {
        hubs.iter().all(|hub| says(hub) == (1, "\"Countess\"".into()))
    })
    .await;
    drop(second);
    eventually("the first again", || {
        hubs.iter().all(|hub| says(hub) == (1, "\"Ada\"".into()))
    })
    .await;
    drop(first);
    eventually("nobody", || hubs.iter().all(|hub| says(hub).0 == 0)).await;
}

#[test]
fn a_node_that_starts_knows_at_once_who_is_there_and_of_nobody_who_was() {
    run(later, under());
}

async fn later(_: Under) {
    let broker = NatsServer::start().await;
    let grace = |limits: &mut Limits| limits.presence_grace = LONG;
    let killed = node(options(broker.url()), grace).await;
    let old = node(options(broker.url()), grace).await;
    let _zombie = come(&killed, "zombie");
    let _ada = come(&old, "ada");
    eventually_there(&old, "ada zombie").await;
    drop(_zombie);
    drop(killed);
    let before = watch(&old);
    eventually_there(&old, "ada").await;
    let new = node(options(broker.url()), grace).await;
    let mut watcher = watch(&new);
    eventually_there(&new, "ada").await;
    // None of all that it was told named anybody else.
    while let Some(Ok(items)) = watcher.next(1 << 20).now_or_never() {
        assert!(!format!("{items:?}").contains("zombie"), "{items:?}");
    }
    drop(before);
}

#[test]
fn while_the_broker_is_away_nobody_vanishes_and_on_return_all_is_as_it_is() {
    run(away, under());
}

async fn away(_: Under) {
    let broker = NatsServer::start().await;
    let link = Link::to(broker.address()).await;
    let grace = |limits: &mut Limits| limits.presence_grace = Duration::ZERO;
    let far = node(options(broker.url()), grace).await;
    let mut by_link = options(broker.url());
    come_by(&link.url(), &mut by_link);
    let near = node(by_link, grace).await;
    let _watchers = [watch(&near), watch(&far)];
    let (ada, _bob) = (come(&far, "ada"), come(&near, "bob"));
    for hub in [&near, &far] {
        eventually_there(hub, "ada bob").await;
    }
    link.refuse();
    link.reset();
    eventually("it is away", || near.health().degraded.is_some()).await;
    // The others believe a node as long as it says something.
    eventually_there(&far, "ada").await;
    assert_eq!(there(&near), "ada bob", "who can't hear says what it knew");
    let _cy = come(&near, "cy");
    let _dan = come(&far, "dan");
    drop(ada);
    eventually_there(&far, "dan").await;
    link.pass();
    for hub in [&near, &far] {
        eventually_there(hub, "bob cy dan").await;
    }
}

#[test]
fn a_bucket_that_is_lost_is_filled_again() {
    run(lost, under());
}

async fn lost(_: Under) {
    let mut broker = NatsServer::start().await;
    let keep = |_: &mut Limits| {};
    let hubs = [
        node(options(broker.url()), keep).await,
        node(options(broker.url()), keep).await,
    ];
    let _here = [come(&hubs[0], "ada"), come(&hubs[1], "bob")];
    for hub in &hubs {
        eventually_there(hub, "ada bob").await;
    }
    for round in 0..2 {
        match round {
            0 => delete(&broker, "KV_shop_presence").await,
            _ => broker.restart().await,
        }
        // Only who starts now shows what the bucket has.
        let new = node(options(broker.url()), keep).await;
        let _watcher = watch(&new);
        eventually_there(&new, "ada bob").await;
        for hub in &hubs {
            eventually_there(hub, "ada bob").await;
        }
    }
}

#[test]
fn a_crowd_in_many_parts_is_told_as_a_whole() {
    run(crowd, under());
}

async fn crowd(_: Under) {
    const CROWD: usize = 3_000;
    let broker = NatsServer::start().await;
    let grace = |limits: &mut Limits| limits.presence_grace = Duration::ZERO;
    let [here, there] = [
        node(options(broker.url()), grace).await,
        node(options(broker.url()), grace).await,
    ];
    let _watcher = watch(&there);
    let count = |hub: &Hub| hub.channel("room").unwrap().presence().now().count();
    let mut crowd: Vec<_> = (0..CROWD)
        .map(|number| come(&here, format!("member-{number:05}")))
        .collect();
    eventually("all of them", || count(&there) == CROWD).await;
    crowd.drain(..CROWD / 2);
    eventually("half of them", || count(&there) == CROWD / 2).await;
    drop(crowd);
    eventually("nobody", || count(&there) == 0).await;
}

#[test]
fn a_node_that_can_not_write_hears_and_forgets_all_the_same() {
    run(deaf_ears, under());
}

async fn deaf_ears(_: Under) {
    let config = r#"authorization { users: [
        { user: "free", password: "free-secret" }
        { user: "held", password: "held-secret", permissions: {
            publish: { deny: "$KV.shop_presence.>" }, subscribe: ">" } }
    ] }"#;
    let broker = NatsServer::builder().config(config).start().await;
    let by = |user: &str| {
        let mut options = options(broker.url());
        options.access = dualcast::Access::UserPassword {
            user: user.into(),
            password: format!("{user}-secret"),
        };
        options
    };
    let long = |limits: &mut Limits| limits.presence_grace = LONG;
    let free = node(by("free"), long).await;
    let held = node(by("held"), long).await;
    let (_ada, _eve) = (come(&free, "ada"), come(&held, "eve"));
    eventually_there(&held, "ada eve").await;
    drop(free);
    eventually_there(&held, "eve").await;
}

#[test]
fn whoever_is_too_large_for_the_broker_keeps_nobody_else_back() {
    run(too_large, under());
}

async fn too_large(_: Under) {
    let broker = NatsServer::start().await;
    let large = |limits: &mut Limits| {
        limits.presence_grace = LONG;
        limits.max_member_bytes = 4 << 20;
    };
    let [here, there_too] = [
        node(options(broker.url()), large).await,
        node(options(broker.url()), large).await,
    ];
    let _watcher = watch(&there_too);
    let huge = Member::new("huge").data(&"x".repeat(2 << 20)).unwrap();
    let _huge = here.channel("room").unwrap().presence().join(huge).unwrap();
    let _zed = come(&here, "zed");
    eventually_there(&there_too, "zed").await;
    assert_eq!(there(&here), "huge zed");
}

#[test]
fn while_the_broker_is_frozen_nobody_vanishes() {
    run(frozen, under());
}

async fn frozen(_: Under) {
    let mut broker = NatsServer::start().await;
    let [here, looks_on] = [
        node(options(broker.url()), |_| {}).await,
        node(options(broker.url()), |_| {}).await,
    ];
    let _ada = come(&here, "ada");
    let mut watcher = watch(&looks_on);
    eventually_there(&looks_on, "ada").await;
    broker.freeze();
    // Longer than anything that was told holds.
    time::sleep(2 * LIFETIME).await;
    broker.thaw();
    let _bob = come(&here, "bob");
    eventually_there(&looks_on, "ada bob").await;
    while let Some(Ok(items)) = watcher.next(1 << 20).now_or_never() {
        let has_left = |item: &Item| matches!(item, Item::Presence(update) if !update.left().is_empty());
        assert!(!items.iter().any(has_left), "{items:?}");
    }
}

#[test]
fn a_bucket_that_keeps_more_and_longer_shows_nobody_who_has_gone() {
    run(keeps_longer, under());
}

async fn keeps_longer(_: Under) {
    let broker = NatsServer::start().await;
    let mut outsider = dualcast_tests::Outsider::connect(&broker.address(), None).await;
    let config = r#"{"name":"KV_shop_presence","subjects":["$KV.shop_presence.>"],"storage":"file","max_msgs_per_subject":5,"allow_direct":true}"#;
    let made = outsider
        .ask("$JS.API.STREAM.CREATE.KV_shop_presence", b"", config.as_bytes())
        .await;
    assert!(made.contains("\"config\""), "{made}");
    let zero = |limits: &mut Limits| limits.presence_grace = Duration::ZERO;
    let killed = node(options(broker.url()), zero).await;
    let old = node(options(broker.url()), zero).await;
    let (_zombie, _ada) = (come(&killed, "zombie"), come(&old, "ada"));
    let bob = come(&old, "bob");
    eventually_there(&old, "ada bob zombie").await;
    eventually_there(&killed, "ada bob zombie").await;
    drop(bob);
    eventually_there(&killed, "ada zombie").await;
    drop(killed);
    eventually_there(&old, "ada").await;
    let new = node(options(broker.url()), zero).await;
    let mut watcher = watch(&new);
    eventually_there(&new, "ada").await;
    while let Some(Ok(items)) = watcher.next(1 << 20).now_or_never() {
        let all = format!("{items:?}");
        assert!(!all.contains("zombie") && !all.contains("bob"), "{all}");
    }
}

#[test]
fn what_somebody_else_writes_there_harms_nobody() {
    run(garbage, under());
}

async fn garbage(_: Under) {
    let broker = NatsServer::start().await;
    let [hub, other] = [
        node(options(broker.url()), |_| {}).await,
        node(options(broker.url()), |_| {}).await,
    ];
    let (_ada, _watcher) = (come(&hub, "ada"), watch(&other));
    eventually_there(&other, "ada").await;
    let mut outsider = dualcast_tests::Outsider::connect(&broker.address(), None).await;
    let long = format!(
        r#"{{"write":1,"lifetime":2000,"members":[["room","{}",1,null],["a..b","x",1],["room","eve",1,{{}}]]}}"#,
        "x".repeat(300)
    );
    for (key, text) in [
        ("other.0", &*long),
        ("other.1", "{"),
        ("other.2", r#"{"write":1,"lifetime":2000}"#),
        ("other.x", r#"{"write":1,"lifetime":2000,"members":[]}"#),
        (
            "other",
            r#"{"write":1,"lifetime":2000,"members":[["room","mallory",1,null]]}"#,
        ),
        (
            "stale.0",
            r#"{"write":1,"lifetime":0,"members":[["room","mallory",1,null]]}"#,
        ),
    ] {
        outsider
            .ask(&format!("$KV.shop_presence.{key}"), b"", text.as_bytes())
            .await;
    }
    eventually_there(&hub, "ada eve").await;
    eventually_there(&hub, "ada").await;
}
