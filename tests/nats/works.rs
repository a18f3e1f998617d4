//! Everything that an application does over NATS, once: what a node may has to be enough for it.

use std::time::Duration;

use dualcast::{Identity, Member, Message, NatsOptions, Transport};
use dualcast_nats_server::NatsServer;
use dualcast_tests::{HttpServer, HttpVersion, Outsider, Server, Setup, Told, Under, eventually};
use tokio::time;

/// Two nodes, whose logs keep so many records: what is missing there has to come from the stream.
pub(crate) async fn nodes(mut options: NatsOptions, max_records: usize) -> Server {
    options.stream.max_bytes = 16 << 20;
    Setup::new(under())
        .nats(move |ours| *ours = options.clone())
        .hub(move |hub| hub.log(|log| log.max_records = max_records))
        .start()
        .await
}

/// By this way alone, and again as soon as it is free.
pub(crate) fn come_by(url: &str, options: &mut NatsOptions) {
    options.servers = vec![url.to_owned()];
    let soon = |_| Duration::from_millis(20);
    options.client = options.client.clone().reconnect_delay_callback(soon);
}

/// Somebody who may deletes a stream.
pub(crate) async fn delete(broker: &NatsServer, stream: &str) {
    let mut outsider = Outsider::connect(&broker.address(), None).await;
    let subject = format!("$JS.API.STREAM.DELETE.{stream}");
    let deleted = outsider.ask(&subject, b"", b"").await;
    assert!(deleted.contains("\"success\":true"), "{deleted}");
}

pub(crate) fn under() -> Under {
    Under::new(Transport::Sse, HttpServer::Dualcast, HttpVersion::Http1).over_nats(2)
}

/// On both nodes and over both transports: publishing, following, resuming, ending a channel, volatile messages, presence, orders. They are ready, so they
/// have a stream, an epoch, and heard what they said themselves.
pub(crate) async fn everything_works(options: NatsOptions) {
    let server = nodes(options, 5).await;
    let start = server.hub.position().to_string();
    let mut clients = Vec::new();
    for transport in [Transport::Sse, Transport::WebSocket] {
        for _ in server.nodes() {
            clients.push(server.dial_by(transport, "room").query("who=anna").open().await);
        }
    }
    let all: Vec<_> = (1..=20).map(|number| number.to_string()).collect();
    for text in &all {
        server.publish("room", text.as_str()).await;
        for client in &mut clients {
            assert_eq!(client.next().await.text(), text);
        }
    }
    for client in &mut clients {
        let mut back = server
            .dial_by(client.transport(), "room")
            .cursor(&start)
            .open()
            .await;
        assert_eq!(back.texts(20).await, all, "from the stream");
    }
    volatile(&server).await;
    presence(&server).await;
    for client in &mut clients {
        client.until_text("the last").await;
    }
    server.others[0].hub.disconnect(&Identity::new("anna"));
    for mut client in clients {
        assert_eq!(client.closing().await, ("disconnected".into(), false));
    }
    let mut reader = server.dial("room").cursor(&start).open().await;
    server.others[0].channel("room").finish().await.unwrap();
    let (told, _) = reader.until_end().await;
    assert!(
        told.iter().any(|told| matches!(told, Told::Finished { .. })),
        "{told:?}"
    );
}

/// Who is present on one node is so on the other.
async fn presence(server: &Server) {
    for node in server.nodes() {
        let here = node.channel("hall").presence().join(Member::new("anna")).unwrap();
        let is_known = |count| move |node: &Server| node.channel("hall").presence().now().count() == count;
        eventually("both know", || server.nodes().all(is_known(1))).await;
        here.leave();
        eventually("both know that she has left", || server.nodes().all(is_known(0))).await;
    }
}

/// From each node to whoever follows on the other, as soon as that has subscribed.
async fn volatile(server: &Server) {
    for node in server.nodes() {
        let other = server
            .nodes()
            .find(|other| other.address != node.address)
            .unwrap();
        let mut client = other.dial_here(Transport::Sse, "typing").open().await;
        let channel = node.channel("typing");
        let typing = tokio::spawn(async move {
            loop {
                let message = Message::text("typing", "anna").volatile();
                channel.publish(message).await.unwrap();
                time::sleep(Duration::from_millis(10)).await;
            }
        });
        let told = client.next().await;
        assert!(matches!(told, Told::Message { id: None, .. }), "{told:?}");
        typing.abort();
    }
    server.publish("room", "the last").await;
}
