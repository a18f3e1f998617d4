//! The server: like `axum::serve`, but a session gets the socket that its request came by.
//!
//! hyper parses the requests and writes the ordinary responses. When a response is a session's, hyper has nothing left
//! to do for it but would keep its buffers, hold up a shutdown, and never give up on a client that stalls. So the
//! socket is taken back from it.

use std::convert::Infallible;
use std::future::{self, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::response::Parts;
use axum::http::{Method, Request, Response, StatusCode, Version, header};
use dualcast_core::{CloseReason, SessionHandle};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use slab::Slab;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::head;
use crate::line::Line;
use crate::socket::{Socket, WriteState};
use crate::stall::Stall;
use crate::takeover::{HandsOver, Start, Taken, Takeover};

/// The bounds of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// For how long a client may take to send a request's head. Default 30 seconds. Then its connection is cut.
    pub head_timeout: Duration,
    /// For how long a client may take nothing of an ordinary response. Default 30 seconds. Then its connection is cut.
    /// Sessions have [their own](crate::SessionOptions::write_timeout).
    pub write_timeout: Duration,
    /// The kernel's send buffer for each connection, in bytes. Default 64 KiB, which Linux doubles. Left to itself the
    /// kernel takes megabytes for a client that stalls, and nobody learns of it.
    pub send_buffer_bytes: usize,
    /// How many connections may wait to be accepted. Default 4,096: a storm of clients that all come back at once should
    /// not have to retry, which costs each of them a second. The system's own limit (`net.core.somaxconn`) applies.
    pub backlog: i32,
    /// For how long ordinary requests may go on after a shutdown began. Default 10 seconds. Then they are dropped.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            send_buffer_bytes: 64 << 10,
            backlog: 4_096,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves an application, over HTTP/1.1.
///
/// ```no_run
/// # async fn run(app: axum::Router) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// dualcast_http::serve(listener, app).await
/// # }
/// ```
pub fn serve(listener: TcpListener, app: Router) -> Serve {
    Serve {
        listener,
        app,
        options: ServerOptions::default(),
        shutdown: future::pending().boxed(),
    }
}

/// A server about to run: `await` it.
#[must_use = "a server runs when it is awaited"]
pub struct Serve {
    listener: TcpListener,
    app: Router,
    options: ServerOptions,
    shutdown: BoxFuture<'static, ()>,
}

impl Serve {
    /// Shuts down in good order once `signal` is done: accepts no more, tells every session why it ends, lets ordinary requests
    /// finish, and returns with nothing left behind.
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = signal.boxed();
        self
    }

    /// Changes its [bounds](ServerOptions): `.options(|o| o.backlog = 1_024)`.
    pub fn options(mut self, change: impl FnOnce(&mut ServerOptions)) -> Self {
        change(&mut self.options);
        self
    }

    async fn run(self) -> io::Result<()> {
        let Self {
            listener,
            app,
            options,
            shutdown,
        } = self;
        SockRef::from(&listener).listen(options.backlog)?;
        let (stage, _) = watch::channel(Stage::Serving);
        let (tasks, running) = (TaskTracker::new(), Mutex::default());
        let server = Arc::new(Server {
            app,
            options,
            stage,
            tasks,
            running,
        });
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((socket, address)) => server.accept(socket, address),
                    Err(error) => rest_after(&error).await,
                },
            }
        }
        drop(listener);
        server.drain().await;
        Ok(())
    }
}

impl IntoFuture for Serve {
    type Output = io::Result<()>;
    type IntoFuture = BoxFuture<'static, io::Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// A connection may be gone before it is accepted, which is nothing; without file descriptors there is nothing to do but wait.
async fn rest_after(error: &io::Error) {
    let is_connections_own = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !is_connections_own {
        tracing::error!(%error, "can't accept connections");
        time::sleep(Duration::from_secs(1)).await;
    }
}

/// How far a server is with its shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// Requests under way are answered, sessions say goodbye.
    Draining,
    /// Whatever still runs is dropped.
    Cut,
}

struct Server {
    app: Router,
    options: ServerOptions,
    stage: watch::Sender<Stage>,
    tasks: TaskTracker,
    running: Mutex<Slab<Running>>,
}

