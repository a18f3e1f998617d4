//! A connection of HTTP/2: hyper's to the end. A session is one of its streams.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::{future, mem};

use axum::http::{Request, Response};
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{self, Instant, Sleep};

use crate::cut;
use crate::options::{MAX_WAIT, or_never};
use crate::serve::answer::Answer;
use crate::serve::caller::Caller;
use crate::serve::exchange::Exchange;
use crate::serve::loan::Loan;
use crate::serve::lull::Lull;
use crate::serve::places::Place;
use crate::serve::requests::Requests;
use crate::serve::server::{Opened, Server};
use crate::serve::traffic::Traffic;
use crate::stall::Stall;

/// Serves a connection until its client leaves, or takes nothing, or asks nothing for too long.
pub(super) async fn serve(
    server: &Arc<Server>,
    opened: Opened,
    place: Place,
    address: SocketAddr,
    head_by: Instant,
) {
    let Opened { socket, prefix, .. } = opened;
    let (options, requests) = (&server.options, Requests::default());
    let caller = Caller::new(address, &socket);
    let streams = Streams {
        server: Arc::clone(server),
        requests: requests.clone(),
        running: cut::Streams::default(),
    };
    // Whatever ends the connection ends them.
    let _all = streams.running.cut_with();
    let service = {
        let (server, requests) = (Arc::clone(server), requests.clone());
        // Boxed: gone once the response is there, while its body may go on for hours in the same task.
        service_fn(move |request| Box::pin(respond(Arc::clone(&server), request, caller, requests.clone())))
    };
    let traffic = Traffic::default();
    let loan = TokioIo::new(Loan::new(socket, place, prefix, traffic.clone()));
    let mut connection = pin!(
        http2::Builder::new(streams)
            .timer(TokioTimer::new())
            .max_concurrent_streams(options.http2.max_streams)
            .initial_stream_window_size(options.http2.stream_window_bytes.min(MAX_WINDOW_BYTES))
            .initial_connection_window_size(options.http2.connection_window_bytes.min(MAX_WINDOW_BYTES))
            .max_send_buf_size(options.http2.max_send_bytes.min(MAX_SEND_BYTES))
            .max_header_list_size(u32::try_from(options.max_head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(or_never(options.http2.ping_interval))
            .keep_alive_timeout(options.http2.ping_timeout.min(MAX_WAIT))
            .enable_connect_protocol()
            .serve_connection(loan, service)
    );
    let mut draining = pin!(server.draining().fuse());
    let mut stall = Stall::default();
    let mut lull = Lull::new(options.idle_timeout, options.head_timeout, head_by);
    // Set once the client was told that the connection ends.
    let mut goodbye: Option<Pin<Box<Sleep>>> = None;
    let mut has_let_others_go_on = false;
    future::poll_fn(|cx| {
        // tokio runs it right behind the stream that woke it, and what that one has to send would leave alone.
        if requests.are_several() && !mem::replace(&mut has_let_others_go_on, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        has_let_others_go_on = false;
        if draining.as_mut().poll(cx).is_ready() {
            connection.as_mut().graceful_shutdown();
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if traffic.is_blocked() {
            return stall.poll(cx, traffic.written(), options.write_timeout);
        }
        stall.end();
        // Pings don't count: who only pings asks nothing.
        if lull.poll(cx, &requests, 0).is_pending() {
            goodbye = None;
            return Poll::Pending;
        }
        let goodbye = goodbye.get_or_insert_with(|| {
            connection.as_mut().graceful_shutdown();
            cx.waker().wake_by_ref();
            Box::pin(time::sleep(GOODBYE))
        });
        goodbye.as_mut().poll(cx)
    })
    .await;
}

async fn respond(
    server: Arc<Server>,
    request: Request<Incoming>,
    caller: Caller,
    requests: Requests,
) -> Result<Response<Answer>, Infallible> {
    let exchange = Exchange::begin(&server, request, caller, &requests, false).await?;
    Ok(exchange.into_answer(&server, None))
}

/// Runs the streams of a connection: each can be cut alone, and the server waits for them.
#[derive(Clone)]
struct Streams {
    server: Arc<Server>,
    requests: Requests,
    running: cut::Streams,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let open = self.requests.open();
        let running = self.running.run(Box::pin(stream));
        self.server.tasks.spawn(running.map(move |()| drop(open)));
    }
}

/// How long a client has to answer when it was told that the connection ends.
const GOODBYE: Duration = Duration::from_secs(5);

/// RFC 9113 section 6.9.1.
const MAX_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// More hyper doesn't take.
const MAX_SEND_BYTES: usize = u32::MAX as usize;
