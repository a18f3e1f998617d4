//! The metrics, as Prometheus sees them. A process has one recorder, so that these tests are a program of their own, and
//! one after another.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use axum::routing::{any, get};
use dualcast::{
    CloseReason, Hub, Inbound, METRICS, Message, MetricKind, RawMessage, RawSocket, Sse, Transport, Ws,
};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{
    Frame, Frames, HttpServer, HttpVersion, Outsider, Setup, Told, Under, eventually, headers, run,
};
use futures::stream;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;

/// What a scrape says: each series by its name and labels.
struct Scrape(HashMap<String, f64>);

impl Scrape {
    fn of(handle: &PrometheusHandle) -> Self {
        let text = handle.render();
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| {
                    let (series, value) = line.rsplit_once(' ').unwrap();
                    (series.to_owned(), value.parse().unwrap())
                })
                .collect(),
        )
    }

    fn get(&self, series: &str) -> f64 {
        *self
            .0
            .get(series)
            .unwrap_or_else(|| panic!("no {series} in {:#?}", self.0))
    }

    /// By how much a series has grown. One that is not there yet is zero.
    fn grown(&self, before: &Self, series: &str) -> f64 {
        let at = |scrape: &Self| scrape.0.get(series).copied().unwrap_or(0.0);
        at(self) - at(before)
    }

    fn names(&self) -> Vec<&str> {
        self.0
            .keys()
            .map(|series| series.split('{').next().unwrap())
            .collect()
    }
}

fn with_transport(name: &str, transport: Transport) -> String {
    format!("{name}{{transport=\"{}\"}}", transport.name())
}

#[test]
fn every_metric_counts_what_it_says() {
    let handle = PrometheusBuilder::new().install_recorder().unwrap();
    for transport in [Transport::Sse, Transport::WebSocket] {
        let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1);
        run(|under| each_is_counted(under, handle.clone()), under);
        run(|under| of_the_broker(under, handle.clone()), under.over_nats(1));
    }
    let scrape = Scrape::of(&handle);
    for metric in METRICS {
        let is_there = scrape.names().iter().any(|name| name.starts_with(metric.name));
        assert!(is_there, "{} is never said", metric.name);
    }
    let is_known = |name: &str| METRICS.iter().any(|metric| name.starts_with(metric.name));
    for name in scrape.names() {
        assert!(is_known(name), "{name} stands in no table");
    }
}

