//! HTTP/2 by the `h2` crate: a client that takes what a stream brings only when it is asked to. What it doesn't take it doesn't
//! make room for, so that the server feels it (RFC 9113 section 5.2).

use std::fmt::Debug;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;
use tokio::time;
use tokio_rustls::client::TlsStream;

use crate::http::{Answer, Head};
use crate::socket::{Reset, Socket};

/// A connection, for as many streams as one likes. It is closed without a word when it and its streams are dropped.
#[derive(Debug, Clone)]
pub struct Http2 {
    requests: SendRequest<Bytes>,
    driver: Arc<Driver>,
}

/// What reads and writes the connection.
#[derive(Debug)]
struct Driver {
    task: AbortHandle,
    /// Holds the socket open, too.
    reset: Mutex<Option<Reset>>,
}

impl Driver {
    fn close(&self, is_reset: bool) {
        self.task.abort();
        if let Some(reset) = self.reset.lock().unwrap().take()
            && is_reset
        {
            reset.on_close();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Http2 {
    /// Connects. `window_bytes`: how much may come on a stream that nobody takes.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn connect(address: SocketAddr, window_bytes: u32) -> io::Result<Self> {
        Self::over(Socket::connect(address, false).await?, window_bytes).await
    }

    /// Speaks over a socket, which knows already that the server speaks HTTP/2.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn over(socket: Socket, window_bytes: u32) -> io::Result<Self> {
        let reset = socket.reset_handle();
        Self::speak(socket, window_bytes, reset).await
    }

    /// The same, encrypted.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn over_tls(stream: TlsStream<Socket>, window_bytes: u32) -> io::Result<Self> {
        let reset = stream.get_ref().0.reset_handle();
        Self::speak(stream, window_bytes, reset).await
    }

    async fn speak(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        window_bytes: u32,
        reset: Reset,
    ) -> io::Result<Self> {
        let mut builder = Builder::new();
        builder
            .initial_window_size(window_bytes)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .enable_push(false);
        let (requests, connection) = builder.handshake(io).await.map_err(io_error)?;
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        let driver = Arc::new(Driver {
            task: task.abort_handle(),
            reset: Mutex::new(Some(reset)),
        });
        Ok(Self { requests, driver })
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub async fn request(&self, request: Request<()>) -> io::Result<(Response<()>, Http2Stream)> {
        self.begin(request).await?.answer().await
    }

    /// Sends a request, and doesn't wait for the answer.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub async fn begin(&self, request: Request<()>) -> io::Result<Http2Request> {
        self.send(request, false).await
    }

