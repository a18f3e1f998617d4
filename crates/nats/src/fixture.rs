//! What the tests share: a server, a stream on it, and hands to publish with.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, HeaderMap, jetstream};
use bytes::Bytes;
use dualcast_core::ChannelName;
use dualcast_nats_server::NatsServer;
use serde_json::{Map, Value};

use crate::api::Api;
use crate::connect::{Connection, Purpose};
use crate::envelope::Outgoing;
use crate::options::{Existing, NatsOptions};
use crate::settings::Settings;
use crate::stream::{Stream, StreamError};
use crate::subjects::Subjects;

/// A stream on a server of its own.
pub(crate) struct Fixture {
    pub(crate) server: NatsServer,
    pub(crate) options: NatsOptions,
    pub(crate) subjects: Subjects,
    pub(crate) stream: Stream,
    /// A client that knows nothing of us.
    pub(crate) client: Client,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let server = NatsServer::start().await;
        let options = options(&server);
        Self::on(server, options).await
    }

    /// On a stream from which records can be deleted.
    pub(crate) async fn unprotected() -> Self {
        let server = NatsServer::start().await;
        let mut options = options(&server);
        make(&options, |config| {
            config.remove("deny_delete");
            config.remove("deny_purge");
        })
        .await;
        options.stream.existing = Existing::Adopt;
        Self::on(server, options).await
    }

    async fn on(server: NatsServer, options: NatsOptions) -> Self {
        let stream = open(&options).await.unwrap();
        let client = async_nats::connect(server.url()).await.unwrap();
        Self {
            server,
            subjects: Subjects::new(&options.prefix),
            options,
            stream,
            client,
        }
    }

    /// Publishes, and waits until it is stored.
    pub(crate) async fn publish(&self, outgoing: Outgoing) -> jetstream::publish::PublishAck {
        let Outgoing {
            subject,
            headers,
            payload,
        } = outgoing;
        publish(&self.client, &subject, headers, payload).await
    }

    /// Publishes numbered texts to a channel.
    pub(crate) async fn publish_numbers(&self, channel: &str, numbers: std::ops::RangeInclusive<u64>) {
        let jetstream = jetstream::new(self.client.clone());
        let subject = self.subjects.log(&name(channel));
        let mut acks = Vec::new();
        for number in numbers {
            acks.push(
                jetstream
                    .publish(subject.clone(), number.to_string().into())
                    .await
                    .unwrap(),
            );
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }

    /// Publishes with a block of headers that no client would write.
    pub(crate) fn publish_block(&self, subject: &str, block: &[u8], payload: &[u8]) {
        publish_block(&self.server.address(), subject, block, payload).unwrap();
    }
}

pub(crate) fn options(server: &NatsServer) -> NatsOptions {
    let mut options = NatsOptions::new([server.url()]);
    options.prefix = "shop".into();
    options
}

pub(crate) async fn api(options: &NatsOptions) -> Api {
    let connection = Connection::open(options, Purpose::Live).await.unwrap();
    Api::new(
        Arc::new(connection),
        options.domain.as_deref(),
        options.request_deadline,
    )
}

pub(crate) async fn open(options: &NatsOptions) -> Result<Stream, StreamError> {
    Stream::open(api(options).await, &Subjects::new(&options.prefix), options).await
}

/// Makes a stream as ours, but for what is changed.
pub(crate) async fn make(options: &NatsOptions, change: impl FnOnce(&mut Map<String, Value>)) {
    let settings = Settings::new(
        options.stream_name(),
        &Subjects::new(&options.prefix),
        &options.stream,
    );
    let mut config = settings.config();
    change(&mut config);
    let name = config["name"].as_str().unwrap().to_owned();
    let made: Value = api(options)
        .await
        .ask(&format!("STREAM.CREATE.{name}"), &config)
        .await
        .unwrap();
    drop(made);
}

pub(crate) async fn publish(
    client: &Client,
    subject: &str,
    headers: HeaderMap,
    payload: Bytes,
) -> jetstream::publish::PublishAck {
    let jetstream = jetstream::new(client.clone());
    let ack = jetstream
        .publish_with_headers(subject.to_owned(), headers, payload)
        .await;
    ack.unwrap().await.unwrap()
}

pub(crate) fn name(channel: &str) -> ChannelName {
    ChannelName::parse(channel).unwrap()
}

/// By hand, and waits until it is stored.
fn publish_block(address: &str, subject: &str, block: &[u8], payload: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true}}\r\nSUB ack 1\r\nHPUB {subject} ack {} {}\r\n",
        block.len(),
        block.len() + payload.len()
    );
    stream.write_all(&[head.as_bytes(), block, payload, b"\r\n"].concat())?;
    let mut said = Vec::new();
    while !said.windows(6).any(|window| window == b"\"seq\":") {
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece)?;
        assert!(count > 0, "not stored: {}", said.escape_ascii());
        said.extend_from_slice(&piece[..count]);
    }
    Ok(())
}

/// Far longer than anything takes: it only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
