//! A nats-server of our own, and the clients that are compared over it.

use anyhow::{Context, Result, anyhow};
use async_nats::Client;
use async_nats::jetstream::{self, Context as JetStream};
use dualcast::{Hub, Nats, NatsOptions};
use dualcast_nats_server::{NatsServer, find};
use tokio::runtime::Runtime;
use tokio::task::JoinError;

use crate::process::Process;

/// A nats-server on loopback, with a store in a temporary directory, and the runtime of its clients. Both are gone when it is dropped; the
/// server also when we end otherwise.
pub(crate) struct Broker {
    pub(crate) runtime: Runtime,
    server: NatsServer,
}

impl Broker {
    /// Whether there is a program to start.
    pub(crate) fn is_there() -> bool {
        find().is_some()
    }

    pub(crate) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // In a task, whose panic is an error here: it was said already.
        let server = runtime.block_on(runtime.spawn(NatsServer::start()));
        Ok(Self {
            runtime,
            server: server.map_err(why)?,
        })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.server.id())
    }

    /// How many messages clients have sent it since it started, requests among them.
    pub(crate) fn messages(&self) -> Result<u64> {
        let said = self.runtime.block_on(self.server.monitor("/varz"));
        said["in_msgs"].as_u64().context("a /varz without in_msgs")
    }

    /// A bare client.
    pub(crate) async fn client(&self) -> Result<Client> {
        Ok(async_nats::connect(self.server.url()).await?)
    }

    /// A bare client of a stream that is set as a hub's is, and has no hub.
    pub(crate) async fn jetstream(&self, prefix: &str) -> Result<JetStream> {
        drop(Nats::connect(options(&self.url(), prefix)).await?);
        Ok(jetstream::new(self.client().await?))
    }

    /// A node in this process.
    pub(crate) async fn hub(&self, prefix: &str) -> Result<Hub> {
        let nats = Nats::connect(options(&self.url(), prefix)).await?;
        Ok(Hub::builder().fan_out(nats).build()?)
    }
}

/// What a server's guard said when it gave up.
fn why(error: JoinError) -> anyhow::Error {
    let panic = error.try_into_panic().ok();
    let said = panic.and_then(|said| said.downcast::<String>().ok());
    anyhow!("no nats-server: {}", said.unwrap_or_default())
}

/// How all of ours connect. The stream is called like its prefix.
pub(crate) fn options(url: &str, prefix: &str) -> NatsOptions {
    let mut options = NatsOptions::new([url]);
    options.prefix = prefix.into();
    options.stream.name = Some(prefix.into());
    // Of the default, which it has room for several times, on a small disk too.
    options.stream.max_bytes = 256 << 20;
    options
}

/// The subject of a channel's records.
pub(crate) fn log_subject(prefix: &str, channel: &str) -> String {
    format!("{prefix}.log.{channel}")
}

/// Where every record of a hub is heard.
pub(crate) fn live_subjects(prefix: &str) -> String {
    format!("{prefix}.live.>")
}
