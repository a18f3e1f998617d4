//! From outside: any client of NATS may publish into a channel, and whatever else it publishes harms nobody.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use dualcast::{Identity, Message, NatsOptions, Position, Transport};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{Client, Data, Outsider, Server, Told, Under, eventually, headers, run};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time;

use crate::works::{nodes, under};

#[test]
fn a_client_in_another_language_publishes_into_a_channel() {
    run(in_another_language, under());
}

async fn in_another_language(_: Under) {
    let broker = NatsServer::start().await;
    let server = nodes(NatsOptions::new([broker.url()]), 1_000).await;
    let mut clients = clients(&server).await;
    drop(hear_volatile_messages(&server, "room").await);
    let start = server.publish("room", "begin").await;
    for client in &mut clients {
        client.until_text("begin").await;
    }
    let mut outside = Outside::start(&broker).await;
    let mut numbers = Vec::new();
    for _ in 0..7 {
        numbers.push(outside.number().await);
    }
    assert_eq!(numbers[5], numbers[6], "the second was a repeat");
    // The same key, from the same sender, by a node: it is the same message.
    let again = Message::text("message", "thrice").idempotency_key("order-77");
    let again = again.sender(Identity::new("anna"));
    let position = server.channel("room").publish(again).await.unwrap();
    assert_eq!(position.sequence(), numbers[5]);
    // What is not logged has no place before or behind the end, so it has to be there first.
    let typing = ("typing".to_owned(), Data::Text("anna".into()));
    let mut told = Vec::new();
    for client in &mut clients {
        let mut heard = Vec::new();
        while !heard.iter().any(|told| is_content(told, &typing)) {
            heard.push(client.next().await);
        }
        told.push(heard);
    }
    outside.go_on().await;
    // Whoever comes back, to either node, gets what the others got.
    for _ in server.nodes() {
        clients.push(server.dial("room").cursor(&start.to_string()).open().await);
        told.push(Vec::new());
    }
    for (index, (client, mut told)) in clients.iter_mut().zip(told).enumerate() {
        told.extend(client.until_end().await.0);
        let (logged, others): (Vec<_>, Vec<_>) = told
            .into_iter()
            .partition(|told| matches!(told, Told::Message { id: Some(_), .. }));
        let ids = logged.iter().map(|told| told.id().unwrap().parse().unwrap());
        let ids: Vec<_> = ids.map(|id: Position| id.sequence()).collect();
        assert_eq!(ids, numbers[..6]);
        let logged: Vec<_> = logged.into_iter().map(content).collect();
        assert_eq!(logged, expected());
        let heard = others.iter().filter(|told| is_content(told, &typing)).count();
        assert_eq!(heard, usize::from(index < 4), "by those who were there");
        assert!(
            others.iter().any(|told| matches!(told, Told::Finished { .. })),
            "{others:?}"
        );
    }
}

#[test]
fn what_makes_no_sense_harms_nobody_and_is_counted() {
    run(garbage, under());
}