async fn each_is_counted(under: Under, handle: PrometheusHandle) {
    let transport = under.transport;
    let of = |name: &str| with_transport(name, transport);
    let with = |name: &str, label: &str| format!("{name}{{transport=\"{}\",{label}}}", transport.name());
    let before = Scrape::of(&handle);
    let before = |series: &str| before.0.get(series).copied().unwrap_or(0.0);
    let setup = Setup::new(under)
        .hub(|hub| {
            hub.log(|log| log.max_records = 5)
                .limits(|limits| limits.max_sessions = 2)
        })
        .on_message(|_, _: Inbound| async {});
    let server = setup.start().await;

    // Ten that are published, of which two clients get three live, and one that comes back two.
    let mut client = server.dial("room").open().await;
    let mut other = server.dial("room").open().await;
    let mut positions = server.publish_numbers("room", 1..=3).await;
    client.texts(3).await;
    other.texts(3).await;
    let refused = server.dial("room").connect().await.until_end().await;
    assert!(matches!(refused.0.last(), Some(Told::Closing { reason, .. }) if reason == "busy"));
    other.cut();
    eventually("its place is free", || server.hub.session_count() == 1).await;
    for numbers in [4..=7, 8..=10] {
        let count = numbers.clone().count();
        positions.extend(server.publish_numbers("room", numbers).await);
        client.texts(count).await;
    }
    let mut resumed = server.dial("room").cursor(&positions[7].to_string()).open().await;
    assert_eq!(resumed.texts(2).await, ["9", "10"]);
    resumed.cut();
    eventually("its place is free", || server.hub.session_count() == 1).await;
    let mut too_late = server.dial("room").cursor(&positions[0].to_string()).open().await;
    assert!(matches!(too_late.next().await, Told::Gap { .. }));
    too_late.texts(5).await;
    let message = json!({ "event": "e", "ref": 1 });
    if transport == Transport::WebSocket {
        client.ask(&message).await;
    }
    server.say("room", &message).await;
    server
        .channel("room")
        .publish(Message::text("e", "gone").volatile())
        .await
        .unwrap();
    server
        .channel("nobody")
        .publish(Message::text("e", "gone").volatile())
        .await
        .unwrap();
    client.next().await;
    too_late.next().await;
    server.hub.maintain();

    // A client may have read what left before the server has noted that it left. Four publishes were read at once.
    let deliveries = of("dualcast_delivery_seconds_count");
    eventually("every delivery is noted", || {
        Scrape::of(&handle).get(&deliveries) - before(&deliveries) >= 4.0
    })
    .await;
    let open = Scrape::of(&handle);
    let grown = |series: &str| open.get(series) - before(series);
    assert_eq!(open.get(&of("dualcast_sessions")), 2.0);
    assert_eq!(grown(&of("dualcast_sessions_opened_total")), 4.0);
    assert_eq!(
        grown(&with("dualcast_sessions_closed_total", "reason=\"left\"")),
        2.0
    );
    assert_eq!(grown(&with("dualcast_resumes_total", "outcome=\"whole\"")), 1.0);
    assert_eq!(grown(&with("dualcast_resumes_total", "outcome=\"gap\"")), 1.0);
    assert_eq!(grown("dualcast_published_total"), 10.0);
    // Live 3 + 3 + 7, again 2 + 5, volatile 2.
    assert_eq!(grown(&of("dualcast_sent_total")), 22.0);
    // Two that had just come may not have been at rest yet when the first three were published.
    let replayed = grown(&of("dualcast_replayed_total"));
    assert!((7.0..=13.0).contains(&replayed), "{replayed}");
    assert!(grown(&of("dualcast_sent_bytes_total")) > 22.0 * 10.0);
    assert_eq!(grown("dualcast_gaps_total{reason=\"trimmed\"}"), 1.0);
    assert_eq!(grown("dualcast_volatile_dropped_total"), 1.0);
    assert_eq!(grown("dualcast_refused_total{limit=\"max_sessions\"}"), 1.0);
    assert_eq!(grown("dualcast_received_total{transport=\"post\"}"), 1.0);
    assert_eq!(grown(&of("dualcast_opening_seconds_count")), 4.0);
    assert!(
        grown(&of("dualcast_delivery_seconds_sum")) < 60.0,
        "live ones alone"
    );
    assert_eq!(grown(&of("dualcast_batch_messages_sum")), 22.0);
    assert!(grown(&of("dualcast_lag_messages_sum")) >= 20.0);
    assert_eq!(open.get("dualcast_channels"), 1.0);
    assert!(open.get("dualcast_log_bytes") > 5.0 * 512.0);
    if transport == Transport::WebSocket {
        assert_eq!(grown(&of("dualcast_received_total")), 1.0);
        assert!(grown(&of("dualcast_received_bytes_total")) > 20.0);
    }

    server.hub.shutdown();
    client.until_end().await;
    too_late.until_end().await;
    server.is_free_of(&["room"]).await;
    let closed = Scrape::of(&handle);
    assert_eq!(closed.get(&of("dualcast_sessions")), 0.0);
    let told = with("dualcast_sessions_closed_total", "reason=\"shutdown\"");
    assert_eq!(closed.get(&told) - before(&told), 2.0);
    let seconds = of("dualcast_session_seconds_count");
    assert_eq!(closed.get(&seconds) - before(&seconds), 4.0);
    merged(under, &handle).await;
    turned_away(under, &handle).await;
    for_each_reason(under, &handle);
    of_no_channel(under, &handle).await;
}

