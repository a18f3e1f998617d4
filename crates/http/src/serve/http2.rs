//! A connection of HTTP/2. A session is one of its streams.
//!
//! The protocol is the crate h2's, as it is where hyper serves HTTP/2. hyper has no part in it: it would have a task for each stream ask for what comes next,
//! where the hub can hand that to h2 by itself.

mod incoming;
mod pings;
mod respond;
mod upgrade;

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{future, mem};

use axum::http::Request;
use futures::FutureExt;
use h2::RecvStream;
use h2::server::{self, Handshake, SendResponse};
use tokio::time::{self, Instant, Sleep};

use crate::serve::caller::Caller;
use crate::serve::loan::Loan;
use crate::serve::lull::Lull;
use crate::serve::options::{Http2Options, ServerOptions};
use crate::serve::places::Place;
use crate::serve::requests::Requests;
use crate::serve::server::{Opened, Server};
use crate::serve::traffic::Traffic;
use crate::stall::Stall;
use crate::stream::Portion;

use pings::Pings;

/// How many there were. Streams are told apart by it that share one, and those that don't.
static CONNECTIONS: AtomicU32 = AtomicU32::new(0);

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
    let traffic = Traffic::default();
    let loan = Loan::new(socket, place, prefix, traffic.clone());
    let mut connection = Connection::new(loan, options);
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
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
            connection.say_goodbye();
        }
        let mut accepted_now = 0;
        while let Poll::Ready(accepted) = connection.poll_accept(cx, &traffic) {
            let Some((request, reply)) = accepted else {
                return Poll::Ready(());
            };
            let opened = respond::Opened {
                server: Arc::clone(server),
                connection: number,
                caller,
                requests: requests.clone(),
                open: requests.open(),
                reply,
            };
            server.tasks.spawn(opened.respond(request));
            accepted_now += 1;
            if accepted_now == MAX_ACCEPTED {
                cx.waker().wake_by_ref();
                break;
            }
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
            connection.say_goodbye();
            cx.waker().wake_by_ref();
            Box::pin(time::sleep(GOODBYE))
        });
        goodbye.as_mut().poll(cx)
    })
    .await;
}

/// The protocol's side of a connection.
struct Connection {
    phase: Phase,
    /// Whether the client is to be told that no more requests are taken.
    ends: bool,
    options: Http2Options,
}

enum Phase {
    Handshake(Handshake<Loan, Portion>),
    Open {
        connection: server::Connection<Loan, Portion>,
        pings: Option<Pings>,
    },
}

impl Connection {
    fn new(loan: Loan, options: &ServerOptions) -> Self {
        let mut builder = server::Builder::new();
        builder
            .max_concurrent_streams(options.http2.max_streams)
            .initial_window_size(options.http2.stream_window_bytes.min(MAX_WINDOW_BYTES))
            .initial_connection_window_size(options.http2.connection_window_bytes.min(MAX_WINDOW_BYTES))
            .max_header_list_size(u32::try_from(options.max_head_bytes).unwrap_or(u32::MAX))
            .enable_connect_protocol();
        Self {
            phase: Phase::Handshake(builder.handshake(loan)),
            ends: false,
            options: options.http2.clone(),
        }
    }

    /// Tells the client that no more requests are taken; those under way go on.
    fn say_goodbye(&mut self) {
        self.ends = true;
        if let Phase::Open { connection, .. } = &mut self.phase {
            connection.graceful_shutdown();
        }
    }

    /// The next request. Ready with nothing once the connection is over.
    fn poll_accept(&mut self, cx: &mut Context<'_>, traffic: &Traffic) -> Poll<Option<Accepted>> {
        loop {
            match &mut self.phase {
                Phase::Handshake(handshake) => {
                    let Ok(mut connection) = ready!(Pin::new(handshake).poll(cx)) else {
                        return Poll::Ready(None);
                    };
                    if self.ends {
                        connection.graceful_shutdown();
                    }
                    let ping_pong = connection.ping_pong();
                    let pings = ping_pong.map(|ping_pong| Pings::new(ping_pong, &self.options));
                    self.phase = Phase::Open { connection, pings };
                }
                Phase::Open { connection, pings } => {
                    let accepted = connection.poll_accept(cx);
                    // Behind what has come by now.
                    if accepted.is_pending()
                        && let Some(pings) = pings
                        && pings.poll(cx, traffic.read()).is_ready()
                    {
                        tracing::debug!("a ping was not answered");
                        return Poll::Ready(None);
                    }
                    return accepted.map(|accepted| accepted?.ok());
                }
            }
        }
    }
}

type Accepted = (Request<RecvStream>, SendResponse<Portion>);

/// How many requests are taken before the answers to them may leave: h2 keeps for good the room that all of them at once have taken.
const MAX_ACCEPTED: usize = 8;

/// How long a client has to answer when it was told that the connection ends.
const GOODBYE: Duration = Duration::from_secs(5);

/// RFC 9113 section 6.9.1.
const MAX_WINDOW_BYTES: u32 = (1 << 31) - 1;
