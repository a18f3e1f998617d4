//! The load generator against real servers: what it says of those that deliver, and that it says nothing of one that loses.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const BENCH: &str = env!("CARGO_BIN_EXE_bench");

/// One of the servers that come with the bench. It is ended when this is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(role: &str) -> Self {
        let mut command = Command::new(BENCH);
        command
            .args(["serve", role])
            .env("ADDR", "127.0.0.1:0")
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let address = said.trim().strip_prefix("listening on http://").unwrap().into();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn load(url: &str, options: &[&str]) -> Output {
    let mut command = Command::new(BENCH);
    command
        .args(["load", url, "--connections", "20", "--seconds", "0.2"])
        .args(options);
    command.output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_server_delivers_over_both_transports() {
    for role in ["floor", "joined", "by-hand", "rooms"] {
        let server = Server::start(role);
        let mut ways = vec![("http", "sse"), ("ws", "ws")];
        // The others speak no HTTP/2.
        if role == "rooms" {
            ways.push(("h2c", "sse"));
        }
        for (scheme, path) in ways {
            let url = format!("{scheme}://{}/{{channel}}/{path}", server.address);
            let pid = server.child.id().to_string();
            let options = [
                "--publish",
                "/{channel}/publish",
                "--channels",
                "3",
                "--in-flight",
                "8",
                "--pid",
                &pid,
            ];
            let said = succeeded(&load(&url, &options));
            assert!(said.contains("none missing"), "{role} {path}: {said}");
            assert!(said.contains("µs a delivery"), "{role} {path}: {said}");
            let rate = succeeded(&load(&url, &["--publish", "/{channel}/publish", "--rate", "50"]));
            assert!(rate.starts_with("connected"), "{role} {path}: {rate}");
            assert!(rate.contains("\nmessages   10, "), "{role} {path}: {rate}");
            assert!(rate.contains("\ndelivered  200, "), "{role} {path}: {rate}");
        }
    }
}

#[test]
fn the_whole_bench_answers_a_table_and_json() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let (json, document) = (format!("{directory}/bench.json"), format!("{directory}/table.md"));
    fs::write(
        &document,
        "# Before\n\n<!-- the table begins -->\n<!-- the table ends -->\n\nAfter\n",
    )
    .unwrap();
    let scenarios = "fan-out,paced,resume,publish";
    let options = [
        "--quick",
        "--rounds",
        "1",
        "--servers",
        "floor,Dualcast",
        "--scenarios",
        scenarios,
    ];
    let mut command = Command::new(BENCH);
    command
        .args(options)
        .args(["--json", &json, "--document", &document]);
    let table = succeeded(&command.output().unwrap());
    for row in [
        "WebSocket, 32 in flight, server CPU, µs a delivery",
        "SSE, p99, ms",
        "million messages a second",
    ] {
        let row = table.lines().find(|line| line.contains(row)).unwrap();
        assert!(row.ends_with(" |") && row.contains(" x) |"), "{row}");
    }
    assert!(fs::read_to_string(&document).unwrap().contains(&table));
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(json["scenarios"].as_array().unwrap().len(), 4);
    let values = &json["scenarios"][0]["rows"][0]["values"];
    assert!(
        values["floor"][0].as_f64().unwrap() > 0.0 && values["Dualcast"][0].as_f64().unwrap() > 0.0,
        "{values}"
    );
}

#[test]
fn several_nodes_are_measured_against_nats_alone() {
    let json = format!("{}/nats.json", env!("CARGO_TARGET_TMPDIR"));
    let mut command = Command::new(BENCH);
    command.args([
        "--quick",
        "--rounds",
        "1",
        "--scenarios",
        "across,acked,tail,storm",
    ]);
    let table = succeeded(&command.args(["--json", &json]).output().unwrap());
    for row in [
        "| | core NATS | JetStream | Local | Nats | spread |",
        "| SSE, without the hop to a client, p50, ms |",
        "| WebSocket, p99, ms |",
        "| 1024 in flight, CPU, µs a message |",
        "| 1,000 records a second |",
        "| SSE, messages that the broker got meanwhile |",
    ] {
        assert!(table.contains(row), "{row}\n{table}");
    }
    // Whatever it takes, it doesn't take a request for each client.
    let storm = table
        .lines()
        .filter(|line| line.contains("messages that the broker got"));
    for row in storm {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let asked = |cell: &str| cell.parse::<f64>().unwrap();
        assert!(asked(cells[3]) < 100.0 && asked(cells[4]) < 100.0, "{row}");
    }
}

