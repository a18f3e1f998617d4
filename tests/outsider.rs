//! Somebody else at NATS: a connection that speaks its protocol by hand, and so says what no client would.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;

/// A connection to a server of NATS.
#[derive(Debug)]
pub struct Outsider {
    socket: TcpStream,
    inbox: String,
}

impl Outsider {
    /// Connects, as this user or as nobody in particular.
    ///
    /// # Panics
    ///
    /// If the server doesn't let it in.
    pub async fn connect(address: &str, user: Option<(&str, &str)>) -> Self {
        let socket = TcpStream::connect(address).await.expect("the server listens");
        let mut who = String::new();
        let mut inbox = "_INBOX".to_owned();
        if let Some((user, password)) = user {
            write!(who, r#","user":"{user}","pass":"{password}""#).unwrap();
            inbox = format!("_INBOX_{user}");
        }
        let mut outsider = Self {
            socket,
            inbox: format!("{inbox}.answers"),
        };
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true{who}}}\r\nSUB {} 1\r\n",
            outsider.inbox
        );
        let said = outsider.say(hello.as_bytes()).await;
        assert!(!said.contains("-ERR"), "{said}");
        outsider
    }

    /// Sends bytes, and answers what the server says up to when it has seen all of them.
    pub async fn say(&mut self, bytes: &[u8]) -> String {
        self.send(&[bytes, b"PING\r\n"].concat()).await;
        self.until(|said| said.contains("PONG\r\n")).await
    }

    /// Sends a message, and answers what the server says to that: nothing, where it takes it.
    pub async fn publish(&mut self, subject: &str, headers: &[u8], payload: &[u8]) -> String {
        let message = message(subject, "", headers, payload);
        let said = self.say(&message).await;
        said.lines().filter(|line| line.starts_with("-ERR")).collect()
    }

    /// Asks, and answers the answer, or what the server says in its place.
    pub async fn ask(&mut self, subject: &str, headers: &[u8], payload: &[u8]) -> String {
        let question = message(subject, &self.inbox, headers, payload);
        self.send(&question).await;
        self.until(|said| said.contains("-ERR") || has_a_message(said))
            .await
    }

    /// Has a message stored, and answers at which number.
    ///
    /// # Panics
    ///
    /// If it isn't.
    pub async fn store(&mut self, subject: &str, headers: &[u8], payload: &[u8]) -> u64 {
        let said = self.ask(subject, headers, payload).await;
        let number = said
            .split_once("\"seq\":")
            .unwrap_or_else(|| panic!("not stored: {said}"))
            .1;
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        number[..end].parse().expect("a number")
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("it is open");
    }

    async fn until(&mut self, is_all: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        while !is_all(&said) {
            let mut piece = [0; 4_096];
            let count = time::timeout(PATIENCE, self.socket.read(&mut piece)).await;
            let count = count
                .unwrap_or_else(|_| panic!("no more came than: {said}"))
                .expect("it is open");
            assert!(count > 0, "the connection ended after: {said}");
            said.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        said
    }
}

/// Whether a message is there to its end: its line says last how many bytes follow it.
fn has_a_message(said: &str) -> bool {
    let from_there = said
        .find("MSG ")
        .and_then(|begin| said[begin..].split_once("\r\n"));
    from_there.is_some_and(|(line, rest)| {
        let bytes = line
            .rsplit_once(' ')
            .and_then(|(_, bytes)| bytes.parse::<usize>().ok());
        rest.len() >= bytes.expect("a size") + "\r\n".len()
    })
}

/// Headers as they go over the wire.
#[must_use]
pub fn headers(pairs: &[(&str, &str)]) -> Vec<u8> {
    let lines = pairs.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("NATS/1.0\r\n{}\r\n", lines.collect::<String>()).into_bytes()
}

fn message(subject: &str, reply: &str, headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let (head, all) = (headers.len(), headers.len() + payload.len());
    let line = if headers.is_empty() {
        format!("PUB {subject} {reply} {all}\r\n")
    } else {
        format!("HPUB {subject} {reply} {head} {all}\r\n")
    };
    [line.as_bytes(), headers, payload, b"\r\n"].concat()
}

/// Far longer than anything takes: it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);