    /// Sends a request whose body is still to come: [`Http2Request::say`] and the answer's stream send it.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub async fn upload(&self, request: Request<()>) -> io::Result<Http2Request> {
        self.send(request, true).await
    }

    async fn send(&self, request: Request<()>, has_body: bool) -> io::Result<Http2Request> {
        let is_connect = request.extensions().get::<Protocol>().is_some();
        let mut requests = self.requests.clone().ready().await.map_err(io_error)?;
        while is_connect && !requests.is_extended_connect_protocol_enabled() {
            // The server's settings say so. They come at once, but not with an event that one could wait for.
            time::sleep(Duration::from_millis(1)).await;
        }
        let sent = requests.send_request(request, !is_connect && !has_body);
        let (response, send) = sent.map_err(io_error)?;
        Ok(Http2Request {
            response,
            send,
            http: self.clone(),
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub async fn answer(&self, request: Request<()>) -> io::Result<Answer> {
        let (response, mut stream) = self.request(request).await?;
        let head = Head::from_response(&response);
        let mut body = Vec::new();
        while let Some(piece) = stream.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Answer { head, body })
    }

    /// Waits until the connection is over.
    pub async fn is_over(&self) {
        while !self.driver.task.is_finished() {
            time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Vanishes: the other end is sent a reset.
    pub fn reset(&self) {
        self.driver.close(true);
    }

    /// Closes the socket, with all of its streams, and without a word.
    pub fn hang_up(&self) {
        self.driver.close(false);
    }
}

/// A request that was sent.
#[derive(Debug)]
pub struct Http2Request {
    response: ResponseFuture,
    send: SendStream<Bytes>,
    http: Http2,
}

impl Http2Request {
    /// Reads the answer's head.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub async fn answer(self) -> io::Result<(Response<()>, Http2Stream)> {
        let response = self.response.await.map_err(io_error)?;
        let (parts, recv) = response.into_parts();
        let stream = Http2Stream {
            recv,
            send: self.send,
            taken: Bytes::new(),
            bite: usize::MAX,
            http: self.http,
        };
        Ok((Response::from_parts(parts, ()), stream))
    }

    /// Sends some of its body, as much as fits into the window that a stream begins with.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn say(&mut self, piece: &'static [u8]) -> io::Result<()> {
        let piece = Bytes::from_static(piece);
        self.send.send_data(piece, false).map_err(io_error)
    }

    /// Takes it back.
    pub fn cancel(mut self) {
        self.send.send_reset(h2::Reason::CANCEL);
    }
}

/// A stream, both ways.
#[derive(Debug)]
pub struct Http2Stream {
    recv: RecvStream,
    send: SendStream<Bytes>,
    /// Of the piece under way.
    taken: Bytes,
    bite: usize,
    http: Http2,
}

impl Http2Stream {
    /// Takes at most so many bytes at a time from now on.
    pub fn set_bite(&mut self, bytes: usize) {
        self.bite = bytes;
    }

    /// Its connection.
    #[must_use]
    pub fn http(&self) -> &Http2 {
        &self.http
    }

    /// Gives it up, and leaves the connection as it is.
    pub fn cancel(mut self) {
        self.send.send_reset(h2::Reason::CANCEL);
    }

    /// Takes what comes next; None at the end.
    ///
    /// # Errors
    ///
    /// The stream's, or that it was reset.
    pub async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_piece(cx, usize::MAX)).await
    }

    /// Reads the trailers, behind the last piece.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub async fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        self.recv.trailers().await.map_err(io_error)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<Option<Bytes>>> {
        while self.taken.is_empty() {
            match ready!(self.recv.poll_data(cx)) {
                Some(piece) => self.taken = piece.map_err(io_error)?,
                None => return Poll::Ready(Ok(None)),
            }
        }
        let piece = self.taken.split_to(self.taken.len().min(room).min(self.bite));
        // Refused on a stream that is over, where it is nothing.
        let _ = self.recv.flow_control().release_capacity(piece.len());
        Poll::Ready(Ok(Some(piece)))
    }
}

impl AsyncRead for Http2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = ready!(self.poll_piece(cx, buf.remaining()))? {
            buf.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(buf.len());
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(capacity) => drop(capacity.map_err(io_error)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = self.send.capacity().min(buf.len());
        let piece = Bytes::copy_from_slice(&buf[..count]);
        self.send.send_data(piece, false).map_err(io_error)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(io_error))
    }
}

/// A request for something, with no headers yet.
#[must_use]
pub fn get(address: SocketAddr, target: &str) -> Request<()> {
    let request = Request::get(format!("http://{address}{target}"));
    request.body(()).expect("the target is one")
}

/// The request that opens a WebSocket (RFC 8441 section 4).
#[must_use]
pub fn connect(address: SocketAddr, target: &str, protocol: &'static str) -> Request<()> {
    let request = Request::connect(format!("http://{address}{target}"))
        .extension(Protocol::from_static(protocol))
        .header("sec-websocket-version", "13");
    request.body(()).expect("the target is one")
}

/// However a stream is cut, a client sees the same: it is gone.
fn io_error(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

/// What RFC 9113 begins with (section 6.9.2).
pub const WINDOW_BYTES: u32 = 65_535;

/// More than all the tests' streams hold, so that one stream holds up none of the others.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
