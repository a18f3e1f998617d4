//! The matrix: every contract test runs over each transport, under each server, over each version of HTTP, with each fan-out.

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
    /// What its clients speak.
    pub version: HttpVersion,
    /// Whether its connections are encrypted.
    pub is_tls: bool,
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

/// What clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// A connection for each session.
    Http1,
    /// Each session a stream, a WebSocket by RFC 8441. By prior knowledge, without TLS.
    Http2,
}

/// What carries messages between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanOut {
    /// The embedded one.
    Local,
    /// NATS, with so many nodes, to which clients go in turn.
    Nats {
        /// How many.
        nodes: usize,
    },
}

impl Under {
    /// One cell of the matrix.
    #[must_use]
    pub fn new(transport: Transport, server: HttpServer, version: HttpVersion) -> Self {
        Self {
            transport,
            server,
            version,
            is_tls: false,
            fan_out: FanOut::Local,
        }
    }

    /// The same, encrypted.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// The same over NATS, with so many nodes.
    #[must_use]
    pub fn over_nats(mut self, nodes: usize) -> Self {
        self.fan_out = FanOut::Nats { nodes };
        self
    }

    /// The other transport than this one's.
    #[must_use]
    pub fn other_transport(self) -> Transport {
        match self.transport {
            Transport::Sse => Transport::WebSocket,
            Transport::WebSocket => Transport::Sse,
        }
    }

    /// Whether its sessions own their sockets. Over HTTP/2, and an event stream under another server, they don't: there hyper takes
    /// bytes ahead.
    #[must_use]
    pub fn owns_sockets(self) -> bool {
        let is_handed_over = self.server == HttpServer::Dualcast || self.transport == Transport::WebSocket;
        self.version == HttpVersion::Http1 && is_handed_over
    }

