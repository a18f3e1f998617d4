//! Clients whose network is gone: no goodbye, no reset, no acknowledgement, and nothing that fills a buffer. In a network namespace of
//! its own, whose one device is taken down. Not every machine gives one.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::env;
use std::process::Command;
use std::time::Duration;

use dualcast::Transport;
use dualcast_tests::{HttpServer, HttpVersion, Setup, Under, eventually, run};

/// Where a command runs as if it were root, in a network where nothing is up.
const NAMESPACE: [&str; 5] = ["unshare", "--user", "--map-root-user", "--net", "--"];

fn within_namespace(command: &[&str]) -> bool {
    let all = [&NAMESPACE[..], command].concat();
    let status = Command::new(all[0]).args(&all[1..]).status();
    status.is_ok_and(|status| status.success())
}

fn set_network(state: &str) {
    let status = Command::new("ip").args(["link", "set", "lo", state]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_client_whose_network_is_gone_is_given_up() {
    if !within_namespace(&["ip", "link", "set", "lo", "up"]) {
        eprintln!("SKIPPED: clients whose network is gone: there is no network namespace to be had here");
        return;
    }
    let program = env::current_exe().unwrap();
    let inner = [
        program.to_str().unwrap(),
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    assert!(within_namespace(&inner), "see above");
}

/// With pings that come too late to matter: an event stream has none, and over HTTP/1.1 it is the kernel that knows.
#[test]
#[ignore = "runs in a network namespace of its own"]
fn over_http1() {
    for transport in [Transport::Sse, Transport::WebSocket] {
        run(
            vanish,
            Under::new(transport, HttpServer::Dualcast, HttpVersion::Http1),
        );
    }
}

#[test]
#[ignore = "runs in a network namespace of its own"]
fn over_http2() {
    for transport in [Transport::Sse, Transport::WebSocket] {
        run(
            vanish,
            Under::new(transport, HttpServer::Dualcast, HttpVersion::Http2),
        );
    }
}

async fn vanish(under: Under) {
    set_network("up");
    let setup = Setup::new(under)
        .session(|options| {
            options.heartbeat = Duration::from_millis(50);
            options.write_timeout = Duration::from_millis(500);
        })
        .options(|options| {
            options.http2.ping_interval = Duration::from_millis(300);
            options.http2.ping_timeout = Duration::from_millis(300);
        });
    let server = setup.start().await;
    let mut client = server.dial("room").open().await;
    // Longer than any of the deadlines.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.publish("room", "still there").await;
        assert_eq!(client.next_but_heartbeats().await.text(), "still there");
    }
    set_network("down");
    eventually("it is given up", || server.hub.session_count() == 0).await;
}