async fn garbage(_: Under) {
    counts();
    let broker = NatsServer::start().await;
    // Those who follow live read on from memory: they would be told a gap, where more comes back at once than that holds.
    let server = nodes(NatsOptions::new([broker.url()]), 1_000).await;
    let _witnesses = hear_volatile_messages(&server, "typing").await;
    let mut clients = clients(&server).await;
    let mut anna = server.dial("room").query("who=anna").open().await;
    let start = server.hub.position().to_string();
    let mut outsider = Outsider::connect(&broker.address(), None).await;
    let mut good = Vec::new();
    for (subject, headers, payload, reason) in garbage_of_each_kind() {
        let said = outsider
            .publish(&format!("dualcast.{subject}"), &headers, payload)
            .await;
        assert_eq!(said, "", "{subject}: the server takes it");
        good.push(format!("behind {subject}: {reason}"));
        server.publish("room", good.last().unwrap().as_str()).await;
    }
    // A forged number is no garbage: the server's own stands behind it, and the message is one.
    let forged = [
        ("Nats-Sequence", "999999"),
        ("Nats-Stream", "other"),
        ("Nats-Subject", "dualcast.log.x"),
    ];
    outsider
        .store("dualcast.log.room", &headers(&forged), b"forged")
        .await;
    good.push("forged".to_owned());
    // Nor is an order, from somebody who may give one; it is for whom it names.
    let order = [("Dualcast-Order", "disconnect"), ("Dualcast-Identity", "anna")];
    outsider
        .store("dualcast.log.$control", &headers(&order), b"")
        .await;
    let (told, _) = anna.until_end().await;
    let last = told.last();
    assert!(
        matches!(last, Some(Told::Closing { reason, .. }) if reason == "disconnected"),
        "{last:?}"
    );
    // Each node has heard each of them once.
    let nodes = server.nodes().count();
    let sent = |reason| {
        let garbage = garbage_of_each_kind();
        garbage.into_iter().filter(|(.., is)| *is == reason).count()
    };
    for reason in REASONS {
        left_out(reason, nodes * sent(reason)).await;
    }
    // What NATS' client for Rust dies of cuts every node off, and they come back, over and over.
    let poison: Vec<_> = POISON.into_iter().cycle().take(12).collect();
    for (index, block) in poison.iter().enumerate() {
        outsider.store("dualcast.log.room", block, b"poison").await;
        let (theirs, ours) = (format!("theirs {index}"), format!("ours {index}"));
        outsider.store("dualcast.log.room", b"", theirs.as_bytes()).await;
        let message = Message::text("message", ours.as_str()).idempotency_key(&*ours);
        server.channel("room").publish(message).await.unwrap();
        good.extend([theirs, ours]);
    }
    for client in &mut clients {
        assert_eq!(client.texts(good.len()).await, good);
    }
    left_out("headers", nodes * (sent("headers") + poison.len())).await;
    // Whoever was away has missed nothing of it, also where memory has nothing of it.
    let forgetful = crate::works::nodes(NatsOptions::new([broker.url()]), 1).await;
    for node in server.nodes().chain(forgetful.nodes()) {
        for transport in [Transport::Sse, Transport::WebSocket] {
            let mut back = node.dial_here(transport, "room").cursor(&start).open().await;
            assert_eq!(back.texts(good.len()).await, good);
        }
    }
}

/// Subject, headers, payload, and what is wrong with it.
type Garbage = (&'static str, Vec<u8>, &'static [u8], &'static str);

fn garbage_of_each_kind() -> Vec<Garbage> {
    let with = |name, value| headers(&[(name, value)]);
    let twice = headers(&[("Dualcast-Event", "a"), ("Dualcast-Event", "b")]);
    let of_another = headers(&[("Nats-Stream", "other"), ("Nats-Sequence", "7")]);
    vec![
        ("log.$x", Vec::new(), b"x", "subject"),
        ("log.$control.x", Vec::new(), b"x", "subject"),
        ("live.room", Vec::new(), b"x", "stamp"),
        ("live.room", of_another, b"x", "stamp"),
        ("log.room", twice, b"x", "headers"),
        ("log.room", with("Dualcast-Key", "100% sure"), b"x", "headers"),
        (
            "log.room",
            with("Dualcast-Event", "dualcast:gap"),
            b"x",
            "message",
        ),
        ("log.room", with("Dualcast-Event", "a%0Ab"), b"x", "message"),
        ("log.room", with("Dualcast-Type", "xml"), b"x", "type"),
        ("log.room", with("Dualcast-Type", "text"), b"\xff", "text"),
        ("log.room", with("Dualcast-Type", "json"), b"{", "json"),
        ("volatile.typing", with("Dualcast-Type", "json"), b"{", "json"),
        ("log.room", with("Dualcast-Finish", "1"), b"x", "finish"),
        ("log.$control", with("Dualcast-Order", "dance"), b"", "order"),
        ("log.$control", with("Dualcast-Order", "disconnect"), b"", "order"),
        ("log.$control", Vec::new(), b"x", "order"),
    ]
}

/// What Dualcast says is wrong with it.
const REASONS: [&str; 9] = [
    "subject", "stamp", "headers", "message", "type", "text", "json", "finish", "order",
];

/// At the first three NATS' client for Rust gives its connection up, at the last its task panics.
const POISON: [&[u8]; 4] = [
    b"NATS/1.0\r\nA: \xff\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\nb\xc3\xa4d: 1\r\n\r\n",
    b"NATS/1.0\r\nA: a\rb\r\n\r\n",
];

/// What is counted in this process.
fn counts() -> &'static PrometheusHandle {
    static COUNTS: LazyLock<PrometheusHandle> =
        LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());
    &COUNTS
}

