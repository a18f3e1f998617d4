//! One stream of a connection: a request, and its answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http_body::{Body as _, Frame};
use hyper::ext::Protocol;

use super::incoming::Incoming;
use super::upgrade::Upgrade;
use crate::line::Line;
use crate::serve::answer::Answer;
use crate::serve::caller::Caller;
use crate::serve::exchange::Exchange;
use crate::serve::handoff::Handoff;
use crate::serve::requests::{self, Requests};
use crate::serve::server::Server;
use crate::socket::Socket;
use crate::stall::Stall;
use crate::stream::{MAX_PORTION_BYTES, Portion, Stream, StreamSocket};
use crate::takeover::Taken;

/// A stream whose request has come.
pub(super) struct Opened {
    pub(super) server: Arc<Server>,
    /// The number of its connection.
    pub(super) connection: u32,
    pub(super) caller: Caller,
    pub(super) requests: Requests,
    /// Its place among these.
    pub(super) open: requests::Request,
    pub(super) reply: SendResponse<Portion>,
}

/// A request that the application has answered.
struct Asked {
    opened: Opened,
    exchange: Exchange,
    tunnel: Option<Tunnel>,
    is_head: bool,
}

/// What a CONNECT may become.
struct Tunnel {
    receiver: RecvStream,
    upgrade: Upgrade,
}

impl Opened {
    /// Asks the application, and answers. A session goes on in a task of its own; what this one has needed until then is boxed, so that it is gone before the
    /// session takes its room.
    pub(super) fn respond(self, request: Request<RecvStream>) -> impl Future<Output = ()> + Send {
        let asking = Box::pin(self.ask(request));
        async move {
            match asking.await.map(Asked::claim) {
                Some(Err(asked)) => Box::pin(asked.answer()).await,
                Some(Ok(())) => {}
                None => tracing::debug!("a client has given a request up"),
            }
        }
    }

    /// None where the client doesn't wait for an answer.
    async fn ask(mut self, request: Request<RecvStream>) -> Option<Box<Asked>> {
        let is_head = request.method() == Method::HEAD;
        let (mut parts, receiver) = request.into_parts();
        if let Some(protocol) = parts.extensions.remove::<h2::ext::Protocol>() {
            parts.extensions.insert(Protocol::from(protocol.as_str()));
        }
        let (body, tunnel) = if parts.method == Method::CONNECT {
            let (on_upgrade, upgrade) = Box::pin(Upgrade::offer()).await?;
            parts.extensions.insert(on_upgrade);
            (Body::empty(), Some(Tunnel { receiver, upgrade }))
        } else {
            (Body::new(Incoming::new(receiver, &parts.headers)), None)
        };
        let request = Request::from_parts(parts, body);
        let exchange = {
            let (server, requests) = (&self.server, &self.requests);
            let mut exchange = pin!(Exchange::begin(server, request, self.caller, requests, !is_head));
            let reply = &mut self.reply;
            poll_fn(|cx| match exchange.as_mut().poll(cx) {
                Poll::Ready(Ok(exchange)) => Poll::Ready(Some(exchange)),
                Poll::Pending => reply.poll_reset(cx).map(|_| None),
            })
            .await?
        };
        Some(Box::new(Asked {
            opened: self,
            exchange,
            tunnel,
            is_head,
        }))
    }

    /// Sends the head of an answer that goes on.
    fn begin(&mut self, head: Response<()>, receiver: Option<RecvStream>) -> Option<StreamSocket> {
        match self.reply.send_response(polish(head), false) {
            Ok(sender) => {
                let stream = Stream::new(sender, self.connection, self.server.options.http2.max_send_bytes);
                Some(StreamSocket::new(match receiver {
                    Some(receiver) => stream.heard(receiver),
                    None => stream,
                }))
            }
            Err(error) => {
                self.give_up(&error);
                None
            }
        }
    }

    fn give_up(&mut self, error: &h2::Error) {
        tracing::debug!(%error, "an answer can't be sent");
        self.reply.send_reset(Reason::INTERNAL_ERROR);
    }
}

impl Asked {
    /// Lets a session answer, where one does.
    fn claim(mut self: Box<Self>) -> Result<(), Box<Self>> {
        if self.is_head {
            return Err(self);
        }
        let is_connect = self.tunnel.is_some();
        let handoff = match Handoff::claim(self.exchange, is_connect) {
            Ok(handoff) => handoff,
            Err(exchange) => {
                self.exchange = *exchange;
                return Err(self);
            }
        };
        let (mut opened, tunnel) = (self.opened, self.tunnel);
        let mut head = Response::new(());
        *head.status_mut() = handoff.head.status;
        head.headers_mut().clone_from(&handoff.head.headers);
        // A layer, or axum for a body that it takes for empty, may have said how long that is.
        head.headers_mut().remove(header::CONTENT_LENGTH);
        let receiver = tunnel.map(|tunnel| tunnel.receiver);
        if let Some(stream) = opened.begin(head, receiver) {
            let taken = Taken {
                line: Line::new(Socket::from(stream)),
                read_ahead: Bytes::new(),
            };
            opened.server.start(handoff, taken, opened.open);
        }
        Ok(())
    }

