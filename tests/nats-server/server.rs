//! One server.

use std::ffi::OsString;
use std::fs;
use std::future;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::clock::Clock;
use crate::monitor;
use crate::program::program;
use crate::tethered::Tethered;
use crate::waiting::{PATIENCE, until};

/// A server with JetStream on, whose store lies in a temporary directory. It ends when it is dropped, and the directory with it.
#[derive(Debug)]
pub struct NatsServer {
    process: Option<Tethered>,
    directory: TempDir,
    config: String,
    ports: Ports,
    clock: Option<Clock>,
}

/// Where it listens: chosen by the server at first, and kept when it is started again.
#[derive(Debug, Clone)]
struct Ports {
    client: u16,
    monitor: u16,
}

impl NatsServer {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If it doesn't start. What it said is in the message.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// One that is started with more than the least configuration.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The same, as host and port.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client)
    }

    /// The directory that it runs in: [files](Builder::file), its store (`store`), its log (`log`).
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its process.
    ///
    /// # Panics
    ///
    /// If it doesn't run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Ends it in good order (SIGTERM), and waits until it is over.
    ///
    /// # Panics
    ///
    /// If it doesn't end.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        process.signal("TERM");
        let over = tokio::task::spawn_blocking(move || process.is_over()).await;
        assert!(
            over.expect("waiting does not panic"),
            "it ends when it is told to"
        );
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, on the same port and with the same store. One that runs is stopped first.
    ///
    /// # Panics
    ///
    /// If it doesn't come.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.launch().await;
    }

    /// Takes its processor away (SIGSTOP): its connections stay, and nobody answers.
    pub fn freeze(&mut self) {
        self.process.as_mut().expect("it runs").freeze();
    }

    /// Gives it back (SIGCONT).
    pub fn thaw(&mut self) {
        self.process.as_mut().expect("it runs").signal("CONT");
    }

    /// Whether it has a clock of its own.
    #[must_use]
    pub fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Sets its clock so far ahead of the system's, or behind it where that is negative: from now on it never hears another time, running or
    /// not. As when somebody sets a machine's clock, what it measures goes on.
    ///
    /// # Panics
    ///
    /// If it has [none of its own](Builder::clock).
    pub fn set_clock_ahead(&self, seconds: i64) {
        let clock = self.clock.as_ref().expect("it was started with a clock");
        clock.set_ahead(seconds);
    }

    /// What it says on its monitoring port, at a path such as `/varz`.
    ///
    /// # Panics
    ///
    /// If it doesn't answer.
    pub async fn monitor(&self, path: &str) -> Value {
        self.try_monitor(path).await.expect("a server that answers")
    }

    pub(crate) async fn try_monitor(&self, path: &str) -> Option<Value> {
        monitor::ask(&format!("127.0.0.1:{}", self.ports.monitor), path).await
    }

    /// Writes its configuration and starts its process, which may find its port taken for a moment: by a connection that had it for a
    /// port of its own while nobody listened.
    async fn launch(&mut self) {
        let [client, monitor] = [self.ports.client, self.ports.monitor].map(in_config);
        let config = format!(
            "listen: \"127.0.0.1:{client}\"\nhttp: \"127.0.0.1:{monitor}\"\nports_file_dir: \"{directory}\"\n\
             jetstream {{ store_dir: \"{directory}/store\" }}\n{more}\n",
            directory = self.directory().display(),
            more = self.config,
        );
        fs::write(self.directory().join("nats.conf"), config).expect("its directory can be written to");
        let command = self.command();
        let begun = std::time::Instant::now();
        loop {
            let process = Tethered::start(&command, self.directory(), &self.said());
            let mut process = process.expect("`sh` starts");
            let ports = self
                .directory()
                .join(format!("nats-server_{}.ports", process.id()));
            let listens = until("it listens", || {
                future::ready(match read_ports(&ports) {
                    Some(ports) => Some(Some(ports)),
                    None if process.is_running() => None,
                    None => Some(None),
                })
            });
            if let Some(ports) = listens.await {
                self.ports = ports;
                self.process = Some(process);
                return;
            }
            let is_taken = self.last_words().contains("address already in use");
            assert!(
                is_taken && begun.elapsed() < PATIENCE,
                "it did not start, and said: {}",
                self.last_words()
            );
        }
    }

    fn command(&self) -> Vec<OsString> {
        let program = program().into_os_string();
        let mut command = match &self.clock {
            Some(clock) => clock.command(&program),
            None => vec![program],
        };
        command.extend(["--config", "nats.conf"].map(OsString::from));
        command
    }

    fn said(&self) -> PathBuf {
        self.directory().join("log")
    }

    fn last_words(&self) -> String {
        let said = fs::read_to_string(self.said()).unwrap_or_default();
        let lines: Vec<_> = said.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// What a server is started with.
#[derive(Debug, Default)]
pub struct Builder {
    config: String,
    files: Vec<(String, String)>,
    ports: Option<Ports>,
    has_clock: bool,
}

impl Builder {
    /// More configuration, in the server's own language: users, permissions, limits, TLS.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self.config.push('\n');
        self
    }

    /// A file in the directory that it runs in, which the configuration may name: a certificate, say.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// With a clock of its own, which a test [sets](NatsServer::set_clock_ahead), where [that can be](crate::clocks_can_be_set).
    #[must_use]
    pub fn clock(mut self) -> Self {
        self.has_clock = true;
        self
    }

    /// On a port that is known before, for members of a cluster.
    pub(crate) fn port(mut self, client: u16) -> Self {
        self.ports = Some(Ports { client, monitor: 0 });
        self
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    ///
    /// If it doesn't start.
    pub async fn start(self) -> NatsServer {
        let directory = tempfile::Builder::new().prefix("nats-server-").tempdir();
        let directory = directory.expect("there is room for a directory");
        for (name, text) in &self.files {
            fs::write(directory.path().join(name), text).expect("its directory can be written to");
        }
        let clock = self.has_clock.then(|| Clock::in_directory(directory.path()));
        let mut server = NatsServer {
            clock,
            process: None,
            directory,
            config: self.config,
            ports: self.ports.unwrap_or(ANY),
        };
        server.launch().await;
        server
    }
}

/// Ports of the server's choice.
const ANY: Ports = Ports {
    client: 0,
    monitor: 0,
};

/// To the server a port of its choice is -1; with 0 it takes its default.
fn in_config(port: u16) -> i32 {
    if port == 0 { -1 } else { i32::from(port) }
}

/// What the server wrote about its ports, once it has written all of it.
fn read_ports(path: &Path) -> Option<Ports> {
    let ports: Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let port = |what: &str| ports[what][0].as_str()?.rsplit(':').next()?.parse().ok();
    Some(Ports {
        client: port("nats")?,
        monitor: port("monitoring")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn client(server: &NatsServer) -> async_nats::Client {
        async_nats::connect(server.url()).await.expect("it listens")
    }

    async fn publish(server: &NatsServer, stream: &str) -> u64 {
        let jetstream = async_nats::jetstream::new(client(server).await);
        jetstream.get_or_create_stream(stream).await.expect("a stream");
        let ack = jetstream
            .publish(stream.to_owned(), "x".into())
            .await
            .expect("it is sent");
        ack.await.expect("it is stored").sequence
    }

    #[tokio::test]
    async fn it_comes_back_on_its_port_with_its_store() {
        let mut server = NatsServer::start().await;
        let address = server.address();
        assert_eq!(publish(&server, "s").await, 1);
        server.restart().await;
        assert_eq!(server.address(), address);
        assert_eq!(publish(&server, "s").await, 2);
        server.kill();
        server.restart().await;
        assert_eq!(server.address(), address);
        assert_eq!(publish(&server, "s").await, 3);
    }

    #[tokio::test]
    async fn a_frozen_one_answers_when_it_thaws() {
        let mut server = NatsServer::start().await;
        let client = client(&server).await;
        server.freeze();
        let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it is there");
        assert!(status.contains("T (stopped)"), "{status}");
        let info = tokio::spawn(async move { client.request("$JS.API.INFO", "".into()).await.is_ok() });
        server.thaw();
        assert!(info.await.expect("no panic"));
    }

    #[tokio::test]
    async fn configuration_and_files_are_its_own() {
        let server = NatsServer::builder()
            .file("users.conf", "authorization { user: anna, password: secret }")
            .config("include \"users.conf\"")
            .start()
            .await;
        assert!(async_nats::connect(server.url()).await.is_err());
        let options = async_nats::ConnectOptions::with_user_and_password("anna".into(), "secret".into());
        assert!(options.connect(server.url()).await.is_ok());
    }

    #[tokio::test]
    #[should_panic(expected = "unknown field \"nonsense\"")]
    async fn one_that_cannot_start_says_why() {
        NatsServer::builder().config("nonsense: true").start().await;
    }
}