/// Waits until so many were left out for a reason, on both nodes together, and no more.
async fn left_out(reason: &str, count: usize) {
    let series = format!("dualcast_garbage_total{{reason=\"{reason}\"}} {count}");
    eventually(&series, || counts().render().lines().any(|line| line == series)).await;
}

/// What `outside.py` publishes.
fn expected() -> [(String, Data); 6] {
    let text = |text: &str| Data::Text(text.into());
    [
        ("message", text("plain text, ünïcode")),
        ("price", Data::Json("{\"bid\": 101.5}".into())),
        ("image", Data::Binary(vec![0, 0xff])),
        ("message", Data::Binary(vec![0xff, 0xfe])),
        ("100% sure", text("100 %25")),
        ("message", text("once")),
    ]
    .map(|(event, data)| (event.to_owned(), data))
}

fn content(told: Told) -> (String, Data) {
    match told {
        Told::Message { event, data, .. } => (event, data),
        other => panic!("expected a message, not {other:?}"),
    }
}

fn is_content(told: &Told, expected: &(String, Data)) -> bool {
    matches!(told, Told::Message { event, data, .. } if (event, data) == (&expected.0, &expected.1))
}

/// Over each transport, to each node.
async fn clients(server: &Server) -> Vec<Client> {
    let mut clients = Vec::new();
    for transport in [Transport::Sse, Transport::WebSocket] {
        for _ in server.nodes() {
            clients.push(server.dial_by(transport, "room").open().await);
        }
    }
    clients
}

/// Waits until each node hears what others say on a channel that is not logged. It does as long as it has these followers.
async fn hear_volatile_messages(server: &Server, channel: &'static str) -> Vec<Client> {
    let mut witnesses = Vec::new();
    for node in server.nodes() {
        let other = server
            .nodes()
            .find(|other| other.address != node.address)
            .unwrap();
        let mut witness = other.dial_here(Transport::Sse, channel).open().await;
        let channel = node.channel(channel);
        let ready = tokio::spawn(async move {
            loop {
                let message = Message::text("typing", "ready").volatile();
                channel.publish(message).await.unwrap();
                time::sleep(Duration::from_millis(10)).await;
            }
        });
        witness.next().await;
        ready.abort();
        witnesses.push(witness);
    }
    witnesses
}

/// `outside.py` at work.
struct Outside {
    process: Child,
    numbers: Lines<BufReader<ChildStdout>>,
}

impl Outside {
    async fn start(broker: &NatsServer) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/nats/outside.py");
        let process = Command::new(python())
            .args([script, &broker.url(), "dualcast"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = process.expect("python starts");
        let numbers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, numbers }
    }

    async fn number(&mut self) -> u64 {
        let line = self.numbers.next_line().await.unwrap();
        line.expect("it says a number").parse().unwrap()
    }

    async fn go_on(&mut self) {
        self.process
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"\n")
            .await
            .unwrap();
        self.number().await;
        let status = self.process.wait().await.unwrap();
        assert!(status.success(), "{status}");
    }
}

/// Python with a client of NATS.
fn python() -> PathBuf {
    let tools = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools"));
    let found = tools.read_dir().into_iter().flatten().flatten().find(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("nats-py-") && entry.path().join("installed").exists()
    });
    let directory = found.expect(
        "this test needs a client of NATS for Python: `tests/run nats-server` puts one into `.tools/`",
    );
    directory.path().join("bin/python")
}
