//! The broker that the contract is held to: one server for all tests of a process, and a prefix for each of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use dualcast::NatsOptions;
use dualcast_nats_server::NatsServer;
use tokio::sync::OnceCell;

/// How a test reaches NATS, without meeting any other.
pub(crate) async fn nats_options() -> NatsOptions {
    static SERVER: OnceCell<NatsServer> = OnceCell::const_new();
    static TESTS: AtomicUsize = AtomicUsize::new(0);
    // As much as a hub takes, and room for headers.
    let start = || NatsServer::builder().config("max_payload: 2MB").start();
    let server = SERVER.get_or_init(start).await;
    let mut options = NatsOptions::new([server.url()]);
    options.prefix = format!("test-{}", TESTS.fetch_add(1, Ordering::SeqCst));
    // A server sets aside what a stream may take.
    options.stream.max_bytes = 16 << 20;
    options
}