/// A conflating client that reads too late.
async fn merged(under: Under, handle: &PrometheusHandle) {
    use dualcast::{LagRule, MaxLag};
    let before = Scrape::of(handle).get("dualcast_merged_total");
    let setup = Setup::new(under).subscribe(|subscribe| subscribe.lag(LagRule::Conflate(MaxLag::records(1))));
    let server = setup.start().await;
    let start = server.hub.position();
    for number in 0..5 {
        let message = Message::text("e", number.to_string()).conflation_key("k");
        server.channel("room").publish(message).await.unwrap();
    }
    let mut client = server.dial("room").cursor(&start.to_string()).open().await;
    assert!(matches!(client.next().await, Told::Merged { count: 4, .. }));
    assert_eq!(Scrape::of(handle).get("dualcast_merged_total") - before, 4.0);
    drop(client);
    tokio::time::timeout(Duration::from_secs(20), server.is_free_of(&["room"]))
        .await
        .unwrap();
}

/// Those who are told at the door, each for a reason and a limit of its own.
async fn turned_away(under: Under, handle: &PrometheusHandle) {
    let transport = under.transport;
    let closed = |reason: &str| {
        let name = "dualcast_sessions_closed_total";
        format!("{name}{{transport=\"{}\",reason=\"{reason}\"}}", transport.name())
    };
    let refused = |limit: &str| format!("dualcast_refused_total{{limit=\"{limit}\"}}");
    let before = Scrape::of(handle);
    let setup = Setup::new(under)
        .joinable()
        .hub(|hub| hub.limits(|limits| limits.max_subscriptions = 1))
        .ws(|options| options.max_subscriptions = 0)
        .options(|options| options.max_connections = 2);
    let server = setup.start().await;
    let mut client = server.dial("run").open().await;
    let mut second = server.dial("run").connect().await;
    second.until_end().await;
    eventually("its place is free", || server.hub.session_count() == 1).await;
    if transport == Transport::WebSocket {
        client
            .ask(&json!({ "control": "subscribe", "channel": "other", "ref": 1 }))
            .await;
    }
    // A third connection is one too many. That it is closed is all that its client sees.
    drop(second);
    let held = loop {
        // The place of the one before is free in a moment.
        let mut held = server.http().await;
        let asked = held.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if asked.is_ok() && held.head().await.is_ok() {
            break held;
        }
    };
    let at_the_door = Scrape::of(handle);
    let mut third = server.http().await;
    drop(third.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await);
    assert!(third.head().await.is_err());
    drop(held);
    let sent = Scrape::of(handle).grown(&before, &with_transport("dualcast_sent_total", transport));
    server.publish("run", "all of it").await;
    let end = server.channel("run").finish().await.unwrap();
    client.next().await;
    client.next().await;
    drop(client);
    server.is_free_of(&["run"]).await;
    let now = Scrape::of(handle);
    let sent = now.grown(&before, &with_transport("dualcast_sent_total", transport)) - sent;
    assert_eq!(sent, 1.0, "the end of a channel is no message");
    assert_eq!(now.grown(&before, &closed("busy")), 1.0);
    assert_eq!(now.grown(&at_the_door, &refused("max_connections")), 1.0);
    // The hub's own limit; and that of the session, which bears the same name.
    let limited = now.grown(&before, &refused("max_subscriptions"));
    assert_eq!(
        limited,
        if transport == Transport::WebSocket {
            2.0
        } else {
            1.0
        }
    );

    // Whoever has seen all of it is finished, not gone.
    if transport == Transport::Sse {
        let before = now;
        let seen = server.dial("run").cursor(&end.to_string()).attempt().await;
        assert_eq!(seen.err().map(|answer| answer.status()), Some(204));
        eventually("it is over", || server.hub.session_count() == 0).await;
        assert_eq!(Scrape::of(handle).grown(&before, &closed("finished")), 1.0);
    }

    // What is in memory is that of all hubs.
    server.hub.maintain();
    let before = Scrape::of(handle);
    let other = Hub::new();
    other
        .channel("another")
        .unwrap()
        .publish(Message::text("e", "x"))
        .await
        .unwrap();
    other.maintain();
    let both = Scrape::of(handle);
    assert_eq!(both.grown(&before, "dualcast_channels"), 1.0);
    assert!(both.grown(&before, "dualcast_log_bytes") > 0.0);
    drop(other);
    let one = Scrape::of(handle);
    for gauge in ["dualcast_channels", "dualcast_log_bytes"] {
        assert_eq!(one.grown(&before, gauge), 0.0, "{gauge}");
    }
}