    async fn answer(self: Box<Self>) {
        let Self {
            mut opened,
            exchange,
            tunnel,
            is_head,
        } = *self;
        let (parts, body) = exchange.into_answer(&opened.server, None).into_parts();
        let mut head = Response::from_parts(parts, ());
        if let Some(Tunnel { receiver, upgrade }) = tunnel
            && head.status().is_success()
        {
            // What follows is no body.
            head.headers_mut().remove(header::CONTENT_LENGTH);
            if let Some(stream) = opened.begin(head, Some(receiver)) {
                upgrade.carry(stream, &opened.server).await;
            }
            return;
        }
        if let Some(length) = body.size_hint().exact()
            && !body.is_end_stream()
        {
            let length = HeaderValue::from(length);
            head.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length);
        }
        if is_head || body.is_end_stream() {
            if let Err(error) = opened.reply.send_response(polish(head), true) {
                opened.give_up(&error);
            }
        } else if let Some(stream) = opened.begin(head, None) {
            let write_timeout = opened.server.options.write_timeout;
            Sending::new(stream, body).run(write_timeout).await;
        }
    }
}

/// An ordinary answer on its way.
struct Sending {
    stream: StreamSocket,
    body: Answer,
    /// What is left of the last frame.
    rest: Bytes,
    /// How many bytes the connection was given.
    given: u64,
    stall: Stall,
}

impl Sending {
    fn new(stream: StreamSocket, body: Answer) -> Self {
        Self {
            stream,
            body,
            rest: Bytes::new(),
            given: 0,
            stall: Stall::default(),
        }
    }

    /// Sends all of it, until everything has left; or resets the stream where its client takes nothing for too long.
    async fn run(mut self, timeout: Duration) {
        poll_fn(|cx| {
            // Nobody is told when it leaves while there is room for more.
            if self.stream.stream().unsent() == 0 {
                self.stall.end();
            }
            let sent = self.poll_send(cx);
            if sent.is_pending() && self.stream.stream().unsent() > 0 {
                let portions = self.left() / MAX_PORTION_BYTES as u64;
                return self
                    .stall
                    .poll(cx, portions, timeout)
                    .map(|()| Err(Reason::CANCEL));
            }
            self.stall.end();
            sent
        })
        .await
        .unwrap_or_else(|reason| self.stream.stream().reset(reason));
    }

    /// How many bytes have left.
    fn left(&self) -> u64 {
        self.given - u64::from(self.stream.stream().unsent())
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let stream = self.stream.stream();
        while !stream.has_ended() {
            if !self.rest.is_empty() {
                let is_last = self.body.is_end_stream();
                let Ok(sent) = ready!(stream.poll_send(cx, &self.rest, is_last)) else {
                    return Poll::Ready(Ok(()));
                };
                self.rest.advance(sent);
                self.given += sent as u64;
                continue;
            }
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(frame))) => {
                    drop(stream.end_with(frame.into_trailers().unwrap_or_default()));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "an answer breaks off");
                    return Poll::Ready(Err(Reason::INTERNAL_ERROR));
                }
                None => drop(stream.end()),
            }
        }
        stream.poll_left(cx).map(Ok)
    }
}

/// Takes out what is said of a connection of HTTP/1.1 (RFC 9113 section 8.2.2), and adds the date (RFC 9110 section 6.6.1).
fn polish(mut head: Response<()>) -> Response<()> {
    let headers = head.headers_mut();
    let named: Vec<_> = headers.get_all(header::CONNECTION).iter().cloned().collect();
    for names in named.iter().filter_map(|names| names.to_str().ok()) {
        names
            .split(',')
            .for_each(|name| drop(headers.remove(name.trim())));
    }
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
    if !headers.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
    {
        headers.insert(header::DATE, date);
    }
    head
}

const OF_A_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::time;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::stream::tests::{Scene, asked, read};

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn sending(stream: StreamSocket, body: Body) -> impl Future<Output = ()> {
        Sending::new(stream, Answer::new(body, None, None)).run(TIMEOUT)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_says_little_now_and_then_is_no_stall() {
        let Scene {
            stream, mut answer, ..
        } = asked(false).await;
        let ticks = futures::stream::unfold((), async |()| {
            time::sleep(TIMEOUT / 30).await;
            Some((Ok::<_, std::io::Error>("tick"), ()))
        });
        let reading = tokio::spawn(async move { read(&mut answer).await });
        sending(stream, Body::from_stream(ticks.take(200))).await;
        assert_eq!(reading.await.unwrap(), (200 * 4, Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_reset_at_its_deadline() {
        let Scene {
            stream, mut answer, ..
        } = asked(false).await;
        let begun = time::Instant::now();
        sending(stream, Body::from(vec![b'x'; 1 << 20])).await;
        assert_eq!(begun.elapsed(), TIMEOUT);
        assert_eq!(read(&mut answer).await.1, Err(Some(Reason::CANCEL)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_may_take_its_time_behind_what_was_taken() {
        let Scene {
            stream, mut answer, ..
        } = asked(false).await;
        let go_on = CancellationToken::new();
        let said = {
            let go_on = go_on.clone();
            let last = async move {
                go_on.cancelled().await;
                Ok::<_, std::io::Error>("last")
            };
            futures::stream::iter([Ok("first")]).chain(futures::stream::once(last))
        };
        let sending = tokio::spawn(sending(stream, Body::from_stream(said)));
        time::sleep(TIMEOUT * 10).await;
        go_on.cancel();
        assert_eq!(read(&mut answer).await, (9, Ok(())));
        sending.await.unwrap();
    }

    #[test]
    fn a_head_says_nothing_of_a_connection_of_http1() {
        let mut head = Response::new(());
        for (name, value) in [
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
            ("x-stays", "1"),
        ] {
            head.headers_mut()
                .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let head = polish(head);
        let mut names: Vec<_> = head.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["date", "x-stays"]);
    }
}
