//! The matrix: every contract test runs over each transport, under each server, with each fan-out.

use std::panic::resume_unwind;
use std::time::Duration;

use dualcast::Transport;
use tokio::runtime::{Builder, Runtime};
use tokio::time;

/// What a test runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Under {
    /// The transport of its clients.
    pub transport: Transport,
    /// Who accepts the connections.
    pub server: HttpServer,
    /// What carries the messages.
    pub fan_out: FanOut,
}

/// Who accepts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpServer {
    /// `dualcast::serve`: a session owns its socket.
    Dualcast,
    /// `axum::serve`: hyper keeps the connection.
    Axum,
}

/// What carries messages between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOut {
    /// The embedded one.
    Local,
}

impl Under {
    /// One cell of the matrix.
    #[must_use]
    pub fn new(transport: Transport, server: HttpServer) -> Self {
        Self {
            transport,
            server,
            fan_out: FanOut::Local,
        }
    }

    /// The other transport than this one's.
    #[must_use]
    pub fn other_transport(self) -> Transport {
        match self.transport {
            Transport::Sse => Transport::WebSocket,
            Transport::WebSocket => Transport::Sse,
        }
    }

    /// Whether its sessions own their sockets. An event stream under another server doesn't: there hyper takes bytes
    /// ahead, and asks nothing of the session while its client doesn't read.
    #[must_use]
    pub fn owns_sockets(self) -> bool {
        self.server == HttpServer::Dualcast || self.transport == Transport::WebSocket
    }
}

/// Runs a test on a runtime of its own, for a minute at most.
///
/// # Panics
///
/// As the test does, or when it takes too long.
pub fn run<F>(test: impl FnOnce(Under) -> F, under: Under)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = Abandoned(Some(runtime.expect("a runtime starts")));
    let test = test(under);
    let outcome = runtime.get().block_on(async move {
        // A task of its own, so that it can be given up even where it never yields.
        time::timeout(LIMIT, tokio::spawn(test)).await
    });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => resume_unwind(failed.into_panic()),
        Err(_) => panic!("the test was not over after {LIMIT:?}"),
    }
}

/// Makes tests of `async fn(Under)`s, for each cell of the matrix: `contract!(a, b)` for both transports, `contract!(sse: a)`
/// and `contract!(ws: a)` for one of them, `contract!(servers: a)` for tests that use both transports at once.
#[macro_export]
macro_rules! contract {
    (sse: $($test:ident),+ $(,)?) => {$(
        mod $test {
            $crate::contract!(@cell $test, sse_under_dualcast, Sse, Dualcast);
            $crate::contract!(@cell $test, sse_under_axum, Sse, Axum);
        }
    )+};
    (ws: $($test:ident),+ $(,)?) => {$(
        mod $test {
            $crate::contract!(@cell $test, ws_under_dualcast, WebSocket, Dualcast);
            $crate::contract!(@cell $test, ws_under_axum, WebSocket, Axum);
        }
    )+};
    (servers: $($test:ident),+ $(,)?) => {$(
        mod $test {
            $crate::contract!(@cell $test, under_dualcast, Sse, Dualcast);
            $crate::contract!(@cell $test, under_axum, Sse, Axum);
        }
    )+};
    (own_server: $($test:ident),+ $(,)?) => {$(
        mod $test {
            $crate::contract!(@cell $test, sse, Sse, Dualcast);
            $crate::contract!(@cell $test, ws, WebSocket, Dualcast);
        }
    )+};
    (@cell $test:ident, $cell:ident, $transport:ident, $server:ident) => {
        #[test]
        fn $cell() {
            use $crate::{HttpServer, Under};
            $crate::run(super::$test, Under::new(dualcast::Transport::$transport, HttpServer::$server));
        }
    };
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            $crate::contract!(@cell $test, sse_under_dualcast, Sse, Dualcast);
            $crate::contract!(@cell $test, sse_under_axum, Sse, Axum);
            $crate::contract!(@cell $test, ws_under_dualcast, WebSocket, Dualcast);
            $crate::contract!(@cell $test, ws_under_axum, WebSocket, Axum);
        }
    )+};
}

/// A runtime that isn't waited for: what a failed test left running ends with the process.
struct Abandoned(Option<Runtime>);

impl Abandoned {
    fn get(&self) -> &Runtime {
        self.0.as_ref().expect("it is only taken by the drop")
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Far more than any test takes: it only turns a hang into a failure.
const LIMIT: Duration = Duration::from_secs(60);
