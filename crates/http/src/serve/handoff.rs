//! Handing a request's way out to the session that answers it.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Body;
use axum::http::response::Parts;
use axum::http::{Response, StatusCode, header};
use dualcast_core::{CloseReason, SessionHandle};
use futures::FutureExt;
use http_body::Body as _;

use crate::serve::exchange::Exchange;
use crate::takeover::{Start, Taken, Takeover};

/// A response that is a session's.
pub(super) struct Handoff {
    pub(super) head: Parts,
    /// What layers made of the session's body, where a response has one.
    body: Option<Body>,
    start: Start,
    pub(super) session: Option<SessionHandle>,
}

impl Handoff {
    /// What a session is to answer, or else the exchange as it was. A request that was a CONNECT has no body behind its answer.
    pub(super) fn claim(exchange: Exchange, is_connect: bool) -> Result<Self, Box<Exchange>> {
        let is_switch = is_connect || exchange.response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let is_sessions = is_sessions(&exchange.response, is_switch);
        let takeover = exchange.takeover.as_ref().filter(|_| is_sessions);
        let Some(start) = takeover.and_then(Takeover::claim) else {
            return Err(Box::new(exchange));
        };
        let session = exchange.takeover.as_ref().and_then(Takeover::session).cloned();
        let (head, body) = exchange.response.into_parts();
        let body = (!is_switch).then_some(body);
        Ok(Self {
            head,
            body,
            start,
            session,
        })
    }

    /// Runs the session, and holds something for as long. What layers hold in its body they hold until it is over, too; and where it ended in good
    /// order they see the body's end, as they would if it had gone through them. The response's head is not kept for hours.
    pub(super) fn run(self, taken: Taken, held: impl Send + 'static) -> impl Future<Output = ()> {
        let Self { body, start, .. } = self;
        // No `async` block: it would have room for what it was given, and once more for what it awaits.
        start(taken).map(move |reason| {
            let _held = held;
            if let Some(mut body) = body
                && !matches!(reason, CloseReason::Left | CloseReason::Stalled)
            {
                poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never();
            }
        })
    }
}

/// Whether a response is still the one that a session made, after the layers had their say. One that was refused on its way out
/// isn't; and a layer that encodes the body has to go on doing so.
fn is_sessions(response: &Response<Body>, is_switch: bool) -> bool {
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => true,
        StatusCode::OK => is_switch || !response.headers().contains_key(header::CONTENT_ENCODING),
        _ => false,
    }
}