#[test]
fn without_a_nats_server_it_is_said_what_is_missing() {
    let mut command = Command::new(BENCH);
    command
        .args(["--quick", "--rounds", "1", "--scenarios", "acked"])
        .args(["--json", &format!("{}/none.json", env!("CARGO_TARGET_TMPDIR"))])
        .env("NATS_SERVER", "/nowhere/nats-server");
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    assert!(
        errors.contains("NATS_SERVER") && errors.contains("Acked can't run"),
        "{errors}"
    );
}

#[test]
fn a_server_that_breaks_its_promise_has_no_figures() {
    let cases: [(&str, Fault, &str); 4] = [
        (
            "lost",
            |number| if number == 5 { vec![] } else { vec![number] },
            "message 6 after 4",
        ),
        (
            "doubled",
            |number| if number == 5 { vec![5, 5] } else { vec![number] },
            "message 5",
        ),
        (
            "out of order",
            |number| match number {
                5 => vec![],
                6 => vec![6, 5],
                _ => vec![number],
            },
            "message 6 after 4",
        ),
        (
            "doubled when all have it",
            |number| {
                if number == LAST {
                    vec![LAST, LAST]
                } else {
                    vec![number]
                }
            },
            "twice",
        ),
    ];
    for (what, fault, expected) in cases {
        let url = format!("http://{}/sse", a_server_that(fault));
        // One message before it is measured, and ten while it is.
        let output = load(&url, &["--rate", "50", "--warm-up", "0.01"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{what}: {errors}"
        );
        assert!(errors.contains(expected), "{what}: {errors}");
    }
}

#[test]
fn what_would_run_for_ever_or_measure_nothing_is_refused() {
    let server = Server::start("floor");
    let url = format!("http://{}/0/sse", server.address);
    for options in [
        ["--connections", "0"],
        ["--channels", "21"],
        ["--rate", "0"],
        ["--rate", "1e12"],
        ["--in-flight", "0"],
        ["--seconds", "0"],
        ["--bytes", "0"],
    ] {
        let mut command = Command::new(BENCH);
        let output = command
            .args(["load", &url, "--connections", "20"])
            .args(options)
            .output()
            .unwrap();
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{options:?}"
        );
    }
}

#[test]
fn a_server_that_refuses_is_quoted() {
    let server = Server::start("rooms");
    let output = load(&format!("http://{}/nowhere", server.address), &[]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("the server answered 404"), "{errors}");
}

/// The messages that go out when this one is published, by their numbers.
type Fault = fn(u64) -> Vec<u64>;

/// The last message of those runs.
const LAST: u64 = 11;

/// An event stream server that breaks its promise.
fn a_server_that(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let followers = Arc::new(Mutex::new(Vec::new()));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, followers) = (stream.unwrap(), Arc::clone(&followers));
            thread::spawn(move || serve(stream, &followers, fault));
        }
    });
    address
}

fn serve(mut stream: TcpStream, followers: &Mutex<Vec<TcpStream>>, fault: Fault) {
    let mut requests = BufReader::new(stream.try_clone().unwrap());
    for published in 1.. {
        let (mut first, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).unwrap_or(0) <= 2 {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            first += &line;
        }
        if first.starts_with("GET") {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            // A message may follow as soon as the head is there: until the stream stands among the followers, none goes out.
            let mut followers = followers.lock().unwrap();
            stream.write_all(head).unwrap();
            followers.push(stream);
            return;
        }
        if first.is_empty() || requests.read_exact(&mut vec![0; length]).is_err() {
            return;
        }
        for (at, number) in fault(published).into_iter().enumerate() {
            if at > 0 && number == LAST {
                // When the generator could believe that all is over.
                thread::sleep(Duration::from_millis(50));
            }
            for follower in followers.lock().unwrap().iter_mut() {
                // It may have left at the first message that was wrong.
                drop(write!(follower, "data: MARK{number:012x}\n\n"));
            }
        }
        // It may have left, too.
        drop(stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n"));
    }
}
