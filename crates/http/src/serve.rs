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
use axum::http::{Method, Request, Response, Version, header};
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
use tokio::time;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::head;
use crate::line::Line;
use crate::socket::{Socket, WriteState};
use crate::takeover::{HandsOver, Taken, Takeover};

/// The bounds of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// For how long a client may take to send a request's head. Default 30 seconds. Then its connection is cut.
    pub head_timeout: Duration,
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
        let (tasks, sessions) = (TaskTracker::new(), Mutex::default());
        let server = Arc::new(Server {
            app,
            options,
            stage,
            tasks,
            sessions,
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
    sessions: Mutex<Slab<SessionHandle>>,
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
            if let Some((takeover, taken)) = server.serve(socket, address).await {
                server.start(&takeover, taken);
            }
        });
    }

    /// Serves the requests of a connection. Answers its socket once one of them is to be answered by a session.
    async fn serve(&self, socket: TcpStream, address: SocketAddr) -> Option<(Takeover, Taken)> {
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
            let mut cut = pin!(cut.wait_for(|stage| *stage == Stage::Cut).fuse());
            future::poll_fn(|cx| {
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
                if is_over || cut.as_mut().poll(cx).is_ready() {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            })
            .await?
        };
        let parts = connection.into_parts()?;
        let mut line = Line::new(parts.io.into_inner().into_stream());
        line.staged
            .push_back(head::write(handoff.head.status, &handoff.head.headers));
        Some((
            handoff.takeover,
            Taken {
                line,
                read_ahead: parts.read_buf,
            },
        ))
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
        // A layer that encodes the body has to go on doing so.
        if hands_over && !response.headers().contains_key(header::CONTENT_ENCODING) {
            let (head, _) = response.into_parts();
            lock(exchange).handoff = Some(Handoff { head, takeover });
            return future::pending().await;
        }
        lock(exchange).add_body(&takeover, *self.stage.borrow());
        Ok(response)
    }

    /// Runs a session in a task of its own, which is smaller than the one that parsed its request.
    fn start(self: &Arc<Self>, takeover: &Takeover, taken: Taken) {
        let Some(start) = takeover.take() else { return };
        let key = takeover
            .session()
            .map(|session| lock(&self.sessions).insert(session.clone()));
        // Looked at after the session is listed: a shutdown either finds it there or is seen here.
        if let Some(session) = takeover.session()
            && *self.stage.borrow() != Stage::Serving
        {
            session.close(CloseReason::Shutdown);
        }
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            start(taken).await;
            if let Some(key) = key {
                lock(&server.sessions).remove(key);
            }
        });
    }

    async fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
        let sessions: Vec<_> = lock(&self.sessions)
            .iter()
            .map(|(_, session)| session.clone())
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
            self.tasks.wait().await;
        }
    }
}

/// What the requests of one connection leave for whoever polls it.
#[derive(Default)]
struct Exchange {
    handoff: Option<Handoff>,
    /// Sessions that go out by hyper after all.
    bodies: Vec<SessionHandle>,
}

/// A response that is a session's.
struct Handoff {
    head: Parts,
    takeover: Takeover,
}

impl Exchange {
    fn add_body(&mut self, takeover: &Takeover, stage: Stage) {
        if let Some(session) = takeover.session() {
            self.bodies.push(session.clone());
            if stage != Stage::Serving {
                self.shut();
            }
        }
    }

    fn shut(&mut self) {
        for session in self.bodies.drain(..) {
            session.close(CloseReason::Shutdown);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
