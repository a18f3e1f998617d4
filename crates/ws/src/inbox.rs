//! The inbox: a client's messages, handled one at a time and in order.
//!
//! While one is handled the next may be read ahead, and no more: a slow handler pushes back on the socket, not into memory.
//! What a message came to takes effect when its answer finds room on the line: so the answer to a subscription stands before
//! the channel's first message, and behind the answer to its end none follows.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use axum::http::StatusCode;
use bytes::Bytes;
use dualcast_core::{ChannelName, CloseReason, Subscribe};
use dualcast_http::{Error, Feed, Inbound, InboundHandler, Reply, ServerHandle, millis};
use futures::FutureExt;
use futures::future;
use serde_json::json;
use serde_json::value::RawValue;

use crate::control::{Asked, Control, SubscribeHandler, SubscribeRequest, TokenHandler};
use crate::frame::{self, Opcode};
use crate::guard::{Handling, guarded, let_finish};
use crate::options::WsOptions;
use crate::receiver::{Letter, Receiver};

/// What an application does with what its client sends.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    pub(crate) message: Option<Arc<dyn InboundHandler>>,
    pub(crate) subscribe: Option<SubscribeHandler>,
    pub(crate) token: Option<TokenHandler>,
}

impl Handlers {
    const NONE: &'static Self = &Self {
        message: None,
        subscribe: None,
        token: None,
    };

    fn is_empty(&self) -> bool {
        self.message.is_none() && self.subscribe.is_none() && self.token.is_none()
    }
}

/// What a client sent and still waits for.
pub(crate) struct Inbox {
    /// None where the client is not listened to.
    handlers: Option<Box<Handlers>>,
    server: Option<ServerHandle>,
    options: Arc<WsOptions>,
    bad_in_a_row: u32,
    /// Boxed, and there while there is something to do: most clients are silent most of the time.
    work: Option<Box<Work>>,
}

/// Messages under way.
#[derive(Default)]
struct Work {
    next: Option<Letter>,
    handling: Option<Handling<Outcome>>,
    /// The `ref` of the message that is handled.
    reference: Option<Box<RawValue>>,
    done: Option<Outcome>,
}

/// What a message came to.
enum Outcome {
    Reply(Reply),
    Subscribe {
        channel: ChannelName,
        subscribe: Subscribe,
        /// Whether the client said up to where it has seen the channel.
        is_resumed: bool,
    },
    Unsubscribe(ChannelName),
    Renew(SystemTime),
}

impl Inbox {
    pub(crate) fn new(handlers: Handlers, options: &WsOptions, server: Option<ServerHandle>) -> Self {
        Self {
            handlers: (!handlers.is_empty()).then(|| Box::new(handlers)),
            server,
            options: options.clone().shared(),
            bad_in_a_row: 0,
            work: None,
        }
    }

    fn handlers(&self) -> &Handlers {
        self.handlers.as_deref().unwrap_or(Handlers::NONE)
    }