impl Server {
    fn accept(self: &Arc<Self>, socket: TcpStream, address: SocketAddr) {
        let prepared = socket
            .set_nodelay(true)
            .and_then(|()| SockRef::from(&socket).set_send_buffer_size(self.options.send_buffer_bytes));
        if let Err(error) = prepared {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Some((handoff, taken)) = server.serve(socket, address).await {
                server.start(handoff, taken);
            }
        });
    }

    /// Serves the requests of a connection. Answers its socket once one of them is to be answered by a session.
    async fn serve(&self, socket: TcpStream, address: SocketAddr) -> Option<(Handoff, Taken)> {
        let exchange = Mutex::new(Exchange::default());
        let service = service_fn(|request| self.respond(request, address, &exchange));
        let writing = WriteState::default();
        let socket = TokioIo::new(Socket::new(socket, writing.clone()));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.head_timeout)
            .serve_connection(socket, service)
            .with_upgrades();
        let handoff = {
            let (mut draining, mut cut) = (self.stage.subscribe(), self.stage.subscribe());
            let mut draining = pin!(draining.wait_for(|stage| *stage >= Stage::Draining).fuse());
            let mut stall = Stall::new(self.options.write_timeout);
            let mut cut = pin!(cut.wait_for(|stage| *stage == Stage::Cut).fuse());
            future::poll_fn(|cx| {
                if cut.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                if draining.as_mut().poll(cx).is_ready() {
                    Pin::new(&mut connection).graceful_shutdown();
                    lock(&exchange).shut();
                }
                let is_over = Pin::new(&mut connection).poll(cx).is_ready();
                // hyper may still hold the end of an earlier response that its client has not taken yet.
                if !writing.is_blocked()
                    && let Some(handoff) = lock(&exchange).handoff.take()
                {
                    return Poll::Ready(Some(handoff));
                }
                if !writing.is_blocked() {
                    stall.end();
                } else if stall.poll(cx, writing.written()).is_ready() {
                    return Poll::Ready(None);
                }
                if is_over { Poll::Ready(None) } else { Poll::Pending }
            })
            .await?
        };
        let parts = connection.into_parts()?;
        let mut line = Line::new(parts.io.into_inner().into_stream());
        line.begin_with(head::write(handoff.head.status, &handoff.head.headers));
        let taken = Taken {
            line,
            read_ahead: parts.read_buf,
            shutdown: handoff.session.is_none().then(|| self.draining()),
        };
        Some((handoff, taken))
    }

    /// Answers a request; or, where a session is to answer it, leaves that to whoever polls the connection, and never returns.
    async fn respond(
        &self,
        request: Request<Incoming>,
        address: SocketAddr,
        exchange: &Mutex<Exchange>,
    ) -> Result<Response<Body>, Infallible> {
        let mut request = request.map(Body::new);
        let hands_over = request.version() == Version::HTTP_11 && request.method() != Method::HEAD;
        request.extensions_mut().insert(ConnectInfo(address));
        if hands_over {
            request.extensions_mut().insert(HandsOver);
        }
        let mut response = self.app.clone().oneshot(request).await?;
        let Some(takeover) = response.extensions_mut().remove::<Takeover>() else {
            return Ok(response);
        };
        let session = takeover.session().cloned();
        if hands_over
            && is_sessions(&response)
            && let Some(start) = takeover.claim()
        {
            let (head, _) = response.into_parts();
            lock(exchange).handoff = Some(Handoff { head, start, session });
            return future::pending().await;
        }
        lock(exchange).set_body(session, *self.stage.borrow());
        Ok(response)
    }

    /// Runs a session in a task of its own, which is smaller than the one that parsed its request.
    fn start(self: &Arc<Self>, handoff: Handoff, taken: Taken) {
        let session = handoff.session;
        let mut running = lock(&self.running);
        let entry = running.vacant_entry();
        let listed = Listed {
            server: Arc::clone(self),
            key: entry.key(),
        };
        let task = self.tasks.spawn(async move {
            let _listed = listed;
            (handoff.start)(taken).await;
        });
        entry.insert(Running {
            session: session.clone(),
            task: task.abort_handle(),
        });
        drop(running);
        // Looked at after the session is listed: a shutdown either finds it there or is seen here.
        if let Some(session) = session
            && *self.stage.borrow() != Stage::Serving
        {
            session.close(CloseReason::Shutdown);
        }
    }

    /// Done when the server begins to shut down.
    fn draining(&self) -> BoxFuture<'static, ()> {
        let mut stage = self.stage.subscribe();
        async move { drop(stage.wait_for(|stage| *stage >= Stage::Draining).await) }.boxed()
    }

    async fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
        let sessions: Vec<_> = lock(&self.running)
            .iter()
            .filter_map(|(_, running)| running.session.clone())
            .collect();
        for session in sessions {
            session.close(CloseReason::Shutdown);
        }
        self.tasks.close();
        if time::timeout(self.options.drain_timeout, self.tasks.wait())
            .await
            .is_err()
        {
            self.stage.send_replace(Stage::Cut);
            for (_, running) in lock(&self.running).iter() {
                running.task.abort();
            }
            self.tasks.wait().await;
        }
    }
}

/// A session that has its socket.
struct Running {
    session: Option<SessionHandle>,
    task: AbortHandle,
}

/// A session in the server's list, for as long as it runs, however it ends.
struct Listed {
    server: Arc<Server>,
    key: usize,
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.server.running).remove(self.key);
    }
}

/// Whether a response is still the one that a session made, after the layers had their say. One that was refused on its way out
/// isn't; and a layer that encodes the body has to go on doing so.
fn is_sessions(response: &Response<Body>) -> bool {
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => true,
        StatusCode::OK => !response.headers().contains_key(header::CONTENT_ENCODING),
        _ => false,
    }
}

/// What the requests of one connection leave for whoever polls it.
#[derive(Default)]
struct Exchange {
    handoff: Option<Handoff>,
    /// A session that goes out by hyper after all. A connection has one at a time.
    body: Option<SessionHandle>,
}

/// A response that is a session's.
struct Handoff {
    head: Parts,
    start: Start,
    session: Option<SessionHandle>,
}

impl Exchange {
    fn set_body(&mut self, session: Option<SessionHandle>, stage: Stage) {
        self.body = session;
        if stage != Stage::Serving {
            self.shut();
        }
    }

    fn shut(&mut self) {
        if let Some(session) = self.body.take() {
            session.close(CloseReason::Shutdown);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
