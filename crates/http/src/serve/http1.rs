//! A connection of HTTP/1.1: hyper's, until a session takes its socket.

use std::convert::Infallible;
use std::future::{self, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use axum::http::{Method, Request, Response, Version};
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::head;
use crate::line::Line;
use crate::serve::answer::Answer;
use crate::serve::caller::Caller;
use crate::serve::exchange::Exchange;
use crate::serve::handoff::Handoff;
use crate::serve::loan::{Lent, Loan};
use crate::serve::lull::Lull;
use crate::serve::places::Place;
use crate::serve::requests::Requests;
use crate::serve::server::{Opened, Server, lock};
use crate::serve::traffic::Traffic;
use crate::stall::Stall;
use crate::takeover::Taken;

/// Serves the requests of a connection. Answers its socket and its place once one of them is to be answered by a session.
pub(super) async fn serve(
    server: &Arc<Server>,
    opened: Opened,
    place: Place,
    address: SocketAddr,
    head_by: Instant,
) -> Option<(Handoff, Taken, Place)> {
    let Opened { socket, prefix, .. } = opened;
    let (options, caller) = (&server.options, Caller::new(address, &socket));
    let (requests, handed) = (Requests::default(), Mutex::new(None));
    let traffic = Traffic::default();
    let loan = Loan::new(socket, place, prefix, traffic.clone());
    loan.gather();
    let lent = loan.lent();
    let service = service_fn(|request| respond(server, request, caller, &requests, &handed, &lent));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The same deadline, and one between two requests, are minded here.
        .header_read_timeout(None)
        .max_buf_size(options.max_head_bytes.max(MIN_HEAD_BYTES))
        .serve_connection(TokioIo::new(loan), service)
        .with_upgrades();
    let mut panic = None;
    let handoff = {
        let mut draining = pin!(server.draining().fuse());
        let mut stall = Stall::default();
        let mut lull = Lull::new(options.idle_timeout, options.head_timeout, head_by);
        let mut is_over = false;
        poll_fn(|cx| {
            if !is_over {
                if draining.as_mut().poll(cx).is_ready() {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                // A handler that panics takes no answers before its own along.
                let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut connection).poll(cx)));
                is_over = polled.as_ref().map_or(true, Poll::is_ready);
                panic = polled.err();
            }
            let left = let_go(&lent, cx);
            if let Poll::Ready(Err(_)) = left {
                return Poll::Ready(None);
            }
            // The end of an earlier response that its client has not taken yet may still be here, or in hyper.
            let is_blocked = left.is_pending() || traffic.is_blocked();
            if !is_blocked && let Some(handoff) = lock(&handed).take() {
                return Poll::Ready(Some(handoff));
            }
            if is_over && left.is_ready() {
                return Poll::Ready(None);
            }
            let is_too_late = if is_blocked {
                lull.end();
                stall.poll(cx, traffic.written(), options.write_timeout)
            } else {
                stall.end();
                lull.poll(cx, &requests, traffic.read())
            };
            is_too_late.map(|()| None)
        })
        .await
    };
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    let Some(parts) = connection.into_parts() else {
        // Whoever upgraded it may be done with it already.
        if let Some(lent) = lent.upgrade() {
            server.upgrades.list(&lent);
        }
        return None;
    };
    let handoff = handoff?;
    let (socket, place) = parts.io.into_inner().take_back()?;
    let mut line = Line::new(socket);
    line.begin_with(head::write(handoff.head.status, &handoff.head.headers));
    let taken = Taken {
        line,
        read_ahead: parts.read_buf,
    };
    Some((handoff, taken, place))
}

/// Lets go of what hyper wrote. Whatever it was that used up the time of the task, what is written leaves.
fn let_go(lent: &Weak<Lent>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    match lent.upgrade() {
        Some(lent) => pin!(unconstrained(poll_fn(|cx| lent.poll_let_go(cx)))).poll(cx),
        None => Poll::Ready(Ok(())),
    }
}

/// Answers a request; or, where a session is to answer it, leaves that to whoever polls the connection, and never returns.
async fn respond(
    server: &Arc<Server>,
    request: Request<Incoming>,
    caller: Caller,
    requests: &Requests,
    handed: &Mutex<Option<Handoff>>,
    lent: &Weak<Lent>,
) -> Result<Response<Answer>, Infallible> {
    let open = requests.open();
    if request.extensions().get::<OnUpgrade>().is_some()
        && let Some(lent) = lent.upgrade()
    {
        // Whatever is answered, hyper may pass the connection on at any time from now on.
        poll_fn(|cx| lent.poll_stop_gathering(cx)).await;
    }
    let hands_over = request.version() == Version::HTTP_11 && request.method() != Method::HEAD;
    let exchange = Exchange::begin(server, request, caller, requests, hands_over).await?;
    if !hands_over {
        return Ok(exchange.into_answer(server, Some(open)));
    }
    match Handoff::claim(exchange, false) {
        Ok(handoff) => {
            *lock(handed) = Some(handoff);
            future::pending().await
        }
        Err(exchange) => Ok(exchange.into_answer(server, Some(open))),
    }
}

/// Less hyper doesn't take.
const MIN_HEAD_BYTES: usize = 8 << 10;
