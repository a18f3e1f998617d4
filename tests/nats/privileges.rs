//! The least privileges: those that `docs/nats.md` lists are enough for a node and for a publisher, and no more than that.

use std::fs;
use std::time::Duration;

use dualcast::{Access, Hub, Nats, NatsOptions};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Outsider, Under, run};
use tokio::time;

use crate::works::{everything_works, nodes, under};

/// The configuration that the document shows.
fn shown() -> String {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/nats.md")).unwrap();
    let (_, rest) = document.split_once("```conf\n").unwrap();
    rest.split("```").next().unwrap().to_owned()
}

fn options(broker: &NatsServer, user: &str) -> NatsOptions {
    let mut options = NatsOptions::new([broker.url()]);
    options.access = Access::UserPassword {
        user: user.into(),
        password: format!("{user}-secret"),
    };
    options.client = options.client.custom_inbox_prefix(format!("_INBOX_{user}"));
    options
}

#[test]
fn with_the_privileges_that_are_listed_everything_works() {
    run(listed, under());
}

async fn listed(_: Under) {
    let broker = NatsServer::builder().config(&shown()).start().await;
    everything_works(options(&broker, "node")).await;
}

#[test]
fn nobody_who_runs_a_node_has_to_be_able_to_make_the_stream() {
    run(made_by_another, under());
}

async fn made_by_another(_: Under) {
    let shown = shown();
    let lines: Vec<_> = shown.lines().filter(|line| !line.contains("CREATE")).collect();
    assert!(lines.len() < shown.lines().count());
    let maker = "users: [ { user: \"maker\", password: \"maker-secret\" }";
    let config = lines.join("\n").replacen("users: [", maker, 1);
    let broker = NatsServer::builder().config(&config).start().await;
    let denied = Nats::connect(options(&broker, "node")).await.unwrap_err();
    assert!(denied.to_string().contains("STREAM.CREATE.dualcast"), "{denied}");
    let mut making = options(&broker, "maker");
    making.stream.max_bytes = 16 << 20;
    let maker = Nats::connect(making).await.unwrap();
    let maker = Hub::builder().fan_out(maker).build().unwrap();
    // The bucket for presence is made when somebody asks.
    let hall = maker.channel("hall").unwrap();
    assert_eq!(hall.presence().now().count(), 0);
    while !broker
        .monitor("/jsz?streams=1")
        .await
        .to_string()
        .contains("KV_dualcast_presence")
    {
        time::sleep(Duration::from_millis(20)).await;
    }
    drop((hall, maker));
    everything_works(options(&broker, "node")).await;
}

#[test]
fn what_is_not_listed_is_refused() {
    run(refused, under());
}

async fn refused(_: Under) {
    let broker = NatsServer::builder().config(&shown()).start().await;
    let server = nodes(options(&broker, "node"), 5).await;
    let mut client = server.dial("room").open().await;
    let mut node = Outsider::connect(&broker.address(), Some(("node", "node-secret"))).await;
    let mut worker = Outsider::connect(&broker.address(), Some(("worker", "worker-secret"))).await;
    let touch_the_log = [
        "dualcast.live.room",
        "$JS.API.STREAM.DELETE.dualcast",
        "$JS.API.STREAM.PURGE.dualcast",
        "$JS.API.STREAM.UPDATE.dualcast",
        "$JS.API.STREAM.MSG.DELETE.dualcast",
        "$JS.API.STREAM.DELETE.KV_dualcast_epoch",
    ];
    for subject in touch_the_log {
        let said = node.ask(subject, b"", b"{}").await;
        assert!(said.contains("Permissions Violation"), "{subject}: {said}");
    }
    let read_or_rule = [
        "dualcast.log.$control",
        "$KV.dualcast_epoch.epoch",
        "$JS.API.STREAM.INFO.dualcast",
        "$JS.API.STREAM.MSG.GET.dualcast",
        "$JS.API.DIRECT.GET.dualcast",
        "$JS.API.CONSUMER.CREATE.dualcast",
    ];
    for subject in touch_the_log.into_iter().chain(read_or_rule) {
        let said = worker.ask(subject, b"", b"{}").await;
        assert!(said.contains("Permissions Violation"), "{subject}: {said}");
    }
    for subject in ["dualcast.live.>", "dualcast.volatile.>", "_INBOX_node.>"] {
        let said = worker.say(format!("SUB {subject} 9\r\n").as_bytes()).await;
        assert!(said.contains("Permissions Violation"), "{subject}: {said}");
    }
    // What it may it still may, and it is the first that anybody hears.
    worker.store("dualcast.log.room", b"", b"from the worker").await;
    assert_eq!(client.next().await.text(), "from the worker");
}
