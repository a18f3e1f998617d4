//! A server's process, and what one asks of it: HTTP as plain as it is, over a connection for each request.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time;

/// A user's.
pub(crate) const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// By which others know that user.
pub(crate) const ANNA: &str = "DwBzhbb51LfusnSGBa_hqQ";

/// Far longer than anything takes: it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// A page's op, but for the page.
pub(crate) fn op(n: u64, changes: Value) -> Value {
    json!({ "client": "client01", "n": n, "changes": changes })
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    time::timeout(PATIENCE, waited)
        .await
        .expect("it is so in the end");
}

impl Process {
    fn command(arguments: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whiteboard"));
        command.args(arguments).env("ADDR", "127.0.0.1:0");
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts one, and waits until it says where it listens.
    pub(crate) async fn start(arguments: &[String]) -> Self {
        let mut child = Self::command(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let line = time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended: {said:?}"));
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.parse().unwrap();
            }
            said.push(line);
        };
        // What it says later must not hold it up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, address }
    }

    /// Runs one that ends by itself, and answers what it said.
    pub(crate) async fn run(arguments: &[String]) -> (ExitStatus, String) {
        let output = time::timeout(PATIENCE, Self::command(arguments).output()).await;
        let output = output.expect("it ends").unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }

    /// Ends it as an operator would.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        let id = self.child.id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .await
                .unwrap()
                .success()
        );
        time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends")
            .unwrap()
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// The status and the body of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        ))
        .await
    }

    pub(crate) async fn snapshot(&self, name: &str) -> Value {
        let (status, body) = self.get(&format!("/b/{name}/snapshot")).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until its board is as it should be.
    pub(crate) async fn has(&self, name: &str, is_so: impl Fn(&Value) -> bool) {
        until(async || is_so(&self.snapshot(name).await["board"])).await;
    }

    /// Changes a board by a POST.
    pub(crate) async fn write(&self, name: &str, op: Value) {
        self.write_as("client01", name, op).await;
    }

    /// The same, as another page.
    pub(crate) async fn write_as(&self, client: &str, name: &str, mut op: Value) {
        op["client"] = client.into();
        let body = json!({ "event": "op", "data": op }).to_string();
        let (status, said) = self
            .ask(&format!(
                "POST /b/{name}/live?name=Anna&color=1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 authorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        assert_eq!(status, 200, "{said}");
    }

    /// What a viewer that comes back with a cursor is told until it has all.
    pub(crate) async fn listen(&self, name: &str, cursor: &str) -> String {
        let mut viewer = self
            .stream(&format!("/b/{name}/stream?last-event-id={cursor}"))
            .await;
        // The opening, and that it has all.
        viewer.until("event: dualcast:heartbeat").await;
        viewer.until("event: dualcast:heartbeat").await;
        viewer.told
    }

    /// A viewer.
    pub(crate) async fn view(&self, name: &str) -> Viewer {
        self.stream(&format!("/b/{name}/stream")).await
    }

    async fn stream(&self, path: &str) -> Viewer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Viewer {
            stream,
            told: String::new(),
            seen: 0,
        }
    }

    async fn ask(&self, request: &str) -> (u16, String) {
        let asked = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = time::timeout(PATIENCE, asked).await.expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

/// A stream, as it comes.
pub(crate) struct Viewer {
    stream: TcpStream,
    told: String,
    /// Up to where it was looked at.
    seen: usize,
}

impl Viewer {
    /// Waits until it is told something, behind what it was told before.
    pub(crate) async fn until(&mut self, what: &str) {
        let told = time::timeout(PATIENCE, self.read_until(what)).await;
        told.unwrap_or_else(|_| panic!("no {what:?} in {}", self.told));
    }

    async fn read_until(&mut self, what: &str) {
        loop {
            if let Some(at) = self.told[self.seen..].find(what) {
                self.seen += at + what.len();
                return;
            }
            let mut piece = vec![0; 16 << 10];
            let read = self.stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "it ended: {}", self.told);
            self.told += std::str::from_utf8(&piece[..read]).unwrap();
        }
    }
}
