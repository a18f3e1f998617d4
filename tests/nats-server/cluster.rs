//! Several servers that keep each other's streams.

use std::net::TcpListener;
use std::time::Duration;

use async_nats::Client;
use serde_json::{Value, json};

use crate::server::{Builder, NatsServer};
use crate::waiting::until;

/// Servers with a JetStream of their own together, on the loopback interface. Nobody needs a password.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<NatsServer>,
}

impl Cluster {
    /// Starts some, and waits until they have a leader and all of them follow it.
    ///
    /// # Panics
    ///
    /// If they don't in the end.
    pub async fn start(members: usize) -> Self {
        Self::of((0..members).map(|_| NatsServer::builder()).collect()).await
    }

    /// The same, each with a clock of its own.
    ///
    /// # Panics
    ///
    /// If they don't in the end.
    pub async fn start_with_clocks(members: usize) -> Self {
        Self::of((0..members).map(|_| NatsServer::builder().clock()).collect()).await
    }

    async fn of(builders: Vec<Builder>) -> Self {
        let ports = free_ports(2 * builders.len());
        let (clients, routes) = ports.split_at(builders.len());
        let all: Vec<_> = routes
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        let mut cluster = Self { members: Vec::new() };
        for (index, (builder, (client, route))) in
            builders.into_iter().zip(clients.iter().zip(routes)).enumerate()
        {
            let config = format!(
                "server_name: \"{}\"\ncluster {{ name: \"tests\", listen: \"127.0.0.1:{route}\", routes: [{}] }}",
                name(index),
                all.join(", "),
            );
            let member = builder.port(*client).config(&config).start().await;
            cluster.members.push(member);
        }
        cluster.is_whole().await;
        cluster
    }

    /// Where clients connect.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(NatsServer::url).collect()
    }

    /// One of them.
    #[must_use]
    pub fn member(&self, index: usize) -> &NatsServer {
        &self.members[index]
    }

    /// One of them, to be stopped, killed, frozen or started again.
    pub fn member_mut(&mut self, index: usize) -> &mut NatsServer {
        &mut self.members[index]
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Waits until all that run follow one leader and have caught up with it.
    ///
    /// # Panics
    ///
    /// If they don't in the end.
    pub async fn is_whole(&self) {
        for member in &self.members {
            until("a member has caught up", || async move {
                let health = member.try_monitor("/healthz").await?;
                let jetstream = member.try_monitor("/jsz").await?;
                let has_leader = jetstream["meta_cluster"]["leader"]
                    .as_str()
                    .is_some_and(|leader| !leader.is_empty());
                (has_leader && health["status"] == "ok").then_some(())
            })
            .await;
        }
    }

    /// Which member leads a stream. Waits for one while there is none.
    ///
    /// # Panics
    ///
    /// If there is none in the end.
    pub async fn leader_of(&self, stream: &str) -> usize {
        let client = self.client().await;
        self.some_leader(&client, stream, None).await
    }

    /// Has the leader of a stream step down, and waits until another leads it, whose index it answers.
    ///
    /// # Panics
    ///
    /// If none does in the end.
    pub async fn step_down(&self, stream: &str) -> usize {
        let client = self.client().await;
        let former = self.some_leader(&client, stream, None).await;
        // Its answer may be lost with its office.
        drop(ask(&client, &format!("STREAM.LEADER.STEPDOWN.{stream}")).await);
        self.some_leader(&client, stream, Some(former)).await
    }

    async fn some_leader(&self, client: &Client, stream: &str, but: Option<usize>) -> usize {
        until("the stream has a leader", || async move {
            let info = ask(client, &format!("STREAM.INFO.{stream}")).await?;
            let leader = info["cluster"]["leader"].as_str()?;
            (0..self.size()).find(|index| name(*index) == leader && Some(*index) != but)
        })
        .await
    }

    async fn client(&self) -> Client {
        let client = until("a member listens", || async move {
            async_nats::connect(self.urls()).await.ok()
        });
        client.await
    }
}

fn name(index: usize) -> String {
    format!("n{index}")
}

/// Asks JetStream. `None` where it doesn't answer now.
async fn ask(client: &Client, what: &str) -> Option<Value> {
    let request = async_nats::Request::new().payload(json!({}).to_string().into());
    let request = request.timeout(Some(Duration::from_secs(2)));
    let answer = client
        .send_request(format!("$JS.API.{what}"), request)
        .await
        .ok()?;
    serde_json::from_slice(&answer.payload).ok()
}

/// Ports that were free a moment ago. Members have to know each other's before they start.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free"))
        .collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    listeners.iter().map(port).collect()
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::{self, stream};

    use super::*;

    #[tokio::test]
    async fn a_stream_outlives_its_leaders() {
        let mut cluster = Cluster::start(3).await;
        let client = async_nats::connect(cluster.urls()).await.expect("it listens");
        let jetstream = jetstream::new(client);
        let config = stream::Config {
            name: "s".into(),
            num_replicas: 3,
            ..Default::default()
        };
        jetstream.create_stream(config).await.expect("a stream");
        let first = cluster.leader_of("s").await;
        let second = cluster.step_down("s").await;
        assert_ne!(first, second);
        cluster.member_mut(second).kill();
        let third = cluster.leader_of("s").await;
        assert_ne!(second, third);
        cluster.member_mut(second).restart().await;
        cluster.is_whole().await;
    }
}