/// Which reason a session ends with is what hooks are told: the contract has each of them.
fn for_each_reason(under: Under, handle: &PrometheusHandle) {
    let hub = Hub::new();
    let transport = under.transport;
    let before = Scrape::of(handle);
    for reason in CloseReason::ALL {
        let mut session = hub.open_session(transport, None).unwrap();
        session.ended(reason);
    }
    let now = Scrape::of(handle);
    for reason in CloseReason::ALL {
        let labels = format!("transport=\"{}\",reason=\"{}\"", transport.name(), reason.name());
        let series = format!("dualcast_sessions_closed_total{{{labels}}}");
        assert_eq!(now.grown(&before, &series), 1.0, "{series}");
    }
}

/// Messages of an application's own stream, or protocol.
async fn of_no_channel(under: Under, handle: &PrometheusHandle) {
    let setup = Setup::new(under).app(|app, hub| {
        let (streams, sockets) = (hub.clone(), hub.clone());
        let stream = get(async move |sse: Sse| {
            let messages = (0..3).map(|number| Message::text("e", number.to_string()));
            sse.stream(&streams, stream::iter(messages))
        });
        let socket = any(async move |ws: Ws| {
            ws.raw(&sockets, async |socket: RawSocket| {
                for number in 0..3 {
                    let message = RawMessage::Text(number.to_string());
                    socket.send(message).await.unwrap();
                }
            })
        });
        app.route("/own-sse", stream).route("/own-ws", socket)
    });
    let server = setup.start().await;
    let before = Scrape::of(handle);
    match under.transport {
        Transport::Sse => {
            let mut client = server.dial_path("/own-sse").connect().await;
            client.until_end().await;
        }
        Transport::WebSocket => {
            let mut http = server.http().await;
            http.send(server.ws_request("/own-ws")).await.unwrap();
            assert_eq!(http.head().await.unwrap().status, 101);
            let mut frames = Frames::new(http);
            while frames.next().await.unwrap().opcode == Frame::TEXT {}
        }
    }
    server.is_free_of(&[]).await;
    let now = Scrape::of(handle);
    let grown = |name: &str| now.grown(&before, &with_transport(name, under.transport));
    assert_eq!(grown("dualcast_sent_total"), 3.0);
    assert!(grown("dualcast_sent_bytes_total") > 6.0);
}

/// What a broker brings that is no message, and what is read of its log.
async fn of_the_broker(under: Under, handle: PrometheusHandle) {
    let broker = NatsServer::start().await;
    let url = broker.url();
    let setup = Setup::new(under)
        .nats(move |options| {
            options.servers = vec![url.clone()];
            options.prefix = "shop".into();
        })
        .hub(|hub| hub.log(|log| log.max_records = 1));
    let server = setup.start().await;
    let (start, before) = (server.hub.position().to_string(), Scrape::of(&handle));
    let mut outsider = Outsider::connect(&broker.address(), None).await;
    let json = headers(&[("Dualcast-Type", "json")]);
    outsider.store("shop.log.room", &json, b"no JSON").await;
    server.publish_numbers("room", 1..=3).await;
    let mut client = server.dial("room").cursor(&start).open().await;
    assert_eq!(client.texts(3).await, ["1", "2", "3"]);
    let now = Scrape::of(&handle);
    let grown = |series: &str| now.grown(&before, series);
    assert_eq!(grown("dualcast_garbage_total{reason=\"json\"}"), 1.0);
    assert_eq!(grown("dualcast_broker_reads_total{purpose=\"history\"}"), 1.0);
    assert_eq!(grown("dualcast_published_total"), 3.0, "it is nobody's message");
    drop(client);
    server.is_free_of(&["room"]).await;
}

#[test]
fn the_table_in_the_documentation_is_that_of_the_code() {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md")).unwrap();
    let written: Vec<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `dualcast_"))
        .map(|line| {
            let (name, rest) = line.split_once("` | ").unwrap();
            let kind = rest.split(" |").next().unwrap();
            format!("dualcast_{name} {kind}")
        })
        .collect();
    let kind = |kind| match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    let code: Vec<_> = METRICS
        .iter()
        .map(|metric| format!("{} {}", metric.name, kind(metric.kind)))
        .collect();
    assert_eq!(written, code);
}
