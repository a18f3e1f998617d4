//! Nodes: processes that clients come to, and that can be killed and stopped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dualcast_tests::{Http, Socket};
use fastrand::Rng;
use serde_json::Value;
use tokio::time;

/// A node. It ends when it is dropped.
pub(crate) struct Node {
    process: Child,
    pub(crate) address: SocketAddr,
}

/// How nodes are started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    urls: String,
    pub(crate) prefix: String,
    env: Vec<(&'static str, String)>,
}

/// Where clients find nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses(Arc<Mutex<Vec<SocketAddr>>>);

impl Start {
    pub(crate) fn new(urls: impl Into<String>, prefix: &str) -> Self {
        Self {
            urls: urls.into(),
            prefix: prefix.to_owned(),
            env: Vec::new(),
        }
    }

    /// With something that a node reads from its environment.
    pub(crate) fn env(mut self, name: &'static str, value: impl ToString) -> Self {
        self.env.push((name, value.to_string()));
        self
    }

    /// Starts a node, which listens once this returns.
    pub(crate) fn start(&self) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
        command
            .args([&self.urls, &self.prefix])
            .envs(self.env.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the node starts");
        let output = process.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says something");
        let address = line.trim().parse().expect("it says its address");
        Node { process, address }
    }
}

impl Node {
    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it is gone");
    }

    /// How it says that it is.
    pub(crate) async fn health(&self) -> Value {
        let answer = ask(self.address, "/health").await;
        serde_json::from_str(&answer).expect("health is JSON")
    }

    /// Waits until it says that it is ready and itself.
    pub(crate) async fn is_well(&self) {
        let begun = Instant::now();
        loop {
            let health = self.health().await;
            if health["is_ready"] == true && health["degraded"] == Value::Null {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "the node is not well in the end: {health}"
            );
            time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What one of its counters says, over all of its labels.
    pub(crate) async fn counter(&self, name: &str) -> f64 {
        let metrics = ask(self.address, "/metrics").await;
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Addresses {
    pub(crate) fn set<'a>(&self, nodes: impl IntoIterator<Item = &'a Node>) {
        *self.0.lock().unwrap() = nodes.into_iter().map(|node| node.address).collect();
    }

    pub(crate) fn any(&self, chance: &mut Rng) -> SocketAddr {
        let addresses = self.0.lock().unwrap();
        addresses[chance.usize(..addresses.len())]
    }
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let socket = Socket::connect(address, false).await.expect("the node listens");
    let mut http = Http::over(socket);
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    http.send(request).await.expect("it takes a request");
    http.answer().await.expect("it answers").text().to_owned()
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "not so in the end: {what}");
        time::sleep(Duration::from_millis(20)).await;
    }
}

/// Far longer than anything takes: it only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