    /// Whether the connection, or the stream, of a client that takes nothing ends with its session. Where hyper keeps it and the
    /// server isn't ours it lasts until the client goes, holding what hyper took ahead.
    #[must_use]
    pub fn cuts_the_stalled(self) -> bool {
        self.server == HttpServer::Dualcast || self.owns_sockets()
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
/// and `contract!(ws: a)` for one of them, `contract!(servers: a)` for tests that use both transports at once, and
/// `contract!(own_server: a)` for what `dualcast::serve` alone promises. With `http1` before it a test speaks HTTP/1.1 by hand, and
/// with `http2` it is about the streams of one connection. `contract!(tls: a)` is for `dualcast::serve` with TLS, and
/// `contract!(http1 tls: a)` for what is the same to both transports there.
///
/// With `over nats` before it a test runs over NATS, too, and with `over nodes` also on two nodes, to which clients and publishers go in turn.
#[macro_export]
macro_rules! contract {
    (http1 sse: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast Sse Dualcast Http1] [sse_under_axum Sse Axum Http1]
        });
    };
    (http1 ws: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [ws_under_dualcast WebSocket Dualcast Http1] [ws_under_axum WebSocket Axum Http1]
        });
    };
    (http1 servers: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [under_dualcast Sse Dualcast Http1] [under_axum Sse Axum Http1]
        });
    };
    (over nats: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast Sse Dualcast Http1] [sse_under_axum Sse Axum Http1]
            [ws_under_dualcast WebSocket Dualcast Http1] [ws_under_axum WebSocket Axum Http1]
            [sse_under_dualcast_http2 Sse Dualcast Http2] [sse_under_axum_http2 Sse Axum Http2]
            [ws_under_dualcast_http2 WebSocket Dualcast Http2] [ws_under_axum_http2 WebSocket Axum Http2]
            [sse_over_nats Sse Dualcast Http1 1] [ws_over_nats WebSocket Dualcast Http1 1]
        });
    };
    (over nodes: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast Sse Dualcast Http1] [sse_under_axum Sse Axum Http1]
            [ws_under_dualcast WebSocket Dualcast Http1] [ws_under_axum WebSocket Axum Http1]
            [sse_under_dualcast_http2 Sse Dualcast Http2] [sse_under_axum_http2 Sse Axum Http2]
            [ws_under_dualcast_http2 WebSocket Dualcast Http2] [ws_under_axum_http2 WebSocket Axum Http2]
            [sse_over_nats Sse Dualcast Http1 1] [ws_over_nats WebSocket Dualcast Http1 1]
            [sse_over_two_nodes Sse Dualcast Http1 2] [ws_over_two_nodes WebSocket Dualcast Http1 2]
        });
    };
    (over nats sse: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast Sse Dualcast Http1] [sse_under_axum Sse Axum Http1]
            [sse_under_dualcast_http2 Sse Dualcast Http2] [sse_under_axum_http2 Sse Axum Http2]
            [sse_over_nats Sse Dualcast Http1 1]
        });
    };
    (over nats ws: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [ws_under_dualcast WebSocket Dualcast Http1] [ws_under_axum WebSocket Axum Http1]
            [ws_under_dualcast_http2 WebSocket Dualcast Http2] [ws_under_axum_http2 WebSocket Axum Http2]
            [ws_over_nats WebSocket Dualcast Http1 1]
        });
    };
    (over nats servers: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [under_dualcast Sse Dualcast Http1] [under_axum Sse Axum Http1]
            [under_dualcast_http2 Sse Dualcast Http2] [under_axum_http2 Sse Axum Http2]
            [over_nats Sse Dualcast Http1 1]
        });
    };
    (tls: $($test:ident),+ $(,)?) => {$(
        mod $test {
            $crate::contract!(@tls $test sse Sse Http1);
            $crate::contract!(@tls $test ws WebSocket Http1);
            $crate::contract!(@tls $test sse_http2 Sse Http2);
            $crate::contract!(@tls $test ws_http2 WebSocket Http2);
        }
    )+};
    (http1 tls: $($test:ident),+ $(,)?) => {$(
        mod $test {
            $crate::contract!(@tls $test tls Sse Http1);
        }
    )+};
    (@tls $test:ident $cell:ident $transport:ident $version:ident) => {
        #[test]
        fn $cell() {
            use $crate::{HttpServer, HttpVersion, Under};
            let transport = dualcast::Transport::$transport;
            let under = Under::new(transport, HttpServer::Dualcast, HttpVersion::$version);
            $crate::run(super::$test, under.with_tls());
        }
    };
    (http1 own_server: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse Sse Dualcast Http1] [ws WebSocket Dualcast Http1]
        });
    };
    (http1: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast Sse Dualcast Http1] [sse_under_axum Sse Axum Http1]
            [ws_under_dualcast WebSocket Dualcast Http1] [ws_under_axum WebSocket Axum Http1]
        });
    };
    (http2 ws: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [ws_under_dualcast_http2 WebSocket Dualcast Http2] [ws_under_axum_http2 WebSocket Axum Http2]
        });
    };
    (http2 own_server: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_http2 Sse Dualcast Http2] [ws_http2 WebSocket Dualcast Http2]
        });
    };
    (http2: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast_http2 Sse Dualcast Http2] [sse_under_axum_http2 Sse Axum Http2]
            [ws_under_dualcast_http2 WebSocket Dualcast Http2] [ws_under_axum_http2 WebSocket Axum Http2]
        });
    };
    (sse: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast Sse Dualcast Http1] [sse_under_axum Sse Axum Http1]
            [sse_under_dualcast_http2 Sse Dualcast Http2] [sse_under_axum_http2 Sse Axum Http2]
        });
    };
    (ws: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [ws_under_dualcast WebSocket Dualcast Http1] [ws_under_axum WebSocket Axum Http1]
            [ws_under_dualcast_http2 WebSocket Dualcast Http2] [ws_under_axum_http2 WebSocket Axum Http2]
        });
    };
    (servers: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [under_dualcast Sse Dualcast Http1] [under_axum Sse Axum Http1]
            [under_dualcast_http2 Sse Dualcast Http2] [under_axum_http2 Sse Axum Http2]
        });
    };
    (own_server: $($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse Sse Dualcast Http1] [ws WebSocket Dualcast Http1]
            [sse_http2 Sse Dualcast Http2] [ws_http2 WebSocket Dualcast Http2]
        });
    };
    (@tests [$($test:ident)+] $cells:tt) => {
        $($crate::contract!(@test $test $cells);)+
    };
    (@test $test:ident { $([$cell:ident $transport:ident $server:ident $version:ident $($nodes:literal)?])+ }) => {
        mod $test {$(
            #[test]
            fn $cell() {
                use $crate::{HttpServer, HttpVersion, Under};
                let transport = dualcast::Transport::$transport;
                let under = Under::new(transport, HttpServer::$server, HttpVersion::$version);
                $crate::run(super::$test, under$(.over_nats($nodes))?);
            }
        )+}
    };
    ($($test:ident),+ $(,)?) => {
        $crate::contract!(@tests [$($test)+] {
            [sse_under_dualcast Sse Dualcast Http1] [sse_under_axum Sse Axum Http1]
            [ws_under_dualcast WebSocket Dualcast Http1] [ws_under_axum WebSocket Axum Http1]
            [sse_under_dualcast_http2 Sse Dualcast Http2] [sse_under_axum_http2 Sse Axum Http2]
            [ws_under_dualcast_http2 WebSocket Dualcast Http2] [ws_under_axum_http2 WebSocket Axum Http2]
        });
    };
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