    fn poll_work(
        &self,
        cx: &mut Context<'_>,
        feed: &mut Feed,
        work: &mut Work,
    ) -> Poll<Result<(), CloseReason>> {
        while work.done.is_none() {
            if let Some(handling) = &mut work.handling {
                let outcome = ready!(handling.as_mut().poll(cx));
                work.handling = None;
                let outcome = outcome?;
                // At once: a token that is good keeps its session alive also while the answer has to wait for a slow client.
                if let Outcome::Renew(at) = outcome {
                    feed.renew(at);
                }
                work.done = Some(outcome);
                continue;
            }
            if let Poll::Ready(tired) = self.poll_patience() {
                return Poll::Ready(tired);
            }
            let Some(letter) = work.next.take() else {
                return Poll::Pending;
            };
            match self.open(&letter, &mut work.reference, feed) {
                Ok(handling) => work.handling = Some(handling),
                Err(refused) => work.done = Some(Outcome::Reply(refused.into())),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready where its client has sent too much that makes no sense.
    fn poll_patience(&self) -> Poll<Result<(), CloseReason>> {
        if self.bad_in_a_row > self.options.max_bad_messages {
            return Poll::Ready(Err(CloseReason::BadMessages));
        }
        Poll::Pending
    }

    /// Begins to handle a message, and notes its `ref`.
    fn open(
        &self,
        letter: &Letter,
        reference: &mut Option<Box<RawValue>>,
        feed: &mut Feed,
    ) -> Result<Handling<Outcome>, Error> {
        let text = match letter {
            Letter::Text(text) => text,
            Letter::Binary(frame) => {
                let (message, noted) = Inbound::parse_binary(frame)?;
                *reference = noted;
                return self.handle(message);
            }
        };
        let refused = match Inbound::parse(text) {
            Ok((message, noted)) => {
                *reference = noted;
                return self.handle(message);
            }
            Err(refused) => refused,
        };
        let Some(asked) = Asked::parse(text) else {
            return Err(refused);
        };
        *reference = asked.reference.map(ToOwned::to_owned);
        match asked.control()?.ok_or(refused)? {
            Control::Subscribe(request) => self.subscribe(request, feed),
            Control::Unsubscribe(channel) => Ok(done(Outcome::Unsubscribe(channel))),
            Control::Token(token) => {
                let renew = self
                    .handlers()
                    .token
                    .clone()
                    .ok_or_else(|| none("no-token", "token"))?;
                Ok(guarded(async move {
                    renew(token)
                        .await
                        .map_or_else(|error| Outcome::Reply(error.into()), Outcome::Renew)
                }))
            }
        }
    }

    fn handle(&self, message: Inbound) -> Result<Handling<Outcome>, Error> {
        let handler = self
            .handlers()
            .message
            .clone()
            .ok_or_else(|| none("no-inbound", "messages"))?;
        Ok(guarded(
            async move { Outcome::Reply(handler.handle(message).await) },
        ))
    }

    fn subscribe(&self, request: SubscribeRequest, feed: &mut Feed) -> Result<Handling<Outcome>, Error> {
        let handler = self.handlers().subscribe.clone();
        let handler = handler.ok_or_else(|| none("no-subscribe", "subscriptions"))?;
        let channel = request.channel.clone();
        feed.begin_join(&channel, self.options.max_subscriptions)?;
        Ok(guarded(async move {
            let cursor = request.cursor.clone();
            match handler(request).await {
                Ok(subscribe) if subscribe.channels() != [channel.clone()] => {
                    tracing::error!(%channel, "a subscription was let in to another channel than it was asked for");
                    Outcome::Reply(Error::internal().into())
                }
                Ok(subscribe) => {
                    let is_resumed = cursor.is_some();
                    let subscribe = match cursor {
                        Some(cursor) => subscribe.cursor(&cursor),
                        None => subscribe,
                    };
                    Outcome::Subscribe {
                        channel,
                        subscribe,
                        is_resumed,
                    }
                }
                Err(error) => Outcome::Reply(error.into()),
            }
        }))
    }
}

impl Work {
    /// Itself, while there is something to do.
    fn left(self: Box<Self>) -> Option<Box<Self>> {
        let is_over = self.next.is_none() && self.handling.is_none() && self.done.is_none();
        (!is_over).then_some(self)
    }
}

impl Receiver for Inbox {
    const SPEAKS_LAST: bool = false;

    fn takes_subscriptions(&self) -> bool {
        self.handlers().subscribe.is_some()
    }

    fn has_room(&self) -> bool {
        self.work.as_ref().is_none_or(|work| work.next.is_none())
    }

    fn put(&mut self, letter: Letter) {
        self.work.get_or_insert_default().next = Some(letter);
    }

    fn poll_done(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<Result<(), CloseReason>> {
        let Some(mut work) = self.work.take() else {
            return self.poll_patience();
        };
        let done = self.poll_work(cx, feed, &mut work);
        self.work = work.left();
        done
    }

    fn take_answer(&mut self, feed: &mut Feed) -> Option<Bytes> {
        let work = self.work.as_mut()?;
        let (done, reference) = (work.done.take()?, work.reference.take());
        self.work = self.work.take().and_then(Work::left);
        let reply = match done {
            Outcome::Reply(reply) => reply,
            Outcome::Subscribe {
                channel,
                subscribe,
                is_resumed,
            } => feed
                .join(&channel, subscribe, is_resumed)
                .map(|id| json!({ "id": id }))
                .map(reply)
                .into(),
            Outcome::Unsubscribe(channel) => feed.leave(&channel).into(),
            Outcome::Renew(at) => reply(json!({ "expires": millis(feed.renew(at)) })),
        };
        let is_bad = reply.error().is_some_and(is_bad_message);
        self.bad_in_a_row = if is_bad { self.bad_in_a_row + 1 } else { 0 };
        // Without a `ref` nobody waits for a word; but an error is said in any case.
        let is_said = reference.is_some() || reply.error().is_some();
        is_said.then(|| reply_frame(&reply, reference.as_deref()))
    }

    fn forget_unread(&mut self) {
        if let Some(work) = &mut self.work {
            work.next = None;
        }
        self.work = self.work.take().and_then(Work::left);
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>, feed: &mut Feed) -> Poll<()> {
        while self.work.is_some() {
            if ready!(self.poll_done(cx, feed)).is_err() {
                break;
            }
            self.take_answer(feed);
        }
        Poll::Ready(())
    }
}

/// What a handler has begun it may finish, however the connection ended: half of "store it, then publish it" would leave
/// others with something that they are never told of. And what was read before the end was sent before it: it is handled, if nothing
/// is at work. Behind a handler it would come when its client may have no right to it any more, and nobody could say so.
impl Drop for Inbox {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        if let Some(handling) = work.handling {
            return let_finish(self.server.as_ref(), async move { drop(handling.await) });
        }
        let message = match work.next {
            Some(Letter::Text(text)) => Inbound::parse(&text),
            Some(Letter::Binary(frame)) => Inbound::parse_binary(&frame),
            None => return,
        };
        if let (Some(handler), Ok((message, _))) = (
            self.handlers.take().and_then(|handlers| handlers.message),
            message,
        ) {
            let_finish(self.server.as_ref(), async move {
                drop(handler.handle(message).await)
            });
        }
    }
}

fn done(outcome: Outcome) -> Handling<Outcome> {
    future::ready(Ok(outcome)).boxed()
}

fn reply(data: serde_json::Value) -> Reply {
    Reply::json(&data)
}

fn none(code: &'static str, what: &str) -> Error {
    let message = format!("this connection takes no {what}");
    Error::new(StatusCode::METHOD_NOT_ALLOWED, code, message)
}

/// Whether the client's program is at fault, and will be the next time.
fn is_bad_message(error: &Error) -> bool {
    matches!(
        error.status(),
        StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED
    )
}

fn reply_frame(reply: &Reply, reference: Option<&RawValue>) -> Bytes {
    let mut out = Vec::new();
    frame::write(Opcode::Text, &[reply.to_json(reference).as_bytes()], &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use dualcast_http::{SessionOptions, Source};
    use tokio::sync::Semaphore;
    use tokio::time;

    use super::*;
    use crate::control::token_handler;
    use crate::wire::WsWire;

    #[tokio::test(start_paused = true)]
    async fn a_token_counts_though_its_answer_has_to_wait_for_room() {
        let in_a_minute = || SystemTime::now() + Duration::from_secs(60);
        let handlers = Handlers {
            token: Some(token_handler(
                move |_| async move { Ok::<_, Error>(in_a_minute()) },
            )),
            ..Handlers::default()
        };
        let mut inbox = Inbox::new(handlers, &WsOptions::default(), None);
        let soon = SystemTime::now() + Duration::from_secs(1);
        let options = SessionOptions::default();
        let mut feed = Feed::new(WsWire::get(false), None, Source::Nothing, options).expiring(Some(soon));
        inbox.put(Letter::Text(r#"{"control":"token","token":"t","ref":1}"#.into()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(inbox.poll_done(&mut cx, &mut feed), Poll::Ready(Ok(()))));
        time::advance(Duration::from_secs(30)).await;
        assert!(feed.poll_ordered(&mut cx).is_pending());
        assert!(inbox.take_answer(&mut feed).is_some());
        time::advance(Duration::from_secs(70)).await;
        assert_eq!(feed.poll_ordered(&mut cx), Poll::Ready(CloseReason::Expired));
    }

    #[tokio::test]
    async fn a_message_waits_for_the_one_before_it_and_nothing_is_kept_behind_the_last() {
        let gate = Arc::new(Semaphore::new(0));
        let handlers = Handlers {
            message: Some(Arc::new({
                let gate = Arc::clone(&gate);
                move |_: Inbound| {
                    let gate = Arc::clone(&gate);
                    async move { gate.acquire().await.unwrap().forget() }
                }
            })),
            ..Handlers::default()
        };
        let mut inbox = Inbox::new(handlers, &WsOptions::default(), None);
        let mut feed = Feed::new(
            WsWire::get(false),
            None,
            Source::Nothing,
            SessionOptions::default(),
        );
        let mut cx = Context::from_waker(Waker::noop());
        for reference in [1, 2] {
            assert!(inbox.has_room());
            inbox.put(Letter::Text(format!(r#"{{"event":"e","ref":{reference}}}"#)));
            assert!(inbox.poll_done(&mut cx, &mut feed).is_pending());
        }
        assert!(!inbox.has_room(), "one is handled, and one waits");
        for reference in [1, 2] {
            gate.add_permits(1);
            assert!(inbox.poll_done(&mut cx, &mut feed).is_ready());
            let answer = inbox.take_answer(&mut feed).unwrap();
            let expected = format!(r#"{{"control":"reply","ref":{reference}}}"#);
            assert_eq!(answer[2..], *expected.as_bytes());
        }
        assert!(inbox.poll_done(&mut cx, &mut feed).is_pending());
        assert!(inbox.has_room() && inbox.work.is_none());
    }
}
